"""Entry point: the command tree, and one place where every error becomes words instead of a traceback.

Exit status: 0 done, 1 something was refused or failed, 2 a wrong call, 3 an error of SteadyBid itself.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import typer.exceptions
from typer.core import TyperGroup

from cli import accounts, bids, dash, imports, operate, simulation, targets
from domain.errors import ConfigError, SteadyBidError


class _Commands(TyperGroup):
    """Command group that turns errors into one clear line and an exit status."""

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            status = super().main(args=list(args) if args is not None else None, **kwargs)
            sys.exit(status if isinstance(status, int) else 0)
        except typer.Exit as leave:
            sys.exit(leave.exit_code)
        except typer.Abort:
            sys.stderr.write("stopped\n")
            sys.exit(130)
        except typer.exceptions.TyperException as wrong:
            show = getattr(wrong, "show", None)
            _ = show() if callable(show) else sys.stderr.write(f"steadybid: {wrong}\n")
            sys.exit(2)
        except ConfigError as wrong:
            sys.stderr.write(f"steadybid: {wrong}\n")
            sys.exit(2)
        except SteadyBidError as failed:
            sys.stderr.write(f"steadybid: {failed}\n")
            sys.exit(1)
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
            sys.exit(130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except Exception as unexpected:
            sys.stderr.write(f"steadybid: unexpected {type(unexpected).__name__}: {unexpected}\n{_kept_trace()}\n")
            sys.exit(3)


def _kept_trace() -> str:
    """Write the traceback where a developer finds it; a person need not read it."""
    folder = Path(os.environ.get("STEADYBID_HOME", "var")) / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"error-{os.getpid()}.txt"
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return "This is an error of SteadyBid itself, and its details could not be written down."
    return f"This is an error of SteadyBid itself; please report it with the file {path}"


app = typer.Typer(
    cls=_Commands,
    name="steadybid",
    help="Bids and budgets for e-commerce ads: steady cost, met targets, every bid explained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(accounts.init)
app.command("accounts")(accounts.accounts)
app.command("import")(imports.import_files)
app.command("quarantine")(imports.quarantine)
app.add_typer(targets.targets_app, name="targets")
app.add_typer(targets.phases_app, name="phases")
app.command("plan")(bids.plan)
app.command("export-bids")(bids.export_bids)
app.command("run-hour")(operate.run_hour)
app.command("approve")(operate.approve)
app.command("mode")(operate.mode)
app.command("pause")(operate.pause)
app.command("resume")(operate.resume)
app.command("decisions")(operate.decisions)
app.command("serve")(operate.serve)
app.command("simulate")(simulation.simulate)
app.command("dashboard")(dash.dashboard)

if __name__ == "__main__":
    app()

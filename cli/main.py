"""Entry point: the command tree, and one place where every error becomes words instead of a traceback.

Exit status: 0 done, 1 something was refused or failed, 2 a wrong call, 3 an error of SteadyBid itself, 130 stopped by Ctrl-C.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
import typer.exceptions
from typer.core import TyperGroup

from cli import (
    accounts,
    bids,
    customers,
    dash,
    doctor,
    evaluation,
    explain,
    imports,
    models,
    operate,
    rates,
    replay,
    simulation,
    status,
    targets,
)
from cli.output import make_writable
from domain.errors import ConfigError, SteadyBidError

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130


class _Commands(TyperGroup):
    """Command group that turns errors into one clear line and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader that goes away early (``| head``) is no failure."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _stop_writing()
            raise typer.Exit(0) from None
        return result

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        kwargs["standalone_mode"] = False
        make_writable()
        try:
            status = super().main(args=list(args) if args is not None else None, **kwargs)
            _leave(status if isinstance(status, int) else 0)
        except typer.Exit as leave:
            _leave(leave.exit_code)
        except typer.Abort:
            sys.stderr.write("stopped\n")
            sys.exit(INTERRUPTED)
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
            sys.exit(INTERRUPTED)
        except OSError as refused:
            _stop_writing()
            where = f" {refused.filename}" if refused.filename else ""
            sys.stderr.write(
                f"steadybid: the system refused{where}: {refused.strerror or refused}; check that the disk has room "
                f"and that you may write there. {_kept_trace()}\n"
            )
            sys.exit(1)
        except MemoryError:
            sys.stderr.write("steadybid: there is not enough memory; import or plan less at once\n")
            sys.exit(1)
        except Exception as unexpected:
            sys.stderr.write(
                f"steadybid: unexpected {type(unexpected).__name__}: {unexpected}\n"
                f"This is an error of SteadyBid itself. {_kept_trace()}; please report it with that file\n"
            )
            sys.exit(3)


def _leave(status: int) -> NoReturn:
    if status == INTERRUPTED:
        sys.stderr.write("stopped\n")
    sys.exit(status)


def _stop_writing() -> None:
    """Send what is still to be written nowhere, so that it fails in nobody's face while Python ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # stdout is no file of the system's


def _kept_trace() -> str:
    """Write the traceback where a developer finds it; a person need not read it."""
    folder = Path(os.environ.get("STEADYBID_HOME", "var")) / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"error-{os.getpid()}.txt"
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return "Its details could not be written down"
    return f"Details: {path}"


# Our linear algebra is small: threads of OpenBLAS cost a third of an hour's CPU time and gain nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

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
app.command("explain")(explain.explain)
app.command("export-bids")(bids.export_bids)
app.command("run-hour")(operate.run_hour)
app.command("approve")(operate.approve)
app.command("mode")(operate.mode)
app.command("pause")(operate.pause)
app.command("resume")(operate.resume)
app.command("hold")(operate.hold)
app.command("release")(operate.release)
app.command("holds")(operate.holds)
app.command("decisions")(operate.decisions)
app.command("status")(status.status)
app.command("new-customers")(customers.new_customers)
app.add_typer(models.models_app, name="models")
app.command("serve")(operate.serve)
app.command("doctor")(doctor.doctor)
app.command("simulate")(simulation.simulate)
app.command("evaluate")(evaluation.evaluate)
app.command("replay")(replay.replay)
app.add_typer(rates.rates_app, name="rates")
app.command("dashboard")(dash.dashboard)

if __name__ == "__main__":
    app()

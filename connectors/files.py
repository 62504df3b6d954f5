"""Folders as an ad platform: reports and bulk sheets are dropped into ``inbox/``, bids leave through ``outbox/``.

For merchants without an API key. A person (or a download tool) drops files, uploads the newest bulk file, and
drops the next bulk-sheet download, which answers what became of it. Everything the platform knows lies in files
below one folder, and every step can be repeated, so a crash at any moment loses nothing and sends nothing twice.

What it does not know it does not guess: before the first bulk sheet there are no live bids and no ids, and an
upload that was not answered yet leaves the live bid at its last downloaded value.
"""

import hashlib
import re
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path

import polars as pl

from connectors.answers import answer, receipts
from connectors.audit import write_audit
from connectors.bulkreading import BulkReading
from connectors.filestate import SENT, FileState, hour_of, stamp_of
from connectors.inbox import Inbox, Reading, Taken
from connectors.intake import read_any
from connectors.profiles import PlatformProfile, profile
from connectors.readings import CatalogReading, FileReading
from connectors.unitrows import news_of
from connectors.upload import write_upload
from domain.account import Account
from domain.errors import DataError, InvalidPlan, Unavailable
from domain.plans import RECEIPTS, Action, BidPlan, Receipts, ReceiptState
from domain.tables import BIDS, REPORT, UNITS, BidTable, ReportBatch, check, empty
from domain.time import Clock, Hour, Window


class FilePlatform:
    """`domain.protocols.AdPlatform` over the folders of one account.

    Parameters
    ----------
    root
        Folder of the account; ``inbox``, ``outbox``, ``archive``, ``refused`` and ``state`` are made below it.
    account
        Currency, time zone and platform of the account.
    clock
        Tells when files were learned.
    use
        Where readings go (into a warehouse). It may see a file twice; a `DataError` refuses the file. Without it
        `read_reports` gives the unit rows of targeting reports; with it, nothing, since they are stored already.
    campaigns
        Campaign names the account is known to have; a bulk sheet that shares none of them is another account's.
    reasons
        (n_units,) sentences for the audit file; by default the limit that shaped the bid.
    rules
        Platform profile; by default that of the account's platform.
    quiet_seconds
        How long a file must have been untouched to count as whole at first sight.
    """

    def __init__(
        self,
        root: Path | str,
        account: Account,
        clock: Clock,
        *,
        use: Callable[[Reading], None] | None = None,
        campaigns: Callable[[], Collection[str]] | None = None,
        reasons: Callable[[BidPlan], pl.Series] | None = None,
        rules: PlatformProfile | None = None,
        quiet_seconds: float = 10.0,
    ) -> None:
        self.root = Path(root)
        self.account = account
        self._clock = clock
        self._use = use
        self._campaigns = campaigns
        self._reasons = reasons
        self._rules = rules or profile(account.platform)
        self._limits = self._rules.limits(account.currency)
        self._inbox = Inbox(self.root, timedelta(seconds=quiet_seconds))
        self._state = FileState(self.root / "state")

    # -- files in -----------------------------------------------------------------------------------------------

    def collect(self) -> list[Taken]:
        """Take all whole files of the inbox, and say what became of each."""

        def read(path: Path) -> Reading:
            return read_any(path, self._rules.name, limits=self._limits)

        return self._inbox.take(self._clock.now(), read, self._take)

    def read_reports(self, window: Window) -> ReportBatch:
        """Day rows of units that end within the window, as told by the targeting reports read so far."""
        self.collect()
        name = f"inbox of {self.account.name}"
        if self._use is not None:
            return ReportBatch(empty(REPORT), name)
        rows = self._state.rows()
        end = pl.col("start_utc") + pl.duration(minutes=(pl.col("hours") * 60).cast(pl.Int64))
        inside = (
            (pl.col("start_utc") >= window.start) & (end <= window.end) & (pl.col("learned_at") <= self._clock.now())
        )
        return ReportBatch(rows.filter(inside).sort("learned_at", "start_utc", "unit_id"), name)

    def live_bids(self) -> BidTable:
        """Bids of the newest bulk sheet; units that only reports know are there with ``known`` false."""
        sheet = self._state.units()
        today = self._state.edits_on(self._clock.now().astimezone(self.account.tz).date(), self.account.tz)
        rows = sheet.select("unit_id", "bid_cpc", "state", pl.col("bid_cpc").is_not_null().alias("known")).join(
            today, on="unit_id", how="left", maintain_order="left"
        )
        only_reported = (
            self._state.rows().select("unit_id").unique().sort("unit_id").join(sheet, on="unit_id", how="anti")
        )
        unknown = only_reported.select(
            "unit_id",
            pl.lit(None, pl.Float64).alias("bid_cpc"),
            pl.lit("enabled").cast(BIDS["state"]).alias("state"),
            pl.lit(False).alias("known"),
            pl.lit(0, pl.Int64).alias("edits_today"),
        )
        both = pl.concat([rows.with_columns(pl.col("edits_today").fill_null(0)).select(list(BIDS)), unknown])
        return BidTable(check(both, BIDS, "live bids"))

    def entities(self) -> pl.DataFrame:
        """Ids of units as the newest bulk sheet names them, all text."""
        return BulkReading(str(self.root), self._state.units(), rows_read=self._state.units().height).entities

    # -- bids out -----------------------------------------------------------------------------------------------

    def publish(self, plan: BidPlan) -> Receipts:
        """Write the upload and the audit file of a plan to ``outbox/``; older uploads move to ``outbox/old/``.

        One receipt per unit with action ``set`` or ``pause``: *unseen* until a later download answers, *rejected* where
        the unit may not be written, *applied* where it is so already, *not_sent* without a bulk sheet. Publishing the
        same plan again writes the same files and gives the same receipts.
        """
        if plan.account != self.account.name:
            raise InvalidPlan(f"a plan of account {plan.account!r} was handed to the folders of {self.account.name!r}")
        stamp = stamp_of(plan.hour)
        outbox = self.root / "outbox"
        wanted = plan.units.filter(pl.col("action").cast(pl.String).is_in([Action.SET.value, Action.PAUSE.value]))
        entities = self.entities()
        done = self._state.folder / "published" / f"{stamp}-{_mark_of(wanted)}.parquet"
        try:
            if done.exists():  # this very plan went out before: what was answered since is told
                return self._receipts_now(stamp, check(pl.read_parquet(done), RECEIPTS, done.name))
            reasons = self._reasons(plan) if self._reasons else plan.units["limit"].fill_null(plan.reason)
            write_audit(outbox / f"audit-{self.account.name}-{stamp}.csv", plan, reasons, self._names())
            if entities.height == 0:
                return _told(wanted, ReceiptState.NOT_SENT, "no bulk sheet was read yet: its ids are unknown")
            told = self._send(plan, wanted, entities, stamp)
        except OSError as error:
            raise Unavailable(f"cannot write to {outbox} ({error}); check space and permissions") from error
        self._state.keep(f"published/{done.name}", told)
        return Receipts(told)

    def _send(self, plan: BidPlan, wanted: pl.DataFrame, entities: pl.DataFrame, stamp: str) -> pl.DataFrame:
        outbox = self.root / "outbox"
        paused = self._state.paused_by_us()
        upload = write_upload(
            outbox / f".bids-{stamp}.xlsx",
            plan,
            entities,
            self._limits,
            paused_by_us=paused,
            uncertain=self._state.waiting_units(before=stamp),
        )
        if plan.units["action"].cast(pl.String).is_in([Action.SET.value, Action.PAUSE.value, Action.KEEP.value]).any():
            self._retire(stamp)
        if upload.path is not None:
            # Remembered before it can be uploaded: a crash in between leaves an upload that nobody saw.
            now_paused = upload.rows.filter(pl.col("state") == "paused")["unit_id"]
            self._state.keep_paused({*paused, *now_paused})
            self._state.keep(f"sent/{stamp}.parquet", check(upload.rows, SENT, "sent bids"))
            upload.path.replace(outbox / f"bids-{self.account.name}-{stamp}.xlsx")
        told = pl.concat(
            [
                _outcome(upload.refused.with_columns(pl.lit(None, pl.Float64).alias("bid_cpc")), ReceiptState.REJECTED),
                _outcome(upload.unchanged, ReceiptState.APPLIED, "it is so already"),
                _outcome(
                    upload.rows.select("unit_id", pl.col("new_bid").alias("bid_cpc")),
                    ReceiptState.UNSEEN,
                    "written; upload it and drop the next bulk-sheet download",
                ),
            ]
        )
        return receipts(wanted.select("unit_id").join(told, on="unit_id", how="left", maintain_order="left"))

    def _receipts_now(self, stamp: str, told: pl.DataFrame) -> Receipts:
        answered = self._state.load(f"answered/{stamp}.parquet", RECEIPTS)
        return Receipts(told.update(answered, on="unit_id", how="left").select(list(RECEIPTS)))

    def answers(self, hours: Collection[Hour] | None = None) -> dict[Hour, Receipts]:
        """Receipts of uploads that a later download answered, by the hour of their plan; of some hours, or of all."""
        return {hour: Receipts(rows) for hour, rows in self._state.answered(hours).items()}

    def waiting(self) -> list[Hour]:
        """Hours whose upload no download has answered yet, oldest first."""
        return [hour_of(path.stem) for path in self._state.sent()]

    # -- what a file tells --------------------------------------------------------------------------------------

    def _take(self, reading: Reading) -> None:
        if isinstance(reading, BulkReading):
            self._refuse_another_account(reading)
        elif isinstance(reading, FileReading) and reading.currency not in (None, self.account.currency):
            raise DataError(
                f"{Path(reading.file).name} is in {reading.currency}, account {self.account.name!r} in "
                f"{self.account.currency}; drop it into the inbox of another account"
            )
        elif isinstance(reading, CatalogReading) and self._use is None:
            raise DataError(f"{Path(reading.file).name} is a catalog; import it with `steadybid import`")
        if self._use is not None:
            self._use(reading)
        if isinstance(reading, BulkReading):
            self._answer(reading)
            self._state.keep_sheet(reading)
        elif isinstance(reading, FileReading) and self._use is None:
            known, now = self._state.rows(), self._clock.now()
            news = news_of(reading.rows, known, self.account, self._rules.report_lag_hours, now)
            self._state.add_rows(news, reading.sha256)

    def _refuse_another_account(self, reading: BulkReading) -> None:
        name = Path(reading.file).name
        sheets = self._state.sheets()
        if reading.sha256 in sheets[:-1]:
            raise DataError(f"{name} was read before, and a newer bulk sheet since; download a new one")
        before = self._state.campaigns()["campaign_id"]
        now = reading.campaigns["campaign_id"]
        if before.len() and now.len() and not now.is_in(before.implode()).any():
            raise DataError(
                f"{name} is a bulk sheet of another account: none of its {now.len()} campaign ids was in the last one; "
                "drop it into the inbox of its own account"
            )
        known = set(self._campaigns()) if self._campaigns else self._state.reported_campaigns()
        if not before.len() and known and now.len() and not known & set(reading.campaigns["campaign"]):
            raise DataError(
                f"{name} is a bulk sheet of another account: it names none of the {len(known)} campaigns that the reports "
                "name; drop it into the inbox of its own account"
            )

    def _answer(self, reading: BulkReading) -> None:
        """Compare every unanswered upload with a new sheet, newest first; what it answers is settled for good.

        Units that a later upload wrote say nothing of an earlier one. An earlier upload that was not taken never will.
        """
        later: str | None = None
        written: list[str] = []
        for path in reversed(self._state.sent()):
            sent = check(pl.read_parquet(path), SENT, path.name)
            rewritten = pl.col("unit_id").is_in(written)
            rows, taken = answer(sent.filter(~rewritten), reading.units)
            if not taken and later is None:
                continue
            if not taken:
                rows = rows.with_columns(pl.lit(f"it was never taken; the upload of {later} was").alias("reason"))
            old = sent.filter(rewritten).select("unit_id", pl.lit(None, pl.Float64).alias("bid_cpc"))
            unseen = _outcome(old, ReceiptState.UNSEEN, f"the upload of {later} wrote it anew")
            self._state.keep(f"answered/{path.stem}.parquet", pl.concat([rows, receipts(unseen)]))
            path.unlink(missing_ok=True)
            later = later or path.stem
            written += sent["unit_id"].to_list() if taken else []

    def _names(self) -> pl.DataFrame:
        units = self._state.units()
        return units.with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in UNITS.items() if name not in units.columns
        ).select(list(UNITS))

    def _retire(self, stamp: str) -> None:
        """Put older uploads out of the way, so that a person cannot take the wrong one."""
        outbox = self.root / "outbox"
        pattern = re.compile(re.escape(f"bids-{self.account.name}-") + r"\d{8}T\d{4}Z\.xlsx")
        for path in outbox.iterdir():
            if pattern.fullmatch(path.name) and stamp not in path.name:
                (outbox / "old").mkdir(exist_ok=True)
                path.replace(outbox / "old" / path.name)


def _outcome(rows: pl.DataFrame, state: ReceiptState, reason: str | None = None) -> pl.DataFrame:
    told = rows.with_columns(pl.lit(state.value).alias("state"))
    return (told if reason is None else told.with_columns(pl.lit(reason).alias("reason"))).select(list(RECEIPTS))


def _told(wanted: pl.DataFrame, state: ReceiptState, reason: str) -> Receipts:
    rows = wanted.select("unit_id", pl.lit(None, pl.Float64).alias("bid_cpc"))
    return Receipts(receipts(_outcome(rows, state, reason)))


def _mark_of(wanted: pl.DataFrame) -> str:
    """Short hash of what a plan wants to send."""
    rows = wanted.select("unit_id", pl.col("action").cast(pl.String), "bid_cpc", "live_bid_cpc")
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()[:12]

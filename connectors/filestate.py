"""What the file platform remembers between two looks, as files below ``state/``: whole or not there at all."""

import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from connectors.bulkreading import BULK_CAMPAIGNS, BULK_UNITS, BulkReading
from connectors.inbox import write_whole
from domain.plans import RECEIPTS
from domain.tables import REPORT, check, empty
from domain.time import Hour

_STAMP = "%Y%m%dT%H%MZ"

#: What an upload wrote.
SENT: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "state": pl.String(),
    "old_bid": pl.Float64(),
    "new_bid": pl.Float64(),
}


def stamp_of(hour: Hour) -> str:
    """Name of an hour in file names."""
    return hour.start.strftime(_STAMP)


def hour_of(stamp: str) -> Hour:
    """Hour of a name in file names."""
    return Hour(datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class FileState:
    """Folder ``state`` of one account."""

    folder: Path

    def keep(self, name: str, frame: pl.DataFrame) -> None:
        """Write a table durably."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        write_whole(path, buffer.getvalue())

    def load(self, name: str, contract: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Read a table; empty where there is none."""
        path = self.folder / name
        return check(pl.read_parquet(path), contract, str(path)) if path.exists() else empty(contract)

    def rows(self) -> pl.DataFrame:
        """All unit rows that reports told of, columns `REPORT`."""
        parts = [check(pl.read_parquet(p), REPORT, p.name) for p in sorted((self.folder / "rows").glob("*.parquet"))]
        return pl.concat(parts) if parts else empty(REPORT)

    def add_rows(self, news: pl.DataFrame, sha256: str) -> None:
        """Remember what a report told anew; the very same file tells nothing twice."""
        there = list((self.folder / "rows").glob("*.parquet"))
        if news.height and not any(path.stem.endswith(sha256) for path in there):
            self.keep(f"rows/{len(there):06d}-{sha256}.parquet", news)

    def reported_campaigns(self) -> set[str]:
        """Campaigns that the unit rows name."""
        names = self.rows().select(pl.col("unit_id").str.split(" / ").list.first().unique())["unit_id"]
        return set(names.str.replace_all(" //", " /", literal=True))

    def units(self) -> pl.DataFrame:
        """Units of the newest bulk sheet, columns `BULK_UNITS`."""
        return self.load("units.parquet", BULK_UNITS)

    def campaigns(self) -> pl.DataFrame:
        """Campaigns of the newest bulk sheet, columns `BULK_CAMPAIGNS`."""
        return self.load("campaigns.parquet", BULK_CAMPAIGNS)

    def sheets(self) -> list[str]:
        """Hashes of the bulk sheets read so far, the newest last."""
        return self._names("sheets.json")

    def keep_sheet(self, reading: BulkReading) -> None:
        """Remember the newest bulk sheet; units that run in it are no longer paused by us."""
        running = set(reading.units.filter(pl.col("own_state") == "enabled")["unit_id"])
        self.keep_paused(set(self.paused_by_us()) - running)
        self.keep("campaigns.parquet", reading.campaigns)
        self.keep("units.parquet", reading.units)
        others = [sheet for sheet in self.sheets() if sheet != reading.sha256]
        write_whole(self.folder / "sheets.json", json.dumps([*others, reading.sha256]).encode())

    def paused_by_us(self) -> list[str]:
        """Units that an upload of ours paused and that no sheet has shown running since."""
        return self._names("paused.json")

    def keep_paused(self, unit_ids: Collection[str]) -> None:
        """Remember which units we paused."""
        write_whole(self.folder / "paused.json", json.dumps(sorted(unit_ids)).encode())

    def sent(self) -> list[Path]:
        """Uploads that no download has answered yet, oldest first; tables with columns `SENT`."""
        return sorted((self.folder / "sent").glob("*.parquet"))

    def waiting_units(self, before: str) -> list[str]:
        """Units that an unanswered earlier upload wrote: their live bid may be the old or the new one."""
        paths = [path for path in self.sent() if path.stem < before]
        return pl.concat([pl.read_parquet(p, columns=["unit_id"]) for p in paths])["unit_id"].to_list() if paths else []

    def answered(self, hours: Collection[Hour] | None = None) -> dict[Hour, pl.DataFrame]:
        """Receipts of answered uploads, columns `RECEIPTS`, by the hour of their plan; of some hours, or of all."""
        paths = {hour_of(path.stem): path for path in sorted((self.folder / "answered").glob("*.parquet"))}
        wanted = paths if hours is None else paths.keys() & set(hours)
        return {h: check(pl.read_parquet(p), RECEIPTS, p.name) for h, p in paths.items() if h in wanted}

    def edits_on(self, day: date, zone: ZoneInfo) -> pl.DataFrame:
        """How many uploads of plans of a local day wrote each unit: ``unit_id, edits_today``."""
        frames = [empty({"unit_id": pl.String()})]
        for folder in ("sent", "answered"):
            for path in (self.folder / folder).glob("*.parquet"):
                if hour_of(path.stem).local(zone).date() == day:
                    frames.append(pl.read_parquet(path, columns=["unit_id"]))
        return pl.concat(frames).group_by("unit_id").agg(pl.len().cast(pl.Int64).alias("edits_today"))

    def _names(self, name: str) -> list[str]:
        path = self.folder / name
        return json.loads(path.read_bytes()) if path.exists() else []

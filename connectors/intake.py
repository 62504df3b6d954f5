"""One way in for every file a trader drops: reports, catalogs and bulk sheets, recognised by what they contain.

Nothing here raises for a bad file: the reading says what is wrong, where, and what to do.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors import amazon, bulksheet, catalog
from connectors.bulkreading import BulkReading
from connectors.cells import RawTable, table
from connectors.headers import amazon_known, headings
from connectors.layouts import layout_of
from connectors.profiles import profile
from connectors.readings import CatalogReading, FileReading
from connectors.unpack import MAX_UNPACKED_BYTES, Unpacked, sha256_of, unpack
from domain.errors import ConfigError, DataError, FileRefused
from domain.limits import BidLimits

CATALOG_KIND, BULK_KIND = "catalog", "bulk_sheet"


def read_report(path: Path | str, platform: str = "amazon-sp", *, max_bytes: int = MAX_UNPACKED_BYTES) -> FileReading:
    """Read one report file: csv, tab separated, csv.gz or xlsx, recognised by its header.

    Parameters
    ----------
    path
        The file.
    platform
        Name of a platform profile that has file reports: ``amazon-sp``.
    max_bytes
        Most bytes that the file may hold when unpacked.

    Returns
    -------
    FileReading
        With ``error`` set where the file as a whole is refused.

    Raises
    ------
    ConfigError
        Where the platform is unknown or has no file reports.
    """
    _check(platform)
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    try:
        return amazon.read(_load(path, max_bytes)[1], str(path), digest)
    except DataError as error:
        return FileReading(str(path), error=str(error), sha256=digest, platform=platform)


def read_catalog(path: Path | str, *, max_bytes: int = MAX_UNPACKED_BYTES) -> CatalogReading:
    """Read a catalog (csv, csv.gz, xlsx): sku, price, margin rate, category, business type, stock."""
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    try:
        return catalog.read(_load(path, max_bytes)[1], str(path), digest)
    except DataError as error:
        return CatalogReading(str(path), error=str(error), sha256=digest)


def read_any(
    path: Path | str,
    platform: str = "amazon-sp",
    *,
    limits: BidLimits | None = None,
    max_bytes: int = MAX_UNPACKED_BYTES,
) -> FileReading | CatalogReading | BulkReading:
    """Read a report, a catalog or a bulk sheet, whichever the header says.

    As `read_report`, `read_catalog` and `read_bulksheet`; `limits` are those a bulk sheet's bids are held against
    (the sheet does not name its currency).
    """
    _check(platform)
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    kind: str | None = None
    try:
        file, loaded = _load(path, max_bytes)
        kind = _kind(loaded.header)
        if kind == CATALOG_KIND:
            return catalog.read(loaded, str(path), digest)
        if kind == BULK_KIND:
            return bulksheet.read(loaded, file, str(path), digest, limits)
        return amazon.read(loaded, str(path), digest)
    except DataError as error:
        if kind == CATALOG_KIND:
            return CatalogReading(str(path), error=str(error), sha256=digest)
        if kind == BULK_KIND:
            return BulkReading(str(path), error=str(error), sha256=digest)
        return FileReading(str(path), kind, error=str(error), sha256=digest, platform=platform)


def recognise(path: Path | str, *, max_bytes: int = MAX_UNPACKED_BYTES) -> str | None:
    """Kind of a file by its header: a report's name, ``catalog`` or ``bulk_sheet``; ``None`` where it is none or cannot be read."""
    try:
        return _kind(_load(Path(path), max_bytes)[1].header)
    except DataError:
        return None


def _kind(header: Sequence[str]) -> str | None:
    if bulksheet.is_bulksheet(header):
        return BULK_KIND
    layout = layout_of(headings(header))
    if layout is not None:
        return layout.report
    return CATALOG_KIND if catalog.is_catalog(header) else None


def _known(header: Sequence[str]) -> int:
    return max(amazon_known(header), catalog.catalog_known(header), bulksheet.bulk_known(header))


def _load(path: Path, max_bytes: int) -> tuple[Unpacked, RawTable]:
    try:
        file = unpack(path, max_bytes)
        return file, table(file, _known, bulksheet.SHEET)
    except MemoryError as error:
        raise FileRefused(f"{path.name} needs more memory than there is; split it into shorter periods") from error


def _check(platform: str) -> None:
    if profile(platform).name != "amazon-sp":
        raise ConfigError(f"platform {platform!r} has no file reports; use amazon-sp")

"""One way in for every file a trader drops: reports and catalogs, recognised by what they contain.

Nothing here raises for a bad file: the reading says what is wrong, where, and what to do.
"""

from collections.abc import Sequence
from pathlib import Path

from connectors import amazon, catalog
from connectors.cells import RawTable, table
from connectors.headers import amazon_known, headings
from connectors.layouts import layout_of
from connectors.profiles import profile
from connectors.readings import CatalogReading, FileReading
from connectors.unpack import MAX_UNPACKED_BYTES, sha256_of, unpack
from domain.errors import ConfigError, DataError, FileRefused

CATALOG_KIND = "catalog"


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
        return amazon.read(_load(path, max_bytes), str(path), digest)
    except DataError as error:
        return FileReading(str(path), error=str(error), sha256=digest, platform=platform)


def read_catalog(path: Path | str, *, max_bytes: int = MAX_UNPACKED_BYTES) -> CatalogReading:
    """Read a catalog (csv, csv.gz, xlsx): sku, price, margin rate, category, business type, stock."""
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    try:
        return catalog.read(_load(path, max_bytes), str(path), digest)
    except DataError as error:
        return CatalogReading(str(path), error=str(error), sha256=digest)


def read_any(
    path: Path | str, platform: str = "amazon-sp", *, max_bytes: int = MAX_UNPACKED_BYTES
) -> FileReading | CatalogReading:
    """Read a report or a catalog, whichever the header says; as `read_report` and `read_catalog`."""
    _check(platform)
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    kind: str | None = None
    try:
        loaded = _load(path, max_bytes)
        kind = _kind(loaded.header)
        if kind == CATALOG_KIND:
            return catalog.read(loaded, str(path), digest)
        return amazon.read(loaded, str(path), digest)
    except DataError as error:
        if kind == CATALOG_KIND:
            return CatalogReading(str(path), error=str(error), sha256=digest)
        return FileReading(str(path), kind, error=str(error), sha256=digest, platform=platform)


def recognise(path: Path | str, *, max_bytes: int = MAX_UNPACKED_BYTES) -> str | None:
    """Kind of a file by its header: a report's name or ``catalog``; ``None`` where it is none or cannot be read."""
    try:
        return _kind(_load(Path(path), max_bytes).header)
    except DataError:
        return None


def _kind(header: Sequence[str]) -> str | None:
    layout = layout_of(headings(header))
    if layout is not None:
        return layout.report
    return CATALOG_KIND if catalog.is_catalog(header) else None


def _known(header: Sequence[str]) -> int:
    return max(amazon_known(header), catalog.catalog_known(header))


def _load(path: Path, max_bytes: int) -> RawTable:
    try:
        return table(unpack(path, max_bytes), _known)
    except MemoryError as error:
        raise FileRefused(f"{path.name} needs more memory than there is; split it into shorter periods") from error


def _check(platform: str) -> None:
    if profile(platform).name != "amazon-sp":
        raise ConfigError(f"platform {platform!r} has no file reports; use amazon-sp")

"""From a path to bytes: regular files only, packed or not, never more than a stated size.

A file that expands without end (a gzip or zip bomb, a workbook with one cell in its far corner) is refused
while it is being unpacked, in bounded memory; so is one that is cut short.
"""

import gzip
import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from domain.errors import FileRefused

#: Most bytes that one file may hold, packed or unpacked. A report of 500,000 rows has about 150 MiB.
MAX_UNPACKED_BYTES = 512 * 2**20

#: Most cells of a sheet's rectangle, blanks included: 500,000 rows of the widest known layout, the bulk sheet.
MAX_SHEET_CELLS = 32_000_000

#: Most bytes that texts may take when every cell has its own copy.
MAX_REPEATED_BYTES = 4 * 2**30

_CHUNK = 2**20
_GZIP, _ZIP, _OLE, _PDF = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF"

# A reader sets up the whole rectangle up to the last column and row, so one far cell costs gigabytes.
# Cells right of column 26 (Z), 52, 78, 104 (CZ); a search stops at its first hit.
_BEYOND = [
    (width, [re.compile(b"r=" + quote + b"(?:" + letters + rb")\d") for quote in (b'"', b"'")])
    for width, letters in (
        (26, rb"[A-Z]{2,}"),
        (52, rb"[B-Z][A-Z]|[A-Z]{3,}"),
        (78, rb"[C-Z][A-Z]|[A-Z]{3,}"),
        (104, rb"[D-Z][A-Z]|[A-Z]{3,}"),
    )
]
_ROW = re.compile(rb"""row(?<=[<:]row)(?=[\s>/])(?:[^>]*?\sr=["'](\d+))?""")  # literal first: it is searched fast


class Kind(StrEnum):
    """How the cells of a file are written."""

    TEXT = "text"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Bytes of a file after unpacking.

    Attributes
    ----------
    name
        File name, for messages.
    kind
        How its cells are written.
    data
        Unpacked text, or the workbook as it is.
    """

    name: str
    kind: Kind
    data: bytes


def sha256_of(path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> str:
    """SHA-256 of a file's bytes, in hex; empty where they cannot be read or are too many."""
    try:
        if not path.is_file() or path.stat().st_size > max_bytes:
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def unpack(path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> Unpacked:
    """Bytes of a csv, csv.gz or xlsx, told apart by content; `FileRefused` says what to do otherwise."""
    name = path.name or str(path)
    try:
        if path.is_dir():
            raise FileRefused(f"{name} is a folder; name the files in it")
        if not path.exists():
            raise FileRefused(f"{name}: there is no such file; check the path")
        if not path.is_file():
            raise FileRefused(f"{name} is not a regular file; save the report to a file first")
        size = path.stat().st_size
        if size == 0:
            raise FileRefused(f"{name} is empty (0 bytes); download it again")
        if size > max_bytes:
            raise _too_large(name, max_bytes)
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        what = getattr(error, "strerror", None) or str(error)
        raise FileRefused(f"{name} cannot be read ({what}); check the path and its permissions") from error
    if data.startswith(_GZIP):
        data = _gunzip(name, data, max_bytes)
        if data.startswith(_GZIP):
            raise FileRefused(f"{name} is packed twice; unpack it once and import the result")
    if data.startswith(_ZIP):
        _check_workbook(name, data, max_bytes)
        return Unpacked(name, Kind.XLSX, data)
    if data.startswith(_OLE):
        raise FileRefused(f"{name} is an old .xls or a workbook with a password; save it as .xlsx without password")
    if data.startswith(_PDF):
        raise FileRefused(f"{name} is a PDF; download the report as csv or xlsx")
    if {".xlsx", ".xlsm"} & {s.lower() for s in path.suffixes[-2:]}:
        raise FileRefused(f"{name} is called a workbook but is none (no zip archive); download it again")
    return Unpacked(name, Kind.TEXT, data)


def _too_large(name: str, max_bytes: int) -> FileRefused:
    return FileRefused(
        f"{name} holds more than {max_bytes / 2**20:,.0f} MiB when unpacked; "
        "split it into shorter periods, or look whether it is a report at all"
    )


def _gunzip(name: str, data: bytes, max_bytes: int) -> bytes:
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:  # measured before it is kept
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(name, max_bytes)
    except EOFError as error:
        raise FileRefused(
            f"{name} is a truncated gzip: it ends in the middle of its data; download or copy it again"
        ) from error
    except (zlib.error, OSError) as error:
        raise FileRefused(f"{name} is a damaged gzip ({error}); download or copy it again") from error
    if size == 0:
        raise FileRefused(f"{name} is empty when unpacked; download it again")
    return gzip.decompress(data)


def _check_workbook(name: str, data: bytes, max_bytes: int) -> None:
    """Refuse what is no workbook, or would fill the memory of a reader; unpacks in chunks, keeps none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if not any(part.filename == "xl/workbook.xml" for part in parts):
                raise FileRefused(f"{name} is a zip archive without a workbook in it; unpack it and import its files")
            if any(part.flag_bits & 1 for part in parts):
                raise FileRefused(f"{name} is protected by a password; save it without one")
            budget, longest, repeats = max_bytes, 0, 0
            for part in parts:
                # The stated size may lie low, then the reader below stops at it and the checksum tells.
                if part.file_size > budget:
                    raise _too_large(name, max_bytes)
                budget -= part.file_size
                with archive.open(part) as stream:
                    text, references = _scan_part(name, stream)
                longest, repeats = max(longest, text), repeats + references
            # A text is stored once and named by many cells; a reader copies it into each of them.
            if longest * repeats > MAX_REPEATED_BYTES:
                raise FileRefused(
                    f"{name} repeats texts of up to {longest:,} letters in {repeats:,} cells; shorten them, or split the file"
                )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise FileRefused(f"{name} is a damaged or truncated workbook ({error}); download it again") from error


def _scan_part(name: str, stream: IO[bytes]) -> tuple[int, int]:
    """Read one part to its end, which checks its sum; refuse a sheet whose rectangle is too large.

    Gives the length of the longest text and the number of cells that name a stored one.
    """
    beyond, rows, last, longest, references, tail = list(_BEYOND), 0, 0, 0, 0, b""
    while chunk := stream.read(_CHUNK):
        text = tail + chunk
        while beyond and any(pattern.search(text) for pattern in beyond[0][1]):
            beyond.pop(0)
        end = text.rfind(b">") + 1  # a tag may be cut by the chunk; its begin waits for the next one
        for match in _ROW.finditer(text, 0, end):
            rows += 1
            last = max(last, int(match.group(1)) if match.group(1) else last + 1)
        references += text.count(b't="s"', 0, end)
        if b"si>" in text:  # stored texts
            longest = max(longest, *map(len, text.split(b"<")))
        tail = text[end:]
        if len(tail) > _CHUNK:
            raise FileRefused(f"{name} has a cell of more than {len(tail):,} letters, so it is no report")
    width = beyond[0][0] if beyond else None
    if width is None or last * width > MAX_SHEET_CELLS:
        where = "beyond column CZ" if width is None else f"in line {last:,}"
        raise FileRefused(
            f"{name} has {rows:,} rows and a cell {where}; delete everything right of and below the report, "
            "save it again, or split it into shorter periods"
        )
    return longest, references

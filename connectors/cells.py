"""From bytes to a table of texts: csv, tab-separated text and workbooks alike, each row with its number.

Nothing is interpreted here: every cell is text or null. Polars reads well-formed files; a file with broken
quotes or too many cells in a row goes through a slower reader that finds the bad rows one by one.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import fastexcel
import polars as pl

from connectors.unpack import Kind, Unpacked
from domain.errors import FileRefused
from domain.tables import QUARANTINE, empty

ROW = "row_number"
_SEPARATORS = ",\t;|"
_HEADER_BYTES = 2**16
_BROKEN_AT_MOST = 1000
_RAW_LETTERS = 4000
#: Most rows of a text file: as many as one sheet of a workbook can hold.
MAX_ROWS = 1_048_576


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as a table of texts.

    Attributes
    ----------
    name
        File name, for messages.
    header
        Column names as written, blanks and all.
    cells
        String columns ``c0``, ``c1``, ... in the order of `header`, and ``row_number`` (Int64): the header has
        number 1 unless blank lines stand before it; a quoted cell of several lines counts as one.
    broken
        Rows that could not be cut into cells, columns `QUARANTINE`.
    notes
        What a person should know of how it was read.
    sheet
        Name of the sheet; ``None`` for text files.
    """

    name: str
    header: tuple[str, ...]
    cells: pl.DataFrame
    broken: pl.DataFrame = field(default_factory=lambda: empty(QUARANTINE))
    notes: tuple[str, ...] = ()
    sheet: str | None = None

    def column(self, position: int) -> pl.Series:
        """Texts of one column without blanks around them; null where nothing is left."""
        texts = self.cells[f"c{position}"].str.strip_chars()
        return texts.set(texts == "", None)


def table(file: Unpacked, known: Callable[[Sequence[str]], int], prefer: str | None = None) -> RawTable:
    """Table of an unpacked file.

    Parameters
    ----------
    file
        What `unpack` gave.
    known
        How many of the given column names are known. It settles separator, sheet and encoding.
    prefer
        Sheet that is read without looking at the others, where there is one of that name.

    Raises
    ------
    FileRefused
        No header, no text, or no workbook.
    """
    return _workbook(file, known, prefer) if file.kind is Kind.XLSX else _text(file, known)


def _text(file: Unpacked, known: Callable[[Sequence[str]], int]) -> RawTable:
    text, notes = _utf8(file, known)
    first, skipped = 0, 0
    while first < len(text) and (end := _line_end(text, first)) and not text[first:end].strip():
        first, skipped = end, skipped + 1
    head = text[first : _line_end(text, first)]
    if not head.strip():
        raise FileRefused(f"{file.name} is empty; download it again")
    if len(head) > _HEADER_BYTES:
        raise FileRefused(
            f"{file.name}: its first line has {len(head):,} bytes, so it is no report; choose another file"
        )
    hint = head.strip().lower()
    if hint.startswith(b"sep=") and len(hint) <= 5:  # a hint for spreadsheets: the header comes after it
        separator = head.strip()[4:5].decode() or "\t"
        first, skipped = first + len(head), skipped + 1
        header = _split(text[first : _line_end(text, first)], separator)
    else:
        headers = {s: _split(head, s) for s in _SEPARATORS}
        separator = max(headers, key=lambda s: (known(headers[s]), len(headers[s])))
        header = headers[separator]
    body = text[_line_end(text, first) :]
    if b"\0" in body:
        line = body[: body.index(b"\0")].count(b"\n") + skipped + 2
        raise FileRefused(f"{file.name}, row {line}: holds binary data (a NUL byte); save it as CSV UTF-8")
    lines = body.count(b"\n") + 1
    if lines > MAX_ROWS or len(body) > _HEADER_BYTES * lines:
        raise FileRefused(
            f"{file.name} has {lines:,} lines in {len(body) / 2**20:,.0f} MiB; a report has at most {MAX_ROWS:,} rows of "
            "readable length: split it into shorter periods, or look whether it is a report at all"
        )
    try:
        cells, broken = _polars_cells(body, len(header), separator), empty(QUARANTINE)
    except pl.exceptions.PolarsError:
        cells, broken = _careful_cells(file.name, body, header, separator, skipped + 2)
    else:
        cells = cells.with_columns(pl.int_range(skipped + 2, pl.len() + skipped + 2, dtype=pl.Int64).alias(ROW))
    return RawTable(file.name, tuple(header), cells, broken, notes)


def _utf8(file: Unpacked, known: Callable[[Sequence[str]], int]) -> tuple[bytes, tuple[str, ...]]:
    """Bytes of a text file as UTF-8 without BOM and with line feeds, and how they were decoded if otherwise."""
    data, notes = file.data, ()
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            data, notes = data.decode("utf-16").encode(), ("read as UTF-16",)
        except UnicodeError as error:
            raise FileRefused(f"{file.name} begins as UTF-16 but is cut or damaged; download it again") from error
    try:
        data.decode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        gbk = _gbk(data, known)
        if gbk is None:
            raise FileRefused(
                f"{file.name}, row {row}: text that is not UTF-8 (byte 0x{data[error.start]:02x}); "
                "open it in a spreadsheet and save it as 'CSV UTF-8', or import the xlsx"
            ) from error
        data, notes = gbk, ("read as GBK (Chinese text that is not UTF-8)",)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return data, notes


def _gbk(data: bytes, known: Callable[[Sequence[str]], int]) -> bytes | None:
    """UTF-8 of a GBK file whose header is a known Chinese one: other 8-bit texts often decode as GBK, to nonsense."""
    try:
        text = data.decode("gbk")
    except UnicodeDecodeError:
        return None
    head = text.lstrip("\r\n").split("\n", 1)[0]
    chinese = any("\u4e00" <= letter <= "\u9fff" for letter in head)
    best = max(known(_split(head.encode(), separator)) for separator in _SEPARATORS)
    return text.encode() if chinese and best >= 2 else None


def _line_end(text: bytes, start: int) -> int:
    found = text.find(b"\n", start)
    return len(text) if found < 0 else found + 1


def _split(line: bytes, separator: str) -> list[str]:
    """Cells of one line; a stray quote does not matter here."""
    try:
        return next(csv.reader([line.decode().rstrip("\r\n")], delimiter=separator), [])
    except (csv.Error, UnicodeDecodeError):
        return []


def _polars_cells(body: bytes, width: int, separator: str) -> pl.DataFrame:
    names = [f"c{i}" for i in range(width)]
    if not body:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    return pl.read_csv(io.BytesIO(body), has_header=False, separator=separator, schema=dict.fromkeys(names, pl.String))


def _careful_cells(
    name: str, body: bytes, header: Sequence[str], separator: str, first: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells of a malformed file, and the rows that are to blame."""
    width = len(header)
    good: list[list[str | None]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str, str, str]] = []
    for number, row, raw in _records(body.decode().split("\n"), separator, first):
        if row is None:
            detail = f"row {number}: a quotation mark is opened or closed in the wrong place; correct the line"
            bad.append((number, "broken quotes", detail, raw[:_RAW_LETTERS]))
        elif len(row) > width and any(cell.strip() for cell in row[width:]):
            detail = f"row {number} has {len(row)} cells, the header {width}; put cells that hold a comma into quotes"
            bad.append((number, "too many cells", detail, raw[:_RAW_LETTERS]))
        else:
            good.append([*row[:width], *([None] * (width - len(row)))])
            numbers.append(number)
        if len(bad) > _BROKEN_AT_MOST:
            raise FileRefused(
                f"{name}: more than {_BROKEN_AT_MOST} rows do not fit the header (first: row {bad[0][0]}); "
                "download it again without editing it"
            )
    cells = pl.DataFrame(good, schema={f"c{i}": pl.String for i in range(width)}, orient="row")
    broken = pl.DataFrame(bad, schema=dict(QUARANTINE), orient="row")
    return cells.with_columns(pl.Series(ROW, numbers, pl.Int64)), broken


def _records(lines: list[str], separator: str, first: int) -> Iterator[tuple[int, list[str] | None, str]]:
    """Rows of a malformed text with their number and raw text; a row of None has broken quotes.

    After a broken row the reader starts afresh at the next line, so one bad quote costs one row.
    """
    if lines and not lines[-1]:
        lines.pop()
    position, number = 0, first
    while position < len(lines):
        reader = csv.reader((f"{lines[i]}\n" for i in range(position, len(lines))), delimiter=separator, strict=True)
        begin = position
        try:
            for row in reader:
                yield number, row, lines[begin]
                begin, number = position + reader.line_num, number + 1
            return
        except csv.Error:  # quotes out of place, or a quoted cell beyond 128 KiB
            yield number, None, lines[begin]
            position, number = begin + 1, number + 1


def cells_that_are_numbers(file: Unpacked, table: RawTable, positions: Sequence[int]) -> list[pl.Series]:
    """Whether each cell of some columns of a workbook is stored as a number; False everywhere in a text file.

    Numbers keep 15 digits, so a long id that was stored as one has lost its end. Where texts and numbers are mixed
    in one column, a long cell counts as a number if a binary fraction can hold it; one true id in 32 can.
    """
    texts = [table.cells[f"c{position}"] for position in positions]
    none = pl.Series(values=[False]).new_from_index(0, table.cells.height)
    if file.kind is not Kind.XLSX or table.sheet is None or table.cells.height == 0:
        return [none for _ in positions]
    book, top = fastexcel.read_excel(file.data), int(table.cells[ROW][0]) - 1

    def stored(columns: Sequence[int]) -> list[pl.DataType]:
        loaded = book.load_sheet(
            table.sheet or 0,
            header_row=None,
            skip_rows=top,
            use_columns=list(columns),
            schema_sample_rows=None,
            dtype_coercion="strict",  # raises where a column mixes texts and numbers
        )
        return loaded.to_polars().dtypes

    found: list[pl.Series] = []
    try:
        kinds: list[pl.DataType | None] = list(stored(positions))
    except fastexcel.FastExcelError:
        kinds = []
        for position in positions:
            try:
                kinds += stored([position])
            except fastexcel.FastExcelError:
                kinds.append(None)
    for text, kind in zip(texts, kinds, strict=True):
        if kind is None:
            held = text.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False).cast(pl.String)
            found.append((held == text).fill_null(False))
        else:
            found.append(none if kind in (pl.String, pl.Null) else text.is_not_null())
    return found


def _workbook(file: Unpacked, known: Callable[[Sequence[str]], int], prefer: str | None = None) -> RawTable:
    best: tuple[int, str, pl.DataFrame] | None = None
    sheets: list[str] = []
    try:
        book = fastexcel.read_excel(file.data)
        sheets = list(book.sheet_names)
        for sheet in [prefer] if prefer in sheets else sheets[:20]:
            # Leading blank rows are kept (skip_rows=0), so that row numbers are those of the sheet.
            loaded = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
            frame = loaded.to_polars()
            top = next((row for row in frame.head(50).iter_rows() if any(row)), ())
            score = known([cell or "" for cell in top])
            if best is None or score > best[0]:
                best = (score, sheet, frame)
    except BaseException as error:  # a panic in the reader's Rust is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        first = str(error).strip().splitlines()[:1]
        raise FileRefused(
            f"{file.name} cannot be read as a workbook ({first[0] if first else type(error).__name__}); "
            "download it again, or save it as xlsx from a spreadsheet"
        ) from error
    if best is None or best[2].height == 0:
        raise FileRefused(f"{file.name} is empty: a workbook without any cell; download it again")
    _, sheet, frame = best
    frame = frame.rename({old: f"c{i}" for i, old in enumerate(frame.columns)})
    blank = frame.select(pl.all_horizontal(pl.all().str.strip_chars().fill_null("") == "")).to_series()
    if blank.all():
        raise FileRefused(f"{file.name} is empty: no cell of sheet {sheet!r} is filled; download it again")
    top = int((~blank).arg_true()[0])
    header = tuple(cell or "" for cell in frame.row(top))
    cells = frame[top + 1 :].with_columns(pl.int_range(top + 2, pl.len() + top + 2, dtype=pl.Int64).alias(ROW))
    notes = (f"read sheet {sheet!r} of {len(sheets)}",) if len(sheets) > 1 else ()
    return RawTable(file.name, header, cells, notes=notes, sheet=sheet)

"""A file that cannot be read is refused in words; nothing is raised, whatever the bytes are."""

import gzip
import io
import os
import zipfile
import zlib

import numpy as np
import pytest
import xlsxwriter

from connectors import read_any, read_catalog, read_report, recognise
from connectors.cells import MAX_ROWS
from connectors.unpack import MAX_REPEATED_BYTES, MAX_SHEET_CELLS, MAX_UNPACKED_BYTES


def refused(path, *words: str) -> str:
    """Error of a file that every entrance must refuse; it names the file and holds the words."""
    readings = (read_report(path), read_catalog(path), read_any(path))
    for reading in readings:
        assert reading.error is not None
        assert reading.rows.height == reading.quarantined.height == reading.rows_read == 0
        assert reading.file == str(path)
        for word in (os.path.basename(str(path)), *words):
            assert word in reading.error, reading.error
    assert recognise(path) is None
    return str(readings[0].error)


def test_a_missing_path_a_folder_and_a_device_are_refused(tmp_path):
    refused(tmp_path / "nowhere.csv", "no such file", "check the path")
    refused(tmp_path, "folder")
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "not a regular file")
    refused(tmp_path / ("x" * 300), "cannot be read")


def test_a_file_nobody_may_read_is_refused(tmp_path, report, monkeypatch):
    path = report().csv(tmp_path / "a.csv")

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    refused(path, "Permission denied", "permissions")


@pytest.mark.parametrize("data", [b"", b"\n\n\n", b"  \n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_empty_file_is_refused(tmp_path, data, packed):
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    refused(path, "empty", "download it again")


def test_a_header_without_rows_is_read_and_says_so(tmp_path, report):
    for sheet in (report("targeting", n=0), report("performance_over_time", n=0)):
        for path in (sheet.csv(tmp_path / "a.csv"), sheet.xlsx(tmp_path / "a.xlsx")):
            reading = read_report(path)
            assert reading.error is None
            assert (reading.rows_read, reading.rows.height) == (0, 0)
            assert any("no rows" in w for w in reading.warnings)


def test_an_unknown_layout_is_refused_with_its_columns(tmp_path):
    (tmp_path / "a.csv").write_text("name,age\nAnn,3\n")
    reading = read_any(tmp_path / "a.csv")
    assert reading.error is not None
    for word in ("a.csv, row 1", "'name', 'age'", "search_term"):
        assert word in reading.error
    assert reading.report is None


@pytest.mark.parametrize(
    ("kind", "column", "named"),
    [
        ("targeting", "Spend", "'Spend'"),
        ("targeting", "Match Type", "'Match Type'"),
        ("targeting", "Targeting", "'Targeting'"),
        ("search_term", "Clicks", "'Clicks'"),
        ("search_term", "Date", "'Date'"),
        ("search_term", "14 Day Total Orders (#)", "'7 Day Total Orders (#)'"),
        ("advertised_product", "Campaign Name", "'Campaign Name'"),
        ("placement", "Impressions", "'Impressions'"),
        ("campaign", "14 Day Total Sales (₹)", "'7 Day Total Sales'"),
    ],
)
def test_a_missing_column_is_named(tmp_path, report, kind, column, named):
    reading = read_any(report(kind).without(column).csv(tmp_path / "a.csv"))
    assert reading.error is not None
    assert reading.report == kind
    for word in ("a.csv, row 1", kind, named, "download"):
        assert word in reading.error


def test_two_windows_in_one_header_are_refused(tmp_path, report):
    for sheet in (
        report().rename({"14 Day Total Orders (#)": "7 Day Total Orders (#)"}),
        report().add("7 Day Total Sales (₹)", 3.0),
    ):
        error = read_report(sheet.csv(tmp_path / "a.csv")).error
        assert error is not None
        assert "mixed attribution windows" in error


def test_a_header_in_another_currency_than_the_rows_is_refused(tmp_path, report):
    error = read_report(report().fill("Currency", ["USD"] * 12).csv(tmp_path / "a.csv")).error
    assert error is not None
    assert "INR" in error
    assert "USD" in error


def test_a_column_that_stands_twice_is_refused(tmp_path, report):
    error = read_report(report().add("Spend", 1.0).csv(tmp_path / "a.csv")).error
    assert error is not None
    assert "two columns for spend" in error


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.97])
def test_a_truncated_gzip_is_refused_and_never_read_in_part(tmp_path, report, cut):
    whole = report(n=200).gz(tmp_path / "b.csv.gz").read_bytes()
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: int(len(whole) * cut)])
    refused(path, "truncated gzip", "again")


def test_a_damaged_gzip_is_refused(tmp_path, report):
    data = bytearray(report(n=200).gz(tmp_path / "b.csv.gz").read_bytes())
    data[-6] ^= 0xFF  # the checksum
    path = tmp_path / "a.csv.gz"
    path.write_bytes(bytes(data))
    refused(path, "damaged gzip")


def test_a_file_packed_twice_is_refused(tmp_path, report):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(report().gz(tmp_path / "b.csv.gz").read_bytes()))
    refused(path, "packed twice")


def gzip_bomb(mebibytes: int) -> bytes:
    """A gzip of so many MiB of a report's rows without keeping them in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"2024-02-01,10,2.0,20.0\n" * 45_590  # about one MiB
    return b"".join([packer.compress(block) for _ in range(mebibytes)]) + packer.flush()


def test_a_gzip_bomb_is_refused_at_the_limit(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip_bomb(40))
    assert path.stat().st_size < 2**20 / 4
    error = read_report(path, max_bytes=8 * 2**20).error
    assert error is not None
    assert "more than 8 MiB" in error
    assert MAX_UNPACKED_BYTES <= 2**30


def test_a_plain_file_beyond_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(MAX_UNPACKED_BYTES + 1)  # sparse: takes no room
    refused(path, "512 MiB", "split it")


def test_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(24):
                part.write(b" " * 2**20)
    assert path.stat().st_size < 2**17
    error = read_report(path, max_bytes=16 * 2**20).error
    assert error is not None
    assert "more than 16 MiB" in error


def test_a_workbook_that_repeats_a_giant_text_is_refused(tmp_path, monkeypatch):
    """A text is stored once and named by many cells: 30 KB of it in each of 200,000 cells is 6 GB for a reader."""
    assert MAX_REPEATED_BYTES < 200_000 * 30_000
    monkeypatch.setattr("connectors.unpack.MAX_REPEATED_BYTES", 1000 * 30_000)
    path = tmp_path / "repeats.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for row in range(150):
            sheet.write_row(row, 0, ["x" * 30_000] * 10)
    assert path.stat().st_size < 2**20
    refused(path, "repeats texts")


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "liar.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"x" * 100_000)
    data = path.read_bytes()
    lie = data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(lie)
    refused(path, "damaged")


@pytest.mark.parametrize(("row", "column"), [(1_048_575, 3), (1_048_575, 300), (2, 16_383), (400_000, 90)])
def test_a_workbook_with_a_cell_in_its_far_corner_is_refused(tmp_path, row, column):
    path = tmp_path / "far.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "Date")
        sheet.write(row, column, "far away")
    assert path.stat().st_size < 20_000
    if (row + 1) * 26 <= MAX_SHEET_CELLS and column < 26:
        assert read_report(path).error is not None  # small enough to look at: no report
    else:
        refused(path, "delete everything right of and below")


@pytest.mark.parametrize("data", [b"", b"Date,Spend\n", b"PK\x03\x04" + b"\0" * 60, b"\xd0\xcf\x11\xe0" + b"x" * 600])
def test_what_is_called_xlsx_and_is_none_is_refused(tmp_path, data):
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    refused(path)


def test_a_zip_of_csv_files_is_refused_with_the_remedy(tmp_path, report):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("report.csv", report().text())
    refused(path, "unpack it")


def test_a_workbook_without_a_cell_is_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet()
    refused(path, "empty")


def test_the_sheet_with_the_report_is_found_among_others(tmp_path, report):
    sheet = report()
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet("Notes").write(0, 0, "made by me")
        data = book.add_worksheet("Data")
        for r, row in enumerate((sheet.header, *sheet.rows)):
            data.write_row(r + 2, 1, [str(c) if c is not None else None for c in row])
    reading = read_report(path)
    assert reading.rows.height == 12
    assert reading.rows["row_number"][0] == 4  # two blank lines and the header stand above it


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis"])
def test_text_that_is_not_utf_8_is_refused_with_its_row(tmp_path, report, encoding):
    name = "カタカナ" if encoding == "shift-jis" else "Café crème"
    sheet = report().rename({"14 Day Total Sales (₹)": "14 Day Total Sales"}).put(3, "Campaign Name", name)
    path = sheet.csv(tmp_path / "a.csv", encoding=encoding)
    refused(path, "row 5", "UTF-8")


def test_half_of_a_utf_16_file_is_refused(tmp_path, report):
    path = tmp_path / "a.csv"
    path.write_bytes(report().text().encode("utf-16")[:-1])
    refused(path, "UTF-16")


def test_binary_data_is_refused(tmp_path, report):
    path = tmp_path / "a.csv"
    text = report().text().encode()
    path.write_bytes(text + b"\0\0\0")
    refused(path, "row 14", "binary")
    path.write_bytes(b"%PDF-1.7 ....")
    refused(path, "PDF")


def test_a_file_of_one_endless_line_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x," * 10**6)
    refused(path, "no report")


def test_a_file_of_a_million_lines_or_of_endless_ones_is_refused_before_it_is_cut_into_cells(tmp_path, report):
    path = tmp_path / "a.csv"
    head = report("performance_over_time", n=0).text()
    path.write_text(head + "2024-02-01,1,1.0,1.0\n" * (MAX_ROWS + 1))
    refused(path, "1,048,57", "split it")
    path.write_text(head + "x" * 3_000_000)
    refused(path, "a report at all")


def test_a_file_whose_rows_do_not_fit_its_header_is_refused(tmp_path, report):
    head, *_ = report().text().splitlines()
    path = tmp_path / "a.csv"
    path.write_text(head + "\n" + (",".join("x" * 60) + "\n") * 1500)
    refused(path, "do not fit the header", "row 2")


def test_no_bytes_whatsoever_raise(tmp_path, report):
    """Random damage to files of every kind: each is read or refused, and the counts add up."""
    rng = np.random.default_rng(11)
    sheet = report("targeting", n=40)
    wholes = [p.read_bytes() for p in (sheet.csv(tmp_path / "1"), sheet.gz(tmp_path / "2"), sheet.xlsx(tmp_path / "3"))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wholes[2])) as packed, zipfile.ZipFile(buffer, "w") as stored:
        for part in packed.infolist():  # unpacked parts, so that damage reaches the reader of the sheet
            stored.writestr(part.filename, packed.read(part))
    wholes.append(buffer.getvalue())
    path = tmp_path / "damaged"
    outcomes = {"read": 0, "refused": 0}
    for trial in range(160):
        data = bytearray(wholes[trial % 4])
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(32, 127) if trial % 2 == 0 else rng.integers(0, 256)
        if trial % 4 == 3:  # make the checksums right again
            data = bytearray(_mended(bytes(data)) or data)
        path.write_bytes(bytes(data[: rng.integers(1, len(data))]) if trial % 5 == 0 else bytes(data))
        reading = read_any(path)
        outcomes["refused" if reading.error else "read"] += 1
        assert reading.rows_read == reading.rows.height + reading.quarantined.height + reading.rows_ignored
    assert min(outcomes.values()) > 20, outcomes


def _mended(data: bytes) -> bytes | None:
    try:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as damaged, zipfile.ZipFile(buffer, "w") as whole:
            for part in damaged.infolist():
                stream = damaged.open(part)
                stream._expected_crc = None  # type: ignore[attr-defined]
                whole.writestr(part.filename, stream.read())
    except Exception:
        return None
    return buffer.getvalue()

"""Invented reports as Amazon writes them, and ways to write them to files of every kind."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

SEARCH_TERM = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Targeting,Match Type,Customer Search Term,Impressions,"
    "Clicks,Click-Thru Rate (CTR),Cost Per Click (CPC),Spend,14 Day Total Sales (₹),"
    "Total Advertising Cost of Sales (ACoS),Total Return on Advertising Spend (RoAS),14 Day Total Orders (#),"
    "14 Day Total Units (#),14 Day Conversion Rate,14 Day Advertised ASIN Units (#),14 Day Brand Halo ASIN Units (#),"
    "14 Day Advertised ASIN Sales (₹),14 Day Brand Halo ASIN Sales (₹)"
)
ADVERTISED_PRODUCT = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Advertised ASIN,Impressions,Clicks,"
    "Click-Thru Rate (CTR),Cost Per Click (CPC),Spend,14 Day Total Sales (₹),Total Advertising Cost of Sales (ACoS),"
    "Total Return on Advertising Spend (RoAS),14 Day Total Orders (#),14 Day Total Units (#),14 Day Conversion Rate"
)
TARGETING = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Targeting,Match Type,Impressions,Clicks,"
    "Click-Thru Rate (CTR),Cost Per Click (CPC),Spend,Total Advertising Cost of Sales (ACoS),"
    "Total Return on Advertising Spend (RoAS),14 Day Total Sales (₹),14 Day Total Orders (#),14 Day Total Units (#),"
    "14 Day Conversion Rate"
)
PLACEMENT = (
    "Date,Portfolio name,Currency,Campaign Name,Bidding strategy,Placement,Impressions,Clicks,Cost Per Click (CPC),"
    "Spend,14 Day Total Sales (₹),Total Advertising Cost of Sales (ACoS),Total Return on Advertising Spend (RoAS),"
    "14 Day Total Orders (#),14 Day Total Units (#)"
)
CAMPAIGN = (
    "Date,Start Date,End Date,Portfolio name,Campaign Type,Campaign Name,Status,Currency,Budget,Targeting Type,"
    "Bidding strategy,Impressions,Last Year Impressions,Clicks,Last Year Clicks,Click-Thru Rate (CTR),Spend,"
    "Last Year Spend,Cost Per Click (CPC),Last Year Cost Per Click (CPC),14 Day Total Orders (#),"
    "Total Advertising Cost of Sales (ACoS),14 Day Total Sales (₹)"
)
PERFORMANCE = "Date,Clicks,Cost Per Click (CPC),Spend"
_WRITTEN = {
    "search_term": SEARCH_TERM,
    "advertised_product": ADVERTISED_PRODUCT,
    "targeting": TARGETING,
    "placement": PLACEMENT,
    "campaign": CAMPAIGN,
    "performance_over_time": PERFORMANCE,
}
HEADERS = {kind: tuple(text.split(",")) for kind, text in _WRITTEN.items()}
Cell = str | float | int | date | None


@dataclass(frozen=True)
class Sheet:
    """A report before it is written to a file: header and rows of cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def put(self, row: int, column: str, value: Cell) -> "Sheet":
        """Same sheet with one cell replaced; rows count from 0."""
        at = self.header.index(column)
        rows = [list(r) for r in self.rows]
        rows[row][at] = value
        return replace(self, rows=tuple(tuple(r) for r in rows))

    def fill(self, column: str, values: Sequence[Cell]) -> "Sheet":
        """Same sheet with one column replaced."""
        sheet = self
        for row, value in enumerate(values):
            sheet = sheet.put(row, column, value)
        return sheet

    def rename(self, names: dict[str, str]) -> "Sheet":
        return replace(self, header=tuple(names.get(h, h) for h in self.header))

    def without(self, column: str) -> "Sheet":
        at = self.header.index(column)
        return Sheet(self.header[:at] + self.header[at + 1 :], tuple(row[:at] + row[at + 1 :] for row in self.rows))

    def add(self, column: str, value: Cell) -> "Sheet":
        return Sheet((*self.header, column), tuple((*row, value) for row in self.rows))

    def also(self, *rows: Sequence[Cell]) -> "Sheet":
        return replace(self, rows=self.rows + tuple(tuple(r) for r in rows))

    def text(self, separator: str = ",") -> str:
        def cell(value: Cell) -> str:
            text = "" if value is None else value.isoformat() if isinstance(value, date) else str(value)
            return '"' + text.replace('"', '""') + '"' if any(c in text for c in (separator, '"', "\n")) else text

        return "".join(separator.join(cell(c) for c in row) + "\n" for row in (self.header, *self.rows))

    def csv(self, path: Path, separator: str = ",", encoding: str = "utf-8") -> Path:
        path.write_bytes(self.text(separator).encode(encoding))
        return path

    def gz(self, path: Path) -> Path:
        path.write_bytes(gzip.compress(self.text().encode()))
        return path

    def xlsx(self, path: Path) -> Path:
        with xlsxwriter.Workbook(str(path), {"constant_memory": len(self.rows) > 1000}) as book:
            sheet = book.add_worksheet("Sponsored Product Report")
            day = book.add_format({"num_format": "mmm d, yyyy"})
            sheet.write_row(0, 0, self.header)
            for r, row in enumerate(self.rows, 1):
                for c, value in enumerate(row):
                    if isinstance(value, date):
                        sheet.write_datetime(r, c, value, day)
                    elif isinstance(value, str):
                        sheet.write_string(r, c, value)
                    elif value is not None:
                        sheet.write_number(r, c, value)
        return path


def facts_of(n: int, seed: int) -> list[dict[str, Cell]]:
    """Rows that could be of any report: days, names and numbers that fit together."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Cell]] = []
    for i in range(n):
        impressions = int(rng.integers(50, 2000))
        clicks = int(rng.integers(1, 20))
        spend = round(clicks * float(rng.uniform(5, 40)), 2)
        orders = int(rng.integers(0, 3)) if i else 1
        gmv = round(orders * float(rng.uniform(200, 900)), 2)
        rows.append(
            {
                "Date": date(2024, 2, 1 + i % 20),
                "Portfolio name": "Not grouped",
                "Currency": "INR",
                "Campaign Name": f"Tea {i % 3}",
                "Ad Group Name": f"Group {i % 4}",
                "Targeting": f"green tea {i}",
                "Match Type": ("EXACT", "PHRASE", "BROAD", "-")[i % 4],
                "Customer Search Term": f"best green tea {i}",
                "Advertised ASIN": f"B0TEA{i:05d}",
                "Placement": "Top of Search on Amazon",
                "Bidding strategy": "Fixed bid",
                "Status": "ENABLED",
                "Budget": 1500.0,
                "Impressions": impressions,
                "Clicks": clicks,
                "Click-Thru Rate (CTR)": clicks / impressions,
                "Cost Per Click (CPC)": spend / clicks,
                "Spend": spend,
                "14 Day Total Sales (₹)": gmv,
                "Total Advertising Cost of Sales (ACoS)": spend / gmv if gmv else None,
                "Total Return on Advertising Spend (RoAS)": gmv / spend,
                "14 Day Total Orders (#)": orders,
                "14 Day Total Units (#)": orders,
                "14 Day Conversion Rate": orders / clicks,
            }
        )
    return rows


Maker = Callable[..., Sheet]


@pytest.fixture
def report() -> Maker:
    """``report("targeting", n=12)``: an invented report of one kind; distinct keys in every row."""

    def make(kind: str = "targeting", n: int = 12, seed: int = 7) -> Sheet:
        header = HEADERS[kind]
        rows = facts_of(n, seed)
        if kind in ("placement", "campaign", "performance_over_time"):
            for i, row in enumerate(rows):  # their keys are day and campaign
                row["Campaign Name"], row["Date"] = f"Tea {i}", date(2024, 2, 1 + i)
        return Sheet(header, tuple(tuple(row.get(h) for h in header) for row in rows))

    return make


@pytest.fixture
def expected_totals() -> Callable[[Sheet], dict[str, float]]:
    """Sums of a sheet's own cells, by plain Python: the oracle of the readers."""

    def sums(sheet: Sheet) -> dict[str, float]:
        names = {"impressions": "Impressions", "clicks": "Clicks", "spend": "Spend"}
        names |= {"orders": "14 Day Total Orders (#)", "gmv": "14 Day Total Sales (₹)"}
        return {
            name: sum(row[sheet.header.index(column)] for row in sheet.rows)  # type: ignore[misc]
            for name, column in names.items()
            if column in sheet.header
        }

    return sums


BULK_52 = (
    "Product,Entity,Operation,Campaign ID,Ad Group ID,Portfolio ID,Ad ID,Keyword ID,Product Targeting ID,Campaign Name,"
    "Ad Group Name,Campaign Name (Informational only),Ad Group Name (Informational only),"
    "Portfolio Name (Informational only),Start Date,End Date,Targeting Type,State,Campaign State (Informational only),"
    "Ad Group State (Informational only),Daily Budget,SKU,ASIN (Informational only),"
    "Eligibility Status (Informational only),Reason for Ineligibility (Informational only),Ad Group Default Bid,"
    "Ad Group Default Bid (Informational only),Bid,Keyword Text,Native Language Keyword,Native Language Locale,"
    "Match Type,Bidding Strategy,Placement,Percentage,Product Targeting Expression,"
    "Resolved Product Targeting Expression (Informational only),Audience ID,Shopper Cohort Percentage,"
    "Shopper Cohort Type,Segment Name,Impressions,Clicks,Click-through Rate,Spend,Sales,Orders,Units,Conversion Rate,"
    "ACOS,CPC,ROAS"
)
BULK_26 = (
    "Product,Entity,Operation,Campaign Id,Ad Group Id,Portfolio Id,Ad Id,Keyword Id,Product Targeting Id,Campaign Name,"
    "Ad Group Name,Start Date,End Date,Targeting Type,State,Daily Budget,SKU,ASIN,Ad Group Default Bid,Bid,"
    "Keyword Text,Match Type,Bidding Strategy,Placement,Percentage,Product Targeting Expression"
)
_AUDIENCE = ("Audience ID", "Shopper Cohort Percentage", "Shopper Cohort Type", "Segment Name")
BULK = {
    52: tuple(BULK_52.split(",")),
    48: tuple(h for h in BULK_52.split(",") if h not in _AUDIENCE),
    26: tuple(BULK_26.split(",")),
}


@pytest.fixture
def bulk() -> Maker:
    """``bulk(n=10, columns=52)``: a download with n keywords and product targets, in groups of ten."""

    def make(n: int = 10, columns: int = 52, seed: int = 3, account: int = 1) -> Sheet:
        rng = np.random.default_rng(seed)
        header = BULK[columns]
        lower = {h.lower(): h for h in header}
        rows: list[dict[str, Cell]] = []
        bids = rng.integers(100, 9000, n) / 100
        for i in range(n):
            campaign, group = i // 20, i // 10
            ids = {
                "Campaign ID": f"{account}0000000000{campaign:07d}",
                "Ad Group ID": f"{account}1000000000{group:07d}",
            }
            known = {
                "Campaign Name (Informational only)": f"Tea {campaign}",
                "Ad Group Name (Informational only)": f"Group {group}",
            }
            if i % 20 == 0:
                rows.append(
                    {
                        "Entity": "Campaign",
                        "Campaign ID": ids["Campaign ID"],
                        "Portfolio ID": "99887766554433221",
                        "Campaign Name": f"Tea {campaign}",
                        "Start Date": "20240101",
                        "End Date": "20241231",
                        "Targeting Type": "Manual",
                        "State": "enabled",
                        "Daily Budget": 500 + campaign,
                        "Bidding Strategy": "Dynamic bids - down only",
                    }
                )
                rows.append({"Entity": "Bidding Adjustment", **ids, "Placement": "placement top", "Percentage": 50})
            if i % 10 == 0:
                rows.append(
                    {
                        "Entity": "Ad Group",
                        **ids,
                        "Ad Group Name": f"Group {group}",
                        "State": "enabled",
                        "Ad Group Default Bid": 3.5,
                    }
                )
                rows.append(
                    {
                        "Entity": "Product Ad",
                        **ids,
                        "Ad ID": f"{account}2000000000{i:07d}",
                        "SKU": f"SKU-{group}",
                        "State": "enabled",
                    }
                )
                rows.append(
                    {
                        "Entity": "Negative Keyword",
                        **ids,
                        "Keyword ID": f"{account}3000000000{i:07d}",
                        "Keyword Text": "coffee",
                        "Match Type": "negativeExact",
                        "State": "enabled",
                    }
                )
            own = f"{account}4000000000{i:07d}"
            bid = None if i % 10 == 9 else float(bids[i])
            if i % 10 < 7:
                text = {
                    "Keyword ID": own,
                    "Keyword Text": f"green tea {i}",
                    "Match Type": ("Exact", "phrase", "Broad")[i % 3],
                }
                rows.append({"Entity": "Keyword", **ids, **known, **text, "State": "enabled", "Bid": bid})
            else:
                expression = f'asin="B0{i:08d}"' if i % 10 < 9 else f'category="{i}"'
                resolved = expression if i % 10 < 9 else f'category="Teas {i}"'
                rows.append(
                    {
                        "Entity": "Product Targeting",
                        **ids,
                        **known,
                        "Product Targeting ID": own,
                        "Product Targeting Expression": expression,
                        "Resolved Product Targeting Expression (Informational only)": resolved,
                        "State": "enabled",
                        "Bid": bid,
                    }
                )
        cells: list[tuple[Cell, ...]] = []
        for row in rows:
            named = {"Product": "Sponsored Products", **row}
            at = {lower[k.lower()]: v for k, v in named.items() if k.lower() in lower}
            cells.append(tuple(at.get(h) for h in header))
        return Sheet(header, tuple(cells))

    return make

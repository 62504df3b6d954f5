"""Make the invented reports of an invented shop: three weeks of four campaigns, told by six reports that agree.

Run it from anywhere: ``python examples/make_reports.py``. The same seed gives the same files. Nothing in them comes
from a real account.

Every click happens once, in one row of a table (day, campaign, ad group, good, target, search term, placement);
each report is a different sum of that table, so the reports reconcile to the cent. Orders come late: those of the
last days are not all in yet, as in a real download. The bulk sheet holds the bids that the clicks were bought at.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import xlsxwriter

SEED = 20261110
FIRST_DAY, DAYS = date(2026, 10, 20), 21
CURRENCY = "EUR"
HERE = Path(__file__).resolve().parent

# sku, price, margin rate, category, business type, stock
GOODS = [
    ("TEA-SENCHA-100", 12.90, 0.42, "Tea", "drinks", 420),
    ("TEA-ASSAM-100", 9.90, 0.38, "Tea", "drinks", 610),
    ("TEA-ROOIBOS-100", 8.50, 0.45, "Tea", "drinks", 380),
    ("TEA-SAMPLER-12", 24.90, 0.40, "Tea", "drinks", 150),
    ("MUG-NORTH-BLUE", 16.90, 0.35, "Mugs", "kitchen", 240),
    ("MUG-NORTH-SAND", 16.90, 0.35, "Mugs", "kitchen", 95),
    ("POT-NORTH-1L", 39.90, 0.30, "Teapots", "kitchen", 60),
]
PRICE = {sku: price for sku, price, *_ in GOODS}
# campaign, portfolio, bidding strategy, targeting, daily budget, ad groups: (name, skus, targets: (text, match, bid))
CAMPAIGNS = [
    ("Brand", "Core", "Fixed bid", "Manual", 12.0, [
        ("Brand all", ["TEA-SAMPLER-12", "MUG-NORTH-BLUE"], [
            ("nordlicht tea", "EXACT", 0.45), ("nordlicht", "PHRASE", 0.38), ("nordlicht mug", "EXACT", 0.41),
        ]),
    ]),
    ("Tea generic", "Core", "Dynamic bids - down only", "Manual", 50.0, [
        ("Green", ["TEA-SENCHA-100"], [
            ("sencha", "EXACT", 0.82), ("green tea loose", "PHRASE", 0.74), ("japanese tea", "BROAD", 0.66),
            ("organic green tea", "EXACT", 0.88),
        ]),
        ("Black", ["TEA-ASSAM-100", "TEA-SAMPLER-12"], [
            ("assam tea", "EXACT", 0.71), ("black tea loose", "PHRASE", 0.64), ("breakfast tea", "BROAD", 0.58),
        ]),
        ("Herbal", ["TEA-ROOIBOS-100"], [("rooibos", "EXACT", 0.52), ("caffeine free tea", "PHRASE", 0.55)]),
    ]),
    ("Tableware", "Home", "Dynamic bids - up and down", "Manual", 45.0, [
        ("Mugs", ["MUG-NORTH-BLUE", "MUG-NORTH-SAND"], [
            ("stoneware mug", "EXACT", 0.78), ("blue mug", "PHRASE", 0.62), ('asin="B0EXAMPLE01"', "-", 0.49),
            ('category="Coffee mugs"', "-", 0.44),
        ]),
        ("Pots", ["POT-NORTH-1L"], [
            ("teapot 1l", "EXACT", 0.95), ("ceramic teapot", "PHRASE", 0.91), ('asin="B0EXAMPLE02"', "-", 0.70),
        ]),
    ]),
    ("Auto all", "Home", "Dynamic bids - down only", "Automatic", 12.0, [
        ("Auto", [sku for sku, *_ in GOODS], [
            ("close-match", "-", 0.55), ("loose-match", "-", 0.36), ("substitutes", "-", 0.48), ("complements", "-", 0.31),
        ]),
    ]),
]  # fmt: skip
PLACEMENTS = ("Top of Search on-Amazon", "Rest of Search on-Amazon", "Product pages on-Amazon")
TAILS = ("", " gift", " 100g", " best", " cheap", " set", " for her", " online")
SUMS = ("impressions", "clicks", "spend", "orders", "units", "sales")


def clicks_of_the_shop(rng: np.random.Generator) -> pl.DataFrame:
    """All that happened, one row per day, target, good, search term and placement."""
    rows: list[dict[str, object]] = []
    download = datetime.combine(FIRST_DAY + timedelta(days=DAYS), datetime.min.time()) + timedelta(hours=6)
    for campaign, portfolio, _, _, _, groups in CAMPAIGNS:
        for group, skus, targets in groups:
            for target, match, bid in targets:
                appeal = rng.lognormal(0.0, 0.45)
                conversion = float(np.clip(rng.beta(9, 110) * (1.8 if campaign == "Brand" else 1.0), 0.01, 0.4))
                for day in range(DAYS):
                    at = FIRST_DAY + timedelta(days=day)
                    week = 1.25 if at.weekday() >= 5 else 1.0
                    expected = appeal * week * (4.5 if match in ("EXACT", "PHRASE") else 3.5) * rng.lognormal(0.0, 0.25)
                    # Some terms are searched without a click; those rows carry impressions only.
                    for _ in range(max(2, rng.poisson(expected))):
                        clicks = int(rng.poisson(1.6))
                        sku = str(rng.choice(skus))
                        term = (
                            target + str(rng.choice(TAILS))
                            if "=" not in target
                            else "b0example" + f"{rng.integers(9):02d}"
                        )
                        if match == "-" and "=" not in target:
                            term = sku.split("-")[1].lower() + str(rng.choice(TAILS))
                        if match == "EXACT":
                            term = target
                        ordered = rng.random() < 1 - (1 - conversion) ** clicks
                        arrives = datetime.combine(at, datetime.min.time()) + timedelta(
                            hours=float(rng.uniform(0, 24)) + float(rng.exponential(26))
                        )
                        counted = ordered and arrives < download
                        units = 1 + int(rng.random() < 0.15) if counted else 0
                        rows.append(
                            {
                                "day": at, "campaign": campaign, "portfolio": portfolio, "group": group, "target": target,
                                "match": match, "sku": sku, "term": term, "placement": str(rng.choice(PLACEMENTS, p=(0.45, 0.3, 0.25))),
                                "impressions": clicks + int(rng.integers(30, 220)), "clicks": clicks,
                                "spend": round(clicks * bid * float(rng.uniform(0.55, 0.96)), 2),
                                "orders": int(counted), "units": units, "sales": round(units * PRICE[sku], 2),
                            }
                        )  # fmt: skip
    return pl.DataFrame(rows)


def report(happened: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Sums by some names, with the ratios that Amazon adds."""
    sums = happened.group_by(keys).agg(pl.col(n).sum() for n in SUMS).sort(keys)
    ratio = {
        "ctr": ("clicks", "impressions"),
        "cpc": ("spend", "clicks"),
        "acos": ("spend", "sales"),
        "roas": ("sales", "spend"),
        "cvr": ("orders", "clicks"),
    }
    return sums.with_columns(pl.col("spend", "sales").round(2)).with_columns(
        pl.when(pl.col(below) > 0).then((pl.col(above) / pl.col(below)).round(6)).alias(name)
        for name, (above, below) in ratio.items()
    )


HEADERS = {
    "day": "Date", "portfolio": "Portfolio name", "currency": "Currency", "campaign": "Campaign Name",
    "group": "Ad Group Name", "target": "Targeting", "match": "Match Type", "term": "Customer Search Term",
    "sku": "Advertised SKU", "strategy": "Bidding strategy", "placement": "Placement", "status": "Status",
    "budget": "Budget", "targeting": "Targeting Type", "impressions": "Impressions", "clicks": "Clicks",
    "ctr": "Click-Thru Rate (CTR)", "cpc": "Cost Per Click (CPC)", "spend": "Spend", "sales": "7 Day Total Sales ",
    "acos": "Total Advertising Cost of Sales (ACOS) ", "roas": "Total Return on Advertising Spend (ROAS)",
    "orders": "7 Day Total Orders (#)", "units": "7 Day Total Units (#)", "cvr": "7 Day Conversion Rate",
}  # fmt: skip
_RESULTS = ("impressions", "clicks", "ctr", "cpc", "spend", "sales", "acos", "roas", "orders", "units", "cvr")
REPORTS = {
    "search-term": ("day", "portfolio", "currency", "campaign", "group", "target", "match", "term", *_RESULTS),
    "advertised-product": ("day", "portfolio", "currency", "campaign", "group", "sku", *_RESULTS),
    "targeting": ("day", "portfolio", "currency", "campaign", "group", "target", "match", *_RESULTS),
    "placement": ("day", "portfolio", "currency", "campaign", "strategy", "placement", *_RESULTS[:-1]),
    "campaign": (
        "day",
        "portfolio",
        "campaign",
        "status",
        "currency",
        "budget",
        "targeting",
        "strategy",
        *_RESULTS[:-1],
    ),
    "performance-over-time": ("day", "clicks", "cpc", "spend"),
}
_NAMES = {"day", "portfolio", "campaign", "group", "target", "match", "term", "sku", "placement"}


def write_reports(happened: pl.DataFrame, folder: Path) -> None:
    """Write the six reports as csv."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = pl.DataFrame(
        [(c[0], c[2], c[3], c[4], "ENABLED") for c in CAMPAIGNS],
        schema=["campaign", "strategy", "targeting", "budget", "status"],
        orient="row",
    )
    for name, columns in REPORTS.items():
        source = happened.filter(pl.col("clicks") > 0) if name == "search-term" else happened
        keys = [c for c in columns if c in _NAMES]
        rows = report(source, keys).with_columns(pl.lit(CURRENCY).alias("currency"))
        if "campaign" in keys:
            rows = rows.join(facts, on="campaign", how="left", maintain_order="left")
        rows.select(pl.col(c).alias(HEADERS[c]) for c in columns).write_csv(folder / f"{name}.csv")


def write_catalog(path: Path) -> None:
    """Write the shop's goods."""
    columns = ["sku", "price", "margin_rate", "category", "business_type", "stock"]
    pl.DataFrame(GOODS, schema=columns, orient="row").write_csv(path)


BULK = (
    "Product", "Entity", "Operation", "Campaign ID", "Ad Group ID", "Portfolio ID", "Ad ID", "Keyword ID",
    "Product Targeting ID", "Campaign Name", "Ad Group Name", "Campaign Name (Informational only)",
    "Ad Group Name (Informational only)", "Start Date", "End Date", "Targeting Type", "State", "Daily Budget", "SKU",
    "Ad Group Default Bid", "Bid", "Keyword Text", "Match Type", "Bidding Strategy", "Placement", "Percentage",
    "Product Targeting Expression", "Resolved Product Targeting Expression (Informational only)",
)  # fmt: skip


def write_bulk_sheet(path: Path) -> None:
    """Write the bulk sheet that was downloaded after the three weeks; ids are text."""
    rows: list[dict[str, str | float]] = []
    for c, (campaign, _, strategy, targeting, budget, groups) in enumerate(CAMPAIGNS, 1):
        ids = {"Campaign ID": f"4100000000000{c:03d}"}
        rows.append(
            ids
            | {"Entity": "Campaign", "Portfolio ID": f"77000000000{c % 2}", "Campaign Name": campaign, "Start Date": "20260901",
               "Targeting Type": targeting, "State": "enabled", "Daily Budget": budget, "Bidding Strategy": strategy}
        )  # fmt: skip
        for g, (group, skus, targets) in enumerate(groups, 1):
            inside = ids | {"Ad Group ID": f"4200000000{c:03d}{g:03d}"}
            names = {"Campaign Name (Informational only)": campaign, "Ad Group Name (Informational only)": group}
            rows.append(
                inside | {"Entity": "Ad Group", "Ad Group Name": group, "State": "enabled", "Ad Group Default Bid": 0.5}
            )
            for s, sku in enumerate(skus, 1):
                ad = {
                    "Entity": "Product Ad",
                    "Ad ID": f"4300000000{c:03d}{g:02d}{s:02d}",
                    "SKU": sku,
                    "State": "enabled",
                }
                rows.append(inside | names | ad)
            for t, (target, match, bid) in enumerate(targets, 1):
                own = f"4400000000{c:03d}{g:02d}{t:02d}"
                bids = inside | names | {"State": "enabled", "Bid": bid}
                if match == "-":
                    what = {"Product Targeting ID": own, "Product Targeting Expression": target, BULK[-1]: target}
                    rows.append(bids | {"Entity": "Product Targeting"} | what)
                else:
                    what = {"Keyword ID": own, "Keyword Text": target, "Match Type": match.capitalize()}
                    rows.append(bids | {"Entity": "Keyword"} | what)
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"created": datetime.combine(FIRST_DAY + timedelta(days=DAYS), datetime.min.time())})
        sheet = book.add_worksheet("Sponsored Products Campaigns")
        sheet.write_row(0, 0, BULK)
        for line, row in enumerate(rows, 1):
            for column, header in enumerate(BULK):
                value = ({"Product": "Sponsored Products"} | row).get(header)
                if isinstance(value, str):
                    sheet.write_string(line, column, value)
                elif value is not None:
                    sheet.write_number(line, column, value)


def write_all(folder: Path) -> None:
    """Write everything below a folder."""
    happened = clicks_of_the_shop(np.random.default_rng(SEED))
    write_reports(happened, folder / "reports")
    write_catalog(folder / "reports" / "catalog.csv")
    write_bulk_sheet(folder / "bulk-sheet.xlsx")


if __name__ == "__main__":
    write_all(HERE)

"""The six Amazon Sponsored Products reports, told apart by their columns, never by the file's name."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.headers import Heading
from domain.errors import SchemaMismatch

_MEASURES = ("impressions", "clicks", "spend", "orders", "gmv")


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of one kind of report, by canonical name.

    Attributes
    ----------
    report
        Name of the kind, as in `domain.tables.FACTS`.
    marks
        A file with one of these columns, and with none of `foreign`, is of this kind.
    foreign
        Columns that make it another kind.
    dimensions
        What a row is about beside its day; must be there and filled.
    measures
        Numbers that must be there.
    optional
        Taken along where they are there.
    """

    report: str
    marks: tuple[str, ...]
    foreign: tuple[str, ...]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...] = _MEASURES
    optional: tuple[str, ...] = ("units_sold", "new_customer_orders", "portfolio")

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that must be there, the day aside."""
        return self.dimensions + self.measures


#: In the order in which they are tried.
LAYOUTS = (
    Layout("search_term", ("search_term",), (), ("campaign", "ad_group", "target", "match_type", "search_term")),
    Layout("advertised_product", ("sku", "asin"), ("search_term",), ("campaign", "ad_group", "sku")),
    Layout(
        "placement",
        ("placement",),
        ("search_term", "sku", "asin", "target"),
        ("campaign", "placement"),
        optional=("units_sold", "new_customer_orders", "portfolio", "bidding_strategy"),
    ),
    Layout(
        "targeting",
        ("target", "match_type"),
        ("search_term", "sku", "asin", "placement"),
        ("campaign", "ad_group", "target", "match_type"),
    ),
    Layout(
        "campaign",
        ("campaign", "daily_budget", "campaign_status"),
        ("search_term", "sku", "asin", "placement", "target", "ad_group"),
        ("campaign",),
        optional=(
            "units_sold",
            "new_customer_orders",
            "portfolio",
            "daily_budget",
            "campaign_status",
            "bidding_strategy",
        ),
    ),
    Layout(
        "performance_over_time",
        ("spend",),
        ("search_term", "sku", "asin", "placement", "target", "ad_group", "campaign", "daily_budget"),
        (),
        measures=("clicks", "spend"),
        optional=("impressions", "orders", "gmv", "units_sold"),
    ),
)

#: How Amazon writes a column, for messages.
WRITTEN = {
    "date": "Date",
    "campaign": "Campaign Name",
    "ad_group": "Ad Group Name",
    "target": "Targeting",
    "match_type": "Match Type",
    "search_term": "Customer Search Term",
    "sku": "Advertised SKU",
    "asin": "Advertised ASIN",
    "placement": "Placement",
    "impressions": "Impressions",
    "clicks": "Clicks",
    "spend": "Spend",
    "orders": "7 Day Total Orders (#)",
    "gmv": "7 Day Total Sales",
    "daily_budget": "Budget",
}


def layout_of(columns: Sequence[Heading]) -> Layout | None:
    """Kind of report that has these columns; ``None`` where they belong to none."""
    fields = {c.field for c in columns}
    if "spend" not in fields and "clicks" not in fields:
        return None
    for layout in LAYOUTS:
        if fields & set(layout.marks) and not fields & set(layout.foreign):
            if layout.report == "performance_over_time" and not fields & {"date", "start_date"}:
                continue
            return layout
    return None


def check_columns(name: str, layout: Layout, columns: Sequence[Heading]) -> dict[str, Heading]:
    """Columns by canonical name; `SchemaMismatch` names what is missing, doubled or mixed."""
    by_field: dict[str, Heading] = {}
    for column in columns:
        if column.field is None or column.field.endswith("?"):
            continue
        if column.field in by_field:
            first = by_field[column.field]
            if first.window != column.window:
                raise SchemaMismatch(
                    f"{name}, row 1: mixed attribution windows: {first.text.strip()!r} and {column.text.strip()!r}; "
                    "download one report per window and import them one by one"
                )
            raise SchemaMismatch(
                f"{name}, row 1: two columns for {column.field}: {first.text.strip()!r} and {column.text.strip()!r}; "
                "delete one of them"
            )
        by_field[column.field] = column
    if "sku" not in by_field and "asin" in by_field:
        by_field["sku"] = by_field["asin"]  # vendors have no SKU; the ASIN stands for it
    missing = [field for field in layout.required if field not in by_field]
    if not ("date" in by_field or {"start_date", "end_date"} <= by_field.keys()):
        missing.insert(0, "date")
    if missing:
        written = ", ".join(repr(WRITTEN[field]) for field in missing)
        raise SchemaMismatch(
            f"{name}, row 1: a {layout.report} report without the column{'s' if len(missing) > 1 else ''} {written}; "
            "download the report again with all its columns"
        )
    windows = sorted({c.window for c in by_field.values() if c.window is not None})
    if len(windows) > 1:
        raise SchemaMismatch(
            f"{name}, row 1: mixed attribution windows: columns of {' and '.join(map(str, windows))} days; "
            "download one report per window and import them one by one"
        )
    signs = sorted({c.sign for c in by_field.values() if c.sign is not None})
    if len(signs) > 1:
        raise SchemaMismatch(
            f"{name}, row 1: mixed currencies in the header: {' and '.join(signs)}; import one marketplace per file"
        )
    return by_field

"""Which column is which: headers as platforms spell them, brought to one set of names.

A header keeps more than a name: the attribution window ("14 Day Total Sales") and the currency sign
("(₹)"). Both are taken off and kept beside it. Spellings: design notes on platform formats, read in real exports.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Currency signs that mean one currency; "$" and "¥" mean several and so tell nothing.
SIGNS: Mapping[str, str] = {"₹": "INR", "rs": "INR", "£": "GBP", "€": "EUR", "zł": "PLN", "r$": "BRL", "us$": "USD"}
AMBIGUOUS_SIGNS = ("$", "¥", "￥", "kr")

_CODES = frozenset(
    (
        "AED",
        "AUD",
        "BRL",
        "CAD",
        "CNY",
        "EGP",
        "EUR",
        "GBP",
        "INR",
        "JPY",
        "MXN",
        "PLN",
        "SAR",
        "SEK",
        "SGD",
        "TRY",
        "USD",
    )
)
_PARENTHESES = re.compile(r"\(([^()]*)\)")
_WINDOW = re.compile(r"^(\d+)[\s-]*(?:day\b|天内?的?)\s*")

#: Canonical name -> spellings after `_plain`. Fields that reports carry but nobody here needs end with "?".
_SPELLINGS: Mapping[str, Sequence[str]] = {
    "date": ("date", "日期", "day"),
    "start_date": ("start date", "开始日期"),
    "end_date": ("end date", "结束日期"),
    "portfolio": ("portfolio name", "portfolio", "广告组合名称"),
    "currency": ("currency", "货币", "currency code"),
    "campaign": ("campaign name", "campaign", "广告活动名称"),
    "ad_group": ("ad group name", "ad group", "广告组名称"),
    "country": ("country", "country/region", "国家/地区"),
    "retailer?": ("retailer", "零售商"),
    "target": ("targeting", "投放"),
    "match_type": ("match type", "匹配类型"),
    "search_term": ("customer search term", "客户搜索词"),
    "sku": ("advertised sku", "广告sku", "推广的sku"),
    "asin": ("advertised asin", "广告asin", "推广的asin"),
    "placement": ("placement", "广告位", "放置"),
    "bidding_strategy": ("bidding strategy", "竞价策略"),
    "impressions": ("impressions", "展示量"),
    "clicks": ("clicks", "点击量"),
    "spend": ("spend", "花费"),
    "gmv": ("total sales", "sales", "总销售额"),
    "orders": ("total orders", "orders", "总订单数"),
    "units_sold": ("total units", "units", "总销售量"),
    "new_customer_orders": ("new-to-brand orders", "ntb orders"),
    "ctr": ("click-thru rate (ctr)", "click-through rate (ctr)", "ctr", "点击率(ctr)"),
    "cpc": ("cost per click (cpc)", "cpc", "每次点击成本(cpc)"),
    "acos": ("total advertising cost of sales (acos)", "acos", "广告投入产出比 (acos) 总计"),
    "roas": ("total return on advertising spend (roas)", "roas", "总广告投资回报率 (roas)"),
    "cvr?": ("conversion rate", "转化率"),
    "daily_budget": ("budget", "daily budget", "预算", "每日预算"),
    "campaign_status": ("status", "campaign status", "状态"),
    "campaign_type?": ("campaign type", "program type", "广告活动类型"),
    "targeting_type?": ("targeting type", "投放类型"),
    "same_units?": ("advertised sku units", "advertised asin units", "广告sku销售量"),
    "other_units?": ("other sku units", "brand halo asin units", "其他sku销售量"),
    "same_sales?": ("advertised sku sales", "advertised asin sales", "广告sku销售额"),
    "other_sales?": ("other sku sales", "brand halo asin sales", "其他sku销售额"),
    "top_share?": ("top-of-search impression share", "top-of-search impression share (is)"),
    "last_year?": (
        "last year impressions",
        "last year clicks",
        "last year spend",
        "last year cost per click (cpc)",
    ),
}
_FIELD = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}


@dataclass(frozen=True, slots=True)
class Heading:
    """One column of a report.

    Attributes
    ----------
    position
        Of the column in the file, from 0.
    text
        As written.
    field
        Canonical name; ``None`` where it is unknown, with a trailing ``?`` where it is known and not needed.
    window
        Attribution window in days, where the header has one.
    sign
        Currency code, or an ambiguous sign, where the header has one.
    """

    position: int
    text: str
    field: str | None
    window: int | None = None
    sign: str | None = None


def plain(text: str) -> str:
    """Header without what does not name it: case, width of letters, blanks around and doubled, byte order mark."""
    return " ".join(unicodedata.normalize("NFKC", text).replace("\ufeff", "").casefold().split())


def sign_of(text: str) -> str | None:
    """Currency code of a sign or code ("₹", "Rs.", "INR"); an ambiguous sign as it is; else ``None``."""
    bare = text.strip().rstrip(".").casefold()
    if bare.upper() in _CODES:
        return bare.upper()
    if bare in SIGNS:
        return SIGNS[bare]
    return next((sign for sign in AMBIGUOUS_SIGNS if bare.endswith(sign)), None)


def heading(position: int, text: str) -> Heading:
    """Meaning of one header of an Amazon Sponsored Products report."""
    name, window, sign = plain(text), None, None
    if found := _WINDOW.match(name):
        window, name = int(found.group(1)), name[found.end() :]
    for inner in _PARENTHESES.findall(name):
        sign_here = sign_of(inner)
        if inner in ("#", "%", "") or sign_here is not None:
            sign = sign_here or sign
            name = " ".join(name.replace(f"({inner})", " ").split())
    if name and (last := name.rsplit(" ", 1)[-1]) != name and not last.isalnum() and sign_of(last):
        sign, name = sign_of(last), name[: -len(last)].strip()
    return Heading(position, text, _FIELD.get(name), window, sign)


def headings(header: Sequence[str]) -> list[Heading]:
    """Meaning of every header, in order."""
    return [heading(position, text) for position, text in enumerate(header)]


def amazon_known(header: Sequence[str]) -> int:
    """How many headers an Amazon Sponsored Products report could have."""
    return sum(h.field is not None for h in headings(header))

"""What the address of the catalogue asks for, and the catalogue as a spreadsheet. The routes are in `shop_pages`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask_babel import gettext
from marshmallow import EXCLUDE

from marketplace.catalog.listing import Filters
from marketplace.catalog.schemas import ProductFilter
from marketplace.catalog.search import MAX_QUERY
from marketplace.clock import today
from marketplace.desks.shop_facets import Facets
from marketplace.values import MAX_FEN, yuan
from marketplace.web.language import N_, translated
from marketplace.web.pages import day_text, here, long_day
from marketplace.web.sheets import Column, sheet_response
from marketplace.web.words import word

blueprints: list[Any] = []

PRICES = {"min_price": "min_price_fen", "max_price": "max_price_fen"}  # typed in 元
NAMES = (
    "q", "category", "county", "certification", "seller", "eligible", "available", "min_price", "max_price",
    "deliver_on", "sort",
)  # fmt: skip
LOTS_BASIS = N_("口径：已放行、没有过期、还没留给订单的件数。")
SELLERS_BASIS = N_(
    "口径：有已认定产品在架的供应商；批次为已放行、未召回的批次。没有准入的供应商可以供货，但不计入预留份额。"
)
_FILTER = ProductFilter(unknown=EXCLUDE)
_YUAN = re.compile(r"(\d{1,9})(?:\.(\d{1,2}))?")


@dataclass(frozen=True)
class Wish:
    """The filters of the address; `ignored` names those that could not be read, `kept` is what a form must carry."""

    filters: Filters
    after: str | None
    ignored: tuple[str, ...]
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Tag:
    """A filter in force as a person reads it, and the address without it."""

    label: str
    address: str


def wish() -> Wish:
    """What the reader asks for. A filter that cannot be read is left out and named: the list is still of use."""
    given = {name: text for name in NAMES if (text := request.args.get(name, "").strip())}
    if "q" in given:
        given["q"] = given["q"][:MAX_QUERY]
    values = {PRICES.get(name, name): _fen(text) if name in PRICES else text for name, text in given.items()}
    wrong = set(_FILTER.validate(values))
    if (
        "deliver_on" in values
        and "deliver_on" not in wrong
        and str(values["deliver_on"]) < today().isoformat()
    ):
        wrong.add("deliver_on")
    loaded = _FILTER.load({name: value for name, value in values.items() if name not in wrong})
    after = request.args.get("after") or None
    filters = Filters(**{name: loaded[name] for name in Filters._fields if name in loaded})
    kept = {name: text for name, text in given.items() if PRICES.get(name, name) not in wrong}
    return Wish(filters, after, tuple(sorted(wrong)), kept)


def _fen(text: str) -> int | str:
    """An amount in 元 as fen; the text itself, which no number field takes, when it is none."""
    found = _YUAN.fullmatch(text.replace(",", "").removesuffix("元"))
    if found is None:
        return text
    amount = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    return amount if amount <= MAX_FEN else text


def ignored_text(wished: Wish) -> str | None:
    """What could not be read of the address, as a sentence."""
    if not wished.ignored:
        return None
    labels = {
        "min_price_fen": gettext("最低价"),
        "max_price_fen": gettext("最高价"),
        "deliver_on": gettext("送达日期"),
        "category": gettext("品类"),
        "county": gettext("产地"),
        "seller": gettext("合作社"),
        "certification": gettext("证明"),
        "sort": gettext("排序"),
    }
    names = "、".join(labels.get(name, name) for name in wished.ignored)
    return str(gettext("这些条件看不懂，没有用上：%(names)s。请重新选", names=names))


def tags(wished: Wish, facets: Facets) -> list[Tag]:
    """The filters in force, each with the address that takes it away."""
    f = wished.filters
    found: list[Tag] = []

    def tell(label: str, **without: None) -> None:
        found.append(Tag(label, here(**without)))

    if f.q:
        tell(gettext("搜“%(text)s”", text=f.q), q=None)
    if f.category:
        tell(facets.name("category", f.category), category=None)
    if f.county:
        tell(facets.name("county", f.county), county=None)
    if f.certification:
        tell(word("certification", f.certification), certification=None)
    if f.seller:
        tell(facets.name("seller", f.seller), seller=None)
    if f.eligible is not None:
        tell(gettext("计入预留份额") if f.eligible else gettext("不计入预留份额"), eligible=None)
    if f.available is not None:
        tell(gettext("现在有货") if f.available else gettext("暂时无货"), available=None)
    if f.min_price_fen is not None:
        tell(gettext("%(price)s元起", price=yuan(f.min_price_fen)), min_price=None)
    if f.max_price_fen is not None:
        tell(gettext("%(price)s元以内", price=yuan(f.max_price_fen)), max_price=None)
    if f.deliver_on is not None:
        tell(gettext("%(day)s前送达", day=day_text(f.deliver_on)), deliver_on=None)
    return found


def sellers_sheet(sellers: Iterable[dict[str, Any]]) -> Response:
    """产地与合作社 as a spreadsheet: what the page shows of every seller."""
    columns = [
        Column("county", gettext("县区")),
        Column("name", gettext("供应商"), width=36),
        Column("kind", gettext("类型"), width=18),
        Column("goods", gettext("主要产品"), width=40),
        Column("products", gettext("产品（种）"), "count"),
        Column("lots", gettext("批次（批）"), "count"),
        Column("admitted_on", gettext("准入"), "day"),
    ]
    rows = [
        {**row, "kind": word("seller_kind", row["subkind"] or ""), "goods": "、".join(row["families"])}
        for row in sellers
    ]
    basis = [gettext("取数日期：%(day)s", day=long_day(today())), translated(SELLERS_BASIS)]
    return sheet_response(gettext("产地与合作社"), columns, rows, basis)


def sheet(items: Iterable[dict[str, Any]], conditions: list[Tag]) -> Response:
    """产品目录 as a spreadsheet, with what it holds and how its prices are meant."""
    title = gettext("产品目录")
    columns = [
        Column("name", gettext("产品"), width=22),
        Column("spec", gettext("规格"), width=26),
        Column("category.name", gettext("品类")),
        Column("county.name", gettext("产地")),
        Column("seller.name", gettext("供应商"), width=36),
        Column("pack.unit", gettext("包装"), width=8),
        Column("pack.net_g", gettext("净含量（公斤）"), "kg"),
        Column("price_fen", gettext("起订单价（元/件）"), "yuan"),
        Column("price_per_kg_fen", gettext("元/公斤"), "yuan"),
        Column("price_per_jin_fen", gettext("元/斤"), "yuan"),
        Column("min_order_quantity", gettext("起订（件）"), "count"),
        Column("available_quantity", gettext("可供（件）"), "count"),
        Column("counts", gettext("计入预留份额")),
    ]
    yes, no = gettext("计入"), gettext("不计入")
    rows = [{**item, "counts": yes if item["eligible"] else no} for item in items]
    named = "、".join(tag.label for tag in conditions) or gettext("无")
    basis = [
        gettext("取数日期：%(day)s；筛选条件：%(conditions)s", day=long_day(today()), conditions=named),
        gettext(
            "口径：已认定、在架的产品；价格为起订量的公开单价，含税，不含运费；可供数为已放行批次减去已订"
        ),
    ]
    return sheet_response(title, columns, rows, basis)


def lots_sheet(product: Mapping[str, Any], notes: Mapping[str, Mapping[str, Any]]) -> Response:
    """A product's lots on sale as its page lists them; `notes` has their places and samples by trace code."""
    columns = [
        Column("trace_code", gettext("追溯码"), width=26), Column("harvested_on", gettext("采收日"), "day"),
        Column("place", gettext("产地"), width=24), Column("sample", gettext("抽检")),
        Column("best_before", gettext("食用期至"), "day"), Column("quantity", gettext("可供件数"), "count"),
        Column("unit", gettext("单位"), width=8),
    ]  # fmt: skip
    samples = {True: gettext("合格"), False: gettext("不合格"), None: gettext("没有单独抽检")}
    rows = [
        {
            **lot,
            "place": notes.get(lot["trace_code"], {}).get("place"),
            "sample": samples[notes.get(lot["trace_code"], {}).get("passed")],
            "unit": product["pack"]["unit"],
        }
        for lot in product["lots"]
    ]
    title = f"{product['name']} {product['spec']}"
    return sheet_response(title, columns, rows, [translated(LOTS_BASIS), long_day(today())])

"""What may be bought, by whom, at which price, and for whose reserve: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from marketplace.errors import RuleViolation

FARTHEST_DELIVERY_DAYS = 366

# Reasons why a line does not fill the reserve; the Chinese words stand in `quota`'s pages and reports.
COUNTY_NOT_LISTED = "county_not_listed"
SELLER_NOT_ADMITTED = "seller_not_admitted"
NO_AGENCY = "no_agency"


@dataclass(frozen=True)
class LineWish:
    """One wished line: packs of a product for a day, paid from a fund. `position` is where the buyer wrote it."""

    position: int
    product_id: UUID
    quantity: int
    deliver_on: date
    funding_source: str | None


@dataclass(frozen=True)
class Offer:
    """A product as it is sold today. `ladder` is (minimum quantity, unit price in fen), rising."""

    product_id: UUID
    seller_id: UUID
    seller_name: str
    name: str
    spec: str
    pack_unit: str
    net_g: int
    priced_by: str
    category_code: str
    county_code: str
    min_order_quantity: int
    order_multiple: int
    ladder: tuple[tuple[int, int], ...]
    price_list_code: str
    seller_admitted: bool


@dataclass(frozen=True)
class PricedLine:
    wish: LineWish
    offer: Offer
    unit_price_fen: int
    tier_min_quantity: int
    ineligible_reason: str | None

    @property
    def goods_fen(self) -> int:
        return self.wish.quantity * self.unit_price_fen


def merge_lines(wishes: Sequence[LineWish]) -> list[LineWish]:
    """Lines of one product, day and fund become one; the first one's position stays."""
    merged: dict[tuple[UUID, date, str | None], LineWish] = {}
    for wish in wishes:
        key = (wish.product_id, wish.deliver_on, wish.funding_source)
        known = merged.get(key)
        merged[key] = wish if known is None else replace(known, quantity=known.quantity + wish.quantity)
    return list(merged.values())


def tier_for(ladder: Sequence[tuple[int, int]], quantity: int) -> tuple[int, int]:
    """The step of the ladder in force at `quantity`: (its minimum, its unit price in fen)."""
    return max(
        (step for step in ladder if step[0] <= quantity), key=lambda step: step[0], default=min(ladder)
    )


def price_lines(
    wishes: Sequence[LineWish],
    offers: Mapping[UUID, Offer],
    *,
    eligible_counties: Collection[str],
    agency: bool,
) -> list[PricedLine]:
    """Price every line by the merged quantity of its product.

    Raises RuleViolation (`invalid`) with every line that is wrong: product not on sale, below the minimum, not a
    multiple, or beyond the largest quantity.
    """
    errors: list[dict[str, str]] = []
    totals: dict[UUID, int] = {}
    for wish in wishes:
        totals[wish.product_id] = totals.get(wish.product_id, 0) + wish.quantity
    priced: list[PricedLine] = []
    for wish in wishes:
        offer = offers.get(wish.product_id)
        pointer = f"#/lines/{wish.position}"
        if offer is None:
            errors.append({"pointer": f"{pointer}/product_id", "detail": "这个产品现在不在售"})
            continue
        total = totals[wish.product_id]
        if total > 10_000_000:
            errors.append({"pointer": f"{pointer}/quantity", "detail": "同一产品合计最多10,000,000件"})
            continue
        if total < offer.min_order_quantity:
            detail = f"{offer.name}最少订{offer.min_order_quantity}{offer.pack_unit}，现在是{total}{offer.pack_unit}"
            errors.append({"pointer": f"{pointer}/quantity", "detail": detail})
            continue
        if total % offer.order_multiple:
            low = total - total % offer.order_multiple
            detail = (
                f"{offer.name}按{offer.order_multiple}{offer.pack_unit}的倍数订：可改成"
                f"{max(low, offer.min_order_quantity)}或{low + offer.order_multiple}"
            )
            errors.append({"pointer": f"{pointer}/quantity", "detail": detail})
            continue
        tier, unit_price = tier_for(offer.ladder, total)
        priced.append(
            PricedLine(wish, offer, unit_price, tier, ineligibility(offer, eligible_counties, agency=agency))
        )
    if errors:
        raise RuleViolation("有的行不能这样订，请看每行的说明", errors=errors)
    return priced


def ineligibility(offer: Offer, eligible_counties: Collection[str], *, agency: bool) -> str | None:
    """Why a line would not fill a reserve, None when it would (财库〔2021〕19号: produced in the listed counties)."""
    if offer.county_code not in eligible_counties:
        return COUNTY_NOT_LISTED
    if not offer.seller_admitted:
        return SELLER_NOT_ADMITTED
    return None if agency else NO_AGENCY


@dataclass(frozen=True)
class Buyer:
    """The buying organisation and, for a contractor, the agency it buys for."""

    id: UUID
    kind: str
    subkind: str | None
    region_code: str
    canteen_mode: str | None
    canteen_partner_id: UUID | None


def quota_agency(buyer: Buyer, for_agency: Buyer | None) -> tuple[UUID | None, str]:
    """Whose reserve the purchase fills, and the buyer's county: (agency or None, county code).

    Own canteen and no canteen: the agency. Shared: the representative that declares. Outsourced: the agency,
    whoever buys. A contractor must name the agency; anybody else must not. Raises RuleViolation.
    """
    if buyer.kind == "contractor":
        if for_agency is None:
            raise RuleViolation(
                "承包商下单要写明为哪家单位采购",
                errors=[{"pointer": "#/for_agency_id", "detail": "请选择单位"}],
            )
        if for_agency.canteen_partner_id != buyer.id or for_agency.canteen_mode != "outsourced":
            raise RuleViolation(
                "这家单位的食堂没有委托给你们",
                errors=[{"pointer": "#/for_agency_id", "detail": "只能选择委托给本单位的食堂"}],
            )
        return for_agency.id, for_agency.region_code
    if for_agency is not None:
        raise RuleViolation(
            "只有承包商可以为别的单位采购", errors=[{"pointer": "#/for_agency_id", "detail": "请去掉这一项"}]
        )
    if buyer.kind != "agency":
        return None, buyer.region_code
    if buyer.canteen_mode == "shared" and buyer.canteen_partner_id is not None:
        return buyer.canteen_partner_id, buyer.region_code
    return buyer.id, buyer.region_code


def needs_approval(buyer: Buyer) -> bool:
    """Agencies and their contractors have an approver; others (channels, social buyers) are approved at once."""
    return buyer.kind in ("agency", "contractor")


def check_delivery_day(day: date, today: date, pointer: str) -> list[dict[str, str]]:
    if day < today:
        return [{"pointer": pointer, "detail": "送货日期已经过去"}]
    if (day - today).days > FARTHEST_DELIVERY_DAYS:
        return [{"pointer": pointer, "detail": f"送货日期最远{FARTHEST_DELIVERY_DAYS}天"}]
    return []


def inspectors_needed(rule: Mapping[str, int], subkind: str | None) -> int:
    """How many named inspectors an acceptance needs, by the kind of the buyer (default: schools two)."""
    return int(rule.get(subkind or "", rule.get("default", 1)))

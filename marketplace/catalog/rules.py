"""What a product, its pack and its price ladder must be like. Pure: values in, problems or prices out.

A problem is (pointer below the body, Chinese sentence); an empty list means that nothing is wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marketplace.values import MAX_FEN, MAX_QUANTITY, per_kilogram_fen

MAX_STEPS = 10
MAX_NET_G = 1_000_000  # a pack of more than a tonne is a mistake of unit
MAX_TOLERANCE_BP = 2_000
MAX_SHELF_LIFE_DAYS = 36_500

# What a buyer relies on when he picks the pack: with a lot in the world it stays as it is.
PACK_FIELDS = frozenset({"spec", "pack_unit", "net_g", "priced_by", "gtin", "county_code"})
# What the seller may change while the product is on sale; anything else is the office's to look at again.
COMMERCIAL_FIELDS = frozenset(
    {
        "ladder", "min_order_quantity", "order_multiple", "description", "season", "storage", "shelf_life_days",
        "tax_category", "weight_tolerance_bp",
    }
)  # fmt: skip
EDITABLE_FIELDS = PACK_FIELDS | COMMERCIAL_FIELDS | {"family", "name", "category_code", "certifications"}

# 三品一标 and the other marks and licences of a product.
SCHEMES: Mapping[str, str] = {
    "geographical_indication": "地理标志",
    "green": "绿色食品",
    "organic": "有机产品",
    "pollution_free": "无公害农产品",
    "trademark": "商标",
    "time_honoured": "老字号",
    "sc_licence": "食品生产许可",
}
MAX_CERTIFICATIONS = 20

Problem = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """From `min_quantity` packs of the merged quantity on, a pack costs `price_fen`."""

    min_quantity: int
    price_fen: int


def ladder_problems(ladder: Sequence[Step], minimum: int, multiple: int) -> list[Problem]:
    """Quantities rise strictly from the minimum order on, prices are positive and never rise.

    The minimum is a multiple of the order multiple, so that the smallest order can be placed at all.
    """
    problems: list[Problem] = []
    if multiple < 1 or multiple > MAX_QUANTITY:
        return [("order_multiple", f"要在1到{MAX_QUANTITY}之间")]
    if minimum < 1 or minimum > MAX_QUANTITY:
        return [("min_order_quantity", f"要在1到{MAX_QUANTITY}之间")]
    if minimum % multiple:
        problems.append(("min_order_quantity", f"起订量要是{multiple}的整数倍"))
    if not 1 <= len(ladder) <= MAX_STEPS:
        return [*problems, ("price_ladder", f"价格阶梯要有1到{MAX_STEPS}级")]
    for index, step in enumerate(ladder):
        where = f"price_ladder/{index}"
        if not 1 <= step.price_fen <= MAX_FEN:
            problems.append((f"{where}/price_fen", "价格要大于0"))
        if not 1 <= step.min_quantity <= MAX_QUANTITY:
            problems.append((f"{where}/min_quantity", f"要在1到{MAX_QUANTITY}之间"))
        if index == 0:
            if step.min_quantity != minimum:
                problems.append((f"{where}/min_quantity", f"第一级要从起订量{minimum}开始"))
            continue
        before = ladder[index - 1]
        if step.min_quantity <= before.min_quantity:
            problems.append((f"{where}/min_quantity", "数量要逐级增加"))
        if step.price_fen > before.price_fen:
            problems.append((f"{where}/price_fen", "买得多，单价不能更高"))
    return problems


def unit_price(ladder: Sequence[Step], merged_quantity: int) -> int:
    """Fen of one pack when `merged_quantity` packs of the product stand in one purchase.

    Below the first step its price holds: a channel's list may begin above the minimum. No step is a ValueError.
    """
    if not ladder:
        raise ValueError("a ladder has at least one step")
    price = ladder[0].price_fen
    for step in ladder:
        if step.min_quantity > merged_quantity:
            break
        price = step.price_fen
    return price


def check_quantity(minimum: int, multiple: int, quantity: int) -> str | None:
    """What is wrong with an asked number of packs; None when it can be ordered."""
    if not 1 <= quantity <= MAX_QUANTITY:
        return f"数量要在1到{MAX_QUANTITY}之间"
    if quantity < minimum:
        return f"起订量是{minimum}"
    if quantity % multiple:
        return f"数量要是{multiple}的整数倍"
    return None


def price_per_kg(price_fen: int, net_g: int) -> int:
    """Fen per 公斤, half up."""
    return per_kilogram_fen(price_fen, net_g)


def price_per_jin(price_fen: int, net_g: int) -> int:
    """Fen per 斤 (500 g), half up from the pack's price, not from the rounded price per kilogram."""
    return (price_fen * 500 * 2 + net_g) // (net_g * 2)


def gtin_is_valid(gtin: str) -> bool:
    """8, 12, 13 or 14 digits with the check digit of the GS1 General Specifications, section 7.9."""
    if not gtin.isascii() or not gtin.isdigit() or len(gtin) not in (8, 12, 13, 14):
        return False
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(gtin[:-1])))
    return (10 - total % 10) % 10 == int(gtin[-1])


def text_problem(value: str) -> str | None:
    """Printed texts hold no control and no direction characters: they would forge labels and papers."""
    if any(unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") for character in value):
        return "不能有换行和不可见字符"
    return None


def product_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the fields of a product, whoever enters it."""
    problems: list[Problem] = []
    for name in ("sku", "family", "name", "spec", "pack_unit", "storage", "season", "tax_category"):
        found = text_problem(values[name]) if values.get(name) else None
        if found:
            problems.append((name, found))
    if not 1 <= values["net_g"] <= MAX_NET_G:
        problems.append(("net_g", f"净含量要在1到{MAX_NET_G}克之间"))
    if values["priced_by"] not in ("pack", "weight"):
        problems.append(("priced_by", "要是 pack 或 weight"))
    tolerance = values["weight_tolerance_bp"]
    if not 0 <= tolerance <= MAX_TOLERANCE_BP:
        problems.append(("weight_tolerance_bp", f"要在0到{MAX_TOLERANCE_BP}之间"))
    elif tolerance and values["priced_by"] != "weight":
        problems.append(("weight_tolerance_bp", "按包装计价的商品没有重量允差"))
    if (
        values.get("shelf_life_days") is not None
        and not 1 <= values["shelf_life_days"] <= MAX_SHELF_LIFE_DAYS
    ):
        problems.append(("shelf_life_days", f"要在1到{MAX_SHELF_LIFE_DAYS}之间"))
    if values.get("gtin") is not None and not gtin_is_valid(values["gtin"]):
        problems.append(("gtin", "商品条码的位数或校验码不对"))
    problems += certification_problems(values["certifications"])
    return problems + ladder_problems(
        values["ladder"], values["min_order_quantity"], values["order_multiple"]
    )


def certification_problems(certifications: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Schemes are those of the closed list; one certificate is named once."""
    if len(certifications) > MAX_CERTIFICATIONS:
        return [("certifications", f"最多{MAX_CERTIFICATIONS}项认证")]
    problems: list[Problem] = []
    seen: set[tuple[str, str | None]] = set()
    for index, row in enumerate(certifications):
        key = (row["scheme"], row.get("number"))
        if row["scheme"] not in SCHEMES:
            problems.append((f"certifications/{index}/scheme", "没有这种认证"))
        if row.get("number") and text_problem(row["number"]):
            problems.append((f"certifications/{index}/number", "不能有换行和不可见字符"))
        if key in seen:
            problems.append((f"certifications/{index}", "这项认证重复了"))
        seen.add(key)
    return problems


def pack_changes(changed: Iterable[str]) -> list[Problem]:
    """Problems of an edit once a lot of the product exists: another pack is a new product."""
    return [(name, "已有批次，包装与产地不能再改；请另建商品") for name in sorted(set(changed) & PACK_FIELDS)]


def shelf_changes(changed: Iterable[str]) -> list[Problem]:
    """Problems of an edit while the product is recognised: what was recognised isn't changed under the office."""
    return [
        (name, "已认定的商品不能改这一项；请先下架，改后重新提交认定")
        for name in sorted(set(changed) - COMMERCIAL_FIELDS)
    ]

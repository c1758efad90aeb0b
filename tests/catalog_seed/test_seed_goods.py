"""The goods of the seed: products, prices, lots, their papers and origins, samples, searches."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from itertools import pairwise

from .seed import CHOICES, COUNTIES, Row, by_key, rows


def ladder(row: Row) -> list[tuple[int, int]]:
    steps = [step.split(":") for step in row["ladder"].split(" ")]
    return [(int(quantity), int(price)) for quantity, price in steps]


def test_products_are_sold_from_leaf_categories_by_sellers_of_the_county() -> None:
    assert len(rows("products")) == 65
    parents = {row["parent_code"] for row in rows("categories")}
    for row in rows("products"):
        assert row["category_code"] not in parents
        seller = by_key("organisations")[row["seller_code"]]
        assert (seller["kind"], seller["region_code"]) == ("seller", row["county_code"]), row["sku"]
        assert seller["admitted"] or row["state"] == "submitted"
    assert len([r for r in rows("products") if r["category_code"].startswith("09")]) == 7
    assert {row["county_code"] for row in rows("products")} == COUNTIES


def test_the_price_ladder_starts_at_the_minimum_and_falls() -> None:
    for row in rows("products"):
        steps = ladder(row)
        minimum, multiple = int(row["min_order_quantity"]), int(row["order_multiple"])
        assert minimum % multiple == 0
        assert steps[0][0] == minimum
        assert all(a[0] < b[0] and a[1] > b[1] > 0 for a, b in pairwise(steps)), row["sku"]
        assert int(row["net_g"]) > 0
        assert int(row["shelf_life_days"]) > 0


def test_article_numbers_are_thirteen_digits_of_the_restricted_range() -> None:
    numbers = [row["gtin"] for row in rows("products") if row["gtin"]]
    assert len(numbers) == len(set(numbers)) > 5
    for number in numbers:
        assert re.fullmatch(r"2\d{12}", number)
        assert sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(number)) % 10 == 0


def test_the_demo_cooperative_has_recognised_eligible_products_with_several_lots() -> None:
    released = Counter(row["sku"] for row in rows("lots") if row["state"] == "released")
    own = [row for row in rows("products") if row["seller_code"] == "ORG-COOP-01"]
    assert len(own) == 8
    assert {(row["state"], row["county_code"]) for row in own} == {("recognised", "620826")}
    assert all(released[row["sku"]] >= 3 for row in own)


def test_most_products_have_two_lots_and_every_recognised_one_is_on_sale() -> None:
    lots = Counter(row["sku"] for row in rows("lots"))
    released = {row["sku"] for row in rows("lots") if row["state"] == "released"}
    assert [row["sku"] for row in rows("products") if lots[row["sku"]] < 2] == ["PL-0013", "PL-0015"]
    for row in rows("products"):
        assert (row["sku"] in released) == (row["state"] == "recognised"), row["sku"]
    assert {row["state"] for row in rows("lots")} == {"released", "draft", "held"}


def test_no_lot_is_past_its_shelf_life_on_the_day_of_loading() -> None:
    left = {}
    for row in rows("lots"):
        assert int(row["quantity"]) > 0
        assert int(row["harvested_days_ago"]) >= 0
        left[row["code"]] = int(by_key("products")[row["sku"]]["shelf_life_days"]) - int(
            row["harvested_days_ago"]
        )
    assert min(left.values()) >= 2
    assert len([days for days in left.values() if days <= 5]) >= 3
    assert len([days for days in left.values() if days >= 14]) > len(left) * 0.75


def test_released_lots_hold_the_proofs_of_their_category() -> None:
    held: dict[str, set[str]] = {}
    for row in rows("lot_certificates"):
        held.setdefault(row["lot_code"], set()).add(row["kind"])
        age = int(row["issued_days_ago"])
        lot = by_key("lots")[row["lot_code"]]
        if row["valid_days"]:
            assert age < int(row["valid_days"])
        else:
            assert age <= int(lot["harvested_days_ago"])
        assert row["quantity"] in ("", lot["quantity"])
    for row in rows("lots"):
        product = by_key("products")[row["sku"]]
        wanted = set(by_key("categories")[product["category_code"]]["proofs"].split())
        if row["state"] == "released":
            assert held.get(row["code"], set()) == wanted, row["code"]


def test_origins_lie_in_the_county_and_add_up_to_the_lot() -> None:
    weights: Counter[str] = Counter()
    for row in rows("origins"):
        product = by_key("products")[by_key("lots")[row["lot_code"]]["sku"]]
        assert row["township_code"][:6] == product["county_code"]
        weights[row["lot_code"]] += int(row["weight_g"])
        if row["grower_code"]:
            grower = by_key("growers")[row["grower_code"]]
            assert grower["seller_code"] == product["seller_code"]
            assert (grower["township_code"], grower["village"]) == (row["township_code"], row["village"])
            assert int(row["paid_fen"]) > 0
        else:
            assert row["paid_fen"] == ""
    for lot in rows("lots"):
        assert weights[lot["code"]] == int(lot["quantity"]) * int(by_key("products")[lot["sku"]]["net_g"])


def test_growers_have_distinct_households_and_some_are_poverty_households() -> None:
    assert {r["seller_code"] for r in rows("growers")} == {
        r["code"] for r in rows("organisations") if r["kind"] == "seller"
    }
    assert len({r["household_code"] for r in rows("growers")}) == len(rows("growers"))
    assert {r["poverty_household"] for r in rows("growers")} == {"0", "1"}


def test_the_published_sampling_table_is_complete() -> None:
    campaign = [row for row in rows("inspections") if row["campaign"] == "2024元旦春节"]
    assert Counter(row["county_code"] for row in campaign) == {
        "620802": 10,
        "620881": 5,
        "620821": 10,
        "620822": 10,
        "620823": 5,
        "620825": 10,
        "620826": 10,
    }
    assert {(r["lot_code"], r["sampled_on"], r["passed"]) for r in campaign} == {("", "2024-01-20", "1")}


def test_inspections_name_one_day_and_a_failed_lot_is_held() -> None:
    for row in rows("inspections"):
        assert bool(row["sampled_on"]) != bool(row["sampled_days_ago"])
        for item in json.loads(row["items"]):
            assert sorted(item) == ["limit", "name", "unit", "value"]
        if row["lot_code"]:
            lot = by_key("lots")[row["lot_code"]]
            assert int(row["sampled_days_ago"]) <= int(lot["harvested_days_ago"])
            assert by_key("products")[lot["sku"]]["county_code"] == row["county_code"]
            assert row["passed"] == "1" or lot["state"] == "held"
    assert [row["lot_code"] for row in rows("inspections") if row["passed"] == "0"] == ["LOT-0034-3"]


def test_certification_numbers_follow_their_scheme() -> None:
    schemes = {row["scheme"] for row in rows("product_certifications")}
    assert schemes == {
        *("geographical_indication", "green", "organic", "trademark", "time_honoured", "sc_licence"),
    }
    for row in rows("product_certifications"):
        if row["scheme"] == "green":
            assert re.fullmatch(r"LB-\d{2}-\d{10,11}A{0,2}", row["number"])
        if row["scheme"] == "sc_licence":
            assert re.fullmatch(r"SC\d{14}", row["number"])
        if row["valid_until"]:
            assert date.fromisoformat(row["valid_until"]) > date(2027, 1, 1)


def test_expected_search_answers_are_products_on_sale_and_fit_their_kind() -> None:
    assert len(rows("search_queries")) == 20
    assert {row["kind"] for row in rows("search_queries")} == CHOICES["search_queries", "kind"]
    on_sale = [row for row in rows("products") if row["state"] == "recognised"]
    for row in rows("search_queries"):
        query = row["query"]
        if row["kind"] in ("pinyin", "initials"):
            assert re.fullmatch(r"[a-z]+", query)
            assert by_key("products")[row["first_sku"]] in on_sale
            continue
        ranked = []
        for product in on_sale:
            name = product["name"]
            if query in name:
                rank = 0 if name == query else 1 if name.startswith(query) else 2
                ranked.append((rank, len(name), product["sku"]))
        rank, _, sku = min(ranked)
        assert (["exact", "prefix", "word"][rank], sku) == (row["kind"], row["first_sku"]), query

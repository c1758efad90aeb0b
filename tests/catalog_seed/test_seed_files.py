"""The seed files are checked with the csv module alone: columns, keys, codes, policies, organisations."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from .seed import (
    CHOICES,
    COLUMNS,
    COUNTIES,
    ELIGIBLE,
    FOREIGN_KEYS,
    KEYS,
    SEED,
    Row,
    by_key,
    credit_code_is_valid,
    rows,
)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_file_has_its_columns_and_no_empty_mandatory_cell(name: str) -> None:
    raw = (SEED / f"{name}.csv").read_bytes()
    assert b"\r" not in raw
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert raw.endswith(b"\n")
    wanted = COLUMNS[name].split(" ")
    with (SEED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == [column.rstrip("?") for column in wanted]
    assert len(lines) > 1
    for line in lines[1:]:
        assert len(line) == len(wanted), line
        assert line == [cell.strip() for cell in line]
        empty = [c for c, cell in zip(wanted, line, strict=True) if not c.endswith("?") and not cell]
        assert empty == [], line


def test_the_folder_holds_only_the_described_files() -> None:
    assert {p.name for p in SEED.iterdir()} == {f"{name}.csv" for name in COLUMNS} | {"README.md"}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_keys_are_unique(name: str) -> None:
    assert [k for k, n in Counter(row[KEYS[name]] for row in rows(name)).items() if n > 1] == []


@pytest.mark.parametrize(("name", "column", "target"), FOREIGN_KEYS)
def test_references_point_to_rows(name: str, column: str, target: str) -> None:
    known = set(by_key(target))
    assert [row for row in rows(name) if row[column] and row[column] not in known] == []


@pytest.mark.parametrize(("name", "column"), sorted(CHOICES))
def test_closed_lists_hold(name: str, column: str) -> None:
    assert {row[column] for row in rows(name)} - CHOICES[name, column] == set()


def test_every_source_is_a_citation_or_an_estimate() -> None:
    cited = re.compile(r"estimate|GB/T 2260|NY/T 3177|〔20\d\d〕|令|S\d+")
    for name in COLUMNS:
        assert [row for row in rows(name) if not cited.search(row["source"])] == []


def test_cited_public_pages_are_listed_in_the_readme() -> None:
    readme = (SEED / "README.md").read_text(encoding="utf-8")
    cited = {s for name in COLUMNS for row in rows(name) for s in re.findall(r"\bS\d+\b", row["source"])}
    assert [s for s in sorted(cited) if f"| {s} |" not in readme] == []
    assert "pingliang-demo-2026" in readme
    assert "synthetic" in readme


def test_pingliang_has_seven_counties_and_five_are_eligible() -> None:
    counties = {row["code"]: row for row in rows("regions") if row["parent_code"] == "620800"}
    assert set(counties) == COUNTIES
    assert {code for code, row in counties.items() if row["eligible_from_year"]} == ELIGIBLE
    assert {row["eligible_from_year"] for row in counties.values()} == {"2019", ""}
    assert counties["620881"]["former_code"] == "620824"
    pairs = {
        code: row["tianjin_district_code"] for code, row in counties.items() if row["eligible_from_year"]
    }
    assert pairs == {
        "620802": "120103",
        "620821": "120114",
        "620822": "120112",
        "620825": "120103",
        "620826": "120114",
    }


def test_channels_sell_the_goods_of_their_paired_counties() -> None:
    regions = by_key("regions")
    for row in rows("channel_pairs"):
        assert regions[row["county_code"]]["tianjin_district_code"] == row["district_code"]
        assert by_key("organisations")[row["channel_code"]]["region_code"] == row["district_code"]
    assert {row["county_code"] for row in rows("channel_pairs")} == ELIGIBLE


def test_a_township_code_starts_with_its_county() -> None:
    assert len(rows("townships")) == 102
    for row in rows("townships"):
        assert re.fullmatch(r"\d{9}", row["code"])
        assert row["code"][:6] == row["county_code"]
    names = {row["code"]: row["name"] for row in rows("townships")}
    sourced = {"620825102": "朱店镇", "620826108": "城川镇", "620826216": "三合乡", "620821104": "王村镇"}
    assert {code: names[code] for code in sourced} == sourced


def test_credit_code_rule_knows_right_and_wrong_codes() -> None:
    for code in ("91350100M000100Y43", "91110000600037341L", "N2620822MA70A0D15Y", "93620825MA70A0B120"):
        assert credit_code_is_valid(code)
    for code in ("91350100M000100Y44", "9135010OM000100Y43", "N2620822MA70A0D16Y", "91350100M000100Y4"):
        assert not credit_code_is_valid(code)


def test_credit_codes_are_valid_and_name_one_organisation() -> None:
    codes = [row["credit_code"] for row in rows("organisations")]
    assert [code for code in codes if not credit_code_is_valid(code)] == []
    assert len(codes) == len(set(codes))
    assert [r for r in rows("payer_profiles") if not credit_code_is_valid(r["credit_code"])] == []
    assert all(r["tax_number"] == r["credit_code"] for r in rows("payer_profiles"))
    collectives = [r for r in rows("organisations") if r["subkind"] == "village_collective"]
    assert len(collectives) == 2
    assert all(row["credit_code"].startswith("N2") for row in collectives)


def test_organisations_cover_the_story() -> None:
    kinds = Counter(row["kind"] for row in rows("organisations"))
    assert kinds == {
        "seller": 18,
        "agency": 12,
        "contractor": 1,
        "channel": 3,
        "office": 11,
        "lab": 1,
        "social_buyer": 1,
        "union": 1,
        "carrier": 1,
        "state_firm": 1,
        "financial": 1,
    }
    sellers = [row for row in rows("organisations") if row["kind"] == "seller"]
    assert {row["region_code"] for row in sellers} == COUNTIES
    assert [row["code"] for row in sellers if not row["admitted"]] == ["ORG-FARM-03"]
    recommenders = [r["region_code"] for r in rows("organisations") if r["subkind"] == "county_recommender"]
    assert sorted(recommenders) == sorted(COUNTIES)


def test_canteen_partners_fit_the_canteen_case() -> None:
    organisations = by_key("organisations")
    agencies = [row for row in rows("organisations") if row["kind"] == "agency"]
    assert {row["canteen"] for row in agencies} == {"own", "none", "shared", "outsourced"}
    for row in agencies:
        partner = organisations.get(row["canteen_partner_code"])
        if row["canteen"] == "shared":
            assert partner is not None
            assert partner["kind"] == "agency"
            assert partner["canteen"] == "own"
        elif row["canteen"] == "outsourced":
            assert partner is not None
            assert partner["kind"] == "contractor"
        else:
            assert partner is None
        if row["parent_code"]:
            parent = organisations[row["parent_code"]]
            assert parent["kind"] == "agency"
            assert not parent["parent_code"]


def test_demo_accounts_are_the_fourteen_of_the_interface() -> None:
    assert {row["username"]: row["role"] for row in rows("accounts")} == {
        "canteen.buyer": "buyer",
        "canteen.manager": "manager",
        "canteen2.buyer": "buyer",
        "canteen2.manager": "manager",
        "contractor.buyer": "contractor_buyer",
        "coop.seller": "seller",
        "coop2.seller": "seller",
        "county.office": "poverty_office",
        "finance.reviewer": "finance_reviewer",
        "settlement.clerk": "settlement_clerk",
        "market.regulator": "market_regulator",
        "tianjin.partner": "channel_partner",
        "tianjin2.partner": "channel_partner",
        "platform.admin": "platform_admin",
    }
    school = by_key("organisations")[by_key("accounts")["canteen.buyer"]["organisation_code"]]
    assert (school["name"], school["canteen"]) == ("平凉市泾滨中学", "own")
    coop = by_key("organisations")[by_key("accounts")["coop.seller"]["organisation_code"]]
    assert (coop["subkind"], coop["region_code"]) == ("cooperative", "620826")


def test_every_buyer_has_one_default_payer_for_each_purpose() -> None:
    defaults = Counter((r["organisation_code"], r["purpose"]) for r in rows("payer_profiles"))
    assert set(defaults.values()) == {1}
    assert {row["is_default"] for row in rows("payer_profiles")} == {"1"}
    for row in rows("organisations"):
        if row["kind"] == "agency":
            assert {p for o, p in defaults if o == row["code"]} == {
                "canteen",
                "union",
                "condolence",
                "personal",
            }


def test_every_seller_has_a_bank_account_in_its_own_name() -> None:
    sellers = {r["code"]: r["name"] for r in rows("organisations") if r["kind"] == "seller"}
    assert {r["organisation_code"]: r["account_name"] for r in rows("bank_accounts")} == sellers
    for row in [*rows("bank_accounts"), *rows("payer_profiles")]:
        assert re.fullmatch(r"\d{12}", row["bank_branch_number"])
        assert re.fullmatch(r"\d{12,19}", row.get("account_number") or row["bank_account"])


def test_policy_versions_of_a_key_are_json_and_do_not_overlap_or_leave_gaps() -> None:
    versions: dict[tuple[str, str], list[Row]] = {}
    for row in rows("policies"):
        json.loads(row["value"])
        versions.setdefault((row["key"], row["scope_code"]), []).append(row)
    assert {key for key, _ in versions} == {
        *("reserve_share_bp", "reserve_base", "reserve_non_decreasing", "declaration_deadline"),
        *("counted_states", "payment_due_days", "hold_hours", "confirm_hours", "inspectors_required"),
        *("invoice_before_payment", "freight_counts", "external_832_counts", "slip_silence_days"),
        *("certificate_rule", "evaluation_days", "late_interest_bp_per_day"),
    }
    for group in versions.values():
        ordered = sorted(group, key=lambda row: row["valid_from"])
        for earlier, later in pairwise(ordered):
            end = date.fromisoformat(earlier["valid_to"])
            assert end + timedelta(days=1) == date.fromisoformat(later["valid_from"])
        assert ordered[-1]["valid_to"] == ""


def test_the_reserve_share_follows_its_years() -> None:
    shares = {
        r["valid_from"]: json.loads(r["value"]) for r in rows("policies") if r["key"] == "reserve_share_bp"
    }
    assert shares == {
        "2019-01-01": {"minimum": 0},
        "2021-01-01": {"minimum": 1000},
        "2024-01-01": {"minimum": 1000, "encouraged": 1500},
    }

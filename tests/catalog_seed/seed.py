"""What the seed files promise (columns, keys, closed lists) and how the tests read them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

SEED = Path(__file__).resolve().parents[2] / "catalog_seed"
Row = dict[str, str]

# A trailing "?" marks a column that may be empty; every other cell must hold something.
COLUMNS = {
    "regions": "code name level parent_code? eligible_from_year? eligible_to_year? tianjin_district_code?"
    " former_code? source",
    "townships": "code name county_code source",
    "categories": "code name parent_code? proofs? shelf_life_days sampling_required source",
    "policies": "key value valid_from valid_to? scope_code? title article? source",
    "organisations": "code name kind subkind? credit_code region_code parent_code? level? counts_in_city"
    " department? canteen? canteen_partner_code? address? admitted? source",
    "payer_profiles": "code organisation_code purpose legal_name credit_code invoice_title tax_number"
    " bank_name bank_branch_number bank_account is_default source",
    "bank_accounts": "organisation_code account_name bank_name bank_branch_number account_number source",
    "accounts": "username name organisation_code role source",
    "products": "sku seller_code family name spec category_code county_code pack_unit net_g priced_by"
    " min_order_quantity order_multiple ladder shelf_life_days storage tax_category gtin? season state"
    " description source",
    "product_certifications": "sku scheme number? valid_until? source",
    "growers": "code seller_code name household_code poverty_household township_code village source",
    "lots": "code sku quantity harvested_days_ago state source",
    "origins": "lot_code township_code village plot grower_code? weight_g? paid_fen? source",
    "lot_certificates": "lot_code kind number issued_days_ago valid_days? quantity? source",
    "inspections": "lot_code? county_code product_name sampled_on? sampled_days_ago? passed items campaign"
    " source",
    "channel_pairs": "channel_code district_code county_code source",
    "channel_agreements": "channel_code pattern price_list_code price_list_name order_cut_off lead_days"
    " confirm_within_h ship_within_h period_end_day due_days shop_name? valid_from source",
    "channel_items": "channel_code sku partner_sku min_remaining_days box_quantity box_gross_g ladder source",
    "search_queries": "query first_sku kind source",
}
KEYS = {
    "regions": "code",
    "townships": "code",
    "categories": "code",
    "organisations": "code",
    "payer_profiles": "code",
    "bank_accounts": "organisation_code",
    "accounts": "username",
    "products": "sku",
    "growers": "code",
    "lots": "code",
    "channel_items": "partner_sku",
    "search_queries": "query",
}
FOREIGN_KEYS = [
    ("regions", "parent_code", "regions"),
    ("regions", "tianjin_district_code", "regions"),
    ("townships", "county_code", "regions"),
    ("categories", "parent_code", "categories"),
    ("policies", "scope_code", "regions"),
    ("organisations", "region_code", "regions"),
    ("organisations", "parent_code", "organisations"),
    ("organisations", "canteen_partner_code", "organisations"),
    ("payer_profiles", "organisation_code", "organisations"),
    ("bank_accounts", "organisation_code", "organisations"),
    ("accounts", "organisation_code", "organisations"),
    ("products", "seller_code", "organisations"),
    ("products", "category_code", "categories"),
    ("products", "county_code", "regions"),
    ("product_certifications", "sku", "products"),
    ("growers", "seller_code", "organisations"),
    ("growers", "township_code", "townships"),
    ("lots", "sku", "products"),
    ("origins", "lot_code", "lots"),
    ("origins", "township_code", "townships"),
    ("origins", "grower_code", "growers"),
    ("lot_certificates", "lot_code", "lots"),
    ("inspections", "lot_code", "lots"),
    ("inspections", "county_code", "regions"),
    ("channel_pairs", "channel_code", "organisations"),
    ("channel_pairs", "district_code", "regions"),
    ("channel_pairs", "county_code", "regions"),
    ("channel_agreements", "channel_code", "organisations"),
    ("channel_items", "channel_code", "organisations"),
    ("channel_items", "sku", "products"),
    ("search_queries", "first_sku", "products"),
]
CHOICES = {
    ("regions", "level"): {"city", "county", "district"},
    ("organisations", "kind"): {
        *("agency", "seller", "contractor", "channel", "social_buyer", "office", "lab", "carrier", "union"),
        *("state_firm", "financial"),
    },
    ("organisations", "level"): {"", "central", "provincial", "city", "county"},
    ("organisations", "canteen"): {"", "own", "none", "shared", "outsourced"},
    ("organisations", "counts_in_city"): {"0", "1"},
    ("payer_profiles", "purpose"): {"canteen", "union", "condolence", "personal", "social"},
    ("channel_agreements", "pattern"): {"wholesale", "consignment"},
    ("products", "priced_by"): {"pack", "weight"},
    ("products", "state"): {"recognised", "submitted"},
    ("lots", "state"): {"released", "draft", "held"},
    ("lot_certificates", "kind"): {
        *("commitment", "quarantine", "meat_inspection", "factory_report", "sc_licence"),
    },
    ("growers", "poverty_household"): {"0", "1"},
    ("inspections", "passed"): {"0", "1"},
    ("search_queries", "kind"): {"exact", "prefix", "word", "pinyin", "initials"},
}
COUNTIES = {"620802", "620821", "620822", "620823", "620825", "620826", "620881"}
ELIGIBLE = {"620802", "620821", "620822", "620825", "620826"}
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@cache
def rows(name: str) -> list[Row]:
    with (SEED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def by_key(name: str) -> dict[str, Row]:
    return {row[KEYS[name]]: row for row in rows(name)}


def credit_code_is_valid(code: str) -> bool:
    """GB 32100: 18 characters, an inner check on the organisation code and an outer check on all."""
    if len(code) != 18 or any(c not in ALPHABET for c in code):
        return False
    kind = {"11", "12", "81", "91", "92", "93", "N1", "N2", "N3"}
    if code[:2] not in kind or not code[2:8].isdigit():
        return False
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(c, 36) * weight for c, weight in zip(code[8:16], weights, strict=True))
    inner = {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))
    outer = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
    return code[16] == inner and code[17] == ALPHABET[(31 - outer % 31) % 31]

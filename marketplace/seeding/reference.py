"""Regions, organisations with what belongs to them, rules, categories and demo accounts."""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from marketplace.accounts import service as accounts
from marketplace.accounts.models import (
    BankAccount,
    Canteen,
    Organisation,
    PayerProfile,
    Region,
    Township,
    User,
)
from marketplace.catalog import cards
from marketplace.catalog import service as catalog
from marketplace.catalog.models import Category, PriceList
from marketplace.policies import service as policies
from marketplace.policies.models import CountyEligibility, Policy
from marketplace.seeding.reading import (
    Act,
    Row,
    day,
    flag,
    found,
    importer,
    in_order,
    keys,
    mapping,
    number,
    rows,
    text,
    whole,
)

# Development only: `seed` refuses to run with the settings of production.
DEMO_PASSWORD = "pingliang-demo-2026"
# Ways of running a kitchen that give an agency a canteen of its own to buy for.
KITCHENS = frozenset({"own", "shared", "outsourced"})


def organisation_ids() -> dict[str, UUID]:
    return mapping(Organisation.code, Organisation.id)


def regions() -> list[Act]:
    known = keys(Region.code)
    names = ("code", "name", "level", "parent_code", "former_code", "tianjin_district_code")
    entries = in_order(rows("regions"), "code", ["parent_code"])
    return [
        partial(accounts.add_region, importer(), **_cells(row, names))
        for row in entries
        if row["code"] not in known
    ]


def townships() -> list[Act]:
    known = keys(Township.code)
    return [
        partial(accounts.add_township, importer(), **_cells(row, ("code", "name", "county_code")))
        for row in rows("townships")
        if row["code"] not in known
    ]


def organisations() -> list[Act]:
    ids = organisation_ids()
    needs = ("parent_code", "canteen_partner_code")
    missing = [row for row in in_order(rows("organisations"), "code", needs) if row["code"] not in ids]

    def add(row: Row) -> None:
        parent, partner = row["parent_code"], row["canteen_partner_code"]
        reply = accounts.add_organisation(
            importer(),
            **_cells(
                row, ("code", "name", "kind", "region_code", "subkind", "credit_code", "level", "address")
            ),
            parent_id=None if parent is None else ids[parent],
            counts_in_city=flag(row, "counts_in_city"),
            canteen_mode=row["canteen"],
            canteen_partner_id=None if partner is None else ids[partner],
            admitted_on=day(row, "admitted"),
        )
        ids[text(row, "code")] = reply.result["id"]

    return [partial(add, row) for row in missing]


def canteens() -> list[Act]:
    ids = organisation_ids()
    known = keys(Canteen.organisation_id)
    return [
        partial(
            accounts.add_canteen,
            importer(),
            organisation_id=ids[text(row, "code")],
            name=f"{text(row, 'name')}食堂",
            address=row["address"],
        )
        for row in rows("organisations")
        if row["canteen"] in KITCHENS and ids[text(row, "code")] not in known
    ]


def payer_profiles() -> list[Act]:
    ids = organisation_ids()
    known = keys(PayerProfile.code)
    names = (
        "code", "purpose", "legal_name", "credit_code", "invoice_title", "tax_number", "bank_name",
        "bank_branch_number", "bank_account",
    )  # fmt: skip
    return [
        partial(
            accounts.add_payer_profile,
            importer(),
            organisation_id=ids[text(row, "organisation_code")],
            is_default=flag(row, "is_default"),
            **_cells(row, names),
        )
        for row in rows("payer_profiles")
        if row["code"] not in known
    ]


def bank_accounts() -> list[Act]:
    ids = organisation_ids()
    known = keys(BankAccount.organisation_id)
    names = ("account_name", "bank_name", "bank_branch_number", "account_number")
    return [
        partial(
            accounts.add_bank_account,
            importer(),
            organisation_id=ids[text(row, "organisation_code")],
            **_cells(row, names),
        )
        for row in rows("bank_accounts")
        if ids[text(row, "organisation_code")] not in known
    ]


def rule_versions() -> list[Act]:
    known = {tuple(row) for row in found(Policy.key, Policy.scope_code, Policy.valid_from)}
    return [
        partial(
            policies.set_policy,
            importer(),
            key=text(row, "key"),
            value=json.loads(text(row, "value")),
            valid_from=_first_day(row),
            valid_to=day(row, "valid_to"),
            scope=row["scope_code"] or "",
            title=text(row, "title"),
            article=row["article"],
            source=text(row, "source"),
        )
        for row in rows("policies")
        if (row["key"], row["scope_code"] or "", _first_day(row)) not in known
    ]


def eligibilities() -> list[Act]:
    known = {tuple(row) for row in found(CountyEligibility.county_code, CountyEligibility.from_year)}
    return [
        partial(
            policies.set_eligibility,
            importer(),
            county_code=text(row, "code"),
            from_year=whole(row, "eligible_from_year"),
            to_year=number(row, "eligible_to_year"),
            source=text(row, "source"),
        )
        for row in rows("regions")
        if row["eligible_from_year"] is not None
        and (row["code"], number(row, "eligible_from_year")) not in known
    ]


def categories() -> list[Act]:
    known = keys(Category.code)
    return [
        partial(
            catalog.add_category,
            importer(),
            code=text(row, "code"),
            name=text(row, "name"),
            parent_code=row["parent_code"],
            proofs=(row["proofs"] or "").split(),
            # Groups hold no goods: their 0 means that they have no shelf life.
            shelf_life_days=number(row, "shelf_life_days") or None,
            sampling_required=flag(row, "sampling_required"),
        )
        for row in in_order(rows("categories"), "code", ["parent_code"])
        if row["code"] not in known
    ]


def public_prices() -> list[Act]:
    if cards.PUBLIC_LIST in keys(PriceList.code):
        return []
    return [partial(catalog.add_price_list, importer(), code=cards.PUBLIC_LIST, name="公开价")]


def users() -> list[Act]:
    ids = organisation_ids()
    known = keys(User.username)
    return [
        partial(
            accounts.add_user,
            importer(),
            username=text(row, "username"),
            name=text(row, "name"),
            password=DEMO_PASSWORD,
            organisation_id=ids[text(row, "organisation_code")],
            role=text(row, "role"),
        )
        for row in rows("accounts")
        if row["username"] not in known
    ]


def _first_day(row: Row) -> date:
    return date.fromisoformat(text(row, "valid_from"))


def _cells(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names}

"""Organisations and all that belongs to them: regions, canteens, payers, accounts of payees, first users."""

from __future__ import annotations

import hashlib
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

import psycopg.errors
from sqlalchemy.exc import IntegrityError

from marketplace.accounts import queries, rules, security
from marketplace.accounts.models import (
    BankAccount,
    BankAccountState,
    Canteen,
    CanteenMode,
    Organisation,
    OrganisationHistory,
    OrganisationKind,
    PayerProfile,
    Purpose,
    Region,
    Township,
    User,
)
from marketplace.accounts.regions import pinyin_key, region_subject
from marketplace.actors import Actor, Permission, Role
from marketplace.clock import business_day
from marketplace.database import Base
from marketplace.errors import AlreadyThere, PreconditionFailed, RuleViolation, refuse_fields
from marketplace.journal.canonical import instant_text
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


def insert_row(tx: Transaction, row: Base) -> None:
    """Insert, and translate what the named constraints say.

    Raises Conflict (`already-there`) on a natural key, RuleViolation (`unknown-reference`) on a row that is named
    but absent. The transaction is over in both cases.
    """
    tx.session.add(row)
    try:
        tx.session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, psycopg.errors.UniqueViolation):
            raise AlreadyThere from error
        if isinstance(error.orig, psycopg.errors.ForeignKeyViolation):
            raise RuleViolation("所引用的一项不存在", slug="unknown-reference") from error
        raise


def add_region(
    actor: Actor,
    *,
    code: str,
    name: str,
    level: str,
    parent_code: str | None = None,
    former_code: str | None = None,
    tianjin_district_code: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A city, county or district (GB/T 2260) becomes known. Raises Conflict (`already-there`)."""
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        row = Region(
            code=code,
            name=name,
            level=level,
            parent_code=parent_code,
            former_code=former_code,
            tianjin_district_code=tianjin_district_code,
            pinyin_key=pinyin_key(name),
        )
        insert_row(tx, row)
        tx.record(
            "region.added",
            "region",
            region_subject(code),
            code=code,
            name=name,
            level=level,
            parent=parent_code,
            county=None,
        )
        return tx.answer({"code": code, "name": name, "level": level})


def add_township(actor: Actor, *, code: str, name: str, county_code: str, once: Once = NO_ONCE) -> Reply:
    """A town or township (nine digits) becomes known. Raises Conflict (`already-there`)."""
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        insert_row(tx, Township(code=code, name=name, county_code=county_code))
        tx.record(
            "township.added",
            "region",
            region_subject(code),
            code=code,
            name=name,
            level="township",
            parent=county_code,
            county=county_code,
        )
        return tx.answer({"code": code, "name": name, "county_code": county_code})


def _organisation_facts(row: Organisation) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "subkind": row.subkind,
        "credit_code": row.credit_code,
        "region": row.region_code,
        "parent": row.parent_id,
        "canteen_mode": row.canteen_mode,
        "canteen_partner": row.canteen_partner_id,
        "counts_in_city": row.counts_in_city,
    }


def _record_organisation(tx: Transaction, kind: str, row: Organisation) -> None:
    data = {name: _text(value) for name, value in _organisation_facts(row).items()}
    tx.record(kind, "organisation", row.id, parties=[row.id, row.parent_id], **data, kind=row.kind.value)


def _text(value: Any) -> Any:
    """Ids and choices as plain text, as facts hold them."""
    if isinstance(value, StrEnum):
        return value.value
    return str(value) if isinstance(value, UUID) else value


def add_organisation(
    actor: Actor,
    *,
    code: str,
    name: str,
    kind: str,
    region_code: str,
    subkind: str | None = None,
    credit_code: str | None = None,
    parent_id: UUID | None = None,
    level: str | None = None,
    counts_in_city: bool = False,
    canteen_mode: str | None = None,
    canteen_partner_id: UUID | None = None,
    address: str | None = None,
    admitted_on: date | None = None,
    valid_from: date | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A legal subject joins the platform; `valid_from` (default today) starts the history of its name.

    Raises RuleViolation (`invalid`) for a credit code that fails GB 32100, Conflict (`already-there`).
    """
    refuse_fields([("credit_code", rules.credit_code_problem(credit_code) if credit_code else None)])
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        row = Organisation(
            id=uuid7(),
            code=code,
            name=name,
            pinyin_key=pinyin_key(name),
            kind=OrganisationKind(kind),
            subkind=subkind,
            credit_code=credit_code,
            region_code=region_code,
            parent_id=parent_id,
            level=level,
            counts_in_city=counts_in_city,
            canteen_mode=None if canteen_mode is None else CanteenMode(canteen_mode),
            canteen_partner_id=canteen_partner_id,
            address=address,
            admitted_on=admitted_on,
            created_at=tx.started_at,
            version=1,
        )
        insert_row(tx, row)
        _keep_history(tx, row, valid_from or business_day(tx.started_at))
        _record_organisation(tx, "organisation.added", row)
        return tx.answer(queries.organisation_view(row))


def _keep_history(tx: Transaction, row: Organisation, valid_from: date) -> None:
    insert_row(
        tx,
        OrganisationHistory(
            organisation_id=row.id, name=row.name, parent_id=row.parent_id, valid_from=valid_from
        ),
    )


def edit_organisation(
    actor: Actor,
    organisation_id: UUID,
    *,
    changes: dict[str, Any],
    valid_from: date | None = None,
    expected_version: int | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """An organisation is renamed, moved or runs its canteen otherwise; the old name stays in its history.

    `changes` may name name, parent_id, canteen_mode, canteen_partner_id, counts_in_city, address, admitted_on.
    Raises PreconditionFailed (`precondition-failed`), Conflict (`already-there`) for a second change of name on
    one day, RuleViolation (`parent-cycle`).
    """
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        queries.organisation_row(tx.session, organisation_id)
        row = tx.session.get_one(Organisation, organisation_id, with_for_update=True, populate_existing=True)
        if expected_version is not None and row.version != expected_version:
            raise PreconditionFailed
        known = {
            "name", "parent_id", "canteen_mode", "canteen_partner_id", "counts_in_city", "address", "admitted_on"
        }  # fmt: skip
        if not changes or not set(changes) <= known:
            raise RuleViolation
        parent_id = changes.get("parent_id")
        if parent_id is not None and (
            parent_id == row.id or parent_id in queries.subordinate_ids(tx.session, row.id)
        ):
            raise RuleViolation("上级单位不能是自己或自己的下级", slug="parent-cycle")
        named = (row.name, row.parent_id)
        for name, value in changes.items():
            setattr(row, name, CanteenMode(value) if name == "canteen_mode" and value else value)
        row.pinyin_key = pinyin_key(row.name)
        row.version += 1
        if (row.name, row.parent_id) != named:
            _keep_history(tx, row, valid_from or business_day(tx.started_at))
        _record_organisation(tx, "organisation.edited", row)
        return tx.answer(queries.organisation_view(row))


def add_canteen(
    actor: Actor, *, organisation_id: UUID, name: str, address: str | None = None, once: Once = NO_ONCE
) -> Reply:
    """An organisation has a kitchen. Raises Conflict (`already-there`) for the same name."""
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        row = Canteen(id=uuid7(), organisation_id=organisation_id, name=name, address=address)
        insert_row(tx, row)
        tx.record(
            "canteen.added",
            "organisation",
            organisation_id,
            parties=[organisation_id],
            canteen=str(row.id),
            purpose=None,
            legal_name=None,
            credit_code=None,
        )
        return tx.answer({"id": row.id, "organisation_id": organisation_id, "name": name})


def add_payer_profile(
    actor: Actor,
    *,
    code: str,
    organisation_id: UUID,
    purpose: str,
    legal_name: str,
    credit_code: str,
    invoice_title: str,
    tax_number: str,
    bank_name: str,
    bank_branch_number: str,
    bank_account: str,
    is_default: bool = False,
    once: Once = NO_ONCE,
) -> Reply:
    """An organisation says who pays for a purpose and whose title the invoice carries.

    Raises RuleViolation (`invalid`) for a bad credit code or tax number, Conflict (`already-there`).
    """
    refuse_fields(
        [
            ("credit_code", rules.credit_code_problem(credit_code)),
            ("tax_number", rules.credit_code_problem(tax_number)),
        ]
    )
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        row = PayerProfile(
            id=uuid7(),
            code=code,
            organisation_id=organisation_id,
            purpose=Purpose(purpose),
            legal_name=legal_name,
            credit_code=credit_code,
            invoice_title=invoice_title,
            tax_number=tax_number,
            bank_name=bank_name,
            bank_branch_number=bank_branch_number,
            bank_account=bank_account,
            is_default=is_default,
            version=1,
        )
        insert_row(tx, row)
        tx.record(
            "payer_profile.added",
            "organisation",
            organisation_id,
            parties=[organisation_id],
            profile=str(row.id),
            purpose=row.purpose.value,
            legal_name=legal_name,
            credit_code=credit_code,
        )
        return tx.answer({"id": row.id, "code": code, "purpose": row.purpose, "legal_name": legal_name})


def add_bank_account(
    actor: Actor,
    *,
    organisation_id: UUID,
    account_name: str,
    bank_name: str,
    bank_branch_number: str,
    account_number: str,
    once: Once = NO_ONCE,
) -> Reply:
    """The first account of a payee, active at once; a later one is proposed and approved (`bank_accounts`).

    Raises Conflict (`already-there`) when the organisation has an account.
    """
    with transaction(actor, Permission.ORGANISATION_MANAGE, once) as tx:
        row = BankAccount(
            id=uuid7(),
            organisation_id=organisation_id,
            account_name=account_name,
            bank_name=bank_name,
            bank_branch_number=bank_branch_number,
            account_number=account_number,
            state=BankAccountState.ACTIVE,
            proposed_by=actor.user_id,
            effective_at=tx.started_at,
        )
        insert_row(tx, row)
        record_bank_account(tx, "bank_account.added", row)
        return tx.answer(queries.bank_account_view(row, tx.started_at))


def record_bank_account(tx: Transaction, kind: str, row: BankAccount) -> None:
    """The fact holds a hash of the number: enough to prove which account it was, not to read it."""
    tx.record(
        kind,
        "organisation",
        row.organisation_id,
        parties=[row.organisation_id],
        account=str(row.id),
        sha256=hashlib.sha256(f"{row.id}:{row.account_number}".encode()).hexdigest(),
        effective_at=instant_text(row.effective_at),
    )


def add_user(
    actor: Actor,
    *,
    username: str,
    name: str,
    password: str,
    organisation_id: UUID,
    role: str,
    initial: bool = False,
    once: Once = NO_ONCE,
) -> Reply:
    """A person of an organisation gets a sign-in with one role; with an `initial` password it must be changed first.

    Raises RuleViolation (`invalid`; `role-mismatch` for a role that this kind of organisation cannot have),
    Conflict (`already-there`).
    """
    refuse_fields(
        [
            ("username", rules.username_problem(username)),
            ("password", rules.password_problem(password, username)),
        ]
    )
    password_hash = security.hash_password(password)
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        organisation = queries.organisation_row(tx.session, organisation_id)
        if organisation.kind.value not in rules.ROLE_KINDS[Role(role)]:
            raise RuleViolation("这类单位不能有这个角色", slug="role-mismatch")
        row = User(
            id=uuid7(),
            username=username,
            name=name,
            password_hash=password_hash,
            organisation_id=organisation_id,
            role=Role(role),
            auth_version=1,
            password_initial=initial,
            created_at=tx.started_at,
            version=1,
        )
        insert_row(tx, row)
        record_user(tx, "user.added", row)
        return tx.answer(queries.user_view(row))


def record_user(tx: Transaction, kind: str, row: User, **data: Any) -> None:
    tx.record(
        kind,
        "user",
        row.id,
        parties=[row.organisation_id],
        username=row.username,
        role=row.role.value,
        organisation=str(row.organisation_id),
        auth_version=row.auth_version,
        **data,
    )

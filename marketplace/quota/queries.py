"""Reads of declarations, scoped: a management account sees its agency and its units, an office all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, OrganisationKind
from marketplace.actors import Actor, Permission
from marketplace.clock import business_day
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, Key, paginate
from marketplace.policies.models import Policy
from marketplace.policies.queries import NoPolicy, policy_rows
from marketplace.quota.models import Declaration, DeclarationVersion, PeriodClose
from marketplace.quota.rules import deadline_of, is_late, share_policy
from marketplace.quota.scope import units, visible_agencies
from marketplace.quota.states import DeclarationState

FILING_KEYS = ("reserve_share_bp", "reserve_base", "reserve_non_decreasing")
DEADLINE_KEY = "declaration_deadline"
_Agency = aliased(Organisation)
_Representative = aliased(Organisation)
_Contractor = aliased(Organisation)


def _deadline(year: Any) -> sa.ScalarSelect[Any]:
    """The deadline policy of a budget year; a year's rule begins by its first day."""
    begin = sa.func.make_date(sa.cast(year, sa.Integer), 1, 1)
    return (
        sa.select(Policy.value)
        .where(
            Policy.key == "declaration_deadline",
            Policy.scope_code == "",
            Policy.valid_from <= begin,
            sa.or_(Policy.valid_to.is_(None), Policy.valid_to >= begin),
        )
        .order_by(Policy.valid_from.desc(), Policy.revision.desc())
        .limit(1)
        .correlate(Declaration)
        .scalar_subquery()
    )


def _statement(actor: Actor) -> sa.Select[Any]:
    statement = (
        sa.select(
            Declaration,
            DeclarationVersion,
            _Agency.name.label("agency_name"),
            _Representative.name.label("representative_name"),
            _Contractor.name.label("contractor_name"),
            _deadline(Declaration.year).label("deadline"),
        )
        .join(DeclarationVersion, DeclarationVersion.declaration_id == Declaration.id)
        .join(_Agency, _Agency.id == Declaration.agency_id)
        .outerjoin(_Representative, _Representative.id == DeclarationVersion.represented_by_id)
        .outerjoin(_Contractor, _Contractor.id == DeclarationVersion.contractor_id)
        .execution_options(populate_existing=True)
    )
    scope = visible_agencies(actor)
    return statement if scope is None else statement.where(Declaration.agency_id.in_(scope))


def _named(id: UUID | None, name: str | None) -> dict[str, Any] | None:
    return None if id is None else {"id": id, "name": name}


def _version_view(row: Any) -> dict[str, Any]:
    version: DeclarationVersion = row.DeclarationVersion
    deadline = deadline_of(row.Declaration.year, row.deadline)
    return {
        "number": version.number,
        "canteen": version.canteen,
        "base_fen": version.base_fen,
        "share_bp": version.share_bp,
        "reserve_fen": version.reserve_fen,
        "represented_by": _named(version.represented_by_id, row.representative_name),
        "contractor": _named(version.contractor_id, row.contractor_name),
        "contact": version.contact,
        "remark": version.remark,
        "policy_version": version.policy_version,
        "filed_at": version.filed_at,
        "late": is_late(business_day(version.filed_at), deadline),
    }


def _view(row: Any) -> dict[str, Any]:
    declaration: Declaration = row.Declaration
    return {
        "id": declaration.id,
        "agency": {"id": declaration.agency_id, "name": row.agency_name},
        "agency_id": declaration.agency_id,
        "year": declaration.year,
        "state": declaration.state,
        "state_reason": declaration.state_reason,
        "approved_number": declaration.approved_version,
        "deadline": deadline_of(declaration.year, row.deadline),
        "version": declaration.version,
        **_version_view(row),
    }


def declaration_view(session: Session, actor: Actor, declaration_id: UUID) -> dict[str, Any]:
    """A declaration with its newest version in front and all `versions`, newest first. Raises NotFound."""
    rows = session.execute(
        _statement(actor).where(Declaration.id == declaration_id).order_by(DeclarationVersion.number.desc())
    ).all()
    if not rows:
        raise NotFound
    return {**_view(rows[0]), "versions": [_version_view(row) for row in rows]}


DECLARATION_SORTS = tuple(sign + name for name in ("agency", "reserve_fen", "filed_at") for sign in ("", "-"))


def list_declarations(
    session: Session,
    actor: Actor,
    *,
    year: int | None = None,
    state: DeclarationState | None = None,
    agency_id: UUID | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Declarations within the actor's scope, each with its newest version: the latest year first, or by one of
    `DECLARATION_SORTS`."""
    actor.require(Permission.DECLARATION_READ)
    statement = _statement(actor).where(DeclarationVersion.number == Declaration.current_version)
    if year is not None:
        statement = statement.where(Declaration.year == year)
    if state is not None:
        statement = statement.where(Declaration.state == state)
    if agency_id is not None:
        statement = statement.where(Declaration.agency_id == agency_id)
    columns = Declaration.__table__.c
    keys: list[Key] = [(columns.year, True), (columns.id, False)]
    if sort in DECLARATION_SORTS:
        sorted_by = {
            "agency": _Agency.pinyin_key,
            "reserve_fen": DeclarationVersion.reserve_fen,
            "filed_at": DeclarationVersion.filed_at,
        }
        keys.insert(0, (sorted_by[sort.removeprefix("-")], sort.startswith("-")))
    return paginate(session, statement, keys, limit=limit, after=after, shape=_view)


def count_declarations(session: Session, actor: Actor, year: int) -> dict[str, int]:
    """How many declarations of a year in the actor's scope are in each state; states without one are left out."""
    actor.require(Permission.DECLARATION_READ)
    statement = sa.select(Declaration.state, sa.func.count()).where(Declaration.year == year)
    scope = visible_agencies(actor)
    if scope is not None:
        statement = statement.where(Declaration.agency_id.in_(scope))
    return {state.value: number for state, number in session.execute(statement.group_by(Declaration.state))}


def agencies_to_declare(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """The agencies that the actor may file for, by pinyin: {id, name, canteen_mode, canteen_partner_id}."""
    actor.require(Permission.DECLARATION_FILE)
    statement = sa.select(
        Organisation.id, Organisation.name, Organisation.canteen_mode, Organisation.canteen_partner_id
    ).where(Organisation.kind == OrganisationKind.AGENCY, Organisation.disabled_at.is_(None))
    scope = visible_agencies(actor)
    if scope is not None:
        statement = statement.where(Organisation.id.in_(scope))
    return [dict(row._mapping) for row in session.execute(statement.order_by(Organisation.pinyin_key)).all()]


def filing_rules(session: Session, actor: Actor, agency_id: UUID, year: int) -> dict[str, Any]:
    """What a declaration of an agency and year must keep, with the sources of the rules.

    {minimum_bp, encouraged_bp, non_decreasing, base: {canteen, union}, deadline, prior_reserve_fen, sources:
    [{key, title, article, source, valid_from}]}. Raises NotFound outside the actor's scope and for a year without
    rules (`no-policy`).
    """
    actor.require(Permission.DECLARATION_READ)
    scope = visible_agencies(actor)
    agency = session.get(Organisation, agency_id)
    if agency is None or agency.kind is not OrganisationKind.AGENCY:
        raise NotFound
    if scope is not None and agency_id not in scope:
        raise NotFound
    begin = date(year, 1, 1)
    rows = policy_rows(session, FILING_KEYS, begin, agency.region_code)
    try:
        rows |= policy_rows(session, [DEADLINE_KEY], begin, agency.region_code)
        deadline = deadline_of(year, rows[DEADLINE_KEY].value)
    except NoPolicy:
        deadline = None
    share = share_policy(rows["reserve_share_bp"].value, rows["reserve_non_decreasing"].value)
    return {
        "minimum_bp": share.minimum_bp,
        "encouraged_bp": share.encouraged_bp,
        "non_decreasing": share.non_decreasing,
        "base": rows["reserve_base"].value,
        "deadline": deadline,
        "prior_reserve_fen": prior_reserve_fen(session, agency_id, year),
        "sources": [
            {name: getattr(row, name) for name in ("key", "title", "article", "source", "valid_from")}
            for row in (rows[key] for key in (*FILING_KEYS, DEADLINE_KEY) if key in rows)
        ],
    }


def period_closes(session: Session, year: int) -> dict[str, datetime]:
    """When each closed accounting month (YYYY-MM) of a year was closed."""
    rows = session.execute(
        sa.select(PeriodClose.period, PeriodClose.closed_at).where(PeriodClose.period.startswith(f"{year}-"))
    )
    return {row.period: row.closed_at for row in rows}


def missing_declarations(session: Session, actor: Actor, *, year: int) -> Sequence[dict[str, Any]]:
    """Agencies in scope that owe a declaration of `year` and have no approved one: {id, name, state}.

    Members of a shared canteen are covered by their representative and never listed. `state` is that of what
    they filed, None when they filed nothing.
    """
    actor.require(Permission.DECLARATION_READ)
    unit = units(visible_agencies(actor))
    rows = session.execute(
        sa.select(unit.c.id, unit.c.name, Declaration.state)
        .outerjoin(Declaration, sa.and_(Declaration.agency_id == unit.c.id, Declaration.year == year))
        .where(
            Declaration.approved_version.is_(None),
            sa.func.coalesce(unit.c.canteen_mode, "own") != "shared",
        )
        .order_by(unit.c.pinyin_key, unit.c.id)
    )
    return [{"id": row.id, "name": row.name, "state": row.state} for row in rows]


def prior_reserve_fen(session: Session, agency_id: UUID, year: int) -> int | None:
    """The approved reserve of the year before; None when there was none."""
    return session.scalar(
        sa.select(DeclarationVersion.reserve_fen)
        .join(
            Declaration,
            sa.and_(
                Declaration.id == DeclarationVersion.declaration_id,
                Declaration.approved_version == DeclarationVersion.number,
            ),
        )
        .where(Declaration.agency_id == agency_id, Declaration.year == year - 1)
    )

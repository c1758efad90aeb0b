"""Filing, reviewing and withdrawing declarations, and closing accounting months."""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from marketplace.accounts.models import CanteenMode, Organisation, OrganisationKind
from marketplace.actors import Actor, Permission
from marketplace.errors import Conflict, Forbidden, NotFound, PreconditionFailed, RuleViolation
from marketplace.policies.queries import policy_values, policy_version
from marketplace.quota import queries, rules
from marketplace.quota.models import Declaration, DeclarationVersion, PeriodClose
from marketplace.quota.projections import PERIODS_LOCK
from marketplace.quota.scope import visible_agencies
from marketplace.quota.states import DeclarationState, move
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

POLICY_KEYS = ("reserve_share_bp", "reserve_base", "reserve_non_decreasing")
_PERIODS = UUID("7d0f2c1e-6a0b-5c7d-9a49-3b6f4f2f5c11")
_PERIOD = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])", re.ASCII)
_LOCK_PERIODS = sa.text(f"select pg_advisory_xact_lock({PERIODS_LOCK})")


class OwnDeclaration(Forbidden):
    slug = "own-declaration"
    title = "不能审核自己单位或自己填报的预留份额"


class PeriodNotOver(RuleViolation):
    slug = "period-not-over"
    title = "这个月还没有结束，不能关账"


def file_declaration(
    actor: Actor,
    *,
    agency_id: UUID,
    year: int,
    canteen: str,
    base_fen: int,
    share_bp: int,
    represented_by: UUID | None = None,
    contractor_id: UUID | None = None,
    contact: str | None = None,
    remark: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """An agency, or the department above it, fills in its reserve of a year: a draft, or a new version of it.

    `base_fen` is the year's canteen purchases, `share_bp` the reserved part. An approved declaration stays in
    the figures until the new version is approved. Raises NotFound for an agency outside the actor's scope or a
    year without rules (`no-policy`), RuleViolation (`invalid`, with pointers), WrongState (`wrong-state`) while
    one is being reviewed.
    """
    with transaction(actor, Permission.DECLARATION_FILE, once) as tx:
        agency = _agency_in_scope(tx, agency_id)
        policy, version = _rules_of(tx, agency, year)
        filing = rules.Filing(
            canteen, base_fen, share_bp, represented_by is not None, contractor_id is not None
        )
        errors = rules.filing_errors(filing, policy)
        errors += _partner_errors(tx, agency_id, represented_by, contractor_id)
        if errors:
            raise RuleViolation(errors=errors)
        prior = queries.prior_reserve_fen(tx.session, agency_id, year) if policy.non_decreasing else None
        declaration = _declaration_for_filing(tx, agency_id, year)
        filed = DeclarationVersion(
            declaration_id=declaration.id,
            number=declaration.current_version,
            canteen=CanteenMode(canteen),
            base_fen=base_fen,
            share_bp=share_bp if canteen in ("own", "outsourced") else 0,
            reserve_fen=rules.reserve_fen(filing, policy, prior),
            represented_by_id=represented_by,
            contractor_id=contractor_id,
            contact=contact,
            remark=remark or _remark(tx, canteen, represented_by),
            policy_version=version,
            filed_by=actor.user_id,
            filed_at=tx.started_at,
        )
        tx.session.add(filed)
        tx.session.flush()
        _record(tx, "declaration.filed", declaration, filed)
        return tx.answer(queries.declaration_view(tx.session, actor, declaration.id))


def submit_declaration(
    actor: Actor, declaration_id: UUID, *, expected: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The draft goes to review. Raises NotFound, WrongState, PreconditionFailed."""
    return _decide(actor, Permission.DECLARATION_FILE, declaration_id, "submit", expected=expected, once=once)


def withdraw_declaration(
    actor: Actor, declaration_id: UUID, *, expected: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The agency takes a submitted declaration back. Raises NotFound, WrongState, PreconditionFailed."""
    return _decide(
        actor, Permission.DECLARATION_FILE, declaration_id, "withdraw", expected=expected, once=once
    )


def approve_declaration(
    actor: Actor, declaration_id: UUID, *, expected: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """The newest version becomes the reserve that figures use.

    Raises OwnDeclaration (`own-declaration`), NotFound, WrongState, PreconditionFailed.
    """
    return _decide(
        actor, Permission.DECLARATION_REVIEW, declaration_id, "approve", expected=expected, once=once
    )


def return_declaration(
    actor: Actor, declaration_id: UUID, *, reason: str, expected: int | None = None, once: Once = NO_ONCE
) -> Reply:
    """Back to the agency with a reason, to be filed again. Raises as `approve_declaration`."""
    return _decide(
        actor,
        Permission.DECLARATION_REVIEW,
        declaration_id,
        "return",
        reason=reason,
        expected=expected,
        once=once,
    )


def close_period(actor: Actor, period: str, *, once: Once = NO_ONCE) -> Reply:
    """An accounting month (YYYY-MM) is closed for good; what comes late stands in the next open one, marked.

    Raises PeriodNotOver (`period-not-over`) until an hour after the month has ended, Conflict (`already-closed`),
    RuleViolation (`invalid`) for a text that names no month.
    """
    with transaction(actor, Permission.PERIOD_CLOSE, once) as tx:
        if not _PERIOD.fullmatch(period):
            raise RuleViolation("月份要写成 2026-11 的样子")
        if not rules.period_is_over(period, tx.started_at):
            raise PeriodNotOver(period=period)
        # Who books into an earlier month holds this lock shared until it commits, so the order of the facts says
        # whether a month was closed before an entry was booked.
        tx.session.execute(_LOCK_PERIODS)
        added = tx.session.execute(
            insert(PeriodClose)
            .values(period=period, closed_at=tx.started_at, closed_by=actor.user_id)
            .on_conflict_do_nothing()
            .returning(PeriodClose.period)
        ).one_or_none()
        if added is None:
            raise Conflict("这个月已经关账", slug="already-closed", period=period)
        tx.record("period.closed", "period", uuid5(_PERIODS, period), period=period)
        return tx.answer({"period": period, "closed_at": tx.started_at})


def _agency_in_scope(tx: Transaction, agency_id: UUID) -> Organisation:
    scope = visible_agencies(tx.actor)
    agency = tx.session.get(Organisation, agency_id)
    if agency is None or agency.kind is not OrganisationKind.AGENCY:
        raise NotFound
    if scope is not None and agency_id not in scope:
        raise NotFound
    return agency


def _rules_of(tx: Transaction, agency: Organisation, year: int) -> tuple[rules.SharePolicy, str]:
    begin = date(year, 1, 1)
    values = policy_values(tx.session, POLICY_KEYS, begin, agency.region_code)
    version = policy_version(tx.session, POLICY_KEYS, begin, agency.region_code)
    return rules.share_policy(values["reserve_share_bp"], values["reserve_non_decreasing"]), version


def _partner_errors(
    tx: Transaction, agency_id: UUID, represented_by: UUID | None, contractor_id: UUID | None
) -> list[dict[str, str]]:
    """The representative is another agency, the contractor a contractor; both exist."""
    errors: list[dict[str, str]] = []
    if represented_by is not None:
        other = tx.session.get(Organisation, represented_by)
        if other is None or other.kind is not OrganisationKind.AGENCY or represented_by == agency_id:
            errors.append({"pointer": "#/represented_by", "detail": "要是另一家预算单位"})
    if contractor_id is not None:
        other = tx.session.get(Organisation, contractor_id)
        if other is None or other.kind is not OrganisationKind.CONTRACTOR:
            errors.append({"pointer": "#/contractor_id", "detail": "要是一家承包商"})
    return errors


def _declaration_for_filing(tx: Transaction, agency_id: UUID, year: int) -> Declaration:
    """The locked declaration, moved by `edit` to its next version; new at version 1."""
    fresh = tx.session.execute(
        insert(Declaration)
        .values(
            id=uuid7(),
            agency_id=agency_id,
            year=year,
            state=DeclarationState.DRAFT,
            current_version=1,
            version=1,
        )
        .on_conflict_do_nothing()
        .returning(Declaration.id)
    ).scalar_one_or_none()
    declaration = tx.session.scalars(
        sa.select(Declaration)
        .where(Declaration.agency_id == agency_id, Declaration.year == year)
        .with_for_update()
    ).one()
    if fresh is None:
        declaration.state = move(declaration.state, "edit")
        declaration.state_reason = None
        declaration.current_version += 1
        declaration.version += 1
    return declaration


def _remark(tx: Transaction, canteen: str, represented_by: UUID | None) -> str | None:
    """The words that the notices ask for where there is nothing to reserve (山西 FAQ)."""
    if canteen == "none":
        return "无食堂"
    if canteen == "shared" and represented_by is not None:
        return f"共用食堂，由{tx.session.get_one(Organisation, represented_by).name}填报"
    return None


def _decide(
    actor: Actor,
    permission: Permission,
    declaration_id: UUID,
    event: str,
    *,
    reason: str | None = None,
    expected: int | None,
    once: Once,
) -> Reply:
    with transaction(actor, permission, once) as tx:
        scope = visible_agencies(actor)
        statement = sa.select(Declaration).where(Declaration.id == declaration_id).with_for_update()
        if scope is not None:
            statement = statement.where(Declaration.agency_id.in_(scope))
        declaration = tx.session.scalars(statement).one_or_none()
        if declaration is None:
            raise NotFound
        if expected is not None and expected != declaration.version:
            raise PreconditionFailed(version=declaration.version)
        filed = tx.session.get_one(DeclarationVersion, (declaration_id, declaration.current_version))
        if permission is Permission.DECLARATION_REVIEW and (
            declaration.agency_id == actor.organisation_id
            or (actor.user_id is not None and filed.filed_by == actor.user_id)
        ):
            raise OwnDeclaration
        declaration.state = move(declaration.state, event)
        declaration.state_reason = reason
        declaration.version += 1
        if event == "approve":
            declaration.approved_version = declaration.current_version
        tx.session.flush()
        _record(tx, _FACTS[event], declaration, filed, **({"reason_given": True} if reason else {}))
        return tx.answer(queries.declaration_view(tx.session, actor, declaration_id))


_FACTS = {
    "submit": "declaration.submitted",
    "withdraw": "declaration.withdrawn",
    "approve": "declaration.approved",
    "return": "declaration.returned",
}


def _record(
    tx: Transaction, kind: str, declaration: Declaration, filed: DeclarationVersion, **extra: Any
) -> None:
    """One fact with every amount of the version; contact and remark are a person's words and stay out."""
    agency = tx.session.get_one(Organisation, declaration.agency_id)
    tx.record(
        kind,
        "declaration",
        declaration.id,
        parties=[declaration.agency_id, agency.parent_id, filed.represented_by_id],
        agency=str(declaration.agency_id),
        year=declaration.year,
        number=filed.number,
        canteen=filed.canteen.value,
        base_fen=filed.base_fen,
        share_bp=filed.share_bp,
        reserve_fen=filed.reserve_fen,
        represented_by=None if filed.represented_by_id is None else str(filed.represented_by_id),
        contractor=None if filed.contractor_id is None else str(filed.contractor_id),
        policy_version=filed.policy_version,
        **extra,
    )

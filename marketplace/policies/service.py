"""Setting rules: a new row or a new revision, never a change of an old one."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from marketplace.accounts.models import Region
from marketplace.accounts.regions import region_subject
from marketplace.accounts.service import insert_row
from marketplace.actors import Actor, Permission
from marketplace.errors import AlreadyThere, RuleViolation
from marketplace.policies import queries, rules
from marketplace.policies.models import CountyEligibility, Policy
from marketplace.unit_of_work import NO_ONCE, Once, Reply, transaction
from marketplace.values import uuid7

_LOCK_KEY = sa.text("select pg_advisory_xact_lock(hashtextextended(:key, 832))")


def set_policy(
    actor: Actor,
    *,
    key: str,
    value: Any,
    valid_from: date,
    valid_to: date | None = None,
    scope: str = "",
    title: str,
    article: str | None = None,
    source: str,
    once: Once = NO_ONCE,
) -> Reply:
    """A rule holds from a day on, everywhere or in a region; the same beginning again makes the next revision.

    What was placed before keeps its snapshot. Raises RuleViolation (`unknown-policy`, `policy-shape`, `invalid`
    for days in the wrong order, `unknown-reference` for an unknown region), Conflict (`already-there`) when
    exactly this holds already.
    """
    rules.check_value(key, value)
    if valid_to is not None and valid_to < valid_from:
        raise RuleViolation(errors=[{"pointer": "#/valid_to", "detail": "不能早于开始日"}])
    with transaction(actor, Permission.POLICY_MANAGE, once) as tx:
        if scope and tx.session.get(Region, scope) is None:
            raise RuleViolation("没有这个地区", slug="unknown-reference")
        tx.session.execute(_LOCK_KEY, {"key": f"policy:{key}:{scope}"})
        newest = tx.session.scalars(
            sa.select(Policy)
            .where(Policy.key == key, Policy.scope_code == scope, Policy.valid_from == valid_from)
            .order_by(Policy.revision.desc())
            .limit(1)
        ).one_or_none()
        if newest is not None and (newest.value, newest.valid_to, newest.source) == (value, valid_to, source):
            raise AlreadyThere
        row = Policy(
            id=uuid7(),
            key=key,
            value=value,
            valid_from=valid_from,
            valid_to=valid_to,
            scope_code=scope,
            revision=1 if newest is None else newest.revision + 1,
            title=title,
            article=article,
            source=source,
            recorded_at=tx.started_at,
        )
        insert_row(tx, row)
        tx.record(
            "policy.set",
            "policy",
            row.id,
            key=key,
            value=value,
            valid_from=valid_from.isoformat(),
            valid_to=None if valid_to is None else valid_to.isoformat(),
            scope=scope,
            revision=row.revision,
            source=source,
        )
        return tx.answer(queries.policy_view(row))


def set_eligibility(
    actor: Actor,
    *,
    county_code: str,
    from_year: int,
    to_year: int | None = None,
    source: str,
    once: Once = NO_ONCE,
) -> Reply:
    """A county's goods count from a budget year on (2000 to 2200), to `to_year` inclusive or without end.

    The same beginning again moves the end; lines placed before keep what they were. Raises RuleViolation
    (`invalid`, `unknown-reference`, `years-overlap`), Conflict (`already-there`).
    """
    if not 2000 <= from_year <= (to_year or 2200) <= 2200:
        raise RuleViolation("年度要在2000到2200之间，结束不早于开始")
    with transaction(actor, Permission.POLICY_MANAGE, once) as tx:
        tx.session.execute(_LOCK_KEY, {"key": f"eligibility:{county_code}"})
        known = tx.session.scalars(
            sa.select(CountyEligibility).where(CountyEligibility.county_code == county_code)
        ).all()
        row = next((r for r in known if r.from_year == from_year), None)
        for other in known:
            if (
                other is not row
                and other.from_year <= (to_year or 2200)
                and from_year <= (other.to_year or 2200)
            ):
                raise RuleViolation("与已有的年度重叠", slug="years-overlap")
        if row is None:
            insert_row(
                tx,
                CountyEligibility(
                    county_code=county_code, from_year=from_year, to_year=to_year, source=source
                ),
            )
        elif (row.to_year, row.source) == (to_year, source):
            raise AlreadyThere
        else:
            row.to_year, row.source = to_year, source
        tx.record(
            "eligibility.set",
            "region",
            region_subject(county_code),
            county=county_code,
            from_year=from_year,
            to_year=to_year,
        )
        return tx.answer({"county_code": county_code, "from_year": from_year, "to_year": to_year})

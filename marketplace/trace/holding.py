"""Lots go off sale: samples of the regulator and laboratories, holds and their end, stock that leaves otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import Region
from marketplace.accounts.regions import region_subject
from marketplace.accounts.service import insert_row
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, LotState, Product
from marketplace.catalog.stock import lock_stock_of_lots
from marketplace.clock import business_day
from marketplace.errors import RuleViolation, WrongState, refuse_fields
from marketplace.trace import queries, rules
from marketplace.trace.guards import NotReleasable, own_document
from marketplace.trace.models import HoldCause, Inspection, LotHold
from marketplace.trace.papers import lot_papers
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

LOT_CAMPAIGN = "批次抽检"


def inspect_lot(
    actor: Actor,
    lot_id: UUID,
    *,
    sampled_on: date,
    items: Sequence[dict[str, Any]],
    passed: bool,
    document_id: UUID | None = None,
    campaign: str | None = None,
    sample_number: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The regulator or a laboratory files a sample of the lot. A failed one takes the lot off sale at once, and with
    it every lot of the same plot and harvest day.

    `items`: {name, value, limit, unit} as they stand on the report. Raises NotFound (`not-found`), RuleViolation
    (`invalid`; `inspection-contradiction` for a passed sample with a value above its limit), Conflict
    (`already-there`) for a sample number that the campaign has.
    """
    with transaction(actor, Permission.INSPECTION_RECORD, once) as tx:
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        product = tx.session.get_one(Product, lot.product_id)
        sample = _add_sample(
            tx, actor, lot=lot, county_code=product.county_code, product_name=product.name, sampled_on=sampled_on,
            items=items, passed=passed, document_id=document_id, campaign=campaign or LOT_CAMPAIGN,
            sample_number=sample_number,
        )  # fmt: skip
        lot.version += 1
        tx.session.flush()
        tx.record("lot.inspected", "lot", lot.id, parties=[lot.seller_id], **_sample_fact(sample))
        if not passed:
            others = queries.siblings(tx.session, lot)
            held = tx.session.scalars(
                sa.select(Lot)
                .where(Lot.id.in_(others), Lot.state != LotState.RECALLED)
                .order_by(Lot.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            ).all()
            reason = "抽检不合格" if lot.state is not LotState.RECALLED else ""
            if reason:
                _hold(tx, lot, HoldCause.FAILED_SAMPLE, reason, actor, sample)
            for other in held:
                _hold(tx, other, HoldCause.FAILED_SAMPLE, "同一地块同一天采收的批次抽检不合格", actor, sample)
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def add_inspection(
    actor: Actor,
    *,
    county_code: str,
    product_name: str,
    sampled_on: date,
    items: Sequence[dict[str, Any]],
    passed: bool,
    campaign: str,
    sample_number: str | None = None,
    document_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A campaign's sample of a product of a county, of no lot here; it counts for the county's pass rate.

    Raises RuleViolation (`invalid`, `inspection-contradiction`), Conflict (`already-there`).
    """
    with transaction(actor, Permission.INSPECTION_RECORD, once) as tx:
        if tx.session.get(Region, county_code) is None:
            refuse_fields([("county_code", "没有这个县区")])
        sample = _add_sample(
            tx, actor, lot=None, county_code=county_code, product_name=product_name, sampled_on=sampled_on,
            items=items, passed=passed, document_id=document_id, campaign=campaign, sample_number=sample_number,
        )  # fmt: skip
        tx.record(
            "inspection.added",
            "region",
            region_subject(county_code),
            parties=[actor.organisation_id],
            county=county_code,
            product_name=product_name,
            **_sample_fact(sample),
        )
        return tx.answer({"id": sample.id, "campaign": campaign, "passed": passed})


def _add_sample(
    tx: Transaction,
    actor: Actor,
    *,
    lot: Lot | None,
    county_code: str,
    product_name: str,
    sampled_on: date,
    items: Sequence[dict[str, Any]],
    passed: bool,
    document_id: UUID | None,
    campaign: str,
    sample_number: str | None,
) -> Inspection:
    if sampled_on > business_day(tx.started_at):
        refuse_fields([("sampled_on", "抽样日还没有到")])
    if lot is not None and sampled_on < lot.harvested_on:
        refuse_fields([("sampled_on", "早于采收日，不是这一批的样品")])
    document = (
        None if document_id is None else own_document(tx.session, actor, document_id, actor.organisation_id)
    )
    if document_id is not None and document is None:
        refuse_fields([("document_id", "没有这个文件，请先上传")])
    told = [{name: str(value) for name, value in item.items() if value is not None} for item in items]
    above = rules.contradiction(told, passed)
    if above is not None:
        raise RuleViolation(f"{above}超过限量，不能写合格", slug="inspection-contradiction", item=above)
    number = uuid7()
    sample = Inspection(
        id=number,
        lot_id=None if lot is None else lot.id,
        county_code=county_code,
        product_name=product_name,
        campaign=campaign,
        sample_number=sample_number or str(number),
        sampled_on=sampled_on,
        items=told,
        passed=passed,
        document_id=document_id,
        recorded_by_id=actor.organisation_id,
        recorded_at=tx.started_at,
    )
    insert_row(tx, sample)
    return sample


def _sample_fact(sample: Inspection) -> dict[str, Any]:
    return {
        "inspection": str(sample.id),
        "sampled_on": sample.sampled_on.isoformat(),
        "items": sample.items,
        "passed": sample.passed,
        "document": None if sample.document_id is None else str(sample.document_id),
        "campaign": sample.campaign,
    }


def hold_lot(actor: Actor, lot_id: UUID, *, reason: str, once: Once = NO_ONCE) -> Reply:
    """The lot goes off sale at once; what is reserved stays reserved, and the fact names the orders.

    The seller holds its own lots, the regulator those of its region. Raises NotFound (`not-found`), WrongState
    (`wrong-state`) for a recalled lot or one that the same side holds already.
    """
    regulator = actor.can(Permission.LOT_HOLD)
    with transaction(actor, Permission.LOT_HOLD if regulator else Permission.LOT_EDIT, once) as tx:
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        cause = (
            HoldCause.REGULATOR if regulator and actor.organisation_id != lot.seller_id else HoldCause.SELLER
        )
        if lot.state is LotState.RECALLED:
            raise WrongState("这一批正在召回", state=lot.state.value)
        if any(hold.cause is cause for hold in queries.open_holds(tx.session, lot.id)):
            raise WrongState("这一批已经停售", state=lot.state.value)
        _hold(tx, lot, cause, reason, actor, None)
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def _hold(
    tx: Transaction, lot: Lot, cause: HoldCause, reason: str, actor: Actor, sample: Inspection | None
) -> None:
    """Building block: `lot` is locked. Its stock is locked too, so that no order is being allocated meanwhile."""
    stock = lock_stock_of_lots(tx.session, [lot.id])
    tx.session.add(
        LotHold(
            id=uuid7(),
            lot_id=lot.id,
            cause=cause,
            organisation_id=actor.organisation_id,
            inspection_id=None if sample is None else sample.id,
            reason=reason,
            held_at=tx.started_at,
        )
    )
    lot.state = LotState.HELD
    lot.hold_reason = reason
    lot.version += 1
    tx.session.flush()
    tx.record(
        "lot.held",
        "lot",
        lot.id,
        parties=[lot.seller_id, actor.organisation_id],
        state=lot.state.value,
        cause=cause.value,
        reason_given=True,
        reserved=sum(row.reserved for row in stock.values()),
        orders=queries.reserved_orders(tx.session, [lot.id]),
    )


def unhold_lot(actor: Actor, lot_id: UUID, *, reason: str | None = None, once: Once = NO_ONCE) -> Reply:
    """The holds that the actor may lift are lifted: the regulator all, the seller its own.

    A lot that was on sale goes back on sale once no hold is left, if nothing else stands against it; one that never
    was becomes a draft again. Raises NotFound (`not-found`), WrongState (`wrong-state`; `held-by-regulator` when the
    seller has none to lift), NotReleasable (`lot-not-releasable`).
    """
    regulator = actor.can(Permission.LOT_HOLD)
    with transaction(actor, Permission.LOT_HOLD if regulator else Permission.LOT_EDIT, once) as tx:
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        if lot.state is not LotState.HELD:
            raise WrongState("这一批没有停售", state=lot.state.value)
        holds = queries.open_holds(tx.session, lot.id)
        mine = [hold for hold in holds if queries.may_lift(actor, hold)]
        if holds and not mine:
            raise WrongState("停售由监管部门解除", slug="held-by-regulator", state=lot.state.value)
        for hold in mine:
            hold.lifted_at = tx.started_at
        left = [hold for hold in holds if hold not in mine]
        if left:
            lot.hold_reason = left[-1].reason
        else:
            _back_to_sale(tx, lot)
        lot.version += 1
        tx.session.flush()
        tx.record(
            "lot.unheld",
            "lot",
            lot.id,
            parties=[lot.seller_id, actor.organisation_id],
            state=lot.state.value,
            reason_given=reason is not None,
            orders=queries.reserved_orders(tx.session, [lot.id]),
        )
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def _back_to_sale(tx: Transaction, lot: Lot) -> None:
    lot.hold_reason = None
    if lot.released_at is None:
        lot.state = LotState.DRAFT
        return
    reasons = rules.blocking_reasons(lot_papers(tx.session, lot), business_day(tx.started_at))
    if reasons:
        raise NotReleasable("；".join(r["detail"] for r in reasons), reasons=reasons)
    lot.state = LotState.RELEASED

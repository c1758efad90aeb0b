"""The public story of a lot: what a trace code opens. No grower, no plot, no file, no free text of a user."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, Region, Township
from marketplace.catalog.models import Category, Lot, LotState, MovementKind, Product, Stock, StockMovement
from marketplace.clock import business_day, today
from marketplace.documents.models import Document
from marketplace.errors import NotFound
from marketplace.journal.models import Checkpoint, Fact, Seal
from marketplace.trace import codes, rules
from marketplace.trace.keyring import trace_keys
from marketplace.trace.models import Grower, HoldCause, Inspection, LotCertificate, LotHold, Origin, TraceScan
from marketplace.trace.papers import lot_papers
from marketplace.values import kilograms

# Never the code of a lot; read in its place, so that a forged code takes the same way as an unknown one.
_ABSENT = "-" * codes.LENGTH
# Fewer households are no figure but somebody's income.
FEWEST_HOUSEHOLDS = 3
RECALL_ADVICE = "这一批正在召回。请停止食用，封存余货，联系供应商或拨打12315。"


def story(session: Session, text: str) -> dict[str, Any]:
    """All that the public may know of the lot behind a code as it was typed.

    Raises NotFound (`not-found`), alike for unknown, forged and mistyped codes.
    """
    code = codes.parse_trace_code(text, trace_keys())
    row = session.execute(
        sa.select(Lot, Product, Category.name, Organisation, Region.name)
        .join(Product, Product.id == Lot.product_id)
        .join(Category, Category.code == Product.category_code)
        .join(Organisation, Organisation.id == Lot.seller_id)
        .join(Region, Region.code == Product.county_code)
        .where(Lot.trace_code == (code or _ABSENT))
    ).one_or_none()
    if row is None:
        raise NotFound("没有这个追溯码，请对照标签再输一遍")
    lot, product, category_name, seller, county_name = row
    grown = _origins(session, lot.id)
    papers = _certificates(session, lot)
    samples = _inspections(session, lot)
    holds = _holds(session, lot.id)
    return {
        "lot_id": lot.id,
        "trace_code": lot.trace_code,
        "trace_code_shown": codes.shown(lot.trace_code),
        "state": lot.state,
        "product": {
            "id": product.id,
            "name": product.name,
            "spec": product.spec,
            "category": {"code": product.category_code, "name": category_name},
            "pack": {"unit": product.pack_unit, "net_g": product.net_g},
            "storage": product.storage,
        },
        "seller": {"id": seller.id, "name": seller.name},
        "county": {"code": product.county_code, "name": county_name},
        "origins": grown,
        "households": _households(session, lot.id),
        "quantity": lot.quantity,
        "harvested_on": lot.harvested_on,
        "best_before": lot.best_before,
        "certificates": papers,
        "inspections": samples,
        "recall": {"advice": RECALL_ADVICE} if lot.state is LotState.RECALLED else None,
        "on_hold": _on_hold(lot, holds),
        "stock": _balance(session, lot),
        "events": _events(lot, product, papers, samples, holds),
        "scans": int(
            session.scalar(sa.select(sa.func.sum(TraceScan.count)).where(TraceScan.lot_id == lot.id)) or 0
        ),
        "proof": _proof(session, lot.id),
    }


def _origins(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    """Town and village, each once; the plots stay with those who may see them."""
    rows = session.execute(
        sa.select(Township.name, Origin.village)
        .join(Township, Township.code == Origin.township_code)
        .where(Origin.lot_id == lot_id)
        .order_by(Origin.position)
    )
    return [
        {"township": town, "village": village}
        for town, village in dict.fromkeys((row.name, row.village) for row in rows)
    ]


def _households(session: Session, lot_id: UUID) -> dict[str, Any] | None:
    """How many 脱贫户 the lot comes from and what they got; None below `FEWEST_HOUSEHOLDS`."""
    row = session.execute(
        sa.select(
            sa.func.count(Grower.id.distinct()).label("count"), sa.func.sum(Origin.paid_fen).label("paid")
        )
        .join(Origin, Origin.grower_id == Grower.id)
        .where(Origin.lot_id == lot_id, Grower.poverty_household)
    ).one()
    if row[0] < FEWEST_HOUSEHOLDS:
        return None
    return {"count": row[0], "paid_fen": int(row.paid or 0)}


def _certificates(session: Session, lot: Lot) -> list[dict[str, Any]]:
    """The papers that agree with the lot; one that does not is nothing to show."""
    rows = session.execute(
        sa.select(LotCertificate, Document.sha256)
        .join(Document, Document.id == LotCertificate.document_id)
        .where(LotCertificate.lot_id == lot.id)
        .order_by(LotCertificate.recorded_at, LotCertificate.id)
    ).all()
    if not rows:
        return []
    papers = lot_papers(session, lot)
    names = "kind number product_name holder_credit_code issued_on valid_until quantity"
    return [
        {name: getattr(paper, name) for name in names.split()}
        | {"name": rules.PROOF_NAMES[paper.kind.value], "sha256": sha256}
        for (paper, sha256), compared in zip(rows, papers.certificates, strict=True)
        if not rules.certificate_reasons(papers, compared, today())
    ]


def _inspections(session: Session, lot: Lot) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Inspection, Organisation.name, Document.sha256)
        .outerjoin(Organisation, Organisation.id == Inspection.recorded_by_id)
        .outerjoin(Document, Document.id == Inspection.document_id)
        .where(Inspection.lot_id == lot.id)
        .order_by(Inspection.sampled_on, Inspection.id)
    )
    return [
        {
            "sampled_on": sample.sampled_on,
            "passed": sample.passed,
            "items": sample.items,
            "campaign": sample.campaign,
            "recorded_by": by,
            "sha256": sha256,
        }
        for sample, by, sha256 in rows
    ]


def _holds(session: Session, lot_id: UUID) -> list[LotHold]:
    return list(
        session.scalars(
            sa.select(LotHold).where(LotHold.lot_id == lot_id).order_by(LotHold.held_at, LotHold.id)
        )
    )


def _on_hold(lot: Lot, holds: list[LotHold]) -> dict[str, Any] | None:
    """Who took the lot off sale; the typed reasons stay inside."""
    if lot.state is not LotState.HELD:
        return None
    causes = {hold.cause for hold in holds if hold.lifted_at is None}
    for cause in (HoldCause.FAILED_SAMPLE, HoldCause.REGULATOR):
        if cause in causes:
            return {"cause": cause.value}
    return {"cause": HoldCause.SELLER.value}


def _balance(session: Session, lot: Lot) -> dict[str, int]:
    """Packs that came in, went out by orders, otherwise, and are left: the first equals the sum of the others."""
    shipped, left, reserved = session.execute(
        sa.select(
            sa.func.coalesce(
                sa.func.sum(StockMovement.on_hand_delta).filter(
                    StockMovement.kind.in_([MovementKind.SHIPPED, MovementKind.RETURNED])
                ),
                0,
            ),
            sa.func.coalesce(sa.func.sum(StockMovement.on_hand_delta), 0),
            sa.func.coalesce(sa.func.sum(StockMovement.reserved_delta), 0),
        )
        .join(Stock, Stock.id == StockMovement.stock_id)
        .where(Stock.lot_id == lot.id)
    ).one()
    shipped, left, reserved = -int(shipped), int(left), int(reserved)
    return {
        "received": lot.quantity,
        "shipped": shipped,
        "reserved": reserved,
        "available": left - reserved,
        "other": lot.quantity - shipped - left,
    }


def _proof(session: Session, lot_id: UUID) -> dict[str, Any]:
    """Where the lot's first record stands in the sealed journal, and the newest signed tree that holds it."""
    row = session.execute(
        sa.select(Seal.seq, Seal.leaf_hash)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(Fact.subject_type == "lot", Fact.subject_id == lot_id, Fact.kind == "lot.added")
    ).one_or_none()
    if row is None:
        return {"sealed": False, "seq": None, "leaf_hash": None, "checkpoint": None}
    newest = session.execute(
        sa.select(Checkpoint.tree_size, Checkpoint.root, Checkpoint.made_at)
        .where(Checkpoint.tree_size >= row.seq)
        .order_by(Checkpoint.tree_size.desc())
        .limit(1)
    ).one_or_none()
    return {
        "sealed": True,
        "seq": row.seq,
        "leaf_hash": bytes(row.leaf_hash).hex(),
        "checkpoint": None
        if newest is None
        else {"tree_size": newest.tree_size, "root": bytes(newest.root).hex(), "made_at": newest.made_at},
    }


def _events(
    lot: Lot,
    product: Product,
    papers: list[dict[str, Any]],
    samples: list[dict[str, Any]],
    holds: list[LotHold],
) -> list[dict[str, Any]]:
    """What happened, oldest first. `said`: told by the seller alone; else recorded by the regulator or a laboratory."""
    events: list[tuple[date, int, dict[str, Any]]] = []

    def tell(day: date, rank: int, kind: str, said: bool, title: str, detail: str = "") -> None:
        events.append((day, rank, {"day": day, "kind": kind, "said": said, "title": title, "detail": detail}))

    amount = f"{lot.quantity:,}{product.pack_unit}，{kilograms(lot.quantity * product.net_g)}公斤"
    tell(lot.harvested_on, 0, "harvested", True, "采收", amount)
    for paper in papers:
        number = f"编号{paper['number']}" if paper["number"] else ""
        tell(paper["issued_on"], 1, "certified", True, f"开具{paper['name']}", number)
    for sample in samples:
        who = f"{sample['recorded_by']}：" if sample["recorded_by"] else ""
        what = f"{who}检测{len(sample['items'])}项"
        title = "抽检合格" if sample["passed"] else "抽检不合格"
        tell(sample["sampled_on"], 2, "inspected", False, title, what)
    if lot.released_at is not None:
        tell(business_day(lot.released_at), 3, "released", True, "上市销售", "平台核对证件和检测记录后放行")
    for hold in holds:
        said = hold.cause is HoldCause.SELLER
        tell(business_day(hold.held_at), 4, "held", said, "暂停销售", HOLD_TEXTS[hold.cause])
        if hold.lifted_at is not None:
            tell(business_day(hold.lifted_at), 5, "unheld", said, "解除停售")
    return [event for _, _, event in sorted(events, key=lambda e: (e[0], e[1]))]


HOLD_TEXTS = {
    HoldCause.SELLER: "供应商自己停售",
    HoldCause.REGULATOR: "监管部门停售",
    HoldCause.FAILED_SAMPLE: "抽检不合格",
}

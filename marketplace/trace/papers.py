"""What the release rules compare: a lot's papers and samples, read from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.catalog.models import Category, Lot, Product
from marketplace.clock import today
from marketplace.policies.queries import policy_values_at
from marketplace.trace import rules
from marketplace.trace.models import Inspection, LotCertificate


def lot_papers(session: Session, lot: Lot) -> rules.LotPapers:
    """All that the release rules compare, for one lot."""
    return papers_of(session, [lot])[lot.id]


def papers_of(session: Session, lots: Sequence[Lot]) -> dict[UUID, rules.LotPapers]:
    """The same for several lots, in a constant number of queries."""
    ids = [lot.id for lot in lots]
    goods = {
        row.Product.id: (row.Product, row.Category)
        for row in session.execute(
            sa.select(Product, Category)
            .join(Category, Category.code == Product.category_code)
            .where(Product.id.in_({lot.product_id for lot in lots}))
        )
    }
    organisations = {
        i for product, _ in goods.values() for i in (product.seller_id, product.agent_for_id) if i is not None
    }
    holders: dict[UUID, str | None] = {
        row.id: row.credit_code
        for row in session.execute(
            sa.select(Organisation.id, Organisation.credit_code).where(Organisation.id.in_(organisations))
        )
    }
    papers: dict[UUID, list[LotCertificate]] = {i: [] for i in ids}
    for paper in session.scalars(
        sa.select(LotCertificate)
        .where(LotCertificate.lot_id.in_(ids))
        .order_by(LotCertificate.recorded_at, LotCertificate.id)
    ):
        papers[paper.lot_id].append(paper)
    samples: dict[UUID, list[bool]] = {i: [] for i in ids}
    for lot_id, passed in session.execute(
        sa.select(Inspection.lot_id, Inspection.passed).where(Inspection.lot_id.in_(ids))
    ):
        if lot_id is not None:
            samples[lot_id].append(passed)
    uses = _uses(session, [paper for found in papers.values() for paper in found])
    covered = _covered(session, lots, [product for product, _ in goods.values()])
    days = _days_before_harvest(
        session, {(lot.harvested_on, goods[lot.product_id][0].county_code) for lot in lots}
    )
    told: dict[UUID, rules.LotPapers] = {}
    for lot in lots:
        product, category = goods[lot.product_id]
        told[lot.id] = rules.LotPapers(
            product_names=(product.name, product.family, f"{product.name} {product.spec}"),
            holders=tuple(
                holders[i] or "" for i in (product.seller_id, product.agent_for_id) if i is not None
            ),
            quantity=lot.quantity,
            harvested_on=lot.harvested_on,
            best_before=lot.best_before,
            proofs=tuple(category.proofs),
            sampling_required=category.sampling_required,
            certificates=tuple(_certificate(lot.id, paper, uses) for paper in papers[lot.id]),
            samples=tuple(samples[lot.id]),
            covered=lot.id in covered,
            days_before_harvest=days.get((lot.harvested_on, product.county_code), rules.DAYS_BEFORE_HARVEST),
        )
    return told


def _certificate(
    lot_id: UUID, paper: LotCertificate, uses: Mapping[tuple[str, str], Mapping[UUID, rules.Use]]
) -> rules.Certificate:
    known = uses.get((paper.kind.value, paper.number or ""), {})
    return rules.Certificate(
        kind=paper.kind.value,
        number=paper.number,
        product_name=paper.product_name,
        holder=paper.holder_credit_code,
        issued_on=paper.issued_on,
        valid_until=paper.valid_until,
        quantity=paper.quantity,
        used=tuple(use for other, use in known.items() if other != lot_id),
    )


def _uses(session: Session, papers: Sequence[LotCertificate]) -> dict[tuple[str, str], dict[UUID, rules.Use]]:
    """What each named paper says on every lot that names it; the newest of a lot counts."""
    named = sorted({(paper.kind, paper.number) for paper in papers if paper.number is not None})
    if not named:
        return {}
    rows = session.execute(
        sa.select(
            LotCertificate.lot_id,
            LotCertificate.kind,
            LotCertificate.number,
            LotCertificate.product_name,
            LotCertificate.holder_credit_code,
            Lot.quantity,
        )
        .join(Lot, Lot.id == LotCertificate.lot_id)
        .where(sa.tuple_(LotCertificate.kind, LotCertificate.number).in_(named))
        .ext(distinct_on(LotCertificate.lot_id, LotCertificate.kind, LotCertificate.number))
        .order_by(LotCertificate.lot_id, LotCertificate.kind, LotCertificate.number, LotCertificate.id.desc())
    )
    found: dict[tuple[str, str], dict[UUID, rules.Use]] = {}
    for row in rows:
        use = rules.Use(row.product_name, row.holder_credit_code, row.quantity)
        found.setdefault((row.kind.value, row.number or ""), {})[row.lot_id] = use
    return found


def _covered(session: Session, lots: Sequence[Lot], products: Sequence[Product]) -> set[UUID]:
    """The lots for which a passed sample of another lot of the product, or of its kind in its county, still speaks."""
    recent = sa.and_(Inspection.passed, Inspection.sampled_on >= today() - timedelta(days=rules.SAMPLE_DAYS))
    sampled: dict[UUID, set[UUID]] = {}
    for lot_id, product_id in session.execute(
        sa.select(Lot.id, Lot.product_id).where(
            Lot.product_id.in_([product.id for product in products]),
            sa.exists().where(Inspection.lot_id == Lot.id, recent),
        )
    ):
        sampled.setdefault(product_id, set()).add(lot_id)
    campaigns = {
        (row.county_code, row.product_name)
        for row in session.execute(
            sa.select(Inspection.county_code, Inspection.product_name)
            .where(
                Inspection.lot_id.is_(None),
                recent,
                Inspection.product_name.in_({n for p in products for n in (p.name, p.family)}),
            )
            .distinct()
        )
    }
    spoken_for = {p.id for p in products if {(p.county_code, p.name), (p.county_code, p.family)} & campaigns}
    return {
        lot.id
        for lot in lots
        if lot.product_id in spoken_for or sampled.get(lot.product_id, set()) - {lot.id}
    }


def _days_before_harvest(session: Session, wishes: set[tuple[date, str]]) -> dict[tuple[date, str], int]:
    """The certificate rule of the day and county where it sets them; else the default of the rules holds."""
    found = policy_values_at(session, "certificate_rule", wishes)
    days = {wish: rule.get("days_before_harvest") for wish, rule in found.items() if isinstance(rule, dict)}
    return {wish: number for wish, number in days.items() if isinstance(number, int)}

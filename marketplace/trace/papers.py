"""What the release rules compare: a lot's papers and samples, read from the tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.catalog.models import Category, Lot, Product
from marketplace.clock import today
from marketplace.policies.queries import NoPolicy, policy_value
from marketplace.trace import rules
from marketplace.trace.models import Inspection, LotCertificate


def lot_papers(session: Session, lot: Lot) -> rules.LotPapers:
    """All that the release rules compare, for one lot."""
    product, category = session.execute(
        sa.select(Product, Category)
        .join(Category, Category.code == Product.category_code)
        .where(Product.id == lot.product_id)
    ).one()
    organisations = [i for i in (product.seller_id, product.agent_for_id) if i is not None]
    holders = session.scalars(sa.select(Organisation.credit_code).where(Organisation.id.in_(organisations)))
    papers = session.scalars(
        sa.select(LotCertificate)
        .where(LotCertificate.lot_id == lot.id)
        .order_by(LotCertificate.recorded_at, LotCertificate.id)
    ).all()
    samples = session.scalars(sa.select(Inspection.passed).where(Inspection.lot_id == lot.id)).all()
    uses = _uses(session, lot.id, papers)
    return rules.LotPapers(
        product_names=(product.name, product.family, f"{product.name} {product.spec}"),
        holders=tuple(code or "" for code in holders),
        quantity=lot.quantity,
        harvested_on=lot.harvested_on,
        best_before=lot.best_before,
        proofs=tuple(category.proofs),
        sampling_required=category.sampling_required,
        certificates=tuple(
            rules.Certificate(
                kind=paper.kind.value,
                number=paper.number,
                product_name=paper.product_name,
                holder=paper.holder_credit_code,
                issued_on=paper.issued_on,
                valid_until=paper.valid_until,
                quantity=paper.quantity,
                used=tuple(uses.get((paper.kind.value, paper.number or ""), ())),
            )
            for paper in papers
        ),
        samples=tuple(samples),
        covered=_covered(session, lot, product),
        days_before_harvest=_days_before_harvest(session, lot, product.county_code),
    )


def _uses(
    session: Session, lot_id: UUID, papers: Iterable[LotCertificate]
) -> dict[tuple[str, str], list[rules.Use]]:
    named = sorted({(paper.kind, paper.number) for paper in papers if paper.number is not None})
    if not named:
        return {}
    rows = session.execute(
        sa.select(
            LotCertificate.kind,
            LotCertificate.number,
            LotCertificate.product_name,
            LotCertificate.holder_credit_code,
            Lot.quantity,
        )
        .join(Lot, Lot.id == LotCertificate.lot_id)
        .where(sa.tuple_(LotCertificate.kind, LotCertificate.number).in_(named), Lot.id != lot_id)
        .ext(distinct_on(LotCertificate.lot_id, LotCertificate.kind, LotCertificate.number))
        .order_by(LotCertificate.lot_id, LotCertificate.kind, LotCertificate.number, LotCertificate.id.desc())
    )
    found: dict[tuple[str, str], list[rules.Use]] = {}
    for row in rows:
        use = rules.Use(row.product_name, row.holder_credit_code, row.quantity)
        found.setdefault((row.kind.value, row.number), []).append(use)
    return found


def _covered(session: Session, lot: Lot, product: Product) -> bool:
    """Whether a passed sample of the product, or of its kind in its county, is recent enough to speak for the lot."""
    same_product = sa.select(Lot.id).where(Lot.product_id == product.id, Lot.id != lot.id)
    campaign = sa.and_(
        Inspection.lot_id.is_(None),
        Inspection.county_code == product.county_code,
        Inspection.product_name.in_([product.name, product.family]),
    )
    found = session.execute(
        sa.select(Inspection.id)
        .where(
            Inspection.passed,
            Inspection.sampled_on >= today() - timedelta(days=rules.SAMPLE_DAYS),
            sa.or_(Inspection.lot_id.in_(same_product), campaign),
        )
        .limit(1)
    ).first()
    return found is not None


def _days_before_harvest(session: Session, lot: Lot, county: str) -> int:
    """The certificate rule of the day may set it; else the default of the rules."""
    try:
        rule = policy_value(session, "certificate_rule", lot.harvested_on, county)
    except NoPolicy:
        return rules.DAYS_BEFORE_HARVEST
    days = rule.get("days_before_harvest") if isinstance(rule, dict) else None
    return days if isinstance(days, int) else rules.DAYS_BEFORE_HARVEST

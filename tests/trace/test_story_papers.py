"""The story judges a lot's papers from one statement of its own; the rules of release from several. They agree."""

from __future__ import annotations

import random
from datetime import date
from uuid import UUID

from marketplace.catalog.models import Lot
from marketplace.database import db
from marketplace.trace import rules
from marketplace.trace.models import CertificateKind, LotCertificate
from marketplace.trace.papers import papers_of
from marketplace.trace.story_rows import read_rows
from marketplace.values import uuid7
from tests.trace.world import CODE, NOON, OTHER_CODE, TODAY, World

NAMES = ("静宁苹果", "苹果", "庄浪苹果")
HOLDERS = (CODE, OTHER_CODE)


def _paper(draw: random.Random, world: World, lot_id: UUID) -> LotCertificate:
    return LotCertificate(
        id=uuid7(),
        lot_id=lot_id,
        kind=draw.choice(
            (CertificateKind.COMMITMENT, CertificateKind.SC_LICENCE, CertificateKind.QUARANTINE)
        ),
        number=draw.choice((None, "A-1", "A-2")),
        product_name=draw.choice(NAMES),
        holder_credit_code=draw.choice(HOLDERS),
        issued_on=date(2026, 10, draw.randrange(1, 28)),
        valid_until=None,
        quantity=draw.choice((None, 600, 1200, 5000)),
        document_id=world.document,
        recorded_at=NOON,
    )


def test_the_story_finds_in_papers_what_the_rules_of_release_find(world: World) -> None:
    draw = random.Random(20_261_124)
    lots = [world.lot(quantity=draw.choice((300, 600, 900))) for _ in range(5)]
    codes: dict[str, int] = {}
    for _ in range(12):
        session = db.session()
        for _ in range(2):
            session.add(_paper(draw, world, draw.choice(lots)["id"]))
        session.flush()
        found = papers_of(session, [session.get_one(Lot, lot["id"]) for lot in lots])
        for lot in lots:
            rows = read_rows(session, lot["trace_code"])
            assert rows is not None
            story, release = rows.papers(), found[lot["id"]]
            assert len(story.certificates) == len(release.certificates)
            for told, known in zip(story.certificates, release.certificates, strict=True):
                reasons = rules.certificate_reasons(story, told, TODAY)
                assert reasons == rules.certificate_reasons(release, known, TODAY)
                for reason in reasons:
                    codes[reason["code"]] = codes.get(reason["code"], 0) + 1
    session.rollback()

    assert {"certificate-number-holder", "certificate-number-product", "certificate-overused"} <= codes.keys()

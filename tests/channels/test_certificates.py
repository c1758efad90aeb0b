"""Files of certificates for a channel: those that came with its own order's goods, and no others."""

from __future__ import annotations

import psycopg
from flask import Flask

from tests.channels.partner import Program, order_body
from tests.channels.sent import sent_order


def test_the_certificate_of_a_sent_lot_is_read_by_its_channel_alone(
    fresh_app: Flask,
) -> None:
    program, other = Program(fresh_app), Program(fresh_app, "tianjin2.partner")
    paper = sent_order(fresh_app, program, "C-1")["orders"][0]["certificates"][0]
    item = next(i for i in program.items() if i["sku"] == "PL-0001")
    program.post("/orders", order_body("C-2", [item]), 201)
    address = f"/orders/C-1/certificates/{paper['document_id']}"

    answer = program.client.get(f"/partner/v1{address}", headers=program.headers)

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Cache-Control"] == "private, no-store"
    with psycopg.connect(fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        size, kind, strange = owner.execute(
            "select size, content_type, (select id from document where id not in"
            " (select document_id from lot_certificate) limit 1) from document where id = %s",
            [paper["document_id"]],
        ).fetchone() or (0, "", None)
    assert (len(answer.data), answer.mimetype) == (size, kind)
    other.get(address, 404)
    # Nothing of this lot was sent on the second order yet.
    program.get(f"/orders/C-2/certificates/{paper['document_id']}", 404)
    if strange is not None:
        program.get(f"/orders/C-1/certificates/{strange}", 404)

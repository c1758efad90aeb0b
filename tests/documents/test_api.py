"""Handing in and reading files over HTTP."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.database import db
from tests.accounts import making
from tests.accounts.test_api import bearer, slug
from tests.documents.files import PDF, png


@pytest.fixture(scope="module")
def site(empty_app: Flask) -> Flask:
    with empty_app.app_context():
        making.regions()
        making.user("coop.seller", making.organisation("COOP"))
        making.user("coop2.seller", making.organisation("COOP2"))
        making.user("market.regulator", making.organisation("SAMR", "office"), "market_regulator")
        db.session.remove()
    return empty_app


@pytest.fixture
def http(site: Flask) -> FlaskClient:
    return site.test_client()


def hand_in(http, headers, content: bytes = PDF, name: str = "合格证.pdf", **fields: str):
    data = {"kind": "certificate", **fields, "file": (io.BytesIO(content), name, "text/html")}
    return http.post("/api/v1/documents", data=data, headers=headers, content_type="multipart/form-data")


def test_a_file_is_handed_in_and_read_back_as_an_attachment(http):
    headers = bearer(http, "coop.seller")

    answer = hand_in(http, headers)

    assert answer.status_code == 201, answer.get_data(as_text=True)
    document = answer.get_json()
    assert (document["content_type"], document["size"]) == ("application/pdf", len(PDF))
    assert len(document["sha256"]) == 64
    shown = http.get(f"/api/v1/documents/{document['id']}", headers=headers)
    assert shown.get_json() == document
    content = http.get(f"/api/v1/documents/{document['id']}/content", headers=headers)
    assert content.data == PDF
    assert content.mimetype == "application/pdf"
    assert (
        content.headers["Content-Disposition"]
        == "attachment; filename*=UTF-8''%E5%90%88%E6%A0%BC%E8%AF%81.pdf"
    )
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in content.headers["Cache-Control"]


def test_what_the_client_says_about_the_type_does_not_count(http):
    document = hand_in(http, bearer(http, "coop.seller"), png(), "page.html", kind="photo").get_json()

    assert (document["content_type"], document["filename"]) == ("image/png", "page.png")


def test_a_page_is_refused(http):
    answer = hand_in(http, bearer(http, "coop.seller"), b"<html><script>alert(1)</script></html>")

    assert (answer.status_code, slug(answer)) == (422, "file-refused")


def test_another_organisation_finds_nothing_and_an_office_reads(http):
    document = hand_in(http, bearer(http, "coop.seller")).get_json()["id"]
    stranger, office = bearer(http, "coop2.seller"), bearer(http, "market.regulator")

    for path in (f"/api/v1/documents/{document}", f"/api/v1/documents/{document}/content"):
        assert http.get(path, headers=stranger).status_code == 404
        assert http.get(path, headers=office).status_code == 200
        assert http.get(path).status_code == 401


def test_a_repeat_with_the_same_key_gets_the_same_bytes(http):
    headers = {**bearer(http, "coop.seller"), "Idempotency-Key": "paper-1"}

    answers = [hand_in(http, headers) for _ in range(2)]

    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    other = hand_in(http, headers, png())
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("fields", [{"kind": "virus"}, {"more": "1"}])
def test_a_bad_form_is_refused(http, fields):
    assert hand_in(http, bearer(http, "coop.seller"), **fields).status_code == 422


def test_a_form_without_a_file_is_refused(http):
    answer = http.post(
        "/api/v1/documents",
        data={"kind": "photo"},
        headers=bearer(http, "coop.seller"),
        content_type="multipart/form-data",
    )

    assert answer.status_code == 422


def test_json_is_no_file(http):
    answer = http.post("/api/v1/documents", json={"kind": "photo"}, headers=bearer(http, "coop.seller"))

    assert answer.status_code == 415


def test_a_file_above_the_limit_is_refused_before_it_is_read(http):
    answer = hand_in(http, bearer(http, "coop.seller"), PDF[:9] + b"%" * 10_200_000 + PDF[9:])

    assert answer.status_code == 413

"""The journal, the rules and the recognition of products by page."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.database import db
from marketplace.desks.journal_views import flat
from marketplace.journal import queries
from marketplace.journal.checkpoints import make_key
from marketplace.journal.merkle import leaf_hash, node_hash
from marketplace.journal.sealing import Notary, seal_pending
from marketplace.web.words import WORDS
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import SignIn, Trader, Visitor

SIGNER, _ = make_key("localhost")


@dataclass(frozen=True)
class Sizes:
    """Two signed sizes of the journal, and one fact beyond them that is sealed but not signed."""

    old: int
    new: int

    @property
    def unsigned(self) -> int:
        return self.new + 1


@pytest.fixture(scope="module")
def sealed(app: Flask, sign_in: SignIn) -> Sizes:
    """The seeded journal, signed twice with a fact between, and a fact more."""
    trader = Trader(app, sign_in)
    notary = Notary(SIGNER)

    def more(day: str) -> None:
        rule = {"key": "confirm_hours", "value": 48, "valid_from": day, "title": "试验", "source": "试验"}
        trader.call("POST", "/policies", "county.office", rule, 201)
        seal_pending()

    with app.app_context():
        seal_pending()
        notary.make_checkpoint()
        more("2040-01-01")
        notary.make_checkpoint()
        more("2041-01-01")
        rows = queries.checkpoints(db.session())["items"]
        return Sizes(rows[1]["tree_size"], rows[0]["tree_size"])


@pytest.fixture(scope="module")
def office(app: Flask, sealed: Sizes) -> Visitor:
    return Visitor(app, "county.office")


def test_every_kind_of_fact_and_subject_has_a_word(app: Flask, owner: psycopg.Connection) -> None:
    kinds = {row[0] for row in owner.execute("select distinct kind from fact")}
    assert kinds <= set(WORDS["fact_kind"])
    assert {row[0] for row in owner.execute("select distinct subject_type from fact")} <= set(
        WORDS["fact_subject"]
    )
    assert {row[0] for row in owner.execute("select distinct door from fact")} <= set(WORDS["door"])


def test_every_kind_that_the_page_of_facts_names_has_a_word() -> None:
    told = Path(__file__).resolve().parents[2].joinpath("docs", "facts.md").read_text("utf-8")
    table = told.split("| Kind |", 1)[1]
    kinds = {k for line in table.splitlines() for k in re.findall(r"`([a-z_]+\.[a-z_]+)`", line.split("|")[1])
             if line.startswith("| `")}  # fmt: skip
    assert len(kinds) > 60
    assert kinds - set(WORDS["fact_kind"]) == set()


def test_the_journal_shows_the_newest_first_and_pages_downwards(office: Visitor, sealed: Sizes) -> None:
    text = office.get("/journal")
    assert f"/journal/{sealed.unsigned}" in text
    following = re.search(r'href="(/journal\?before=\d+)" rel="next"', text)
    assert following is not None
    assert f'/journal/{sealed.unsigned}"' not in office.get(following[1])


def test_the_journal_is_filtered_by_kind_and_subject(office: Visitor) -> None:
    text = office.get("/journal?kind=policy.set").split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    assert "设定规则" in text
    assert "登记地区" not in text
    subject = re.search(r"subject_type=policy&amp;subject_id=([0-9a-f-]{36})", text)
    assert subject is not None
    one = office.get(f"/journal?subject_type=policy&subject_id={subject[1]}")
    assert one.count("<tr>") == 2
    assert office.client.get("/journal?kind=made.up").status_code == 422


def test_a_fact_is_checked_by_hand_from_its_text_to_the_signed_root(office: Visitor, sealed: Sizes) -> None:
    for seq in (1, 5, sealed.new):
        proof = json.loads(office.get(f"/journal/{seq}?format=json"))
        assert proof["leaf_hash"] == leaf_hash(seq, proof["text"]).hex()
        own = hashlib.sha256(b"\x00" + seq.to_bytes(8, "big") + proof["text"].encode()).hexdigest()
        assert own == proof["leaf_hash"]
        text = office.get(f"/journal/{seq}")
        assert proof["leaf_hash"] in text
        assert proof["root"] in text
        steps = re.findall(r"<td>(左|右)</td><td class=\"code\">([0-9a-f ]+)</td>", text)
        current = bytes.fromhex(proof["leaf_hash"])
        for side, sibling in steps:
            other = bytes.fromhex(sibling.replace(" ", ""))
            current = node_hash(other, current) if side == "左" else node_hash(current, other)
        assert current.hex() == proof["root"]


def test_a_fact_beyond_the_last_signature_waits_for_it(office: Visitor, sealed: Sizes) -> None:
    first = office.get(f"/journal/{sealed.unsigned}")
    assert "已封存，等签名" in first
    assert "自己核验" not in first
    assert "已封存，等签名" in office.get(f"/journal/{sealed.new}?size={sealed.old}")
    assert office.client.get("/journal/999999").status_code == 404
    assert office.client.get("/journal/1?size=7").status_code == 404


def test_two_checkpoints_are_proved_to_continue_each_other(office: Visitor, sealed: Sizes) -> None:
    text = office.get("/journal?list=checkpoints")
    link = re.search(rf'href="(/journal\?list=checkpoints&amp;old={sealed.old}&amp;new={sealed.new})"', text)
    assert link is not None
    assert "只加没改" in office.get(link[1].replace("&amp;", "&"))
    assert "没有这两个检查点" in office.get(f"/journal?list=checkpoints&old={sealed.new}&new={sealed.old}")
    rows = sheet_rows(office.client.get("/journal?list=checkpoints&format=xlsx").data)
    assert rows[0] == ["签名的检查点"]
    assert len(rows[-1][2]) == 64


def test_a_seller_reads_only_what_concerns_it(app: Flask, sealed: Sizes, owner: psycopg.Connection) -> None:
    seller = Visitor(app, "coop.seller")
    foreign = owner.execute(
        "select s.seq from seal s join fact f on f.id = s.fact_id join organisation o on o.id = any(f.parties)"
        " where o.code = 'ORG-COOP-02' and cardinality(f.parties) = 1 limit 1"
    ).fetchone()
    assert foreign is not None
    seller.get(f"/journal/{foreign[0]}", 404)
    seller.get("/journal")
    rows = sheet_rows(seller.client.get("/journal?format=xlsx").data)
    assert str(foreign[0]) not in [row[0] for row in rows]


def test_values_of_a_fact_stand_with_their_paths() -> None:
    assert flat({"a": {"b": [1, "x"]}, "c": None}) == [("a.b[0]", "1"), ("a.b[1]", "x"), ("c", "null")]


def test_the_rules_are_open_to_everybody_with_their_sources(app: Flask) -> None:
    text = Visitor(app).get("/policies")
    assert "public page" not in text
    assert "estimate" not in text
    assert "平台暂定，尚无文件明确" in text
    assert "财库〔2021〕19号" in text
    assert "不低于10.00%，鼓励到15.00%" in text
    assert "加一个值" not in text
    rows = sheet_rows(Visitor(app).client.get("/policies?format=xlsx").data)
    assert rows[0] == ["政策规则"]


@pytest.mark.parametrize(
    ("key", "typed", "wanted"),
    [
        ("reserve_share_bp", {"v_minimum_bp": "12", "v_encouraged_bp": ""}, {"minimum": 1200}),
        ("reserve_base", {"v_canteen": "on"}, {"canteen": True, "union": False}),
        ("counted_states", {"v_accepted": "on", "v_paid": "on"}, ["accepted", "paid"]),
        ("declaration_deadline", {"v_month": "3", "v_day": "31"}, {"month": 3, "day": 31}),
        ("invoice_before_payment", {"v_flag": "on"}, True),
        ("hold_hours", {"v_number": "48"}, 48),
        ("inspectors_required", {"v_default": "1", "v_school": "3"}, {"default": 1, "school": 3}),
        ("certificate_rule", {"v_json": '{"document":"合格证","required_of":[],"keep_months":6}'},
         {"document": "合格证", "required_of": [], "keep_months": 6}),
    ],
)  # fmt: skip
def test_the_office_adds_a_dated_value_by_fields(
    office: Visitor, owner: psycopg.Connection, key: str, typed: dict[str, str], wanted: Any
) -> None:
    office.get(f"/policies/new?key={key}")
    body = {"valid_from": "2030-01-01", "valid_to": "", "scope": "", "title": "试验", "source": "试验文件",
            "article": "", "_once": hashlib.md5(key.encode()).hexdigest()}  # fmt: skip
    for _ in range(2):
        assert office.post(f"/policies/new?key={key}", **body, **typed).headers["Location"] == "/policies"
    rows = owner.execute(
        "select value from policy where key = %s and valid_from = '2030-01-01'", [key]
    ).fetchall()
    assert rows == [(wanted,)]
    assert "还没到" in office.get("/policies")


def test_a_value_of_the_wrong_shape_is_refused_and_kept_on_the_form(
    office: Visitor, owner: psycopg.Connection
) -> None:
    before = owner.execute("select count(*) from policy").fetchone()
    text = office.post(
        "/policies/new?key=payment_due_days", 422, v_days="90", v_maximum="60", valid_from="2031-01-01",
        title="试验", source="保留这段",
    ).get_data(as_text=True)  # fmt: skip
    assert "默认天数不能超过最长天数" in text
    assert "保留这段" in text
    office.post(
        "/policies/new?key=certificate_rule", 422, v_json="{", valid_from="2031-01-01", title="x", source="y"
    )
    assert owner.execute("select count(*) from policy").fetchone() == before


def test_a_county_gets_its_years(office: Visitor, owner: psycopg.Connection) -> None:
    office.get("/policies/counties")
    office.post(
        "/policies/counties", county_code="620881", from_year="2031", to_year="2032", source="试验文件"
    )
    assert owner.execute(
        "select from_year, to_year from county_eligibility where county_code = '620881'"
    ).fetchall() == [(2031, 2032)]
    refused = office.post("/policies/counties", 422, county_code="", from_year="x", source="")
    assert "要改" in refused.get_data(as_text=True)


def test_only_the_poverty_office_sets_rules(app: Flask) -> None:
    for user in ("canteen.manager", "platform.admin", "finance.reviewer"):
        Visitor(app, user).get("/policies/new", 403)
        Visitor(app, user).get("/policies/counties", 403)


@pytest.fixture
def waiting(app: Flask, sign_in: SignIn) -> str:
    """A product of the cooperative that was recognised, taken off, changed, and handed in again."""
    trader = Trader(app, sign_in)
    own = trader.call("GET", "/my/products?limit=100", "coop.seller")["items"]
    product = next(row for row in own if row["state"] == "recognised")
    path = f"/products/{product['id']}"
    trader.call("POST", f"{path}/withdraw", "coop.seller", {"reason": "改规格"})
    trader.call("PATCH", path, "coop.seller", {"description": "换了新介绍", "price_ladder": [
        {"min_quantity": product["min_order_quantity"], "price_fen": product["price_fen"] + 100}]})  # fmt: skip
    trader.call("POST", f"{path}/submit", "coop.seller")
    return str(product["id"])


def test_a_product_is_compared_with_what_was_recognised_then_refused_and_recognised(
    app: Flask, office: Visitor, waiting: str, sign_in: SignIn
) -> None:
    assert f"/office/products/{waiting}/recognise" in office.get("/office/products")
    text = office.get(f"/office/products/{waiting}/recognise")
    assert "改了1项" in text
    assert 'class="was"' in text
    refused = office.post(f"/office/products/{waiting}/refuse", 422, _once="6" * 32, reason="")
    assert "退回给供应商" in refused.get_data(as_text=True)
    office.post(f"/office/products/{waiting}/refuse", _once="7" * 32, reason="价格要说明")
    trader = Trader(app, sign_in)
    assert trader.call("GET", f"/my/products/{waiting}", "coop.seller")["state_reason"] == "价格要说明"
    late = office.post(f"/office/products/{waiting}/recognise", 409, _once="8" * 32).get_data(as_text=True)
    assert "现在的状态不能这样做" in late
    trader.call("POST", f"/products/{waiting}/submit", "coop.seller")
    office.post(f"/office/products/{waiting}/recognise", _once="9" * 32)
    assert trader.call("GET", f"/my/products/{waiting}", "coop.seller")["state"] == "recognised"
    rows = sheet_rows(office.client.get("/office/products?state=recognised&format=xlsx").data)
    assert rows[0] == ["产品认定"]


def test_nobody_else_recognises(app: Flask) -> None:
    for user in ("coop.seller", "canteen.manager", "market.regulator"):
        Visitor(app, user).get("/office/products", 403)

"""Who is told what, from the sealed journal: in order, once, to those whose turn it is; by page, mail and webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from flask.testing import FlaskClient

from marketplace.accounts.service import add_organisation, add_user
from marketplace.actors import Door, Permission, system
from marketplace.clock import today
from marketplace.journal.sealing import Sealer
from marketplace.notices import jobs, sending
from marketplace.notices.following import follow
from marketplace.notices.rules import STEPS, Close, Raise, holds
from marketplace.notices.texts import TEXTS
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.conftest import PASSWORD
from tests.serving import free_port
from tests.story import Teller

ORIGIN = {"Origin": "http://localhost"}
SignIn = Callable[[str], dict[str, str]]
SECRET = "0123456789abcdef0123456789abcdef"


def catch_up(app: Flask, *, webhook: bool = False) -> None:
    with app.app_context():
        Sealer().seal_pending()
        while follow(webhook=webhook):
            pass


def as_user(app: Flask, username: str) -> FlaskClient:
    client = app.test_client()
    assert (
        client.post("/sign-in", data={"username": username, "password": PASSWORD}, headers=ORIGIN).status_code
        == 303
    )
    return client


def inbox(app: Flask, username: str, group: str = "open") -> str:
    answer = as_user(app, username).get(f"/notices?group={group}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_every_step_that_waits_has_words_and_every_wait_is_ended_by_something() -> None:
    raised = {step.topic: step for steps in STEPS.values() for step in steps if isinstance(step, Raise)}
    closed = {step.topic for steps in STEPS.values() for step in steps if isinstance(step, Close)}
    assert set(raised) == set(TEXTS)
    assert {topic for topic, step in raised.items() if not step.news} == closed
    for steps in STEPS.values():
        for step in steps:
            assert holds(step.when, {}) in (True, False)


def test_each_side_is_told_when_its_turn_comes_and_no_longer(fresh_app: Flask) -> None:
    app = fresh_app
    tokens: dict[str, dict[str, str]] = {}

    def sign_in(user: str) -> dict[str, str]:
        if user not in tokens:
            answer = app.test_client().post("/api/v1/tokens", json={"username": user, "password": PASSWORD})
            tokens[user] = {"Authorization": f"Bearer {answer.get_json()['token']}"}
        return tokens[user]

    teller = Teller(app, sign_in)
    catch_up(app)
    story = teller.play("submitted")
    number = story.purchase["number"]
    assert number not in inbox(app, "canteen.manager"), "nothing is told before it is sealed"
    catch_up(app)
    assert f"采购单{number}" in inbox(app, "canteen.manager")
    assert f"采购单{number}" not in inbox(app, "canteen.buyer")
    assert f"采购单{number}" not in inbox(app, "canteen2.manager")
    assert number not in inbox(app, "coop.seller"), (
        "a seller knows nothing of a purchase that awaits approval"
    )

    teller._approve(story)
    catch_up(app)
    assert f"采购单{number}（" not in inbox(app, "canteen.manager")
    assert f"采购单{number}（" in inbox(app, "canteen.manager", "done")
    assert "已批准" in inbox(app, "canteen.buyer")
    assert f"新订单{number}-1" in inbox(app, "coop.seller")
    assert f"新订单{number}-1" not in inbox(app, "coop2.seller")

    teller._confirm(story)
    teller._ship(story)
    catch_up(app)
    seller = inbox(app, "coop.seller")
    assert "新订单" not in seller
    assert "待发货" not in seller
    assert "到货后请验收" in inbox(app, "canteen.buyer")

    teller._accept(story, 1)
    catch_up(app)
    seller = inbox(app, "coop.seller")
    assert "请开发票" in seller
    assert "有拒收的货" in seller
    teller._invoice(story)
    teller._check(story)
    teller._declare(story)
    catch_up(app)
    assert "请开发票" not in inbox(app, "coop.seller")
    assert "请确认到账" in inbox(app, "coop.seller")
    teller._pay(story)
    catch_up(app)
    assert "请评价" in inbox(app, "canteen.buyer")


def test_a_slip_without_its_file_and_a_silent_seller_are_told_to_those_whose_turn_it_becomes(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    teller = Teller(app, sign_in)
    story = teller.play("checked")
    paid = teller.ask(
        "POST",
        "/payments",
        "canteen.buyer",
        {"method": "transfer", "orders": [{"order_id": story.order_id}]},
    )
    slip = {"amount_fen": paid["amount_fen"], "paid_on": today().isoformat(), "bank_reference": "N0001",
            "payer_name": "平凉市财政局国库支付中心"}  # fmt: skip
    given = teller.ask("POST", f"/payments/{paid['id']}/slips", "canteen.buyer", slip)
    catch_up(app, webhook=True)

    assert f"付款单{paid['number']}还缺凭证文件" in inbox(app, "canteen.buyer")
    assert paid["number"] not in inbox(app, "county.office"), "the seller has ten working days"
    (silent, due_at), (waits,) = (
        one(owner, sql, paid["id"])
        for sql in (
            "select id, due_at from notice where topic = 'decide_silent' and subject_id = %s",
            "select scheduled_at from procrastinate_jobs where args->>'sending_id' ="
            " (select s.id::text from notice_sending s join notice n on n.id = s.notice_id"
            " where n.topic = 'decide_silent' and n.subject_id = %s and s.channel = 'webhook')",
        )
    )
    assert waits == due_at

    teller.ask(
        "POST",
        f"/payments/{paid['id']}/slips/{given['slips'][0]['id']}/document",
        "canteen.buyer",
        {"document_id": teller.file("canteen.buyer", "slip")},
    )
    owner.execute("update notice set due_at = made_at where id = %s", [silent])
    catch_up(app)
    assert "还缺凭证文件" not in inbox(app, "canteen.buyer")
    assert f"付款单{paid['number']}" in inbox(app, "county.office")
    teller.ask("POST", f"/payments/{paid['id']}/confirm", "coop.seller")
    catch_up(app)
    assert paid["number"] not in inbox(app, "county.office")


def test_an_office_of_a_county_is_told_of_its_own_county_by_page_and_mail(fresh_app: Flask) -> None:
    app, url = fresh_app, fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    catch_up(app)
    with psycopg.connect(url, autocommit=True) as owner, app.app_context():
        seller, here = one(
            owner,
            "select o.id, o.region_code from organisation o join app_user u on u.organisation_id = o.id"
            " where username = %s",
            "coop.seller",
        )
        offices = {"here": here, "there": "620821" if here != "620821" else "620822", "city": "620800"}
        for name, region in offices.items():
            office = add_organisation(
                system(Door.CLI), code=f"ORG-OF-{name.upper()}", name=f"{name}办公室", kind="office",
                subkind="poverty", region_code=region,
            ).result["id"]  # fmt: skip
            person = add_user(
                system(Door.CLI), username=f"{name}.poverty", name="办事员", password=PASSWORD, organisation_id=office,
                role="poverty_office",
            ).result["id"]  # fmt: skip
            owner.execute(
                "insert into notice_address (user_id, email, set_at) values (%s, %s, now())",
                [person, f"{name}@example.cn"],
            )
        owner.execute("update app_user set password_initial = false")
        with transaction(system(), Permission.SYSTEM) as tx:
            tx.record("product.submitted", "product", uuid7(), parties=[seller], state="submitted")
        catch_up(app)
        mailed = owner.execute(
            "select u.username from notice_sending s join app_user u on u.id = s.user_id order by 1"
        ).fetchall()
        told = owner.execute("select id from notice order by id desc limit 1").fetchone()

    assert told is not None
    assert mailed == [("city.poverty",), ("here.poverty",)]
    assert {name: f"/notices/{told[0]}" in inbox(app, f"{name}.poverty") for name in offices} == {
        "here": True, "there": False, "city": True,
    }  # fmt: skip


def one(owner: psycopg.Connection, sql: str, value: Any) -> Any:
    row = owner.execute(sql, [value]).fetchone()
    assert row is not None
    return row


def test_facts_that_were_followed_are_not_told_again(app: Flask, owner: psycopg.Connection) -> None:
    catch_up(app)
    before = owner.execute("select count(*), max(id) from notice").fetchone()
    catch_up(app)
    assert owner.execute("select count(*), max(id) from notice").fetchone() == before


def test_two_followers_at_once_tell_everything_once(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    teller = Teller(app, sign_in)
    numbers = [teller.play("submitted").purchase["number"] for _ in range(5)]
    with app.app_context():
        Sealer().seal_pending()
    threads = [threading.Thread(target=_follow_all, args=(app,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    catch_up(app)
    for number in numbers:
        told = owner.execute(
            "select count(*) from notice where topic = 'approve' and facts->>'number' = %s", (number,)
        ).fetchone()
        assert told == (1,)


def test_facts_that_are_told_together_leave_what_one_after_the_other_leaves(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    teller = Teller(app, sign_in)
    story = teller.play("checked")
    for _ in range(2):
        # A wait ends, and begins anew, within one batch.
        payment = teller.ask(
            "POST",
            "/payments",
            "canteen.buyer",
            {"method": "transfer", "orders": [{"order_id": story.order_id}]},
        )
        teller.ask("POST", f"/payments/{payment['id']}/cancel", "canteen.buyer")
    catch_up(app)

    def told_anew(most: int) -> list[Any]:
        owner.execute(
            "delete from notice_read; delete from notice_sending; delete from notice; delete from notice_cursor"
        )
        with app.app_context():
            while follow(webhook=True, most=most):
                pass
        rows = owner.execute(
            "select n.seq, n.topic, n.subject_id, n.organisation_id, n.permission, n.news, n.facts, n.due_at,"
            " n.done_at is null, (select count(*) from notice_sending s where s.notice_id = n.id)"
            " from notice n order by n.id"
        )
        return rows.fetchall()

    one_by_one, together = told_anew(1), told_anew(200)
    waits = [row for row in one_by_one if row[1] == "pay" and str(row[2]) == story.order_id]
    assert [row[8] for row in waits] == [False, False, True]
    assert together == one_by_one


def _follow_all(app: Flask) -> None:
    with app.app_context():
        while follow():
            pass


def test_reading_is_personal_and_the_badge_counts_what_is_unread(app: Flask, sign_in: SignIn) -> None:
    Teller(app, sign_in).play("submitted")
    catch_up(app)
    client = as_user(app, "canteen.manager")
    assert 'class="badge"' in client.get("/notices").get_data(as_text=True)
    assert client.post("/notices/read", headers=ORIGIN).status_code == 303
    page = client.get("/notices").get_data(as_text=True)
    assert 'class="badge"' not in page
    assert "等你办" in page, "a wait that was read is still a wait"


def test_a_notice_leads_nobody_else_anywhere(app: Flask, sign_in: SignIn, owner: psycopg.Connection) -> None:
    Teller(app, sign_in).play("submitted")
    catch_up(app)
    (notice_id,) = owner.execute("select max(id) from notice where topic = 'approve'").fetchone() or (0,)
    assert as_user(app, "canteen.manager").get(f"/notices/{notice_id}").status_code == 303
    assert as_user(app, "canteen2.manager").get(f"/notices/{notice_id}").status_code == 404


@pytest.mark.parametrize(
    "email", ["no address", "a@b", "x" * 255 + "@example.com", "a@example.com\nBcc: x@example.com"]
)
def test_what_is_no_address_is_refused_and_kept_in_the_form(app: Flask, email: str) -> None:
    answer = as_user(app, "coop2.seller").post("/notices/settings", data={"email": email}, headers=ORIGIN)
    assert answer.status_code == 422
    assert "不像一个邮箱地址" in answer.get_data(as_text=True)


class Inbox:
    """A mail server that keeps what it was given."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@pytest.fixture
def mail_server() -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    yield inbox, port
    controller.stop()


def sendings(owner: psycopg.Connection, channel: str) -> list[str]:
    rows = owner.execute(
        "select id::text from notice_sending where channel = %s and sent_at is null order by made_at",
        (channel,),
    ).fetchall()
    return [row[0] for row in rows]


def test_a_wait_is_mailed_once_to_those_who_left_an_address(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection, mail_server: tuple[Inbox, int]
) -> None:
    mailbox, port = mail_server
    client = as_user(app, "canteen.manager")
    assert (
        client.post("/notices/settings", data={"email": "m@example.com"}, headers=ORIGIN).status_code == 303
    )
    story = Teller(app, sign_in).play("submitted")
    catch_up(app)
    waiting = sendings(owner, "email")
    assert len(waiting) == 1
    assert owner.execute(
        "select count(*) from procrastinate_jobs where task_name = 'notices.send' and args->>'sending_id' = %s",
        (waiting[0],),
    ).fetchone() == (1,)
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(
        before, smtp_host="127.0.0.1", smtp_port=port, smtp_from="notice@example.org"
    )
    try:
        with app.app_context():
            jobs.send(waiting[0])
            jobs.send(waiting[0])
    finally:
        app.config["SETTINGS"] = before
    assert len(mailbox.mails) == 1
    to, mail = mailbox.mails[0]
    assert to == ["m@example.com"]
    assert story.purchase["number"] in mail["Subject"]
    assert "/notices/" in mail.get_content()
    assert "m@example.com" not in str(
        owner.execute("select body from fact where kind = 'notice.address_set'").fetchall()
    )


def test_a_mail_server_that_is_away_leaves_the_message_to_be_tried_again(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    as_user(app, "canteen.manager").post("/notices/settings", data={"email": "m@example.com"}, headers=ORIGIN)
    Teller(app, sign_in).play("submitted")
    catch_up(app)
    (waiting, *_) = sendings(owner, "email")
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(before, smtp_host="127.0.0.1", smtp_port=1)
    try:
        with app.app_context(), pytest.raises(sending.NotSent):
            jobs.send(waiting)
    finally:
        app.config["SETTINGS"] = before
    assert waiting in sendings(owner, "email")


def test_the_webhook_gets_a_signed_text_without_persons(
    app: Flask, sign_in: SignIn, owner: psycopg.Connection
) -> None:
    taken: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Teller(app, sign_in).play("submitted")
    catch_up(app, webhook=True)
    waiting = sendings(owner, "webhook")
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(
        before, notice_webhook_url=f"http://127.0.0.1:{server.server_port}/x", notice_webhook_secret=SECRET
    )
    try:
        with app.app_context():
            jobs.send(waiting[-1])
    finally:
        app.config["SETTINGS"] = before
        server.shutdown()
        server.server_close()
    ((headers, body),) = taken
    parts = dict(part.split("=", 1) for part in headers["Notice-Signature"].split(","))
    wanted = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert parts["v1"] == wanted
    told = json.loads(body)
    assert told["organisation"] == "平凉市泾滨中学"
    assert "等你审批" in told["text"]
    assert "王芳" not in body.decode()
    assert "138" not in told["text"]

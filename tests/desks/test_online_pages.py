"""Gateway payments by page: offered where a gateway is set, unknown outcomes shown as such, refunds by the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.payments import jobs
from tests.desks.spreadsheets import sheet_rows
from tests.desks.test_money_pages import hidden
from tests.desks.trading import SignIn, Trader, Visitor
from tests.faults.gateway_double import Double, running_double
from tests.payments.paying_online import gateway

UNSURE = "不确定，正在核对，请不要重付"


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture
def double(app: Flask) -> Iterator[Double]:
    with running_double() as running, gateway(app, running):
        yield running


@pytest.fixture
def order(trader: Trader) -> dict[str, Any]:
    return trader.accepted_order()


@pytest.fixture
def buyer(app: Flask) -> Visitor:
    return Visitor(app, "canteen.buyer")


@pytest.fixture
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


def opened(buyer: Visitor, order: dict[str, Any]) -> str:
    """A gateway payment of all that is left on `order`; answers its page."""
    path = f"/payments/new?order_id={order['id']}"
    fields = {"orders-0-order_id": order["id"], "method": "gateway"}
    return str(buyer.post(path, _once=hidden(buyer.get(path), "_once"), **fields).headers["Location"])


def paid(buyer: Visitor, payment: str, means: str = "pm_card_visa") -> None:
    once = hidden(buyer.get(f"{payment}/pay"), "_once")
    for _ in range(2):  # sent twice, it has one effect and leads to the same place
        answer = buyer.post(f"{payment}/pay", _once=once, means=means)
        assert answer.headers["Location"] == payment


def test_without_a_gateway_the_page_offers_transfer_only_and_says_why(
    app: Flask, buyer: Visitor, order: dict[str, Any]
) -> None:
    text = buyer.get(f"/payments/new?order_id={order['id']}")
    assert "没有开通在线支付，用银行转账" in text
    assert 'value="gateway"' not in text


def test_a_payment_is_chosen_paid_and_shown_as_arrived(
    double: Double, buyer: Visitor, seller: Visitor, order: dict[str, Any]
) -> None:
    assert 'value="gateway"' in buyer.get(f"/payments/new?order_id={order['id']}")
    payment = opened(buyer, order)
    text = buyer.get(payment)
    assert f'href="{payment}/pay"' in text
    assert "收款商户" in text
    assert f"{payment}/slip" not in text
    form = buyer.get(f"{payment}/pay")
    assert "测试卡（成功）" in form
    assert "支付宝" in form
    paid(buyer, payment)
    assert len(double.intents) == 1
    text = buyer.get(payment)
    assert "已扣款，订单已记为付款" in text
    assert f'href="{payment}/pay"' not in text
    assert "这张付款单现在不能支付" in buyer.get(f"{payment}/pay")


def test_an_unknown_outcome_asks_not_to_pay_again_until_it_is_known(
    app: Flask, double: Double, buyer: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    double.fail("reset_after", "confirm")
    paid(buyer, payment)
    assert UNSURE in buyer.get(payment)
    form = buyer.get(f"{payment}/pay")
    assert UNSURE in form
    assert 'name="means"' not in form
    refused = buyer.post(f"{payment}/pay", 409, means="pm_card_visa").get_data(as_text=True)
    assert "请不要重付" in refused
    with app.app_context():
        jobs.reconcile(0.0)
    assert "已扣款，订单已记为付款" in buyer.get(payment)
    assert len(double.intents) == 1


def test_an_open_payment_for_the_gateway_waits_for_no_slip(
    app: Flask, double: Double, buyer: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    places = (payment, "/payments?state=open", f"/orders/{order['id']}")
    number = payment.rsplit("/", 1)[1]

    def seen(word: str) -> None:
        for place in places:
            text = buyer.get(place)
            row = text if place == payment else text[text.index(number) :]
            assert word in row, place
            assert "待交凭证" not in row.split("</tr>")[0].split("</section>")[0], place

    seen("待在线支付")
    double.fail("reset_after", "confirm")
    paid(buyer, payment)
    seen("等支付渠道答复")
    assert "已向支付渠道付款，等它答复" in buyer.get(payment)
    with app.app_context():
        jobs.reconcile(0.0)
    assert "等支付渠道答复" not in buyer.get(payment)


def test_the_office_compares_what_was_put_aside_and_ends_it(
    app: Flask, double: Double, buyer: Visitor, seller: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    double.fail("wrong_amount", "confirm")
    paid(buyer, payment)
    text = buyer.get(payment)
    assert "待人工核对" in text
    assert f"{payment}/compare" not in text
    for stranger in (buyer, seller):
        stranger.get(f"{payment}/compare", 403)
    office, clerk = Visitor(app, "county.office"), Visitor(app, "settlement.clerk")
    assert payment in office.get("/disputes")
    for reader in (office, clerk):
        assert f'href="{payment}/compare"' in reader.get(payment)
    double.fail("500_after", "read")
    office.get(f"{payment}/compare", 502)
    page = office.get(f"{payment}/compare")
    assert 'value="captured"' in page
    assert 'value="void"' not in page
    refused = office.post(f"{payment}/compare", 409, outcome="void", reason="x").get_data(as_text=True)
    assert "支付渠道还留着付款人的钱" in refused
    answer = office.post(
        f"{payment}/compare", _once=hidden(page, "_once"), outcome="captured", reason="账单相符"
    )
    assert answer.headers["Location"] == payment
    text = buyer.get(payment)
    assert "已扣款，订单已记为付款" in text
    assert "账单相符" in text
    assert "没有停下来等核对" in office.get(f"{payment}/compare")


def test_a_decline_says_so_and_may_be_tried_again(
    double: Double, buyer: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    double.declines = True
    paid(buyer, payment)
    text = buyer.get(payment)
    assert "没有扣款，可以再付一次" in text
    assert f'href="{payment}/pay"' in text


def test_the_seller_gives_back_a_part_and_a_wrong_amount_keeps_what_was_typed(
    double: Double, buyer: Visitor, seller: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    paid(buyer, payment)
    path = f"{payment}/refund"
    fields = {"order_id": order["id"], "reason": "两箱压坏"}
    wrong = seller.post(path, 409, amount_fen="99999.00", **fields).get_data(as_text=True)
    assert "退款超过可退的金额" in wrong
    assert "两箱压坏" in wrong
    once = hidden(seller.get(path), "_once")
    for _ in range(2):
        answer = seller.post(path, amount_fen="12.50", _once=once, **fields)
        assert answer.headers["Location"] == payment
    assert [refund["amount"] for refund in double.refunds.values()] == [1_250]
    text = seller.get(payment)
    assert "已退回" in text
    assert "两箱压坏" in text


def test_the_clerk_sees_what_the_gateway_holds_and_records_its_payout(
    app: Flask, double: Double, buyer: Visitor, seller: Visitor, order: dict[str, Any]
) -> None:
    clerk = Visitor(app, "settlement.clerk")
    payment = opened(buyer, order)
    assert f"{payment}/payout" not in clerk.get("/settlement")
    paid(buyer, payment)
    for reader in (clerk, seller):
        assert f"{payment}/payout" in reader.get("/settlement")
        assert f'href="{payment}/payout"' in reader.get(payment)
    Visitor(app, "coop2.seller").get(f"{payment}/payout", 404)
    buyer.get("/settlement", 403)
    whole = f"{order['accepted_fen'] / 100:.2f}"
    path = f"{payment}/payout"
    wrong = clerk.post(path, 409, amount_fen="999999.00", fee_fen="0.00").get_data(as_text=True)
    assert "结算金额超过" in wrong
    once = hidden(clerk.get(path), "_once")
    for _ in range(2):  # sent twice, it has one effect and leads to the same place
        assert clerk.post(path, _once=once, amount_fen=whole, fee_fen="0.10").headers["Location"] == payment
    assert path not in clerk.get("/settlement")
    assert "没有为这张付款单代收着钱" in clerk.get(path)
    assert f'href="{path}"' not in clerk.get(payment)


def test_nobody_else_pays_or_gives_back(
    app: Flask, double: Double, buyer: Visitor, seller: Visitor, order: dict[str, Any]
) -> None:
    payment = opened(buyer, order)
    Visitor(app, "canteen2.buyer").get(f"{payment}/pay", 404)
    Visitor(app, "coop2.seller").get(f"{payment}/refund", 404)
    seller.get(f"{payment}/pay", 403)
    buyer.get(f"{payment}/refund", 403)
    assert "没有可退的在线支付款项" in seller.get(f"{payment}/refund")
    seller.post(f"{payment}/refund", 409, amount_fen="1.00", order_id=order["id"], reason="x")
    assert double.calls == []


def test_messages_that_agree_with_nothing_wait_on_a_page_until_someone_decides(
    app: Flask, owner: psycopg.Connection, buyer: Visitor, seller: Visitor
) -> None:
    numbers = [
        row[0]
        for row in owner.execute(
            "insert into gateway_event (event_id, kind, body, state, reason, received_at, ended_at)"
            " select 'evt_page_' || n, 'payment_intent.succeeded',"
            ' \'{"id": "pi_x", "amount_received": 12345, "currency": "cny"}\', \'quarantined\','
            " case n when 1 then 'names-nothing-here' else 'a-code-of-tomorrow' end, now(), now()"
            " from generate_series(1, 2) n returning id"
        ).fetchall()
    ]
    office, clerk = Visitor(app, "county.office"), Visitor(app, "settlement.clerk")
    for page in (office.get("/disputes"), clerk.get("/settlement")):
        assert "2条通知与账面对不上" in page
        assert 'href="/settlement/messages"' in page
    listed = clerk.get("/settlement/messages")
    assert listed.count("123.45") == 2
    for why in ("一天内没有找到它说的付款", "与账面不合"):
        assert why in listed
    assert clerk.get("/settlement/messages?q=evt_page_2").count("123.45") == 1
    assert "没有找到" in clerk.get("/settlement/messages?q=none")
    clerk.get("/settlement/messages?after=x", 422)
    for stranger in (buyer, seller):
        stranger.get("/settlement/messages", 403)
        stranger.post(f"/settlement/messages/{numbers[0]}", 403, outcome="foreign")

    path = f"/settlement/messages/{numbers[0]}"
    clerk.post(path, 422, outcome="forget")
    once = hidden(clerk.get(path), "_once")
    for _ in range(2):  # sent twice, it has one effect and leads to the same place
        assert clerk.post(path, _once=once, outcome="foreign").headers["Location"] == "/settlement/messages"
    assert "可能已经处理过了" in clerk.get(path, 404)
    assert clerk.get("/settlement/messages").count("123.45") == 1
    office.post(f"/settlement/messages/{numbers[1]}", outcome="settled")
    assert "没有对不上的通知" in office.get("/settlement/messages")


@pytest.mark.parametrize(
    ("path", "title"), [("/settlement", "渠道结算"), ("/settlement/messages", "对不上的渠道通知")]
)
def test_both_lists_come_as_workbooks(app: Flask, path: str, title: str) -> None:
    answer = Visitor(app, "settlement.clerk").client.get(path, query_string={"format": "xlsx"})
    assert sheet_rows(answer.data)[0][0] == title

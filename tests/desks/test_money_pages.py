"""Invoices, payments and accounts by page: the whole way of the money, refusals that keep what was typed, one effect."""

from __future__ import annotations

import io
import re
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from marketplace.database import db
from marketplace.values import yuan
from tests.conftest import PASSWORD
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import SignIn, Trader, Visitor
from tests.documents import files
from tests.payments.test_invoice_files import electronic
from tests.statements import sent_statements

TITLE, TAX = "平凉市泾滨中学", "12620802MA70A0C19C"


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def order(trader: Trader) -> dict[str, Any]:
    return trader.accepted_order()


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


@pytest.fixture(scope="module")
def buyer(app: Flask) -> Visitor:
    return Visitor(app, "canteen.buyer")


@pytest.fixture(scope="module")
def office(app: Flask) -> Visitor:
    return Visitor(app, "county.office")


def paper(amount_fen: int, number: str = "24622000000012345678", day: date | None = None) -> bytes:
    return (
        electronic()
        .replace(b"5160.00", f"{amount_fen / 100:.2f}".encode())
        .replace(b"24622000000012345678", number.encode())
        .replace(b"2026-11-20 09:30:00", f"{day or today()} 09:30:00".encode())
    )


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', text)
    assert found is not None, f"there is no hidden {name}"
    return found[1]


def value(text: str, name: str) -> str:
    found = re.search(rf'<input[^>]* id="f-{name}"[^>]* value="([^"]*)"', text)
    assert found is not None, f"there is no field {name}"
    return found[1]


def invoice_fields(shown: str, order: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What the confirmed form would send."""
    return {
        "_once": hidden(shown, "_once"),
        "document_id": hidden(shown, "document_id"),
        "number": value(shown, "number"),
        "kind": "digital_ordinary",
        "issued_on": value(shown, "issued_on"),
        "amount_fen": value(shown, "amount_fen"),
        "tax_free": "true",
        "orders-0-order_id": order["id"],
        "buyer_title": value(shown, "buyer_title"),
        "buyer_tax_number": value(shown, "buyer_tax_number"),
    } | changes


def issued(seller: Visitor, order: dict[str, Any], number: str) -> str:
    """An invoice of all that is left on `order`; answers its page."""
    path = f"/orders/{order['id']}/invoice"
    amount = int(
        re.search(
            r'data-copy="(\d+\.\d\d)" data-copied="已复制">复制<span class="vh">可开金额', seller.get(path)
        )[1].replace(".", "")
    )  # type: ignore[index]
    shown = seller.post(path, 200, _read="1", file=(io.BytesIO(paper(amount, number)), "票.xml")).get_data(
        as_text=True
    )
    return str(seller.post(path, **invoice_fields(shown, order)).headers["Location"])


def opened(buyer: Visitor, order: dict[str, Any]) -> str:
    """A payment of all that is left on `order`; answers its page."""
    path = f"/payments/new?order_id={order['id']}"
    once = hidden(buyer.get(path), "_once")
    return str(buyer.post(path, _once=once, **{"orders-0-order_id": order["id"]}).headers["Location"])


def slip_fields(order: dict[str, Any], reference: str, **changes: Any) -> dict[str, Any]:
    return {
        "amount_fen": yuan(order["accepted_fen"]),
        "paid_on": today().isoformat(),
        "bank_reference": reference,
        "payer_name": "平凉市泾滨中学",
    } | changes


def test_the_file_is_read_and_confirmed_and_the_invoice_goes_to_the_buyer(
    seller: Visitor, order: dict[str, Any]
) -> None:
    path = f"/orders/{order['id']}/invoice"
    card = seller.get(path)
    assert f'data-copy="{TITLE}"' in card
    assert f'data-copy="{TAX}"' in card
    assert "请先选发票文件" in seller.post(path, 422, _read="1").get_data(as_text=True)

    shown = seller.post(path, 200, _read="1", file=(io.BytesIO(paper(order["accepted_fen"])), "票.xml"))
    text = shown.get_data(as_text=True)
    assert "已从文件读出" in text
    assert value(text, "number") == "24622000000012345678"
    assert value(text, "amount_fen") == yuan(order["accepted_fen"])
    assert value(text, "issued_on") == today().isoformat()

    assert "对不上" not in text

    refused = seller.post(path, 422, _read="1", file=(io.BytesIO(b"MZ" + bytes(99)), "票.exe")).get_data(
        as_text=True
    )
    assert "第一步，共两步" in refused  # the file is chosen anew; nothing else is asked for yet
    assert 'name="number"' not in refused
    other = paper(order["accepted_fen"] + 1).replace(TITLE.encode(), "别的学校".encode())
    differs = seller.post(path, 200, _read="1", file=(io.BytesIO(other), "票.xml")).get_data(as_text=True)
    assert "发票和这一单对不上，先别交" in differs
    assert f"抬头：票上别的学校，应为{TITLE}" in differs
    assert (
        f"金额：票上{yuan(order['accepted_fen'] + 1)}元，这一单可开{yuan(order['accepted_fen'])}元" in differs
    )
    sum_wrong = seller.post(path, 422, **invoice_fields(text, order, amount_fen="1.00")).get_data(
        as_text=True
    )
    assert f"发票金额要等于各订单金额之和{yuan(order['accepted_fen'])}元" in sum_wrong

    wrong = seller.post(path, 422, **invoice_fields(text, order, number="123", buyer_title="别的学校"))
    kept = wrong.get_data(as_text=True)
    assert 'href="#f-number">发票号码：数电票号码是20位数字' in kept
    assert 'href="#f-buyer_title">票上的抬头：发票抬头与付款主体不一致' in kept
    assert value(kept, "number") == "123"
    assert hidden(kept, "document_id") == hidden(text, "document_id")

    good = invoice_fields(text, order)
    first = seller.post(path, **good)
    again = seller.post(path, **good)
    assert first.headers["Location"] == again.headers["Location"]
    assert "24622000000012345678" in seller.get("/invoices?state=issued")
    todo, debtors = seller.get("/sell/money").split('id="debtors"')
    assert order["number"] not in todo
    figure = re.search(r'<a href="(/orders\?owes=[0-9a-f-]+)">(\d+)</a>', debtors)
    assert figure is not None
    rows = seller.get(figure[1])
    assert order["number"] in rows
    assert len(set(re.findall(r'href="(/orders/[0-9a-f-]{36})"', rows))) == int(figure[2])
    assert "没有没办完的订单" in seller.get(f"/orders?owes={order['id']}")


def test_the_buyer_compares_and_returns_or_checks(
    trader: Trader, seller: Visitor, buyer: Visitor, app: Flask
) -> None:
    order = trader.accepted_order()
    place = issued(seller, order, "24622000000012345001")
    shown = buyer.get(f"{place}/check")
    assert shown.count("chip--done") == 5
    assert "不一致" not in shown

    refused = buyer.post(f"{place}/return", 422, reason=" ")
    assert "退回供应商" in refused.get_data(as_text=True)
    buyer.post(f"{place}/return", reason="<b>抬头</b>错了")
    text = seller.get(place)
    assert "&lt;b&gt;抬头&lt;/b&gt;错了" in text
    assert "<b>抬头</b>" not in text

    place = issued(seller, order, "24622000000012345002")
    once = hidden(buyer.get(f"{place}/check"), "_once")
    assert buyer.post(f"{place}/check", _once=once).headers["Location"] == place
    assert buyer.post(f"{place}/check", _once=once).headers["Location"] == place
    assert "已验票" in buyer.get(place)
    late = buyer.post(f"{place}/check", 409).get_data(as_text=True)
    assert "已验票" in late
    for stranger in ("canteen2.buyer", "coop2.seller"):
        Visitor(app, stranger).get(place, 404)
    Visitor(app, "canteen2.buyer").get(f"{place}/check", 404)
    seller.get(f"{place}/check", 403)


def test_an_invoice_that_says_something_else_is_marked(
    trader: Trader, seller: Visitor, buyer: Visitor
) -> None:
    order = trader.accepted_order()
    path = f"/orders/{order['id']}/invoice"
    other = paper(order["accepted_fen"] + 100, "24622000000012345009").replace(
        TITLE.encode(), "泾滨中学食堂".encode()
    )
    text = seller.post(path, 200, _read="1", file=(io.BytesIO(other), "票.xml")).get_data(as_text=True)
    assert value(text, "buyer_title") == "泾滨中学食堂"
    fields = invoice_fields(text, order, amount_fen=yuan(order["accepted_fen"]), buyer_title=TITLE)
    place = seller.post(path, **fields).headers["Location"]
    shown = buyer.get(f"{place}/check")
    assert "有2处不一致" in shown
    assert shown.count("chip--bad") == 2


def test_a_payment_is_opened_proved_and_confirmed(
    trader: Trader, buyer: Visitor, seller: Visitor, order: dict[str, Any], app: Flask
) -> None:
    place = opened(buyer, order)
    text = buyer.get(place)
    assert "等采购单位付款并交凭证" in text
    assert 'data-copy="6299880000007919"' in text
    seller.get(f"{place}/slip", 403)
    assert "现在不能这样做" in seller.get(f"{place}/confirm")
    assert seller.post(f"{place}/confirm", 409).status_code == 409

    wrong = buyer.post(
        f"{place}/slip",
        422,
        **slip_fields(
            order, "A-1", amount_fen="１，０００．００", file=(io.BytesIO(files.png()), "../../a\u202e.png")
        ),
    ).get_data(as_text=True)
    assert "凭证金额要等于付款单金额" in wrong
    assert value(wrong, "amount_fen") == "１，０００．００"
    document = hidden(wrong, "document_id")
    assert "../" not in wrong
    fields = slip_fields(order, "HLX 2026 0001", document_id=document, _once=hidden(wrong, "_once"))
    assert buyer.post(f"{place}/slip", **fields).headers["Location"] == place
    assert buyer.post(f"{place}/slip", **fields).headers["Location"] == place
    text = seller.get(f"{place}/confirm")
    assert "HLX20260001" in text
    assert f'<img class="slip" src="/files/{document}"' in text
    picture = seller.client.get(f"/files/{document}")
    assert (picture.status_code, picture.data) == (200, files.png())
    assert Visitor(app, "coop2.seller").client.get(f"/files/{document}").status_code == 404

    seller.post(f"{place}/confirm", _once=hidden(text, "_once"))
    assert "已到账" in buyer.get(place)
    assert trader.call("GET", f"/orders/{order['id']}", "canteen.buyer")["payment"] == "paid"
    for stranger in ("canteen2.buyer", "coop2.seller"):
        Visitor(app, stranger).get(place, 404)


def test_a_dispute_goes_to_the_office_which_decides(
    trader: Trader, buyer: Visitor, seller: Visitor, office: Visitor
) -> None:
    order = trader.accepted_order()
    place = opened(buyer, order)
    buyer.post(f"{place}/slip", **slip_fields(order, "HLX20260002"))
    number = re.search(r"FK-\d{4}-\d+", buyer.get(place)) or re.search(
        r"[A-Z]{2}-\d{4}-\d{6}", buyer.get(place)
    )
    assert number is not None
    assert "缺凭证文件" in buyer.get("/payments")
    assert number[0] not in office.get("/disputes")
    office.get(f"{place}/uphold")
    early = office.post(f"{place}/uphold", 409).get_data(as_text=True)
    assert "前还可以答复" in early

    seller.post(f"{place}/dispute", reason="查到11月24日没有")
    assert number[0] in office.get("/disputes")
    assert "请选凭证文件" in buyer.post(f"{place}/slip-file", 422).get_data(as_text=True)
    buyer.post(f"{place}/slip-file", file=(io.BytesIO(files.PDF), "回单.pdf"))
    assert "回单.pdf" in office.get(f"{place}/refuse")
    office.post(f"{place}/refuse", reason="回单不是这笔")
    assert "回单不是这笔" in buyer.get(place)
    assert number[0] not in office.get("/disputes")
    second = opened(buyer, order)
    buyer.post(f"{second}/cancel", _once=hidden(buyer.get(f"{second}/cancel"), "_once"))
    assert "已取消" in buyer.get(second)


def test_lists_sort_page_and_download(buyer: Visitor, order: dict[str, Any]) -> None:
    for path in ("/payments", "/invoices"):
        text = buyer.get(f"{path}?sort=-amount")
        assert 'aria-sort="descending"' in text
        answer = buyer.client.get(f"{path}?format=xlsx&sort=amount")
        title, basis, heads, *rows = sheet_rows(answer.data)
        assert title == [text.split("<h1>")[1].split("</h1>")[0]]
        assert basis[0].startswith("口径")
        amounts = [float(row[heads.index("金额（元）")]) for row in rows]
        assert amounts == sorted(amounts)
        assert min(amounts) > 0
    assert "本月到账" not in buyer.get("/payments?state=no-such")


def test_pages_of_money_keep_out_whom_they_should(app: Flask, office: Visitor, order: dict[str, Any]) -> None:
    stranger = Visitor(app)
    assert stranger.client.get("/payments").headers["Location"] == "/sign-in?next=/payments"
    regulator = Visitor(app, "market.regulator")
    for path in ("/payments", "/invoices", "/sell/money", "/disputes", "/sell/bank-accounts"):
        regulator.get(path, 403)
    office.get("/sell/money", 403)
    Visitor(app, "coop2.seller").get(f"/orders/{order['id']}/invoice", 404)
    Visitor(app, "canteen2.buyer").get(f"/payments/new?order_id={order['id']}", 404)
    Visitor(app, "canteen2.buyer").get("/payments/new?order_id=1", 404)


@pytest.fixture
def colleague(owner: psycopg.Connection) -> str:
    """A second person of the cooperative with the same password."""
    owner.execute(
        "insert into app_user (id, username, name, password_hash, organisation_id, role, auth_version, created_at,"
        " version) select gen_random_uuid(), 'coop.second', '第二人', password_hash, organisation_id, role, 1,"
        " created_at, 1 from app_user where username = 'coop.seller' on conflict do nothing"
    )
    return "coop.second"


ACCOUNT = {
    "account_name": "塬上果香合作社",
    "bank_name": "平凉示范农村商业银行",
    "bank_branch_number": "402833090001",
    "account_number": "6299880000999999",
}


def test_an_account_is_proposed_by_one_and_approved_by_another(
    app: Flask, seller: Visitor, colleague: str
) -> None:
    wrong = seller.post("/sell/bank-accounts", 401, **ACCOUNT, current_password="no").get_data(as_text=True)
    assert value(wrong, "account_number") == "6299880000999999"
    assert "6299880000999999" not in seller.get("/sell/bank-accounts")

    seller.post("/sell/bank-accounts", **ACCOUNT, current_password=PASSWORD)
    text = seller.get("/sell/bank-accounts")
    assert "等另一个人批准" in text
    second = Visitor(app, colleague)
    place = re.search(r'href="(/sell/bank-accounts/[^"]+/approve)"', second.get("/sell/bank-accounts"))
    assert place is not None
    assert "要由另一个人批准" in seller.get(place[1])
    assert seller.post(place[1], 409).status_code == 409
    assert "6299880000007919" in second.get(place[1])
    second.post(place[1], _once=hidden(second.get(place[1]), "_once"))
    assert "已批准，等生效" in seller.get("/sell/bank-accounts")
    Visitor(app, "coop2.seller").get(place[1], 404)


def test_a_form_that_is_open_twice_pays_once(trader: Trader, buyer: Visitor) -> None:
    order = trader.accepted_order()
    path = f"/payments/new?order_id={order['id']}"
    one, two = hidden(buyer.get(path), "_once"), hidden(buyer.get(path), "_once")
    assert one != two
    fields = {"orders-0-order_id": order["id"]}
    first = buyer.post(path, _once=one, **fields).headers["Location"]
    second = buyer.post(path, 409, _once=two, **fields).get_data(as_text=True)
    assert f"订单{order['number']}没有剩余金额" in second
    changed = buyer.post(path, 422, _once=one, **fields | {"orders-0-amount_fen": "1"}).get_data(as_text=True)
    assert "这张表已经交过一次" in changed
    opened = trader.call("GET", f"/payments?order_id={order['id']}", "canteen.buyer")["items"]
    assert [p["id"] for p in opened] == [first.removeprefix("/payments/")]


def test_one_invoice_and_one_payment_cover_several_orders(
    trader: Trader, seller: Visitor, buyer: Visitor
) -> None:
    orders = [trader.accepted_order() for _ in range(2)]
    path = f"/orders/{orders[0]['id']}/invoice"
    total = sum(o["accepted_fen"] for o in orders)
    text = seller.post(
        path, 200, _read="1", file=(io.BytesIO(paper(total, "24622000000012345777")), "票.xml")
    ).get_data(as_text=True)
    assert orders[1]["number"] in text
    both = invoice_fields(
        text, orders[0], **{"orders-1-order_id": orders[1]["id"], "orders-2-amount_fen": "1"}
    )
    place = seller.post(path, **both).headers["Location"]
    shown = buyer.get(place)
    assert all(o["number"] in shown for o in orders)

    pay = f"/payments/new?order_id={orders[0]['id']}"
    once = hidden(buyer.get(pay), "_once")
    part = {
        "orders-0-order_id": orders[0]["id"],
        "orders-5-order_id": orders[1]["id"],
        "orders-5-amount_fen": "0.01",
    }
    paid = buyer.get(buyer.post(pay, _once=once, **part).headers["Location"])
    assert f"<h1>{yuan(orders[0]['accepted_fen'] + 1)}元</h1>" in paid


def test_the_code_of_a_transfer_finds_its_payment(seller: Visitor, buyer: Visitor, trader: Trader) -> None:
    place = opened(buyer, trader.accepted_order())
    code = re.search(r"附言（付款识别码）.*?<dd[^>]*>([0-9A-Z]{9})<", buyer.get(place))
    assert code is not None
    text = seller.get(f"/payments?q={code[1].lower()}")
    assert text.count(f'href="{place}"') == text.count('href="/payments/') == 1
    assert "没有找到这个号码" in seller.get("/payments?q=FK-1999-000001")
    assert "没有找到这个号码" in seller.get("/invoices?q=000000")


def test_pages_ask_as_much_for_many_rows_as_for_few(
    app: Flask, seller: Visitor, buyer: Visitor, office: Visitor, trader: Trader
) -> None:
    pages = [(v, p) for v in (seller, buyer, office) for p in ("/payments", "/invoices")]
    pages += [(seller, "/sell/money"), (office, "/disputes")]

    def statements() -> list[int]:
        found = []
        with app.app_context():
            engine = db.engine
        for visitor, path in pages:
            visitor.get(path)
            with sent_statements(engine) as sent:
                visitor.get(path)
            found.append(len(sent))
        return found

    few = statements()
    for number in range(2):
        order = trader.accepted_order()
        issued(seller, order, f"2462200000001234{number:04d}")
        buyer.post(f"{opened(buyer, order)}/slip", **slip_fields(order, f"HLX2026888{number}"))
    trader.accepted_order()
    assert statements() == few

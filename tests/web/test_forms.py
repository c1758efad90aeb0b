"""Forms of pages: how numbers and lists are read, one effect per form, nothing typed is lost, bad input is harmless."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from flask import Flask, g, make_response
from marshmallow import Schema, fields
from werkzeug.test import TestResponse

from marketplace import errors
from marketplace.values import MAX_FEN
from marketplace.web.forms import FormInvalid, current_form, form, fresh_key, posted, read_form, safe_next
from marketplace.web.schemas import InSchema, fen, integer, quantity, text
from tests.conftest import PASSWORD
from tests.desks.trading import ORIGIN, Visitor


class Line(InSchema):
    name = text(20)
    price_fen = fen(required=False)
    weight_g = integer(0, 10**9, required=False)
    quantity = quantity(required=False)


class Whole(InSchema):
    title = text(10, required=False)
    share_bp = integer(0, 10_000, required=False)
    agreed = fields.Boolean()
    tags = fields.List(fields.String())
    lines = fields.List(fields.Nested(Line))


@pytest.fixture(scope="module")
def forms(empty_app: Flask) -> Flask:
    return empty_app


def read(app: Flask, given: Any, schema: Schema | None = None, **options: Any) -> dict[str, Any]:
    with app.test_request_context("/", method="POST", data=given):
        return read_form(schema or Whole(), **options)


def mistakes(app: Flask, given: Any, **options: Any) -> dict[str, str]:
    with app.test_request_context("/", method="POST", data=given), pytest.raises(FormInvalid) as refused:
        read_form(Whole(), **options)
    return {entry["pointer"]: entry["detail"] for entry in refused.value.data["errors"]}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("1,234.50", 123_450),
        ("1234.5", 123_450),
        ("１，２３４．５０", 123_450),
        ("  12 元 ", 1_200),
        ("0.05", 5),
        ("0", 0),
    ],
)
def test_amounts_are_read_as_people_type_them(forms: Flask, typed: str, value: int) -> None:
    found = read(forms, {"lines-0-name": "a", "lines-0-price_fen": typed})
    assert found == {"lines": [{"name": "a", "price_fen": value}]}


@pytest.mark.parametrize(
    "typed", ["1.234", "12,34.5", "1e3", "一百", "0x10", ".5", "1.", str(MAX_FEN), "NaN", "--1"]
)
def test_an_amount_that_is_none_says_how_to_type_one(forms: Flask, typed: str) -> None:
    found = mistakes(forms, {"lines-0-name": "a", "lines-0-price_fen": typed})
    assert found == {"#/lines/0/price_fen": "请填数字，最多两位小数，如 1,234.50"}


def test_weights_are_typed_in_kilograms_and_shares_in_percent(forms: Flask) -> None:
    found = read(forms, {"lines-0-name": "a", "lines-0-weight_g": "2.5", "share_bp": "15％"})
    assert found == {"lines": [{"name": "a", "weight_g": 2_500}], "share_bp": 1_500}
    assert mistakes(forms, {"share_bp": "100.01"}) == {"#/share_bp": "要在0到10000之间"}
    assert mistakes(forms, {"lines-0-name": "a", "lines-0-quantity": "2.5"}) == {
        "#/lines/0/quantity": "请填整数"
    }


def test_rows_keep_their_order_and_empty_ones_are_left_out(forms: Flask) -> None:
    rows = {f"lines-{n}-name": f"第{n}行" for n in (10, 2, 0)} | {"lines-1-name": " ", "lines-1-quantity": ""}
    assert [line["name"] for line in read(forms, rows)["lines"]] == ["第0行", "第2行", "第10行"]
    assert mistakes(forms, rows | {"lines-10-quantity": "0"}) == {
        "#/lines/10/quantity": "要在1到10000000之间"
    }


def test_lists_ticks_and_line_ends(forms: Flask) -> None:
    assert read(forms, {"tags": ["a", "", "b"], "agreed": "on"}) == {"tags": ["a", "b"], "agreed": True}
    assert read(forms, {"title": "一\r\n二"}) == {"title": "一\n二"}
    assert read(forms, {"title": "", "_once": "x", "_anything": "y"}) == {}


@pytest.mark.parametrize(
    "given",
    [
        {"unknown": "x"},
        {"lines": "x"},
        {"lines-0": "x"},
        {"title-0-a": "x"},
        {"lines-a-b-c-d": "x"},
        {"lines-0-name": "x", "lines-0-name-more": "y"},
        {"-": "x"},
        {"lines-0-name": "x" * 21},
        {"lines-0-name": "\x00"},
    ],
)
def test_odd_names_and_values_are_refused_and_never_break(forms: Flask, given: dict[str, str]) -> None:
    with forms.test_request_context("/", method="POST", data=given), suppress(FormInvalid):
        assert set(read_form(Whole())) <= {"lines", "title"}


def test_every_shown_form_has_a_key_of_its_own_and_a_refused_one_keeps_it(forms: Flask) -> None:
    with forms.test_request_context("/"):
        one, two = fresh_key(), fresh_key()
        assert one != two
        current_form().typed["_once"] = one
        assert fresh_key() == one
        current_form().typed["_once"] = "../etc"
        assert fresh_key() not in (one, "../etc")
        g.pop("form")


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/orders?state=placed#a", "/orders?state=placed#a"),
        ("/", "/"),
        ("//evil.test", "/desk"),
        ("/\\evil.test", "/desk"),
        ("https://evil.test", "/desk"),
        ("javascript:alert(1)", "/desk"),
        ("/a\nb", "/desk"),
        ("orders", "/desk"),
        ("", "/desk"),
        (None, "/desk"),
    ],
)
def test_the_way_on_stays_on_this_site(target: str | None, goes: str) -> None:
    assert safe_next(target, "/desk") == goes


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.RuleViolation("不合规定"), 422),
        (errors.Conflict("已有变化"), 409),
        (errors.Throttled("太快了", retry_after=5), 429),
        (errors.Unavailable("稍后再试", retry_after=2), 503),
        (errors.UpstreamFailure("存储没有答复"), 502),
    ],
)
def test_a_refused_form_shows_the_reason_and_keeps_what_was_typed(
    forms: Flask, refusal: errors.MarketplaceError, status: int
) -> None:
    @form
    def view() -> str:
        if posted():
            raise refusal
        return f"{current_form().mistakes[0].text} {current_form().value('title')}"

    with forms.test_request_context("/", method="POST", data={"title": "填好的"}):
        response = make_response(view())
    assert (response.status_code, response.get_data(as_text=True)) == (status, f"{refusal.detail} 填好的")


def test_absence_and_missing_rights_stay_errors(forms: Flask) -> None:
    for refusal in (errors.NotFound, errors.Forbidden, errors.Unauthenticated):

        @form
        def view(refusal: type[errors.MarketplaceError] = refusal) -> str:
            raise refusal

        with forms.test_request_context("/", method="POST"), pytest.raises(refusal):
            view()


# The same in front of real pages.

TEXT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"
ACCOUNT = {
    "account_name": TEXT,
    "bank_name": TEXT,
    "bank_branch_number": TEXT,
    "account_number": TEXT,
    "current_password": "wrong",
}


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


@pytest.fixture(autouse=True)
def _no_tries(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "app" in request.fixturenames:
        url = request.getfixturevalue("app").config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("delete from throttle")


def facts(app: Flask) -> int:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        row = owner.execute("select count(*) from fact").fetchone()
    assert row is not None
    return int(row[0])


def test_markup_in_every_field_comes_back_as_text(seller: Visitor) -> None:
    for path, status, given in (
        ("/sell/bank-accounts", 422, ACCOUNT),
        ("/sign-in", 401, {"username": TEXT, "password": TEXT}),
        ("/account/password", 422, {"current_password": TEXT, "new_password": "x", "_again": TEXT}),
    ):
        answer = seller.client.post(path, data=given, headers=ORIGIN)
        assert answer.status_code == status
        shown = answer.get_data(as_text=True)
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "49" not in re.findall(r'value="[^"]*49[^"]*"', shown)
    shown = seller.client.post("/sell/bank-accounts", data=ACCOUNT, headers=ORIGIN).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {},
        {"Sec-Fetch-Site": "cross-site", **ORIGIN},
        {"Referer": "https://evil.test/sell"},
    ],
)
def test_a_form_from_another_site_is_refused_with_a_clear_page(
    app: Flask, seller: Visitor, headers: dict[str, str]
) -> None:
    before = facts(app)
    given = {
        **ACCOUNT,
        "bank_branch_number": "402833090001",
        "account_number": "6222000000",
        "current_password": PASSWORD,
    }
    answer = seller.client.post("/sell/bank-accounts", data=given, headers=headers)
    assert answer.status_code == 403
    assert "请求不是从本站页面发出的" in answer.get_data(as_text=True)
    assert "请打开本站页面后重新提交" in answer.get_data(as_text=True)
    assert facts(app) == before


def post_after_sign_out(app: Flask, path: str, given: dict[str, Any]) -> TestResponse:
    return app.test_client().post(path, data=given, headers=ORIGIN)


def test_a_form_sent_after_the_session_ended_is_kept_and_can_be_sent_again(app: Flask) -> None:
    path = f"/payments/{uuid.uuid4()}/dispute?a=1"
    given = {"reason": TEXT, "_once": "0" * 32}
    answer = post_after_sign_out(app, path, given)
    shown = answer.get_data(as_text=True)
    assert answer.status_code == 401
    assert f'action="{path}"' in shown
    assert 'name="_once" value="00000000000000000000000000000000"' in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert" not in shown
    assert 'href="/sign-in" target="_blank"' in shown
    # What a person then does: sign in beside it, and press the button.
    again = Visitor(app, "coop.seller").client.post(path, data=given, headers=ORIGIN)
    assert again.status_code == 404


def test_a_kept_form_never_holds_a_password_or_a_flood(app: Flask) -> None:
    for given in (
        {"current_password": PASSWORD, "x": "y"},
        {"reason": "长" * 250_000},
        {"otp": "123456"},
        {},
    ):
        answer = post_after_sign_out(app, "/account/password", given)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    with_file = post_after_sign_out(
        app, f"/payments/{uuid.uuid4()}/slip", {"payer_name": "某校", "file": (io.BytesIO(b"x"), "a.pdf")}
    )
    assert "选的文件没有保留" in with_file.get_data(as_text=True)


def test_ten_megabytes_of_text_are_refused_with_a_page(app: Flask, seller: Visitor) -> None:
    before = facts(app)
    for client, status in ((seller.client, 413), (app.test_client(), 303)):
        answer = client.post("/sell/bank-accounts", data={"account_name": "a" * 10_300_000}, headers=ORIGIN)
        assert answer.status_code == status
        assert len(answer.data) < 20_000
        if status == 413:
            assert "内容太大" in answer.get_data(as_text=True)
            assert "回到表单，填的都还在" in answer.get_data(as_text=True)
    assert facts(app) == before


def test_a_flood_of_text_is_not_sent_back(app: Flask, seller: Visitor) -> None:
    answer = seller.client.post(
        "/sell/bank-accounts", data={**ACCOUNT, "account_name": "长" * 250_000}, headers=ORIGIN
    )
    shown = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "填的文字太长，没有保留" in shown
    assert len(shown) < 50_000


def test_names_of_files_are_only_names(app: Flask, seller: Visitor) -> None:
    answer = seller.client.post(
        "/sell/bank-accounts",
        data={**ACCOUNT, "file": (io.BytesIO(b"%PDF-"), "../../../etc/passwd\r\nX: y<script>.pdf")},
        headers=ORIGIN,
    )
    assert answer.status_code == 422
    assert "passwd" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/sign-in", {"username": "coop\x00seller", "password": PASSWORD}),
        ("/sign-in", {"username": "coop.seller", "password": "x\x00"}),
        ("/sell/bank-accounts", {**ACCOUNT, "_once": "\x00"}),
        ("/sell/bank-accounts", {**ACCOUNT, "bank\x00name": "x"}),
        ("/sell/bank-accounts", {**ACCOUNT, "file": (b"%PDF-", "a\x00.pdf")}),
        ("/preferences", {"language": "en\x00"}),
    ],
)
def test_no_form_holds_a_nul(app: Flask, seller: Visitor, path: str, given: dict[str, Any]) -> None:
    before = facts(app)
    data = {n: (io.BytesIO(v[0]), v[1]) if isinstance(v, tuple) else v for n, v in given.items()}
    answer = seller.client.post(path, data=data, headers=ORIGIN)
    assert answer.status_code == 422
    assert "填写的内容里有空字符" in answer.get_data(as_text=True)
    assert facts(app) == before


def test_a_buyers_basket_refuses_a_nul_with_a_page(app: Flask) -> None:
    buyer = Visitor(app, "canteen.buyer")
    for path in ("/buy/basket/add", "/buy/basket/submit"):
        answer = buyer.client.post(path, data={"_once": "\x00", "deliver_to-name": "\x00"}, headers=ORIGIN)
        assert answer.status_code == 422
        assert answer.mimetype == "text/html"

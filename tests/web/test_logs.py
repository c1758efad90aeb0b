from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from marketplace.web.logs import HIDDEN, redact
from tests.web.conftest import CANARY


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_a_request_is_one_line_without_what_was_asked(
    echo: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = echo.get("/api/v1/echo/text/secret-text", headers={"X-Request-Id": "req-12345678"})
    (line,) = lines(capsys)
    assert answer.headers["X-Request-Id"] == "req-12345678"
    assert line["request_id"] == "req-12345678"
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/echo/text/<text>", 200)
    assert line["actor"] is None
    assert line["ms"] >= 0
    assert "secret-text" not in json.dumps(line)


@pytest.mark.parametrize("given", ["short", "x" * 65, "a b c d e f", "evil\u00e9-12345678", ""])
def test_an_odd_request_id_is_replaced(echo: FlaskClient, given: str) -> None:
    made = echo.get("/api/v1/echo", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert made != given
    assert len(made) == 36


def test_the_canary_is_in_no_line_wherever_it_is_sent(
    echo: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    echo.post("/api/v1/echo", json={"name": CANARY, CANARY: 1})
    echo.post("/api/v1/echo", data=CANARY, content_type="application/json")
    echo.get(f"/api/v1/echo?q={CANARY}&colour={CANARY}")
    echo.get(f"/api/v1/echo/text/{CANARY}")
    echo.get(f"/{CANARY}")
    echo.get("/api/v1/echo", headers={"Authorization": f"Bearer {CANARY}", "User-Agent": CANARY})
    echo.get("/api/v1/echo/raise/boom", headers={"Cookie": f"marketplace={CANARY}"})
    printed = capsys.readouterr()
    assert "canary" not in printed.out + printed.err
    assert "13812345678" not in printed.out + printed.err


def cleaned(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", event))


@pytest.mark.parametrize(
    "key",
    ["authorization", "password", "new_password", "access_token", "otp", "secret_key", "phone", "bank_account",
     "id_card", "Cookie", "api_key"],
)  # fmt: skip
def test_a_value_under_a_telling_key_is_hidden(key: str) -> None:
    assert cleaned(**{key: "x"}) == {key: HIDDEN}
    assert cleaned(data={"deep": [{key: "x"}]}) == {"data": {"deep": [{key: HIDDEN}]}}


@pytest.mark.parametrize(
    "text",
    [
        "13812345678",
        "+86 138 1234 5678",
        "8613812345678",
        "0933-8213456",
        "62082119900101123X",
        "620821199001011234",
        "6228480402564890018",
        "6228 4804 0256 4890 018",
        "Bearer abc.def-ghi",
        "bearer abcdefgh",
    ],
)
def test_personal_digits_and_tokens_are_hidden_in_any_text(text: str) -> None:
    assert cleaned(note=f"联系{text}，谢谢") == {"note": f"联系{HIDDEN}，谢谢"}
    assert cleaned(note=[text]) == {"note": [HIDDEN]}


@pytest.mark.parametrize(
    "text",
    [
        "01a20bf8-2b15-77f1-b58a-1b1f0a49b67a",
        "CG-2026-000123",
        "2026-11-24T05:12:23.063137Z",
        "/api/v1/orders/<uuid:order_id>",
        "4500",
        "abc13812345678def",
    ],
)
def test_ids_numbers_and_times_stay_readable(text: str) -> None:
    assert cleaned(note=text) == {"note": text}


def test_a_request_line_keeps_no_number_that_a_caller_put_into_it(
    echo: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    echo.open("/api/v1/echo", method="13812345678", headers={"X-Request-Id": "13812345678"})

    (line,) = lines(capsys)
    assert (line["method"], line["request_id"], line["status"]) == ("other", HIDDEN, 405)
    assert list(line)[-2:] == ["level", "timestamp"]
    assert line["timestamp"].endswith("Z")

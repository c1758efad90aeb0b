from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidChunkSize

from marketplace.errors import RuleViolation
from marketplace.web.parsing import BadJson, strict_json
from tests.timing import computing

JSON = {"content_type": "application/json"}


def post(client: FlaskClient, body: bytes | str, path: str = "/api/v1/echo") -> Any:
    return client.post(path, data=body, **JSON)


class Torn:
    """A body whose chunks are not as long as they say, as gunicorn hands it over."""

    def read(self, size: int = -1) -> bytes:
        raise InvalidChunkSize(b"zz")


def test_a_body_in_broken_chunks_is_a_bad_request(echo: FlaskClient) -> None:
    answer = echo.post(
        "/api/v1/echo", **JSON, environ_overrides={"wsgi.input": Torn(), "wsgi.input_terminated": True}
    )
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["type"].endswith("/bad-request")


def test_good_json_arrives_as_it_was_sent(echo: FlaskClient) -> None:
    body = {"name": "静宁苹果 🍎", "lines": [{"quantity": 3, "price_fen": 4500}]}
    answer = echo.post("/api/v1/echo", json=body)
    assert answer.status_code == 200
    assert answer.get_json() == body


@pytest.mark.parametrize(
    "body",
    [
        '{"name": NaN}',
        '{"name": Infinity}',
        '{"name": -Infinity}',
        '{"name": 1e400}',
        '{"name": "a", "name": "b"}',
        '{"name": "a", "lines": [{"quantity": 1, "quantity": 2, "price_fen": 1}]}',
        '{"name": "a\\u0000b"}',
        '{"na\\u0000me": "a"}',
        '{"name": "\\ud800"}',
        '{"\\udfff": "a"}',
        '{"name": "a",}',
        "{'name': 'a'}",
        '{"name": "a"} x',
        "",
        "   ",
        "[" * 100_000,
        "[" * 21 + "]" * 21,
        '{"a":' * 100_000,
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "a"}',
        '{"name": "a"}'.encode("utf-16"),
        '"' + '\\"' * 50_000,
    ],
)
def test_what_is_not_strict_json_is_answered_400_quickly(echo: FlaskClient, body: bytes | str) -> None:
    with computing() as spent:
        answer = post(echo, body)
    assert spent.seconds < 0.5
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["type"].endswith("/problems/bad-json")
    assert problem["status"] == 400


@pytest.mark.parametrize(
    ("number", "detail"),
    [
        (str(2**63), "整数太大"),
        (str(-(2**63) - 1), "整数太大"),
        ("9" * 5_000, "整数太大"),
        ("-" + "9" * 5_000, "整数太大"),
        ("10000001", "要在1到10000000之间"),
        ("0", "要在1到10000000之间"),
        ("-0", "要在1到10000000之间"),
        ("1e3", "要是整数"),
        ("1.0", "要是整数"),
        ('"1"', "要是整数"),
        ("true", "要是整数"),
        ("null", "不能为 null"),
    ],
)
def test_a_number_that_is_no_quantity_is_refused_with_its_pointer(
    echo: FlaskClient, number: str, detail: str
) -> None:
    answer = post(echo, f'{{"name": "a", "lines": [{{"quantity": {number}, "price_fen": 1}}]}}')
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": "#/lines/0/quantity", "detail": detail}]


def test_unknown_fields_are_refused_at_every_level(echo: FlaskClient) -> None:
    answer = echo.post(
        "/api/v1/echo", json={"name": "a", "x": 1, "lines": [{"quantity": 1, "price_fen": 1, "y/z": 2}]}
    )
    assert answer.status_code == 422
    assert sorted(e["pointer"] for e in answer.get_json()["errors"]) == ["#/lines/0/y~1z", "#/x"]


@pytest.mark.parametrize("sign", ["\x01", "\x08", "\x1b", "\x7f", "\x85", "\u202e", "\u2066"])
def test_a_text_has_no_sign_that_nobody_sees(echo: FlaskClient, sign: str) -> None:
    answer = echo.post("/api/v1/echo", json={"name": f"静宁{sign}苹果"})
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": "#/name", "detail": "不能有控制字符"}]
    assert echo.post("/api/v1/echo", json={"name": "静宁\n\t苹果 🍎"}).status_code == 200


def test_another_content_type_is_answered_415(echo: FlaskClient) -> None:
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/vnd.api+json",
        "application/json; charset=gbk",
        None,
    ):
        answer = echo.post("/api/v1/echo", data='{"name": "a"}', content_type=content_type)
        assert answer.status_code == 415, content_type
        assert answer.get_json()["type"].endswith("/problems/unsupported-media-type")


def test_an_act_without_arguments_needs_no_body(echo: FlaskClient) -> None:
    assert echo.post("/api/v1/echo/act").get_json() == {"done": True}
    assert echo.post("/api/v1/echo/optional").get_json() == {}
    assert post(echo, "{}", "/api/v1/echo/act").status_code == 200
    assert post(echo, "{", "/api/v1/echo/act").status_code == 400
    assert echo.post("/api/v1/echo/act", data="x", content_type="text/plain").status_code == 415


def test_a_value_that_is_no_object_is_refused(echo: FlaskClient) -> None:
    for body in ("[]", "1", '"a"', "null", "true"):
        answer = post(echo, body)
        assert answer.status_code == 422, body
        assert answer.get_json()["errors"][0]["pointer"] == "#"


def test_ten_thousand_wrong_items_are_refused_by_length_first(echo: FlaskClient) -> None:
    body = {"name": "a", "lines": [{"quantity": "x", "price_fen": -1, "z": 1}] * 10_000}
    with computing() as spent:
        answer = echo.post("/api/v1/echo", json=body)
    assert spent.seconds < 0.5
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"pointer": "#/lines", "detail": "最多2000项"}]


def test_a_body_above_the_limit_is_answered_413(echo: FlaskClient) -> None:
    answer = post(echo, '{"name": "' + "a" * 1_000_000 + '"}')
    assert answer.status_code == 413
    assert answer.get_json()["type"].endswith("/problems/too-large")
    claimed = echo.post(
        "/api/v1/echo", data="{}", environ_overrides={"CONTENT_LENGTH": "999999999999"}, **JSON
    )
    assert claimed.status_code == 413


def test_files_are_taken_only_where_the_route_says_so(echo: FlaskClient) -> None:
    answer = echo.post("/api/v1/echo/files", data={"file": (io.BytesIO(b"x"), "a.pdf")})
    assert answer.get_json() == {"names": ["a.pdf"]}
    assert echo.post("/api/v1/echo/files", json={"file": "x"}).status_code == 415
    refused = echo.post("/api/v1/echo", data={"name": (io.BytesIO(b"x"), "a.pdf")})
    assert refused.status_code == 415


def test_a_stranger_learns_nothing_of_a_bad_body(echo: FlaskClient) -> None:
    assert post(echo, "{", "/api/v1/echo/guarded").status_code == 401
    assert echo.post("/api/v1/echo/guarded", data="x").status_code == 401


def test_query_parameters_are_single_known_and_without_nul(echo: FlaskClient) -> None:
    good = echo.get("/api/v1/echo?q=苹果&limit=5&tags=a&tags=b")
    assert good.get_json() == {"after": None, "limit": 5, "q": "苹果", "tags": ["a", "b"]}
    for query, expected in (
        ("limit=5&limit=6", {"parameter": "limit", "detail": "只能出现一次"}),
        ("colour=red", {"parameter": "colour", "detail": "没有这个字段"}),
        ("q=a%00b", {"parameter": "q", "detail": "不能有空字符"}),
        ("q%00=a", {"parameter": "q", "detail": "不能有空字符"}),
        ("limit=0", {"parameter": "limit", "detail": "要在1到100之间"}),
        ("limit=x", {"parameter": "limit", "detail": "要是整数"}),
        ("limit=99999999999999999999", {"parameter": "limit", "detail": "要在1到100之间"}),
    ):
        answer = echo.get(f"/api/v1/echo?{query}")
        assert answer.status_code == 422, query
        assert answer.get_json()["errors"] == [expected], query


def test_odd_bytes_in_an_address_are_no_fault_of_the_server(echo: FlaskClient) -> None:
    assert echo.get("/api/v1/echo/text/a%00b").status_code == 404
    assert echo.get("/api/v1/echo/text/%ff%fe").status_code == 200
    raw = echo.get("/api/v1/echo", environ_overrides={"QUERY_STRING": "q=\xff\xfe"})
    assert raw.status_code == 400
    assert raw.get_json()["type"].endswith("/problems/bad-request")


def test_depth_counts_brackets_outside_texts_only() -> None:
    assert strict_json(b'{"a": "' + b"[" * 100 + b'"}') == {"a": "[" * 100}
    assert strict_json(b'{"a": "\\"' + b"[" * 100 + b'"}') == {"a": '"' + "[" * 100}
    assert strict_json(b"[" * 20 + b"]" * 20) is not None
    with pytest.raises(BadJson):
        strict_json(b"[" * 21 + b"]" * 21)


def test_the_largest_integers_pass_and_the_next_do_not() -> None:
    assert strict_json(str(2**63 - 1).encode()) == 2**63 - 1
    assert strict_json(str(-(2**63)).encode()) == -(2**63)
    with pytest.raises(RuleViolation):
        strict_json(str(2**63).encode())

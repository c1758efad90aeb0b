"""One strict reading of every request body and query under /api/ and /partner/, before any schema sees it.

For views:
- JSON needs nothing: `@blp.arguments(In)` receives what was read here; `request.get_json()` gives the same value.
- A route that takes files is marked, below `@blp.route`:

      @blp.route("/documents", methods=["POST"])
      @requires(Permission.DOCUMENT_UPLOAD)
      @accepts_files
      @blp.arguments(DocumentForm, location="form")
      def upload(...): ...

- `@blp.arguments(Args, location="query")` refuses unknown and repeated parameters (lists may repeat).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, ParamSpec, TypeVar

from flask import Flask, Request, current_app, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from marketplace.errors import NotFound, RuleViolation
from marketplace.web.arguments import read_given
from marketplace.web.edge import current_actor
from marketplace.web.problems import machine_asks

P = ParamSpec("P")
R = TypeVar("R")

MAX_DEPTH = 20
MAX_JSON_BYTES = 1_000_000
MAX_ITEMS = 2_000  # of any list: four times what the longest list of a schema allows
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# A string is one token, closed or not, matched without going back: the scan is linear for any input.
_TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class BadJson(HTTPException):
    """400 `bad-json`: the body is not strict JSON. `reason` is Chinese, and quotes nothing of the body."""

    code = 400
    slug = "bad-json"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def accepts_files(view: Callable[P, R]) -> Callable[P, R]:
    """Declare that a route under /api/ takes multipart/form-data instead of JSON."""
    view.accepts_files = True  # type: ignore[attr-defined]
    return view


class StrictRequest(Request):
    """A request whose JSON is read strictly, once; there is no second, lenient reading of it."""

    _strict: Any = None
    _strict_done = False

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as strict JSON. Raises BadJson; `silent` gives None in its place."""
        if not self._strict_done:
            try:
                self._strict = strict_json(self.get_data(cache=True))
            except (BadJson, RuleViolation):
                if silent:
                    return None
                raise
            self._strict_done = True
        return self._strict

    @property
    def json(self) -> Any:
        return self.get_json()


def register_parsing(app: Flask) -> None:
    app.request_class = StrictRequest
    app.before_request(check_request)
    # The decorators of all views hold this one parser already; its loaders are looked up at each request.
    parser = Blueprint.ARGUMENTS_PARSER
    parser.location_loader("json")(_load_json)
    parser.location_loader("query")(_load_query)
    parser.location_loader("form")(_load_form)
    parser.parse = partial(_parse, parser)
    parser.DEFAULT_UNKNOWN_BY_LOCATION = {
        **parser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": None,
        "form": None,
        "files": None,
    }


def _parse(
    parser: Any, schema: Any, req: Request | None = None, *, location: str | None = None, **how: Any
) -> Any:
    if location == "query" and isinstance(schema, Schema):
        given = request.args.to_dict(flat=False)
        if all(len(values) == 1 for values in given.values()):
            read = read_given(schema, {name: values[0] for name, values in given.items()})
            if read is not None:
                return read
    return type(parser).parse(parser, schema, req, location=location, **how)


def check_request() -> None:
    """Refuse what no view should see: NUL, numbers beyond any column, a wrong content type, JSON that is not strict."""
    req = request._get_current_object()  # type: ignore[attr-defined]
    if "\x00" in req.path or not all(map(_fits, (req.view_args or {}).values())):
        raise NotFound
    query = req.query_string
    if query:
        try:
            query.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest from None
        if b"%00" in query or b"\x00" in query:
            _check_arguments()
    if req.method in _BODY_METHODS and req.endpoint is not None and _may_enter():
        if machine_asks():
            _check_body()
        else:
            _check_form()


def _fits(value: Any) -> bool:
    """Whether a part of the path can be the value of a column; a larger number names nothing."""
    return not isinstance(value, int) or _INT_MIN <= value <= _INT_MAX


def _check_arguments() -> None:
    for name, values in request.args.lists():
        if "\x00" in name or any("\x00" in value for value in values):
            raise RuleViolation(
                "网址的参数里有空字符",
                errors=[{"parameter": name.replace("\x00", ""), "detail": "不能有空字符"}],
            )


def _may_enter() -> bool:
    """Whether the view's guard lets this caller in; what stands in the body of anybody else is no matter."""
    access = getattr(current_app.view_functions[request.endpoint or ""], "declared_access", None)
    return not isinstance(access, tuple) or any(current_actor().can(p) for p in access)


def _check_form() -> None:
    """No browser sends a NUL, and no column holds one."""
    if request.mimetype not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return
    typed = [*request.form, *(value for values in request.form.listvalues() for value in values)]
    typed += [*request.files, *(file.filename or "" for _, file in request.files.items(multi=True))]
    if any("\x00" in text for text in typed):
        raise RuleViolation("填写的内容里有空字符")


def _check_body() -> None:
    if takes_files(current_app.view_functions[request.endpoint or ""]):
        if request.mimetype != "multipart/form-data":
            raise UnsupportedMediaType
        return
    request.max_content_length = MAX_JSON_BYTES
    if not request.get_data(cache=True):
        return
    if request.mimetype != "application/json" or request.mimetype_params.get(
        "charset", "utf-8"
    ).lower() not in (
        "utf-8",
        "utf8",
    ):
        raise UnsupportedMediaType
    if request.content_encoding:
        raise UnsupportedMediaType
    request.get_json()


def takes_files(view: Callable[..., Any]) -> bool:
    """Marked with `accepts_files`, or documented with files among its arguments."""
    if getattr(view, "accepts_files", False):
        return True
    arguments = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", [])
    return any(a.get("in") == "files" or a.get("content_type") == "multipart/form-data" for a in arguments)


def strict_json(body: bytes) -> Any:
    """The value of a JSON text. Raises BadJson, and RuleViolation for integers that no column can hold.

    Refused: another encoding than UTF-8, a BOM, syntax errors, depth above 20, repeated keys, NaN and Infinity
    (also as 1e400), NUL and lone surrogates in any text.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("内容不是有效的 UTF-8") from None
    if text.startswith("\ufeff"):
        raise BadJson("内容不要带 BOM")
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        raise BadJson(f"第{error.lineno}行第{error.colno}列不是有效的 JSON") from None
    _check_value(value, "#")
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadJson(f"嵌套不能超过{MAX_DEPTH}层")
        elif first in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadJson("一个对象里有重复的键")
    return made


def _no_constant(text: str) -> NoReturn:
    raise BadJson("数字不能是 NaN 或 Infinity")


def _integer(text: str) -> int:
    # Longer ones are out of range whatever their digits are; reading them costs time, and is limited in Python.
    return int(text) if len(text) <= 40 else (-(10**40) if text.startswith("-") else 10**40)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadJson("数字太大")
    return value


def _check_value(value: Any, pointer: str) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            # Refused by length first: a schema would check each item, and list every error.
            raise RuleViolation(errors=[{"pointer": pointer, "detail": f"最多{MAX_ITEMS}项"}])
        for index, item in enumerate(value):
            _check_value(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_value(item, f"{pointer}/{key}")
    elif isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        raise RuleViolation(errors=[{"pointer": pointer, "detail": "整数太大"}])


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise BadJson("文字里不能有空字符")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadJson("文字里有孤立的代理字符") from None


def _load_json(req: Request, schema: Schema) -> Any:
    """An empty body stands for {} where nothing is required, so acts without arguments need no body."""
    if req.get_data(cache=True):
        return req.get_json()
    if any(field.required for field in schema.load_fields.values()):
        raise BadJson("请求要带 JSON 内容")
    return {}


def _single(given: MultiDict[str, str], schema: Schema) -> Any:
    lists = {f.data_key or name for name, f in schema.load_fields.items() if isinstance(f, fields.List)}
    repeated = [name for name, values in given.lists() if len(values) > 1 and name not in lists]
    if repeated:
        raise ValidationError({name: ["只能出现一次"] for name in repeated})
    # Where no field is a list, each has one value: a plain dict is read in a third of the time.
    return MultiDictProxy(given, schema) if lists else given.to_dict()


def _load_query(req: Request, schema: Schema) -> Any:
    return _single(req.args, schema)


def _load_form(req: Request, schema: Schema) -> Any:
    for name, values in req.form.lists():
        if "\x00" in name or any("\x00" in value for value in values):
            raise ValidationError({name.replace("\x00", ""): ["不能有空字符"]})
    return _single(req.form, schema)

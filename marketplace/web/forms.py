"""Forms of pages over the same schemas and services as the API.

    @blp.route("/orders/<uuid:order_id>/cancel", methods=["GET", "POST"])
    @requires(Permission.ORDER_CANCEL)
    @form
    @retrying
    def cancel_order(order_id: UUID) -> Shown:
        if posted():
            values = read_form(ReasonIn())
            reply = cancelling.cancel_order(current_actor(), order_id, once=page_once(".order"), **values)
            return done(reply, gettext("订单已取消"))
        return page("desks/cancel.html", order=...)

GET shows the form, POST acts. A refusal shows the same page again with its status, the reasons on top (each a link
to its field) and everything that was typed; a form sent twice has one effect and leads to the same place.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec

from flask import Response, flash, g, make_response, redirect, request, url_for
from flask_babel import gettext
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from marketplace import errors
from marketplace.database import db
from marketplace.unit_of_work import Answer, KeyReused, Once, Replayed, Reply
from marketplace.values import MAX_FEN
from marketplace.web.edge import request_fingerprint
from marketplace.web.language import translated
from marketplace.web.problems import status_of, validation_errors

P = ParamSpec("P")
Shown = str | AnyResponse

ONCE_FIELD = "_once"
MAX_TYPED = 200_000  # characters of a form that are shown again; beyond it the answer would only grow
_KEY = re.compile(r"[0-9a-f]{32}")
_AMOUNT = re.compile(r"(-?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,3}))?")


@dataclass(frozen=True)
class Mistake:
    """One thing to change: the form field it belongs to ("" for the whole form) and what to do."""

    field: str
    text: str


@dataclass
class Form:
    """What a template needs of a form: typed values and mistakes. Empty at the first showing."""

    typed: MultiDict[str, str] = field(default_factory=MultiDict)
    mistakes: list[Mistake] = field(default_factory=list)
    refusal: errors.MarketplaceError | None = None
    labels: dict[str, str] = field(default_factory=dict)

    def named(self, name: str, label: str) -> str:
        """Keep what a field is called, for the summary of mistakes; templates print the empty answer."""
        self.labels[name] = label
        return ""

    def value(self, name: str, default: object = "") -> object:
        """What was typed, else the default."""
        return self.typed.get(name, "" if default is None else default)

    def checked(self, name: str, value: str = "on", default: bool = False) -> bool:
        return value in self.typed.getlist(name) if self.refusal is not None else default

    def mistake(self, name: str) -> str | None:
        return next((m.text for m in self.mistakes if m.field == name), None)


class FormInvalid(errors.RuleViolation):
    """The form does not fit its schema; `errors` as in the API."""


# Refusals that the form itself can tell; wrong credentials among them, but not "sign in first".
_SHOWN = (
    errors.RuleViolation,
    errors.Conflict,
    errors.Throttled,
    errors.Unavailable,
    errors.UpstreamFailure,
    errors.Unauthenticated,
)


def current_form() -> Form:
    """The state of this request's form."""
    if "form" not in g:
        g.form = Form()
    state: Form = g.form
    return state


def posted() -> bool:
    """Whether the view shall act now (and not show)."""
    return request.method == "POST" and current_form().refusal is None


def form(view: Callable[P, Shown]) -> Callable[P, Shown]:
    """Show the page again when the act is refused, with what was typed. Absence and missing rights stay errors."""

    @wraps(view)
    def handled(*args: P.args, **kwargs: P.kwargs) -> Shown:
        if request.method != "POST":
            return view(*args, **kwargs)
        try:
            return view(*args, **kwargs)
        except Replayed as stored:
            return done(Reply(None, stored.answer), None)
        except _SHOWN as refusal:
            if type(refusal) is errors.Unauthenticated:
                raise
            # The refused act left nothing behind; what the page shows is read afresh.
            db.session.rollback()
            g.form = _refused(refusal)
            response = make_response(view(*args, **kwargs))
            response.status_code = status_of(refusal)
            return response

    return handled


def _refused(refusal: errors.MarketplaceError) -> Form:
    # What read_form found is told by the places of the form already, what the service says is not.
    rows: Rows = {} if isinstance(refusal, FormInvalid) else g.get("form_rows", {})
    mistakes = [
        Mistake(_field_name(entry, rows), translated(entry.get("detail", "")))
        for entry in refusal.data.get("errors") or ()
    ]
    if isinstance(refusal, KeyReused):
        mistakes = [Mistake("", gettext("这张表已经交过一次，又改了内容。要再交一份，请重新打开这一页"))]
    elif not mistakes or refusal.detail:
        whole = translated(refusal.detail or refusal.title)
        if isinstance(refusal, errors.WrongState) and not refusal.detail:
            # Opened twice, or somebody was quicker: the page that comes back shows how things stand.
            whole = gettext("现在的状态不能这样做，可能已经有人办过；这一页是最新的情况，请看过再决定")
        # A refusal of one field often says the same of the whole: it is one thing to mend.
        if whole not in {mistake.text for mistake in mistakes}:
            mistakes.insert(0, Mistake("", whole))
    typed = MultiDict(request.form)
    if sum(len(v) for v in request.form.values()) > MAX_TYPED:
        typed = MultiDict()
        mistakes.append(Mistake("", gettext("填的文字太长，没有保留；请缩短后重填")))
    return Form(typed, mistakes, refusal)


def _field_name(entry: Mapping[str, str], rows: Rows) -> str:
    pointer = _as_typed(entry.get("pointer", "#"), rows).removeprefix("#").strip("/")
    return entry.get("parameter") or pointer.replace("/", "-")


def _as_typed(pointer: str, rows: Rows) -> str:
    """The pointer with every row counted as on the form, where empty rows stand too."""
    parts: list[str] = []
    for part in pointer.split("/"):
        typed = rows.get("/".join(parts))
        parts.append(typed[int(part)] if typed and part.isdigit() and int(part) < len(typed) else part)
    return "/".join(parts)


def page_once(endpoint: str, **values: object) -> Once:
    """One effect per shown form. `endpoint` is where the reader goes next.

    A value that is a callable is asked with the service's result: `page_once(".order", order_id=lambda r: r["id"])`.
    """
    key = request.form.get(ONCE_FIELD, "")

    def render(result: Any) -> Answer:
        known: dict[str, Any] = {
            name: value(result) if callable(value) else value for name, value in values.items()
        }
        return Answer(200, json.dumps({"to": url_for(endpoint, **known)}).encode())

    good = _KEY.fullmatch(key) is not None
    return Once(render, f"page-{key}" if good else None, request_fingerprint() if good else b"")


def fresh_key() -> str:
    """The key of a form that is shown now; the refused one keeps its own, since a refusal is stored nowhere."""
    typed = str(current_form().value(ONCE_FIELD, ""))
    return typed if _KEY.fullmatch(typed) else uuid.uuid4().hex


def done(reply: Reply, message: str | None, *, kind: str = "done") -> AnyResponse:
    """To the place that `page_once` named, with a word of what happened."""
    if reply.answer is None:
        raise RuntimeError("the service was called without page_once(): there is nowhere to go")
    return went(json.loads(reply.answer.body)["to"], message, kind=kind)


def went(location: str, message: str | None, *, kind: str = "done") -> AnyResponse:
    """To a page of ours after an act, with a word of what happened."""
    if message:
        flash(message, kind)
    return redirect(location, 303)


def safe_next(target: str | None, default: str) -> str:
    """A path of this site to go on to; anything that leads elsewhere becomes the default."""
    if not target or not re.fullmatch(r"/(?![/\\])[^\\\x00-\x1f]*", target):
        return default
    return target


def read_form(
    schema: Schema, *, partial: bool = False, rows: Mapping[str, str] | None = None, **extra: Any
) -> dict[str, Any]:
    """The posted fields as the schema's values. Raises FormInvalid (`invalid`) with every mistake.

    `lines-0-quantity` is the member `quantity` of the first of `lines`. Empty fields count as not given. Fields named
    `*_fen` are typed in 元, `*_g` in 公斤, `*_bp` in percent. `extra` are values that no field holds.

    Empty rows of a list are left out; `rows={"lines": "quantity"}` also leaves out those of `lines` whose quantity is
    empty or 0. Mistakes keep the places of the form.
    """
    given: dict[str, Any] = {}
    for name, values in request.form.lists():
        if name.startswith("_") or "\x00" in name:
            continue
        _put(given, name.split("-"), [v.replace("\r\n", "\n") for v in values])
    mistakes: list[dict[str, str]] = []
    reading = _Reading(rows or {}, mistakes)
    content = {**_converted(given, schema, "#", reading), **extra}
    g.form_rows = reading.kept
    try:
        loaded: dict[str, Any] = schema.load(content, partial=partial)
    except ValidationError as error:
        known = {m["pointer"] for m in mistakes}
        found = [
            {**m, "pointer": _as_typed(m["pointer"], reading.kept)} if "pointer" in m else m
            for m in validation_errors({"json": error.messages})
        ]
        raise FormInvalid(errors=mistakes + [m for m in found if m.get("pointer") not in known]) from None
    if mistakes:
        raise FormInvalid(errors=mistakes)
    return loaded


def read_query(schema: Schema) -> dict[str, Any]:
    """The address's arguments as the schema's values; empty ones count as not given, unknown ones are ignored.

    Raises FormInvalid (`invalid`).
    """
    given = {name: value for name, value in request.args.items() if value != ""}
    try:
        loaded: dict[str, Any] = schema.load(given, unknown=EXCLUDE)
    except ValidationError as error:
        raise FormInvalid(errors=list(validation_errors({"query": error.messages}))) from None
    return loaded


def _put(tree: dict[str, Any], path: list[str], values: list[str]) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[path[-1]] = values


# Where rows were left out: pointer of the list -> the place on the form of each row that stayed.
Rows = dict[str, list[str]]


@dataclass
class _Reading:
    """What reading one form needs and finds: the key field of lists, mistakes, which rows stayed."""

    key_fields: Mapping[str, str]
    mistakes: list[dict[str, str]]
    kept: Rows = field(default_factory=dict)


def _converted(given: dict[str, Any], schema: Schema, at: str, reading: _Reading) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in given.items():
        kind = schema.load_fields.get(name)
        found = _member(kind, name, value, f"{at}/{name}", reading)
        if found is not None:
            result[name] = found
    return result


def _member(kind: fields.Field[Any] | None, name: str, value: Any, at: str, reading: _Reading) -> Any:
    if isinstance(kind, fields.List):
        by_place: dict[str, Any] = (
            {str(n): [v] for n, v in enumerate(value)} if isinstance(value, list) else value
        )
        ordered = sorted(by_place, key=lambda k: (len(k), k))
        members = [(k, _member(kind.inner, name, by_place[k], f"{at}/{k}", reading)) for k in ordered]
        key = reading.key_fields.get(name)
        stayed = [(k, m) for k, m in members if m is not None and (key is None or m.get(key))]
        reading.kept[at] = [k for k, _ in stayed]
        return [m for _, m in stayed] or None
    if isinstance(kind, fields.Nested):
        below = _converted(value, kind.schema, at, reading) if isinstance(value, dict) else {}
        return below or None
    if not isinstance(value, list):
        return value
    text = value[-1].strip()
    if text == "":
        return None
    if isinstance(kind, fields.Boolean):
        return text in ("on", "1", "true", "yes")
    if not isinstance(kind, fields.Integer):
        return text
    number, hint = _number(name, text)
    if number is None:
        reading.mistakes.append({"pointer": at, "detail": hint})
    return number


_HUNDREDTHS = "请填数字，最多两位小数，如 1,234.50"
_THOUSANDTHS = "请填公斤数，最多三位小数，如 2.5"
_WHOLE = "请填整数"


def _number(name: str, text: str) -> tuple[int | None, str]:
    """(value, "") or (None, what to type). 元 to fen, 公斤 to grams, percent to basis points, else a whole number."""
    text = text.translate(_NARROW).replace(" ", "")
    found = _AMOUNT.fullmatch(text)
    places, hint = (2, _HUNDREDTHS) if name.endswith(("_fen", "_bp")) else (0, _WHOLE)
    if name.endswith("_g"):
        places, hint = 3, _THOUSANDTHS
    if found is None or len(found[3] or "") > places:
        return None, hint
    whole = int(found[2].replace(",", "")) * 10**places + int((found[3] or "").ljust(places, "0") or 0)
    return (-whole if found[1] else whole) if whole <= MAX_FEN else None, hint


# Full-width digits and signs, as an input method types them.
_NARROW = str.maketrans("０１２３４５６７８９．，－", "0123456789.,-", "%％元")


def uploaded(name: str) -> tuple[str, bytes] | None:
    """(file name, content) of a chosen file; None when none was chosen."""
    storage = request.files.get(name)
    if storage is None or not storage.filename:
        return None
    return storage.filename, storage.read()


def no_content() -> Response:
    return Response(status=204)

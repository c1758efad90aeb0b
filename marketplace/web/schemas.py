"""Field types and shapes that all JSON schemas share. Unknown fields are refused; numbers are strict integers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from marketplace.paging import DEFAULT_LIMIT, MAX_LIMIT
from marketplace.values import MAX_FEN, MAX_QUANTITY

# Days that anybody trades, certifies or pays on: far enough from the ends of the calendar to be counted on from.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
_DAYS = validate.Range(FIRST_DAY, LAST_DAY, error=f"要在{FIRST_DAY}到{LAST_DAY}之间")


def _within_the_calendar(moment: datetime) -> None:
    # By its parts: a time at the calendar's end can't be moved to another zone.
    _DAYS(moment.date())


class InSchema(Schema):
    """Root of every input schema. Days and times are of 1900 to 2199."""

    class Meta:
        unknown = RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        if isinstance(field_obj, fields.DateTime):
            check: Callable[[Any], Any] = _within_the_calendar
        elif isinstance(field_obj, fields.Date):
            check = _DAYS
        else:
            return
        field_obj.validators = [*field_obj.validators, check]


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("不能为空")


# Line breaks and tabs are typed; other control characters show nothing on a page and break a paper, and those that
# turn the direction of writing make a name read as another one.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _all_seen(value: str) -> None:
    if _UNSEEN.search(value):
        raise ValidationError("不能有控制字符")


def text(maximum: int, *, required: bool = True, **kwargs: Any) -> fields.String:
    """A text of 1 to `maximum` characters that is not blank and has no control characters but line breaks and tabs."""
    checks: list[Callable[[Any], Any]] = [
        validate.Length(1, maximum, error=f"要有1到{maximum}个字"),
        _not_blank,
        _all_seen,
    ]
    return fields.String(required=required, validate=checks, **kwargs)


def integer(low: int, high: int, *, required: bool = True, **kwargs: Any) -> fields.Integer:
    """A JSON integer (not a text, not 1.0) within the bounds, both included."""
    return fields.Integer(
        required=required,
        strict=True,
        validate=validate.Range(low, high, error=f"要在{low}到{high}之间"),
        **kwargs,
    )


def fen(*, low: int = 0, required: bool = True, **kwargs: Any) -> fields.Integer:
    return integer(low, MAX_FEN, required=required, **kwargs)


def quantity(*, low: int = 1, required: bool = True, **kwargs: Any) -> fields.Integer:
    return integer(low, MAX_QUANTITY, required=required, **kwargs)


class PageArgs(InSchema):
    """Paging of every list: `limit` 1 to 100, `after` the cursor of the answer before."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


def page_of(item: type[Schema]) -> Schema:
    """{"items": [item], "next": cursor or null}."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next": fields.String(allow_none=True, required=True),
        },
        name=f"{item.__name__}Page",
    )()


class ReasonIn(InSchema):
    reason = text(500)


class NamedCodeOut(Schema):
    code = fields.String(required=True)
    name = fields.String(required=True)


class NamedIdOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)

"""The short way of reading an address gives what the schema gives, or leaves it to the schema."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, ValidationError, fields, post_load

from marketplace.catalog.schemas import ProductFilter
from marketplace.web.arguments import read_given
from marketplace.web.schemas import InSchema

VALUES = (
    "", " ", "0", "1", "24", "101", "-5", "9007199254740993", "true", "false", "2", "yes", "苹果", "pg", "x" * 70,
    "2026-11-24", "2026-13-01", "1899-12-31", "620826", "01", "price", "-price", "newest", "relevance", "green",
    "018f4d1e-7b3c-7a51-9c7e-0123456789ab", "1.0", "null", "released", "agency", "eyJhIjoxfQ",
)  # fmt: skip


def schemas(app: Flask) -> Iterator[Schema]:
    for view in app.view_functions.values():
        for argument in getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", []):
            if argument.get("in") == "query":
                schema = argument["schema"]
                yield schema() if isinstance(schema, type) else schema


def loaded(schema: Schema, given: dict[str, str]) -> Any:
    try:
        return schema.load(given)
    except ValidationError:
        return None


def test_every_query_is_read_as_its_schema_reads_it(app: Flask) -> None:
    draw = random.Random(20_261_124)
    read = refused = 0
    for schema in schemas(app):
        names = [field.data_key or name for name, field in schema.load_fields.items()]
        for _ in range(150):
            chosen = draw.choices([*names, *names, *names, "unknown", "limit"], k=draw.randrange(5))
            given = {name: draw.choice(VALUES) for name in chosen}
            short = read_given(schema, given)
            if short is not None:
                assert short == loaded(schema, given)
                assert list(map(type, short.values())) == list(map(type, loaded(schema, given).values()))
                read += 1
            else:
                refused += 1

    assert min(read, refused) > 500


def test_the_public_list_takes_the_short_way() -> None:
    given = {"limit": "24", "sort": "-price", "county": "620826", "available": "true"}

    assert read_given(ProductFilter(), given) == ProductFilter().load(given)


class Needs(InSchema):
    year = fields.Integer(required=True, data_key="budget_year")
    kind = fields.String()


@pytest.mark.parametrize("given", [{}, {"kind": "a"}, {"year": "2026"}, {"budget_year": "x"}, {"other": "1"}])
def test_what_the_schema_refuses_is_left_to_it(given: dict[str, str]) -> None:
    assert read_given(Needs(), given) is None


def test_a_required_argument_of_another_name_is_read() -> None:
    assert read_given(Needs(), {"budget_year": "2026"}) == {"year": 2026}


def test_a_schema_that_does_more_than_its_fields_reads_for_itself() -> None:
    class Doubling(InSchema):
        number = fields.Integer()

        @post_load
        def double(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
            return {"number": 2 * data["number"]}

    class Many(InSchema):
        words = fields.List(fields.String())

    assert read_given(Doubling(), {"number": "2"}) is None
    assert read_given(Many(), {"words": "a"}) is None

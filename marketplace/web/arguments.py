"""The arguments of an address, read by the fields of those that are given alone.

A list has a dozen filters of which a reader gives two, and walking the whole schema for them takes longer than many
things that the answer needs. So each given argument is read by its own field, and the others have their defaults.
Whatever is unusual goes to the schema, which alone says what is wrong: an unknown name, a value that its
field refuses, a required one that is missing, a schema that does more than its fields do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from marshmallow import RAISE, Schema, ValidationError, fields, missing


@dataclass(frozen=True)
class _Plain:
    """By their names in the address: the key of each field in what a view gets, and the field."""

    fields: Mapping[str, tuple[str, fields.Field[Any]]]
    required: frozenset[str]
    defaults: Mapping[str, Any]


_known: WeakKeyDictionary[Schema, _Plain | None] = WeakKeyDictionary()


def read_given(schema: Schema, given: Mapping[str, str]) -> dict[str, Any] | None:
    """What `schema.load` would give; None when the schema itself has to read them."""
    try:
        plain = _known[schema]
    except KeyError:
        plain = _known[schema] = _plain(schema)
    if plain is None:
        return None
    out = dict(plain.defaults)
    seen = 0
    for name, value in given.items():
        known = plain.fields.get(name)
        if known is None:
            return None
        key, field = known
        try:
            out[key] = field.deserialize(value, name, given)
        except ValidationError:
            return None
        seen += name in plain.required
    return out if seen == len(plain.required) else None


def _plain(schema: Schema) -> _Plain | None:
    if schema.many or schema.partial or schema.unknown != RAISE or any(schema._hooks.values()):
        return None
    found: dict[str, tuple[str, fields.Field[Any]]] = {}
    required: set[str] = set()
    defaults: dict[str, Any] = {}
    for name, field in schema.load_fields.items():
        key = field.attribute or name
        if isinstance(field, fields.List | fields.Nested) or callable(field.load_default) or "." in key:
            return None
        given_as = field.data_key if field.data_key is not None else name
        found[given_as] = (key, field)
        if field.required:
            required.add(given_as)
        elif field.load_default is not missing:
            defaults[key] = field.load_default
    return _Plain(found, frozenset(required), defaults)

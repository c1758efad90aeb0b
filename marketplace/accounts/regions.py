"""Regions: the subject under which their facts stand, and the sort key of Chinese names."""

from __future__ import annotations

from uuid import UUID, uuid5

from marketplace.accounts.rules import FORMER_AREAS

_NAMESPACE = UUID("2f6b7c1e-62f0-5c08-8b1a-620800620800")


def region_subject(code: str) -> UUID:
    """The id of a region or township in facts: always the same for one code."""
    return uuid5(_NAMESPACE, code)


def pinyin_key(name: str) -> str:
    """Lower-case pinyin with tone numbers, by which lists of names are sorted."""
    # Its dictionary is slow to load, and only writing a name needs it.
    from pypinyin import Style, lazy_pinyin

    return " ".join(lazy_pinyin(name, style=Style.TONE3, neutral_tone_with_five=True)).lower()


def present_code(code: str) -> str:
    """Today's code of an area; a former one answers as what it became."""
    return FORMER_AREAS.get(code, code)

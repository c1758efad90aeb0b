"""How products are found: the words of a product, and what a query asks for. Pure.

Chinese is not cut into words; single characters and bigrams find any part of a name without a dictionary that has to
know 庄浪 or 芫荽. Pinyin and initials are kept for sub-spans, so that `pingguo` and `pg` find 静宁苹果. All words of a
query must match; what matched best decides the rank (`listing.rank`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from marketplace.catalog.syllables import SYLLABLES

MAX_TOKENS = 600  # a product's row stays small whatever is typed into its fields
MAX_SPAN = 8  # characters of a sub-span with pinyin of its own
MAX_QUERY = 60
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUNS = re.compile(f"([{_HAN}]+)|([a-z0-9]+)")
_HAN_RUN = re.compile(f"[{_HAN}]+")


class Script(StrEnum):
    """What a query is taken as; it decides which matches of the name can be meant."""

    HAN = "han"
    PINYIN = "pinyin"
    INITIALS = "initials"


@dataclass(frozen=True)
class Terms:
    """What is stored with a product: compact forms of its name, and the words of all its texts."""

    name: str
    pinyin: str
    initials: str
    tokens: list[str]


@dataclass(frozen=True)
class Query:
    """`compact` is compared with the name; a product must have all `tokens`. No tokens: nothing is found."""

    compact: str
    tokens: tuple[str, ...]
    script: Script


def normalise(text: str) -> str:
    """One form for what people type: full-width, case and ü are no difference."""
    return unicodedata.normalize("NFKC", text).casefold().replace("ü", "v").strip()


def compact(text: str) -> str:
    """The normal form without spaces: 静宁 苹果 is 静宁苹果."""
    return "".join(normalise(text).split())


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    for found in _RUNS.finditer(normalise(text)):
        yield found.group(), found.group(1) is not None


def _syllables(han: str) -> list[str]:
    """One toneless syllable a character; a character without a known reading stands for itself."""
    # Its dictionary is slow to load, and only writing a name needs it.
    from pypinyin import lazy_pinyin

    return lazy_pinyin(han, errors=lambda unread: list(unread))  # type: ignore[arg-type, return-value]


def _plain_words(text: str) -> Iterator[str]:
    for run, is_han in _runs(text):
        if not is_han:
            yield run
            continue
        yield from run
        yield from (run[i : i + 2] for i in range(len(run) - 1))


def _sounds(text: str) -> Iterator[str]:
    """Pinyin of every sub-span, and initials of those of two characters and more, short ones first."""
    for run, is_han in _runs(text):
        if not is_han:
            continue
        syllables = _syllables(run)
        count = len(syllables)
        lengths = [*range(1, min(count, MAX_SPAN) + 1), *([count] if count > MAX_SPAN else [])]
        for length in lengths:
            for start in range(count - length + 1):
                span = syllables[start : start + length]
                yield "".join(span)
                if length > 1:
                    yield "".join(s[0] for s in span)


def index_terms(name: str, others: Sequence[str] = (), codes: Sequence[str] = ()) -> Terms:
    """The search columns of a product; `others` (family, spec, category, county) find it, but rank below its name.

    `codes` (such as a GTIN) are found whole only.
    """
    texts = [name, *others]
    tokens: dict[str, None] = {}
    for words in (*(map(_plain_words, texts)), codes, *(map(_sounds, texts))):
        for word in words:
            if len(tokens) >= MAX_TOKENS:
                break
            tokens[word] = None
    heard = [(_syllables(run) if is_han else [run], is_han) for run, is_han in _runs(name)]
    return Terms(
        name=compact(name),
        pinyin="".join("".join(parts) for parts, _ in heard),
        initials="".join("".join(p[0] for p in parts) if is_han else parts[0] for parts, is_han in heard),
        tokens=list(tokens),
    )


def analyse(text: str) -> Query:
    """What a query asks for: 静宁 pg must have both; `pingguo` is pinyin, `pg` can only be initials."""
    tokens: dict[str, None] = {}
    for run, is_han in _runs(text[:MAX_QUERY]):
        if is_han and len(run) > 1:
            tokens.update(dict.fromkeys(run[i : i + 2] for i in range(len(run) - 1)))
        else:
            tokens[run] = None
    asked = compact(text[:MAX_QUERY])
    script = Script.HAN if _HAN_RUN.search(asked) else Script.PINYIN if is_pinyin(asked) else Script.INITIALS
    return Query(asked, tuple(tokens), script)


def is_pinyin(word: str) -> bool:
    """Whether the word can be cut into whole syllables."""
    if not word:
        return False
    reached = {0}
    for end in range(1, len(word) + 1):
        if any(start in reached and word[start:end] in SYLLABLES for start in range(max(0, end - 6), end)):
            reached.add(end)
    return len(word) in reached

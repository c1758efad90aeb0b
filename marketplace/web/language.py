"""Chinese first, English by the reader's own switch: the language is a cookie, never a guess from the browser.

Chinese texts are the message ids, so a page is readable without any catalogue. The English ones lie in
`translations/en/<area>.po`, one file per package or part of the site, read as text at the first use: there is no
compiled file that could be older than its source. Words of the data (names of people, goods, places) stay as they are.

A page has hundreds of texts, so the reader's language is found once a request, and a text of a language once.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

CHINESE = "zh"
ENGLISH = "en"
LANGUAGES = {CHINESE: "中文", ENGLISH: "English"}
COOKIE = "language"
THEMES = ("light", "dark")
THEME_COOKIE = "theme"
FOLDER = Path(__file__).resolve().parent.parent / "translations"


class TextDomain(Domain):  # type: ignore[misc]
    """All areas of a language as one catalogue, made from the .po texts in memory."""

    def get_translations(self) -> Any:
        return catalogue(current_language())


@cache
def catalogue(language: str) -> Any:
    """The messages of a language; none for Chinese. Two areas may share a message, the first one's text is used."""
    files = sorted((FOLDER / language).glob("*.po"))
    if language == CHINESE or not files:
        return NullTranslations()
    merged = Catalog(locale=language)
    for path in files:
        with path.open("rb") as text:
            for message in read_po(text, locale=language):
                if message.id and message.string and message.id not in merged:
                    merged.add(message.id, message.string)
    binary = BytesIO()
    write_mo(binary, merged)
    binary.seek(0)
    return Translations(binary)


def selected_language() -> str:
    wanted = request.cookies.get(COOKIE) if has_request_context() else None
    return wanted if wanted in LANGUAGES else CHINESE


def selected_theme() -> str | None:
    """The reader's own choice; None follows the system."""
    theme = request.cookies.get(THEME_COOKIE)
    return theme if theme in THEMES else None


def current_language() -> str:
    if not g:
        return CHINESE
    known: str | None = g.get("language")
    if known is None:
        locale = get_locale()
        known = g.language = CHINESE if locale is None else str(locale.language)
    return known


def in_english() -> bool:
    return current_language() == ENGLISH


def register_language(app: Flask) -> None:
    babel = Babel()
    babel.init_app(
        app, default_locale=CHINESE, default_timezone="Asia/Shanghai", locale_selector=selected_language
    )
    babel.domain_instance = TextDomain()
    app.jinja_env.globals.update(_=in_template, gettext=in_template)


MOST_TEXTS = 10_000


@lru_cache(MOST_TEXTS)
def _said(language: str, text: str) -> str:
    return str(catalogue(language).gettext(text))


@lru_cache(MOST_TEXTS)
def _without_values(language: str, text: str) -> Markup:
    return Markup(_said(language, text)) % {}


@pass_eval_context
def in_template(context: EvalContext, text: str, /, **values: object) -> str:
    """`_("…")` of the templates: what is put into the text is escaped, the text itself is not."""
    language = current_language()
    if not context.autoescape:
        return _said(language, text) % values
    return Markup(_said(language, text)) % values if values else _without_values(language, text)


def N_(text: str) -> str:
    """Mark a text for translation where it is written; it is translated where it is shown."""
    return text


def translated(text: str | None) -> str:
    """The text in the reader's language; one that no catalogue holds stays as it is.

    Refusals are worded by services, in Chinese, with the values of the case in them; those values are read back.
    """
    if not text:
        return ""
    found = _said(current_language(), text)
    return _with_values(text) if found == text and in_english() else found


def _with_values(text: str) -> str:
    for form, english in said_by_services():
        values = form.fullmatch(text)
        if values is not None:
            return english % {name: translated(value) for name, value in values.groupdict().items()}
    return text


_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@cache
def said_by_services() -> tuple[tuple[re.Pattern[str], str], ...]:
    """(form of a Chinese refusal, its English text) of those that hold values; the most particular first."""
    with (FOLDER / ENGLISH / "refusals.po").open("rb") as text:
        held = [(str(m.id), str(m.string)) for m in read_po(text, locale=ENGLISH) if m.id and m.string]
    held = [(said, english) for said, english in held if _PLACEHOLDER.search(said)]
    held.sort(key=lambda pair: len(_PLACEHOLDER.sub("", pair[0])), reverse=True)
    return tuple((_form(said), english.replace("%", "%%").replace("%%(", "%(")) for said, english in held)


def _form(said: str) -> re.Pattern[str]:
    """What the saying looks like with any values; a value that another one follows at once is a number (10箱)."""
    parts = _PLACEHOLDER.split(said)
    texts, names = parts[::2], parts[1::2]
    form = re.escape(texts[0])
    for place, name in enumerate(names):
        number = texts[place + 1] == "" and place + 1 < len(names)
        value = r"\d[\d,]*" if number else ".+?"
        form += f"(?P<{name}>{value})" + re.escape(texts[place + 1])
    return re.compile(form, re.DOTALL)

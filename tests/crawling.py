"""Walks the site's pages as one person: every link followed, every form's target looked up, all text collected."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException

from tests.conftest import PASSWORD

HOST = "http://localhost"
CHINESE = re.compile(r"[\u3400-\u9fff]")
# One demo account of every role.
PEOPLE = (
    "canteen.buyer", "canteen.manager", "contractor.buyer", "coop.seller", "county.office", "finance.reviewer",
    "settlement.clerk", "market.regulator", "tianjin.partner", "platform.admin",
)  # fmt: skip
ENGLISH_WORD = re.compile(r"\b[A-Za-z]?[a-z]{2,}\b")
SPOKEN = ("alt", "title", "placeholder", "aria-label")
# Pages of machines and of trouble, written for integrators and shown when nothing else works: Chinese alone.
CHINESE_ALONE = ("api_docs", "partner_api_docs", "problem_")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Addresses of one page with other arguments look alike: so many of each are opened.
# Ends the name of a page that came as a workbook.
WORKBOOK = " as a workbook"
PER_ENDPOINT = 4
MAX_PAGES = 400


def untranslated(text: str) -> bool:
    """Chinese without an English word: a name inside an English sentence is no fault of the translation."""
    return bool(CHINESE.search(text)) and not ENGLISH_WORD.search(text)


@dataclass
class Table:
    """A table of a page: its heads as texts with the links that sort by them, its rows, and whether it has a name."""

    section: int
    named: bool
    heads: list[str] = field(default_factory=list)
    # Place of a head -> the address that sorts by it.
    sorts: dict[int, str] = field(default_factory=dict)
    sorted: int | None = None
    # What a cell says first, without what stands below it in small letters.
    rows: list[list[str]] = field(default_factory=list)

    @property
    def first(self) -> str:
        return self.heads[0] if self.heads else ""


class Page(HTMLParser):
    """Links, forms, ids, tables, and the texts with whether they are marked as Chinese."""

    def __init__(self, body: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.forms: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.styled: list[str] = []
        self.unmarked: list[str] = []
        self._stack: list[tuple[str, bool]] = []
        # How many of each tag are open, and how many of what is open is marked as Chinese.
        self._open: Counter[str] = Counter()
        self._marked = 0
        # Tables of the main part, and in which section (0: in none) workbooks are offered.
        self.tables: list[Table] = []
        self.sheets: dict[int, list[str]] = {}
        self.searches = False
        self.turns = False
        self.narrowing: list[str] = []
        self._sections: list[int] = [0]
        # How deep the parts with a name of their own stand that the reader is in.
        self._named_parts: list[int] = []
        self._section_count = 0
        self.feed(body)

    def offers_sheet(self, table: Table) -> bool:
        """Whether a workbook is offered beside this table, or for the page as a whole."""
        return bool(self.sheets.keys() & {0, table.section})

    def _inside(self, tag: str) -> bool:
        return self._open[tag] > 0

    def _in_cell(self, table: Table, data: str) -> None:
        if self._inside("thead") and table.heads:
            table.heads[-1] += data.strip()
        elif self._inside("tbody") and table.rows and table.rows[-1] and not self._inside("small"):
            table.rows[-1][-1] += data

    def _part_of_main(self, tag: str, given: dict[str, str]) -> None:
        if tag == "section":
            self._section_count += 1
            self._sections.append(self._section_count)
        named = bool(given.get("aria-label") or given.get("aria-labelledby"))
        if named and (tag == "section" or given.get("role") in ("region", "group")):
            self._named_parts.append(len(self._stack))
        here = self._sections[-1]
        if tag == "table":
            self.tables.append(Table(here, named or bool(self._named_parts)))
        table = self.tables[-1] if self.tables and (tag == "table" or self._inside("table")) else None
        if tag == "a" and ("format=xlsx" in given.get("href", "")):
            self.sheets.setdefault(here, []).append(given["href"])
        if "pager" in given.get("class", "").split():
            self.turns = True
        if tag == "a" and given.get("href", "").startswith("/"):
            self.narrowing.append(given["href"])
        if tag == "form" and given.get("method", "get").lower() == "get":
            self.searches = True
        if table is None:
            return
        if tag == "caption":
            table.named = True
        if tag == "th" and self._inside("thead"):
            table.heads.append("")
            if "aria-sort" in given:
                table.sorted = len(table.heads) - 1
        if tag == "a" and self._inside("thead"):
            table.sorts[len(table.heads) - 1] = given["href"]
        if tag == "tr" and self._inside("tbody"):
            table.rows.append([])
        if tag in ("td", "th") and self._inside("tbody") and table.rows:
            table.rows[-1].append("")

    def _chinese_allowed(self) -> bool:
        return self._marked > 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append((given.get("method", "get").lower(), given.get("action", "")))
        if self._inside("main"):
            self._part_of_main(tag, given)
        if "id" in given:
            self.ids.append(given["id"])
        self.styled += [name for name in given if name == "style" or name.startswith("on")]
        marked = given.get("lang", "").startswith("zh")
        if not (marked or self._chinese_allowed()):
            self.unmarked += [given[name] for name in SPOKEN if untranslated(given.get(name, ""))]
        if tag not in VOID:
            # The html element itself says the page's language, not a passage's.
            marked = marked and tag != "html"
            self._stack.append((tag, marked))
            self._open[tag] += 1
            self._marked += marked

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place][0] == tag:
                for name, marked in self._stack[place:]:
                    self._open[name] -= 1
                    self._marked -= marked
                del self._stack[place:]
                self._named_parts = [depth for depth in self._named_parts if depth < place]
                if tag == "section" and len(self._sections) > 1:
                    self._sections.pop()
                return

    def handle_data(self, data: str) -> None:
        inside = self._stack[-1][0] if self._stack else ""
        if self.tables and self._inside("table"):
            self._in_cell(self.tables[-1], data)
        # What was typed stands as it was typed; a title can't mark the site's own name.
        if inside in ("script", "style", "textarea", "title") or not untranslated(data):
            return
        if not self._chinese_allowed():
            self.unmarked.append(data.strip())


# What a page says anew each time, or of where it is, without being built or reading any other way.
PASSING = re.compile(r' aria-current="page"|(?<=name="_once" value=")[0-9a-f]+|(?<=name="next" value=")[^"]*')
FRAMES = (
    re.compile(r'<header class="top">.*?</header>', re.S),
    re.compile(r'<nav class="side.*?</nav>', re.S),
)


def parts_of(body: str) -> frozenset[str]:
    """Its head line, its menu and all the rest: a page whose parts were all shown before shows nothing new."""
    rest = PASSING.sub("", body)
    parts = []
    for frame in FRAMES:
        parts += frame.findall(rest)
        rest = frame.sub("", rest)
    return frozenset(hashlib.sha256(part.encode()).hexdigest() for part in (*parts, rest))


@dataclass
class Walk:
    """What a walk found. `pages` maps an endpoint to the addresses that were opened, `read` those that came as a page,
    `parts` what each of these is made of.
    """

    pages: dict[str, list[str]] = field(default_factory=dict)
    read: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, frozenset[str]] = field(default_factory=dict)
    # Names in `pages` under which a file came: papers, workbooks, pictures.
    files: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    unmarked: dict[str, list[str]] = field(default_factory=dict)
    styled: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    # Every page that was read: address -> (endpoint, what stands there).
    parsed: dict[str, tuple[str, Page]] = field(default_factory=dict)


def signed_in(app: Flask, username: str | None, language: str = "zh") -> FlaskClient:
    """A browser's client as this demo account, or as a stranger."""
    client = app.test_client()
    client.set_cookie("language", language)
    if username is not None:
        answer = client.post(
            "/sign-in", data={"username": username, "password": PASSWORD}, headers={"Origin": HOST}
        )
        assert answer.status_code == 303, f"{username} can't sign in"
    return client


def walk(
    app: Flask,
    client: FlaskClient,
    starts: Iterator[str] | list[str],
    *,
    without: frozenset[str] = frozenset(),
) -> Walk:
    """Follow every link from `starts`; forms are looked up in the URL map and not sent. `without`: names in `pages`
    that are not opened.
    """
    found = Walk()
    waiting = [(start, "start") for start in starts]
    seen: set[str] = set()
    opened = 0
    while waiting and opened < MAX_PAGES:
        path, origin = waiting.pop(0)
        path = path.partition("#")[0]
        if path in seen:
            continue
        seen.add(path)
        endpoint = _endpoint(app, path, "GET")
        if endpoint is None:
            found.broken.append(f"{origin} links to {path}, which is no page")
            continue
        workbook = "format=xlsx" in path
        name = endpoint + WORKBOOK if workbook else endpoint
        known = found.pages.setdefault(name, [])
        if name in without or len(known) >= (1 if workbook else PER_ENDPOINT):
            continue
        known.append(path)
        opened += 1
        answer = client.get(path, follow_redirects=False)
        if answer.status_code in (301, 302, 303):
            waiting.append((_inside(path, answer.headers["Location"]) or "/", path))
            continue
        if answer.status_code >= 400:
            found.broken.append(f"{origin} links to {path}: {answer.status_code}")
            continue
        if workbook and answer.mimetype == "text/html":
            found.broken.append(f"{origin} offers {path} as a workbook, which is a page")
        if answer.mimetype != "text/html":
            found.files.add(name)
            continue
        found.read.setdefault(endpoint, []).append(path)
        body = answer.get_data(as_text=True)
        found.parts[path] = parts_of(body)
        page = Page(body)
        if page.unmarked and not endpoint.startswith(CHINESE_ALONE):
            found.unmarked[path] = page.unmarked
        found.parsed[path] = (endpoint, page)
        found.styled += [f"{path}: {name}" for name in page.styled]
        twice = sorted({i for i in page.ids if page.ids.count(i) > 1})
        found.doubled += [f"{path}: id {i}" for i in twice]
        for method, action in page.forms:
            target = _inside(path, action)
            if target is not None and _endpoint(app, target, method.upper()) is None:
                found.broken.append(f"{path}: a form leads to {method.upper()} {action}")
        waiting += [(target, path) for target in (_inside(path, link) for link in page.links) if target]
    return found


def _inside(path: str, link: str) -> str | None:
    """The address within this site, or None for one that leads elsewhere."""
    whole = urlsplit(urljoin(HOST + path, link))
    if whole.scheme not in ("http", "https") or whole.netloc not in ("localhost", "localhost:8000"):
        return None
    return whole.path + (f"?{whole.query}" if whole.query else "")


def _endpoint(app: Flask, path: str, method: str) -> str | None:
    adapter: Any = app.url_map.bind("localhost")
    try:
        endpoint, _ = adapter.match(path.partition("?")[0], method=method)
    except HTTPException:
        return None
    return str(endpoint)

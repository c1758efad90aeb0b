"""What is measured: units of work that rotate over products, trace codes, queries and buyers."""

from __future__ import annotations

import itertools
import json
import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from http.client import HTTPConnection
from urllib.parse import quote, urlencode
from uuid import UUID

import psycopg

from bench_support.load import Unit, ask, get, one, post
from bench_support.stage import Trouble

PAGE = 24
IDS = 1_000
QUERIES = 200
LINES_PER_SELLER = (2, 2, 1)


@dataclass(frozen=True)
class Subject:
    """`make` begins one unit; each of its answers has one of `expected`. `purchases`: rows written per unit."""

    name: str
    make: Callable[[], Unit]
    expected: frozenset[int] = frozenset({200})
    purchases: int = 0
    approves: bool = False


@dataclass(frozen=True)
class Ware:
    product_id: UUID
    seller_id: UUID
    quantity: int


@dataclass(frozen=True)
class Buyer:
    buyer_token: str
    manager_token: str


def sign_in(port: int, username: str, password: str) -> str:
    status, body = ask(port, post("/api/v1/tokens", {"username": username, "password": password}))
    if status != 201:
        raise Trouble(f"{username} can't sign in: {status}")
    return str(json.loads(body)["token"])


def session_cookie(port: int, username: str, password: str) -> str:
    """The cookie of a browser that has signed in."""
    form = urlencode({"username": username, "password": password})
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/sign-in", form, headers)
        answer = connection.getresponse()
        given = [value.split(";", 1)[0] for value in answer.headers.get_all("Set-Cookie", [])]
    if answer.status != 303 or not given:
        raise Trouble(f"{username} can't sign in on the page: {answer.status}")
    return "; ".join(given)


def pages(port: int, cookie: str) -> list[Subject]:
    """Two pages as browsers ask for them: the catalogue by its classes and counties, and the office's figures."""
    status, body = ask(port, get("/api/v1/products?limit=100"))
    if status != 200:
        raise Trouble(f"/api/v1/products answers {status}")
    items = json.loads(body)["items"]
    counties = sorted({item["county"]["code"] for item in items})
    categories = sorted({item["category"]["code"] for item in items})
    chosen = ["", *(f"?county={c}" for c in counties), *(f"?category={quote(c)}" for c in categories)]
    return [
        Subject("catalogue page", _each([get(f"/products{c}") for c in chosen])),
        Subject("quota page", _each([get("/quota", cookie=cookie)])),
    ]


def _each(requests: list[bytes]) -> Callable[[], Unit]:
    turns = itertools.cycle(requests)
    return lambda: one(next(turns))


def reads(owner_url: str, port: int, office_token: str, year: int, draw: random.Random) -> list[Subject]:
    """The public reads and the quota summary; lists and searches are kept only where they fill a page."""
    with psycopg.connect(owner_url) as connection:
        ids = [r[0] for r in connection.execute("select id from product where state = 'recognised'")]
        codes = [r[0] for r in connection.execute("select trace_code from lot where state = 'released'")]
        counties = [r[0] for r in connection.execute("select distinct county_code from product order by 1")]
        categories = [
            r[0] for r in connection.execute("select distinct category_code from product order by 1")
        ]
        names = connection.execute(
            "select distinct search_name, search_pinyin, search_initials from product order by 1"
        ).fetchall()
    draw.shuffle(ids)
    draw.shuffle(codes)
    choices = [f"&county={c}" for c in counties] + [f"&category={quote(c)}" for c in categories]
    sorts = ("relevance", "price", "-price", "newest")
    lists = [f"/api/v1/products?limit={PAGE}&sort={s}{c}" for s in sorts for c in ("", *choices)]
    pages = [path for path in lists if _items(port, path) == PAGE]
    words = _queries(names)
    draw.shuffle(words)
    searches = []
    for word in words:
        path = f"/api/v1/products?limit={PAGE}&q={quote(word)}"
        if _items(port, path):
            searches.append(path)
        if len(searches) >= QUERIES + 50:
            break
    if not pages or len(searches) < QUERIES:
        raise Trouble(f"only {len(pages)} lists and {len(searches)} searches have what is needed")
    groups = ("agency", "buyer_county", "origin_county", "category", "purpose", "month")
    return [
        Subject("list of 24", _each([get(p) for p in pages])),
        Subject("product detail", _each([get(f"/api/v1/products/{i}") for i in ids[:IDS]])),
        Subject("search", _each([get(p) for p in searches])),
        Subject("trace lookup", _each([get(f"/api/v1/trace/{c}") for c in codes[:IDS]])),
        Subject(
            "quota summary",
            _each([get(f"/api/v1/quota/summary?year={year}&by={by}", office_token) for by in groups]),
        ),
    ]


def _items(port: int, path: str) -> int:
    status, body = ask(port, get(path))
    if status != 200:
        raise Trouble(f"{path} answers {status}")
    return len(json.loads(body)["items"])


def _queries(names: list[tuple[str, str, str]]) -> list[str]:
    """Words as people type them: names, their parts of two to four signs, pinyin and initials."""
    found: set[str] = set()
    for name, pinyin, initials in names:
        found |= {name, pinyin[:20], initials} - {""}
        for length in (2, 3, 4):
            found |= {name[at : at + length] for at in range(len(name) - length + 1)}
        found |= {pinyin[:length] for length in (4, 6, 8) if len(pinyin) >= length}
    return sorted(word for word in found if 2 <= len(word) <= 60)


def wares(owner_url: str) -> list[Ware]:
    """The bulk products, which have stock for any number of purchases."""
    with psycopg.connect(owner_url) as connection:
        rows = connection.execute(
            "select id, seller_id, min_order_quantity from product where sku like 'BENCH-%' order by id"
        )
        return [Ware(*row) for row in rows]


def baskets(goods: list[Ware], draw: random.Random) -> Iterator[list[Ware]]:
    """Without end: five products of three sellers, drawn evenly."""
    of_seller: dict[UUID, list[Ware]] = defaultdict(list)
    for ware in goods:
        of_seller[ware.seller_id].append(ware)
    sellers = sorted(s for s, has in of_seller.items() if len(has) >= max(LINES_PER_SELLER))
    while True:
        chosen = draw.sample(sellers, len(LINES_PER_SELLER))
        yield [w for s, n in zip(chosen, LINES_PER_SELLER, strict=True) for w in draw.sample(of_seller[s], n)]


def purchase_request(basket: list[Ware], deliver_on: date, token: str) -> bytes:
    body = {
        "purpose": "canteen",
        "deliver_on": deliver_on.isoformat(),
        "deliver_to": {"name": "食堂库房", "phone": "0933-0000000", "address": "平凉市崆峒区（演示）"},
        "lines": [{"product_id": str(w.product_id), "quantity": w.quantity} for w in basket],
    }
    return post("/api/v1/purchases", body, token, secrets.token_hex(16))


def purchases(goods: list[Ware], buyers: list[Buyer], today: date, draw: random.Random) -> list[Subject]:
    """Five lines over three sellers: placed, and placed and then approved by the manager (two requests a unit)."""
    turns = itertools.cycle(buyers)
    fresh = baskets(goods, draw)
    deliver_on = today + timedelta(days=7)

    def placed() -> Unit:
        yield purchase_request(next(fresh), deliver_on, next(turns).buyer_token)

    def approved() -> Unit:
        buyer = next(turns)
        status, body = yield purchase_request(next(fresh), deliver_on, buyer.buyer_token)
        if status == 201:
            path = f"/api/v1/purchases/{json.loads(body)['id']}/approve"
            yield post(path, None, buyer.manager_token, secrets.token_hex(16))

    return [
        Subject("purchase placed", placed, frozenset({201}), purchases=1),
        Subject("placed and approved", approved, frozenset({200, 201}), purchases=1, approves=True),
    ]

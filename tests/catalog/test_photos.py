"""A seller's photos from the upload to the catalogue: order, words, removal and its undo, and who sees them."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from PIL import Image

from tests.catalog.test_pictures import made
from tests.desks.trading import ORIGIN, Trader, Visitor

SignIn = Callable[[str], dict[str, str]]
_tints = itertools.count(1)


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


@pytest.fixture
def goods(trader: Trader) -> dict[str, Any]:
    """A product of the seller on the shelf, another one for each test."""
    me = trader.call("GET", "/me", "coop.seller")["organisation"]["id"]
    found = trader.call("GET", f"/products?seller={me}&limit=100", "canteen.buyer")["items"]
    return dict(
        next(
            each
            for each in found
            if not trader.call("GET", f"/my/products/{each['id']}/photos", "coop.seller")["items"]
        )
    )


def stored(app: Flask, sign_in: SignIn, user: str = "coop.seller", kind: str = "photo") -> str:
    number = next(_tints)
    content = made((500, 400), tint=(number * 37 % 256, number * 11 % 256, number % 256))
    answer = app.test_client().post(
        "/api/v1/documents",
        data={"kind": kind, "file": (io.BytesIO(content), "IMG_0001.jpg")},
        headers=sign_in(user),
    )
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return str(answer.get_json()["id"])


def add(trader: Trader, product_id: str, alt: str) -> list[dict[str, Any]]:
    body = {"document_id": stored(trader.app, trader.sign_in), "alt": alt}
    found: list[dict[str, Any]] = trader.call(
        "POST", f"/products/{product_id}/photos", "coop.seller", body, 201
    )["items"]
    return found


def told(items: list[dict[str, Any]]) -> list[tuple[str, int, bool]]:
    return [(each["alt"], each["position"], each["removed_at"] is not None) for each in items]


def test_photos_are_ordered_described_taken_away_and_brought_back(
    trader: Trader, goods: dict[str, Any], owner: psycopg.Connection
) -> None:
    path = f"/products/{goods['id']}/photos"
    for alt in ("一箱", "一个", "果园"):
        items = add(trader, goods["id"], alt)
    assert told(items) == [("一箱", 0, False), ("一个", 1, False), ("果园", 2, False)]
    last = items[2]["id"]

    def act(method: str, rest: str, body: Any = None) -> list[tuple[str, int, bool]]:
        return told(trader.call(method, path + rest, "coop.seller", body)["items"])

    assert act("PATCH", f"/{last}", {"position": 0}) == [
        ("果园", 0, False),
        ("一箱", 1, False),
        ("一个", 2, False),
    ]
    assert act("PATCH", f"/{last}", {"alt": "　开花的果园 "})[0] == ("开花的果园", 0, False)
    assert act("POST", f"/{last}/remove") == [("一箱", 0, False), ("一个", 1, False), ("开花的果园", 0, True)]
    trader.call("POST", f"{path}/{last}/remove", "coop.seller", None, 409)
    # For everybody else it is gone.
    assert told(trader.call("GET", path, "canteen.buyer")["items"]) == [
        ("一箱", 0, False),
        ("一个", 1, False),
    ]
    assert act("POST", f"/{last}/restore") == [
        ("一箱", 0, False),
        ("一个", 1, False),
        ("开花的果园", 2, False),
    ]
    kinds = owner.execute(
        "select kind from fact where kind like 'product.photo%%' and body like %s order by number",
        (f"%{goods['id']}%",),
    ).fetchall()
    assert [kind.removeprefix("product.photo_") for (kind,) in kinds] == [
        *("added", "added", "added", "edited", "edited", "removed", "restored")
    ]


def test_everybody_keeps_a_photo_on_the_shelf_for_a_year_and_asks_with_its_hash(
    app: Flask, trader: Trader, goods: dict[str, Any]
) -> None:
    size = add(trader, goods["id"], "一箱")[0]["small"]
    for visitor in (Visitor(app), Visitor(app, "canteen.buyer")):
        answer = visitor.client.get(size["path"])
        assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Set-Cookie" not in answer.headers
    assert Image.open(io.BytesIO(answer.data)).size == (size["width"], size["height"]) == (400, 320)
    again = app.test_client().get(size["path"], headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for name in ("0" * 64, "x", "..%2fsecret"):
        assert app.test_client().get(f"/photos/{name}.jpg").status_code == 404


def test_a_photo_that_is_not_on_the_shelf_is_seen_by_its_seller_and_the_office_alone(
    app: Flask, trader: Trader, goods: dict[str, Any]
) -> None:
    photo = add(trader, goods["id"], "一箱")[0]
    trader.call("POST", f"/products/{goods['id']}/photos/{photo['id']}/remove", "coop.seller")
    path = photo["large"]["path"]
    for user, status in (
        (None, 404),
        ("coop2.seller", 404),
        ("canteen.buyer", 404),
        ("coop.seller", 200),
        ("county.office", 200),
    ):
        answer = Visitor(app, user).client.get(path)
        assert answer.status_code == status, user
        if status == 200:
            assert "no-store" in answer.headers["Cache-Control"]


def test_another_sellers_document_and_another_sellers_product_are_not_found(
    app: Flask, trader: Trader, sign_in: SignIn, goods: dict[str, Any]
) -> None:
    path = f"/products/{goods['id']}/photos"
    theirs = {"document_id": stored(app, sign_in, "coop2.seller"), "alt": "一箱"}
    trader.call("POST", path, "coop.seller", theirs, 404)
    trader.call("POST", path, "coop2.seller", theirs, 404)
    other = {"document_id": stored(app, sign_in, kind="other"), "alt": "一箱"}
    trader.call("POST", path, "coop.seller", other, 422)
    assert trader.call("GET", f"/my{path}", "coop.seller")["items"] == []


def test_a_ninth_photo_is_refused_and_a_removed_one_makes_room(trader: Trader, goods: dict[str, Any]) -> None:
    path = f"/products/{goods['id']}/photos"
    for number in range(8):
        items = add(trader, goods["id"], f"第{number}张")
    body = {"document_id": stored(trader.app, trader.sign_in), "alt": "多一张"}
    trader.call("POST", path, "coop.seller", body, 409)
    trader.call("POST", f"{path}/{items[0]['id']}/remove", "coop.seller")
    assert len(trader.call("POST", path, "coop.seller", body, 201)["items"]) == 9
    trader.call("POST", f"{path}/{items[0]['id']}/restore", "coop.seller", None, 409)


def test_a_photo_is_handed_in_by_page_and_seen_in_the_catalogue(
    app: Flask, seller: Visitor, goods: dict[str, Any]
) -> None:
    path = f"/sell/products/{goods['id']}/photos"
    content = made((500, 400), tint=(1, 2, 3))

    def send(**fields: Any) -> Any:
        return seller.client.post(path, data=fields, headers=ORIGIN, content_type="multipart/form-data")

    refused = send(document_id=(io.BytesIO(content), "IMG.jpg"), alt="")
    assert refused.status_code == 422
    kept = re.search(r'name="document_id" value="([0-9a-f-]{36})"', refused.get_data(as_text=True))
    assert kept is not None, "the file need not be chosen twice"
    assert send(document_id=kept[1], alt='打开的"一箱"<果>', _once="a" * 32).status_code == 303
    assert send(document_id=kept[1], alt='打开的"一箱"<果>', _once="a" * 32).status_code == 303
    page = seller.get(path)
    assert page.count('class="photo-thumb"') == 1
    assert "打开的&#34;一箱&#34;&lt;果&gt;" in page
    digest = re.search(r"(/photos/[0-9a-f]{64}[.]jpg)", page)
    assert digest is not None
    for address in (
        "/",
        f"/products?seller={goods['seller']['id']}",
        f"/products/{goods['id']}",
        f"/sellers/{goods['seller']['id']}",
    ):
        shown = re.findall(r'<img class="photo" src="(/photos/[0-9a-f]{64}\.jpg)"', Visitor(app).get(address))
        assert digest[1] in shown, address
    assert "320w" not in Visitor(app).get(f"/products/{goods['id']}")
    assert "400w" in Visitor(app).get(f"/products/{goods['id']}")
    assert send(document_id=(io.BytesIO(b"GIF89a"), "a.gif"), alt="一箱").status_code == 422
    assert send(alt="一箱").status_code == 422


def test_the_removal_by_page_is_undone_by_page(
    trader: Trader, seller: Visitor, goods: dict[str, Any]
) -> None:
    photo = add(trader, goods["id"], "一箱苹果")[0]
    path = f"/sell/products/{goods['id']}/photos"
    seller.post(f"{path}/{photo['id']}/remove", _once="b" * 32)
    page = seller.get(path)
    assert "已移除" in page
    assert "还没有照片" in page
    seller.post(f"{path}/{photo['id']}/restore", _once="c" * 32)
    assert "移除于" not in seller.get(path)
    seller.post(f"{path}/{photo['id']}", _once="d" * 32, alt="一箱红富士")
    assert 'value="一箱红富士"' in seller.get(path)

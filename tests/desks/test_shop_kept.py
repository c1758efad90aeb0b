"""The shop window in front of the read cache: kept for strangers, never for those who are signed in or chose a language."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import dispose, make_app
from tests.desks.trading import Trader, Visitor

PAGES = ("/", "/products", "/products?q=pg", "/sellers", "/counties/620826", "/suggest?q=pg")


@pytest.fixture
def keeping(app: Flask, state_folder: Path, tmp_path: Path) -> Iterator[Flask]:
    """The same site with the cache on, as the only one of its machine.

    The run's secrets and files, but a generation of its own: a lot that another test releases at this moment would
    make what is kept here worthless.
    """
    for shared in state_folder.iterdir():
        if shared.name != "read-cache-generation":
            (tmp_path / shared.name).symlink_to(shared)
    site = make_app(
        {**app.config["TEST_ENVIRONMENT"], "READ_CACHE_SECONDS": "2", "MARKETPLACE_STATE": str(tmp_path)}
    )
    yield site
    dispose(site)


def test_strangers_get_kept_pages(keeping: Flask) -> None:
    client = keeping.test_client()
    for path in PAGES:
        first = client.get(path)
        assert first.status_code == 200, path
        assert "Age" not in first.headers, path
        # What is kept lasts two seconds: on a machine that stands still that long the next reading finds the one after.
        readings = [first, *(client.get(path) for _ in range(5))]
        pairs = [(one, two) for one, two in pairwise(readings) if "Age" in two.headers]
        assert pairs, path
        assert pairs[0][0].data == pairs[0][1].data, path


def test_a_kept_page_is_not_given_to_one_who_is_signed_in_or_reads_english(keeping: Flask) -> None:
    stranger = keeping.test_client()
    stranger.get("/products")
    buyer = Visitor(keeping, "canteen.buyer")
    assert "泾滨中学" in buyer.get("/products")
    assert "泾滨中学" not in stranger.get("/products").get_data(as_text=True)
    english = keeping.test_client()
    english.set_cookie("language", "en")
    assert "Catalogue" in english.get("/products").get_data(as_text=True)
    assert "产品目录" in stranger.get("/products").get_data(as_text=True)


def test_a_product_that_was_taken_down_leaves_kept_pages_at_once(keeping: Flask, sign_in: object) -> None:
    stranger, seller = keeping.test_client(), Trader(keeping, sign_in)  # type: ignore[arg-type]
    mine = seller.call("GET", "/my/products?state=recognised", "coop.seller")["items"]
    goods = mine[0]
    path = f"/products/{goods['id']}"
    assert "已下架" not in stranger.get(path).get_data(as_text=True)
    seller.call("POST", f"/products/{goods['id']}/withdraw", "coop.seller", {"reason": "卖完了"})
    assert "已下架" in stranger.get(path).get_data(as_text=True)
    assert goods["id"] not in stranger.get(f"/sellers/{goods['seller']['id']}").get_data(as_text=True)

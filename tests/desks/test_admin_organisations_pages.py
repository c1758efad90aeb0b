"""Organisations by page: joining, another name, a kitchen, a payer; refusals keep what was typed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import psycopg
import pytest
from flask import Flask

from marketplace.accounts import service
from marketplace.actors import Door, system
from marketplace.clock import today
from tests.desks.trading import ORIGIN, Visitor

NEW = "/admin/organisations/new"


@pytest.fixture(scope="module")
def admin(app: Flask) -> Visitor:
    return Visitor(app, "platform.admin")


def sent(admin: Visitor, path: str, **values: str) -> tuple[int, str]:
    response = admin.client.post(path, data={"_once": uuid.uuid4().hex, **values}, headers=ORIGIN)
    return response.status_code, response.text if response.status_code != 303 else response.location


def school(code: str, **values: str) -> dict[str, str]:
    return {"code": code, "kind": "agency", "region_code": "620802", "name": "崆峒区测试小学", **values}


def version(admin: Visitor, code: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', admin.get(f"/admin/organisations/{code}/edit"))
    assert found is not None
    return found[1]


def test_an_organisation_joins_and_gets_a_kitchen_and_a_payer(admin: Visitor) -> None:
    assert "加单位" in admin.get("/admin/organisations")
    status, place = sent(admin, NEW, **school("T-NEW-1", canteen_mode="own", counts_in_city="on"))
    assert (status, place) == (303, "/admin/organisations/T-NEW-1")
    assert sent(admin, f"{place}/canteens", name="学生食堂") == (303, place)
    payer = {
        "code": "T-PAY-1", "purpose": "canteen", "legal_name": "崆峒区测试小学",
        "credit_code": "12620802MA70A0C19C", "invoice_title": "崆峒区测试小学", "tax_number": "12620802MA70A0C19C",
        "bank_name": "农业银行平凉分行", "bank_branch_number": "103833000012", "bank_account": "27300104000012",
        "is_default": "on",
    }  # fmt: skip
    assert sent(admin, f"{place}/payers", **payer) == (303, place)
    shown = admin.get(place)
    assert "崆峒区测试小学" in shown
    assert "自办食堂" in shown
    assert "学生食堂" in shown
    assert "12620802MA70A0C19C" in shown
    assert "27300104000012" not in shown


def test_another_name_leaves_the_old_one_in_the_history(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        service.add_organisation(
            system(Door.IMPORT),
            **school("T-OLD"),
            valid_from=today() - timedelta(days=30),
        )
    path, seen = "/admin/organisations/T-OLD/edit", version(admin, "T-OLD")
    values = {"version": seen, "name": "改名后的合作社", "parent_code": "ORG-AG-SCH-01"}
    assert sent(admin, path, **values) == (303, "/admin/organisations/T-OLD")
    shown = admin.get("/admin/organisations/T-OLD")
    assert "改名后的合作社" in shown
    assert "名称沿革" in shown
    assert "/admin/organisations/ORG-AG-SCH-01" in shown
    status, text = sent(admin, path, **{**values, "name": "旧页面上的名字"})
    assert status == 412
    assert "旧页面上的名字" in text
    assert "旧页面上的名字" not in admin.get("/admin/organisations/T-OLD")


def test_a_name_changes_once_a_day(admin: Visitor) -> None:
    assert sent(admin, NEW, **school("T-NEW-2"))[0] == 303
    path = "/admin/organisations/T-NEW-2/edit"
    status, text = sent(admin, path, version=version(admin, "T-NEW-2"), name="当天又改的名字")
    assert status == 409
    assert "这一项已经有了" in text
    assert "当天又改的名字" not in admin.get("/admin/organisations/T-NEW-2")


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        ({"code": "ORG-AG-SCH-01"}, 409, "这一项已经有了"),
        ({"code": "../x"}, 422, "要有1到40个字母"),
        ({"credit_code": "12620802MA70A0C190"}, 422, "校验位"),
        ({"parent_code": "NOBODY"}, 422, "没有这个单位代码"),
        ({"region_code": "999999"}, 422, "所引用的一项不存在"),
        ({"canteen_mode": "outsourced"}, 422, "外包食堂要写明承包商"),
        ({"partner_code": "ORG-AG-SCH-01"}, 422, "只有合用或外包的食堂"),
    ],
)
def test_a_refused_organisation_keeps_what_was_typed(
    admin: Visitor, owner: psycopg.Connection, wrong: dict[str, str], status: int, said: str
) -> None:
    before = owner.execute("select count(*) from organisation").fetchone()
    got, text = sent(admin, NEW, **{**school("T-WRONG"), "address": "和平路<1>号", **wrong})
    assert got == status
    assert said in text
    assert "和平路&lt;1&gt;号" in text
    assert owner.execute("select count(*) from organisation").fetchone() == before


def test_a_form_sent_twice_adds_one_organisation(admin: Visitor, owner: psycopg.Connection) -> None:
    values = {"_once": uuid.uuid4().hex, **school("T-TWICE")}
    assert [sent(admin, NEW, **values)[0] for _ in range(2)] == [303, 303]
    assert owner.execute("select count(*) from organisation where code = 'T-TWICE'").fetchone() == (1,)


def test_only_administrators_open_these_forms(app: Flask, admin: Visitor) -> None:
    seller = Visitor(app, "coop.seller")
    for path in (
        NEW,
        *(f"/admin/organisations/ORG-AG-SCH-01/{part}" for part in ("edit", "canteens", "payers")),
    ):
        seller.get(path, 403)
        admin.get(path)
    admin.get("/admin/organisations/NOWHERE/edit", 404)

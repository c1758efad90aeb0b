"""Administration by page: looking up, adding a user with an initial password, roles, resets by two people."""

from __future__ import annotations

import re

import psycopg
import pytest
from flask import Flask

from tests.conftest import PASSWORD
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import ORIGIN, Visitor


@pytest.fixture(scope="module")
def admin(app: Flask) -> Visitor:
    return Visitor(app, "platform.admin")


@pytest.fixture
def second(app: Flask, owner: psycopg.Connection) -> Visitor:
    """A second administrator."""
    owner.execute(
        "insert into app_user (id, username, name, password_hash, organisation_id, role, auth_version, created_at,"
        " version) select gen_random_uuid(), 'platform.second', '第二管理员', password_hash, organisation_id, role, 1,"
        " created_at, 1 from app_user where username = 'platform.admin' on conflict do nothing"
    )
    return Visitor(app, "platform.second")


def organisation_id(admin: Visitor, q: str) -> str:
    found = re.search(r"organisation_id=([0-9a-f-]{36})", admin.get(f"/admin/users/new?q={q}"))
    assert found is not None
    return found[1]


def user_place(admin: Visitor, username: str) -> str:
    found = re.search(
        rf'href="(/admin/users/[0-9a-f-]{{36}})">{re.escape(username)}<',
        admin.get(f"/admin/users?q={username}"),
    )
    assert found is not None
    return found[1]


def once(text: str) -> str:
    found = re.search(r'name="_once" value="([^"]+)"', text)
    assert found is not None
    return found[1]


def test_organisations_are_found_sorted_and_downloaded(admin: Visitor) -> None:
    text = admin.get("/admin/organisations?q=yuanshangguoxiang")
    assert "静宁县塬上果香果品农民专业合作社" in text
    assert "没有找到单位" in admin.get("/admin/organisations?q=%25%25")
    sellers = admin.client.get("/admin/organisations?kind=seller&format=xlsx&sort=-code")
    _, basis, heads, *rows = sheet_rows(sellers.data)
    assert basis == ["口径：平台登记的单位；用户数不含已停用的。"]
    codes = [row[heads.index("单位代码")] for row in rows]
    assert codes == sorted(codes, reverse=True)
    assert {row[heads.index("类别")] for row in rows} == {"供应商"}
    place = admin.get("/admin/organisations/ORG-AG-SCH-01")
    assert "12620802MA70A0C19C" in place
    assert "canteen.buyer" in place
    admin.get("/admin/organisations/NOWHERE", 404)


def test_a_new_user_without_an_organisation_keeps_what_was_typed_until_one_is_chosen(admin: Visitor) -> None:
    empty = admin.post("/admin/users/new", 422).get_data(as_text=True)
    assert '<li><a href="#f-q">单位：请先选他的单位</a></li>' in empty
    assert empty.count('<li><a href="#f-') == 1

    kept = admin.post("/admin/users/new", 422, username="early.bird", name="早来的", organisation_id="none")
    assert '<input type="hidden" name="username" value="early.bird">' in kept.get_data(as_text=True)
    found = admin.get("/admin/users/new?q=ORG-COOP-03&username=early.bird&name=早来的")
    chosen = re.search(r'href="(/admin/users/new\?organisation_id=[^"]+)"', found)
    assert chosen is not None
    form = admin.get(chosen[1].replace("&amp;", "&"))
    assert 'value="early.bird"' in form
    assert 'value="早来的"' in form


def test_a_new_user_gets_an_initial_password_shown_once(app: Flask, admin: Visitor) -> None:
    organisation = organisation_id(admin, "ORG-COOP-03")
    path = "/admin/users/new"
    shown = admin.get(f"{path}?organisation_id={organisation}")
    assert '<option value="seller">' in shown
    assert "platform_admin" not in shown
    wrong = admin.post(
        path, 422, organisation_id=organisation, username="A B", name="<i>新人</i>", role="seller"
    )
    text = wrong.get_data(as_text=True)
    assert "用户名要有3到64个小写字母" in text
    assert 'value="&lt;i&gt;新人&lt;/i&gt;"' in text

    fields = {
        "organisation_id": organisation,
        "username": "new.seller",
        "name": "<i>新人</i>",
        "role": "seller",
    }
    fields["_once"] = once(shown)
    made = admin.post(path, 200, **fields)
    password = re.search(r'data-copy="([a-z2-7]{4}(?:-[a-z2-7]{4}){3})"', made.get_data(as_text=True))
    assert password is not None
    assert made.headers["Cache-Control"] == "no-store"
    again = admin.post(path, **fields)
    assert re.fullmatch(r"/admin/users/[0-9a-f-]{36}", again.headers["Location"])
    assert "这一项已经有了" in admin.post(path, 409, **fields | {"_once": ""}).get_data(as_text=True)
    assert password[1] not in admin.get(again.headers["Location"])

    client = app.test_client()
    door = client.post("/sign-in", data={"username": "new.seller", "password": password[1]}, headers=ORIGIN)
    assert door.headers["Location"] == "/desk"
    assert client.get("/desk").headers["Location"] == "/account"
    assert "先换掉初始密码" in client.get("/account").get_data(as_text=True)
    assert client.get("/sell/money").status_code == 403
    chosen = {"current_password": password[1], "new_password": "my own password", "_again": "my own password"}
    assert client.post("/account/password", data=chosen, headers=ORIGIN).status_code == 303
    client.post("/sign-in", data={"username": "new.seller", "password": "my own password"}, headers=ORIGIN)
    assert client.get("/sell/money").status_code == 200


def test_role_password_and_end_of_a_user(app: Flask, admin: Visitor) -> None:
    place = user_place(admin, "canteen2.manager")
    visitor = Visitor(app, "canteen2.manager")
    visitor.get("/payments")
    assert "这类单位不能有这个角色" in admin.post(f"{place}/role", 422, role="seller").get_data(as_text=True)
    admin.post(f"{place}/role", role="buyer", _once=once(admin.get(f"{place}/role")))
    assert visitor.client.get("/payments").status_code == 303
    assert "采购员" in admin.get(place)

    shown = admin.post(f"{place}/password", 200, _once=once(admin.get(f"{place}/password")))
    assert "只显示这一次" in shown.get_data(as_text=True)
    answer = app.test_client().post(
        "/sign-in", data={"username": "canteen2.manager", "password": PASSWORD}, headers=ORIGIN
    )
    assert answer.status_code == 401

    admin.post(f"{place}/disable", _once=once(admin.get(f"{place}/disable")))
    assert "已停用" in admin.get(place)
    assert "这个用户已停用" in admin.post(f"{place}/disable", 409).get_data(as_text=True)
    admin.post(f"{place}/enable", _once=once(admin.get(f"{place}/enable")))
    assert "已停用" not in admin.get(place)
    assert "这个用户没有停用" in admin.post(f"{place}/enable", 409).get_data(as_text=True)
    own = user_place(admin, "platform.admin")
    assert "不能这样改自己的账号" in admin.post(f"{own}/disable", 409).get_data(as_text=True)


def test_a_second_factor_is_reset_by_two_people(app: Flask, admin: Visitor, second: Visitor) -> None:
    Visitor(app, "finance.reviewer").post("/account/second-factor", 200, current_password=PASSWORD)
    place = user_place(admin, "finance.reviewer")
    path = f"{place}/reset-second-factor"
    admin.post(path, _once=once(admin.get(path)))
    assert "有人申请重置第二重验证" in admin.get(place)
    admin.post(path, _once=once(admin.get(path)))
    assert "有人申请重置第二重验证" in second.get(place)
    second.post(path, _once=once(second.get(path)))
    text = second.get(place)
    assert "有人申请" not in text
    assert "没有开通" in text
    assert "没有设置动态验证码" in second.post(path, 409).get_data(as_text=True)


def test_administration_is_for_administrators(app: Flask, admin: Visitor) -> None:
    place = user_place(admin, "canteen.buyer")
    office = Visitor(app, "county.office")
    for path in ("/admin/organisations", "/admin/users", "/admin/users/new", place, f"{place}/disable"):
        office.get(path, 403)
    before = admin.get(place)
    assert office.client.post(f"{place}/disable", headers=ORIGIN).status_code == 403
    assert admin.get(place) == before

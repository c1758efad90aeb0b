"""Credit codes, names, passwords, codes of the second factor, return paths."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.accounts import rules
from marketplace.actors import Role

SEED = Path(__file__).parents[2] / "catalog_seed"
VILLAGE = "N2620822MA70A0D15Y"
COMPANY = "91620826MA70A0B39C"


def seed_codes() -> list[str]:
    with (SEED / "organisations.csv").open(encoding="utf-8") as source:
        return [row["credit_code"] for row in csv.DictReader(source) if row["credit_code"]]


def test_every_code_of_the_seed_passes_both_checks():
    assert {code: rules.credit_code_problem(code) for code in seed_codes()} == dict.fromkeys(seed_codes())


def test_a_village_collective_with_the_prefix_n_is_accepted():
    assert rules.credit_code_problem(VILLAGE) is None


@pytest.mark.parametrize(
    "code", ["", "123", COMPANY.lower(), COMPANY + "0", COMPANY.replace("M", "I"), "9" * 18]
)
def test_a_text_of_another_form_is_no_code(code):
    assert rules.credit_code_problem(code) is not None


def test_a_code_whose_inner_check_fails_is_refused_for_that_reason():
    broken = COMPANY[:8] + "MA70A0B38" + COMPANY[17]

    assert "第17位" in rules.credit_code_problem(broken)


def test_a_code_whose_outer_check_fails_is_refused_for_that_reason():
    assert "第18位" in rules.credit_code_problem(COMPANY[:17] + "D")


@given(st.sampled_from(seed_codes()), st.integers(0, 17), st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_one_changed_symbol_never_passes(code, place, symbol):
    changed = code[:place] + symbol + code[place + 1 :]

    assert (rules.credit_code_problem(changed) is None) == (changed == code)


def test_a_code_of_the_former_county_belongs_to_todays_city():
    assert rules.credit_code_area("91620824MA70A0B71T") == "620881"
    assert rules.credit_code_area(COMPANY) == "620826"


@pytest.mark.parametrize("name", ["canteen.buyer", "abc", "a-1", "x" * 64])
def test_a_plain_user_name_is_accepted(name):
    assert rules.username_problem(name) is None


@pytest.mark.parametrize(
    "name", ["ab", "x" * 65, "Canteen", ".abc", "abc.", "a b c", "采购员", "a\nb", "abc\n"]
)
def test_another_user_name_is_refused(name):
    assert rules.username_problem(name) is not None


@pytest.mark.parametrize(
    "password", ["a1b2c3d4e5", "好" * 3 + "长的密码短语也可以", "ab cd ef gh", "x" * 124 + "abcd"]
)
def test_length_decides_and_not_composition(password):
    assert rules.password_problem(password, "somebody") is None


@pytest.mark.parametrize(
    "password", ["", "a1b2c3d4e", "ab" * 65, "aaaaaaaaaaaa", "canteen.buyer", "CANTEEN.buyer"]
)
def test_a_short_long_or_obvious_password_is_refused(password):
    assert rules.password_problem(password, "canteen.buyer") is not None


def code_at(step: int) -> str:
    return f"{step:06d}"


@pytest.mark.parametrize("drift", [-1, 0, 1])
def test_a_code_within_one_step_is_accepted(drift):
    assert rules.accepted_step(code_at(100 + drift), code_at, 3000, -1) == 100 + drift


@pytest.mark.parametrize("step", [98, 102])
def test_a_code_two_steps_away_is_refused(step):
    assert rules.accepted_step(code_at(step), code_at, 3000, -1) is None


@pytest.mark.parametrize("last", [100, 101])
def test_a_step_that_was_used_is_refused(last):
    assert rules.accepted_step(code_at(100), code_at, 3000, last) is None


def test_every_role_names_the_kinds_of_its_organisations():
    assert set(rules.ROLE_KINDS) == set(Role)


GOOD_PATHS = [
    "/", "/orders", "/orders/", "/orders?state=placed", "/orders?next=/a", "/orders#top", "/t/ABCDE-12345",
    "/products?q=%E8%8B%B9%E6%9E%9C", "/a/b/c/d", "/a-b_c~d", "/a.b", "/orders?after=abc==", "/orders?a=1&b=2",
    "/x?u=https://example.com/", "/a:b", "/a@b", "/a;b", "/a,b", "/quota/2026", "/" + "a" * 1999,
]  # fmt: skip
BAD_PATHS = [
    "", "orders", "http://evil.example/", "https://evil.example", "//evil.example", "///evil.example",
    "////evil.example", "/\\evil.example", "\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "/\n/evil.example", "/\r\nSet-Cookie:a=b", " /orders", "/orders ", "/%2f/evil.example", "/%2Fevil.example",
    "/%5cevil.example", "/%5Cevil.example", "/a//b", "/./orders", "/../orders", "/a/../b", "/a/..", "/%2e%2e/a",
    "/%2E/a", "/.//evil.example", "/a/%2e%2e//evil.example", "/%0d%0aSet-Cookie:a", "/%00", "/a?x=%0d%0aLocation:b",
    "/a?x=\\evil", "/a#\\evil", "javascript:alert(1)", "data:text/html,x", "/\x00", "/\x7f", "/\u3000evil",
    "/\uff0fevil.example", "/苹果", "/%252f%252fevil.example", "/%255cevil.example", "?next=/", "#top", ".", "..",
    "/" + "a" * 2000, "mailto:a@b", "\t//evil.example", "/%09/evil.example", "/%7f", "ftp://evil.example/",
]  # fmt: skip


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_a_path_of_this_site_is_a_place_to_return_to(path):
    assert rules.safe_next(path)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_anything_that_may_lead_elsewhere_is_no_place_to_return_to(path):
    assert not rules.safe_next(path)

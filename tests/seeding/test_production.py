"""What a new deployment begins with: reference data without a demo account, and one administrator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from flask import Flask

from marketplace.config import Settings
from tests.conftest import Server, cloned_app
from tests.seeding.test_seed import EXPECTED, counts

# The rows of the reference data; every other table of the seed stays empty.
REFERENCE = {
    "region": EXPECTED["region"],
    "township": EXPECTED["township"],
    "policy": EXPECTED["policy"],
    "county_eligibility": EXPECTED["county_eligibility"],
    "category": EXPECTED["category"],
    "price_list": 1,
}
ADMINISTRATOR = ("first-administrator", "admin.one", "--name", "管理员", "--office", "平凉平台运营中心")


@pytest.fixture
def deployed(server: Server, empty_template: str, state_folder: object) -> Iterator[Flask]:
    """A migrated database without rows, under the settings of production."""
    with cloned_app(server, empty_template, state_folder) as app:  # type: ignore[arg-type]
        settings: Settings = app.config["SETTINGS"]
        app.config["SETTINGS"] = replace(settings, environment="production")
        yield app


@pytest.fixture
def tables(deployed: Flask) -> Iterator[psycopg.Connection]:
    url = deployed.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=list(arguments))
    return result.exit_code, result.output


def loaded(connection: psycopg.Connection) -> dict[str, int]:
    """Rows of the tables that the seed fills."""
    return {table: count for table, count in counts(connection).items() if table in EXPECTED and count}


def test_production_loads_the_reference_data_and_nothing_synthetic(
    deployed: Flask, tables: psycopg.Connection
) -> None:
    code, output = run(deployed, "seed", "--reference-only", "--quiet")

    assert (code, output) == (0, "Reference data is loaded, no account was made.\n")
    assert loaded(tables) == REFERENCE

    before = counts(tables)
    assert run(deployed, "seed", "--reference-only", "--quiet")[0] == 0
    assert counts(tables) == before


def test_the_whole_seed_finishes_what_the_reference_data_began(
    server: Server, empty_template: str, state_folder: object
) -> None:
    with cloned_app(server, empty_template, state_folder) as app:  # type: ignore[arg-type]
        assert run(app, "seed", "--reference-only", "--quiet")[0] == 0
        assert run(app, "seed", "--quiet")[0] == 0
        with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as connection:
            assert {name: counts(connection)[name] for name in EXPECTED} == EXPECTED


def test_the_first_administrator_must_change_the_printed_password_before_anything_else(
    deployed: Flask, tables: psycopg.Connection
) -> None:
    run(deployed, "seed", "--reference-only", "--quiet")

    code, output = run(deployed, *ADMINISTRATOR)

    assert code == 0, output
    first, second = output.splitlines()
    assert first == "Administrator: admin.one"
    password = second.removeprefix("Password for the first sign-in: ")
    office = tables.execute("select code, name, kind, subkind, region_code from organisation").fetchall()
    assert office == [("PLATFORM", "平凉平台运营中心", "office", "platform_operator", "620800")]
    client = deployed.test_client()
    answer = client.post("/api/v1/tokens", json={"username": "admin.one", "password": password})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    headers = {"Authorization": f"Bearer {answer.get_json()['token']}"}
    assert client.get("/api/v1/organisations", headers=headers).status_code == 403
    change = {"current_password": password, "new_password": "a-password-of-my-own"}
    assert client.post("/api/v1/me/password", json=change, headers=headers).status_code == 200


def test_there_is_one_first_administrator(deployed: Flask, tables: psycopg.Connection) -> None:
    run(deployed, "seed", "--reference-only", "--quiet")
    assert run(deployed, *ADMINISTRATOR)[0] == 0
    before = counts(tables)

    code, output = run(deployed, "first-administrator", "admin.two", "--name", "另一人", "--office", "别处")

    assert code == 1
    assert "there is an administrator already" in output
    assert counts(tables) == before


def test_a_refused_administrator_is_told_why_and_can_be_tried_again(
    deployed: Flask, tables: psycopg.Connection
) -> None:
    code, output = run(deployed, *ADMINISTRATOR)
    assert code == 1, output
    assert "Error: " in output
    assert counts(tables)["organisation"] == counts(tables)["app_user"] == 0

    run(deployed, "seed", "--reference-only", "--quiet")
    code, output = run(
        deployed, "first-administrator", "A B", "--name", "管理员", "--office", "平凉平台运营中心"
    )
    assert code == 1
    assert "#/username" in output
    assert counts(tables)["app_user"] == 0

    assert run(deployed, *ADMINISTRATOR)[0] == 0
    assert counts(tables)["organisation"] == counts(tables)["app_user"] == 1


def test_an_organisation_is_added_below_another_and_not_twice(
    deployed: Flask, tables: psycopg.Connection
) -> None:
    run(deployed, "seed", "--reference-only", "--quiet")
    department = ("add-organisation", "--code", "EDU", "--name", "教育局", "--kind", "agency")
    assert run(deployed, *department, "--region", "620826") == (0, "Organisation: EDU 教育局\n")
    school = ("add-organisation", "--code", "SCH", "--name", "中学", "--kind", "agency", "--region", "620826")
    below = (*school, "--parent", "EDU", "--level", "county", "--counts-in-city", "--canteen", "own")

    assert run(deployed, *below)[0] == 0

    before = counts(tables)
    assert tables.execute(
        "select p.code, o.level, o.counts_in_city, o.canteen_mode from organisation o"
        " join organisation p on p.id = o.parent_id where o.code = 'SCH'"
    ).fetchall() == [("EDU", "county", True, "own")]
    assert "already-there" in run(deployed, *below)[1]
    assert "no organisation with the code NOBODY" in run(deployed, *school, "--parent", "NOBODY")[1]
    assert "#/credit_code" in run(deployed, *school, "--credit-code", "11620800MA70A0F19G")[1]
    assert counts(tables) == before

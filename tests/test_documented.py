"""What the README and docs/facts.md say is what the code does: each table is compared with its source."""

from __future__ import annotations

import ast
import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from marketplace.actors import ROLE_PERMISSIONS, Permission
from marketplace.errors import MarketplaceError
from marketplace.web.problem_texts import SLUGS
from tests.serving import running_site
from tests.test_architecture import SOURCE, sources, tree

ROOT = SOURCE.parent
README = (ROOT / "README.md").read_text("utf-8")
FACTS = (ROOT / "docs" / "facts.md").read_text("utf-8")

# Read elsewhere than in config.py: by script/server, the migrations and the embedded server.
OTHER_SETTINGS = {"DATABASE_OWNER_URL", "MARKETPLACE_POSTGRES_BIN"}


def section(title: str, text: str = README) -> str:
    """The text under a heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    assert found, f"there is no section {title}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(title: str) -> list[list[str]]:
    """Cells of a section's table without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code_words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def settings_read() -> set[str]:
    """Names of the environment that config.py reads, also through its small helpers."""
    names = set()
    for node in ast.walk(tree(SOURCE / "config.py")):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", text) and text != "INFO":
            names.add(text)
    return names


def test_the_readme_lists_every_setting() -> None:
    listed = [code_words(row[0])[0] for row in rows("Settings")]
    assert len(listed) == len(set(listed))
    assert set(listed) == settings_read() | OTHER_SETTINGS


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert commands
    assert [line.split("#")[0].strip() for line in commands[1].strip().splitlines()] == [
        "script/server",
        "script/test",
    ]
    assert README.index("```sh") < 300


def test_the_readme_lists_every_permission_of_every_role() -> None:
    listed = {row[0].strip("`"): set(code_words(row[2])) for row in rows("Roles and permissions")}
    everyone = frozenset.intersection(*ROLE_PERMISSIONS.values())
    assert set(code_words(section("Roles and permissions").split("\n|")[0])) == {p.value for p in everyone}
    assert listed == {
        role.value: {permission.value for permission in granted - everyone}
        for role, granted in ROLE_PERMISSIONS.items()
    }


def test_the_readme_names_every_permission_in_chinese() -> None:
    assert [row[0].strip("`") for row in rows("Permissions")] == [
        permission.value for permission in Permission
    ]
    assert all(re.search(r"[\u4e00-\u9fff]", row[1]) for row in rows("Permissions"))


@pytest.fixture(scope="module", autouse=True)
def every_error_class_is_known() -> None:
    """SLUGS takes in the error classes of the modules that are imported."""
    for path in sources():
        if path.name != "serving.py":  # gunicorn's own settings
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def subclasses(kind: type[MarketplaceError]) -> Iterator[type[MarketplaceError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def declared_slugs() -> set[str]:
    """`slug = "…"` of error classes and `slug="…"` of raised errors."""
    found = set()
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "slug" for t in node.targets):
                value: ast.expr | None = node.value
            elif (isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "slug") or (
                isinstance(node, ast.keyword) and node.arg == "slug"
            ):
                value = node.value
            else:
                continue
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.add(value.value)
    return found


def test_every_slug_of_the_code_is_explained() -> None:
    assert declared_slugs() - set(SLUGS) == set()


def test_the_readme_lists_every_problem() -> None:
    listed = {row[0].strip("`"): row[1] for row in rows("Problems")}
    assert set(listed) == set(SLUGS)
    # Two classes may share a slug with words of their own: the README says one of them.
    titles = {(slug, SLUGS[slug].title) for slug in SLUGS}
    titles |= {(kind.slug, kind.title) for kind in subclasses(MarketplaceError)}
    assert set(listed.items()) <= titles


def documented_kinds() -> set[str]:
    kinds: set[str] = set()
    for line in FACTS.splitlines():
        if line.startswith("| `"):
            kinds |= set(code_words(line.split("|")[1]))
    return kinds


# Texts of the same form that are no kinds: columns that `verify` compares, a recall that is read but not made yet.
NO_KINDS = {"lot.recalled", "stock.on_hand", "stock.reserved"}


def recorded_kinds() -> set[str]:
    """Every text of the code that has the form of a kind: some are handed to record() through a variable."""
    subjects = {kind.split(".")[0] for kind in documented_kinds()}
    form = re.compile(rf"({'|'.join(sorted(subjects))})\.[a-z_]+")
    return {
        node.value
        for path in sources()
        # In models such texts are targets of foreign keys, in pages (which record nothing) columns of sheets.
        if not path.name.endswith(("models.py", "_pages.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and form.fullmatch(node.value)
    }


def test_the_page_of_facts_lists_every_kind_that_is_recorded() -> None:
    literal = {
        node.args[0].value
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "record"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(literal) > 15
    assert (recorded_kinds() | literal) - documented_kinds() - NO_KINDS == set()


def test_the_page_of_facts_lists_no_kind_that_nobody_records() -> None:
    assert documented_kinds() - recorded_kinds() == set()


def undescribed_keys(owner: psycopg.Connection) -> set[str]:
    """Keys of the data of recorded facts that their row of the page does not name."""
    described: dict[str, str] = {}
    for line in FACTS.splitlines():
        if line.startswith("| `"):
            cells = line.strip("|").split("|")
            described |= dict.fromkeys(code_words(cells[0]), cells[2])
    found = owner.execute(
        "select distinct kind, jsonb_object_keys(body::jsonb -> 'data') from fact where kind like '%.%'"
    )
    return {
        f"{kind}: {key}"
        for kind, key in found
        if key != "reason_given" and not re.search(rf"\b{key}\b", described[kind])
    }


def test_the_map_of_packages_is_the_folders() -> None:
    listed = {code_words(row[0])[0].strip("/") for row in rows("Map of packages")}
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert listed == folders - {"translations"}


def test_the_readme_lists_every_demo_account() -> None:
    with (ROOT / "catalog_seed" / "accounts.csv").open(encoding="utf-8", newline="") as file:
        seeded = [(row["username"], row["role"]) for row in csv.DictReader(file)]
    assert [(row[0].strip("`"), row[1].strip("`")) for row in rows("Demo accounts")] == seeded


def test_a_link_of_the_readme_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [target for target in targets if not Path(ROOT, target).exists()] == []


def test_the_main_story_of_the_readme_runs_as_it_stands(
    app: Flask, owner: psycopg.Connection, tmp_path: Path
) -> None:
    """Everything up to the last command, which speaks to the embedded server of a checkout."""
    commands = re.search(r"```bash\n(.*?)# And every table", README, re.DOTALL)
    assert commands
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        story = commands[1].replace("http://localhost:8000", site.base, 1)
        story = story.replace(".venv/bin/python", sys.executable)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", story],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "/problems/" not in done.stdout
    assert max(int(fen) for fen in re.findall(r'"counted_fen":(\d+)', done.stdout)) > 0
    checked = app.test_cli_runner().invoke(args=["verify"])
    assert checked.exit_code == 0, checked.output
    assert undescribed_keys(owner) == set()


def test_every_file_of_the_order_of_tests_exists() -> None:
    with (ROOT / "tests" / "order.csv").open(encoding="utf-8", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert len(set(paths)) == len(paths)

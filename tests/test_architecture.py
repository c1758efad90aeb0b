"""The rules that hold the house together, read from the source itself: forgetting one fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from marketplace.unit_of_work import HOUSEKEEPING_TABLES

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "marketplace"

# A package imports those before it, never those after it.
ORDER = (
    "journal", "accounts", "documents", "policies", "catalog", "trace", "orders", "payments", "quota", "channels",
    "papers", "notices", "desks", "seeding",
)  # fmt: skip
EDGES = {"api.py", "pages.py", "schemas.py"}


def is_edge(path: Path) -> bool:
    """Modules that speak HTTP: those of the usual names, the page modules of the desks, and parts of a large API."""
    return path.name in EDGES or path.name.endswith(("_pages.py", "_api.py", "_schemas.py"))


PURE = {"rules.py", "states.py", "allocation.py", "values.py", "codes.py"}
MONEY = ("payments", "quota", "orders", "catalog", "policies")

# Modules that put the application together: domain packages know none of them, except `jobs` in their own jobs.py.
ASSEMBLY = {
    "app",
    "models",
    "registration",
    "serving",
    "upkeep",
    "worker",
    "jobs",
    "embedded",
    "web",
    "seeding",
}
# What the other modules at the top, and web/, take from domain packages, and why.
TOP_LEVEL_USES = {
    "config.py": {"journal"},  # a signing key is checked at start-up
    "unit_of_work.py": {"journal"},  # the canonical text of a fact
    "models.py": set(ORDER),  # collects the tables for migrations
    "registration.py": {*ORDER, "web"},  # the one list of what the application is made of
    "app.py": {"web"},
    # Seals, checkpoints and where they are kept; what follows the sealed journal.
    "worker.py": {"journal", "documents", "notices", "channels"},
    "jobs.py": set(),
    "upkeep.py": {"journal", "documents", "web"},
}
WEB_USES = {
    "authentication.py": {"accounts", "channels"},  # tokens, sessions and keys
    "health.py": {"journal"},  # the age of the oldest unsealed fact
    "metrics.py": {"journal"},
}

# Exceptions, each with its reason.
EDGES_BESIDE_THE_NAMES = {"trace/story_schemas.py"}  # the public story's shapes, beside trace/schemas.py
FLASK_ALLOWED = {
    "trace/keyring.py",  # reads the trace keys from the settings of the running application
    "documents/storage.py",  # the same for the store's settings
    "payments/gateway.py",  # the same for the gateway's settings
    "notices/jobs.py",  # the same for the mail server's settings
}
DECIMAL_ALLOWED = {"trace/rules.py"}  # a laboratory's measured value against its limit, never money
BROAD_EXCEPT_ALLOWED = {
    "jobs.py",  # logs a job's failure with its identity and raises it again
    "web/quick.py",  # logs it and passes the request on to Flask, which repeats the read and tells the fault
}
BASE_EXCEPTION_ALLOWED = {"unit_of_work.py", "journal/sealing.py"}  # roll back, then raise again
PURE_EXCEPTIONS = {"payments/ledger.py"}  # writes the ledger's rows: no rules in spite of its name


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def short(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a module imports, also inside functions; relative imports are refused by ruff."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)}:{node.lineno} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def package_of(path: Path) -> str | None:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else None


def imported_parts(path: Path) -> set[str]:
    """First-level parts of `marketplace` that a module imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("marketplace.")}


def test_packages_import_one_way() -> None:
    wrong = [
        f"{short(path)} imports {part}"
        for path in sources()
        if package_of(path) in ORDER
        for part in imported_parts(path)
        if part in ORDER and ORDER.index(part) > ORDER.index(str(package_of(path)))
    ]
    assert wrong == []


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders - set(ORDER) <= {"web", "migrations"}


def test_domain_packages_know_nothing_of_how_they_are_put_together() -> None:
    wrong = []
    for path in sources():
        if package_of(path) not in ORDER or package_of(path) == "seeding":
            continue
        known = imported_parts(path) & ASSEMBLY
        if path.name == "jobs.py":
            known -= {"jobs"}
        if is_edge(path) or short(path) in EDGES_BESIDE_THE_NAMES:
            known -= {"web"}
        wrong += [f"{short(path)} imports {part}" for part in sorted(known)]
    assert wrong == []


def test_modules_at_the_top_and_web_reach_into_packages_only_where_agreed() -> None:
    wrong = []
    for path in sources():
        inside = package_of(path)
        if inside is None:
            allowed: set[str] = TOP_LEVEL_USES.get(path.name, set())
        elif inside == "web":
            allowed = WEB_USES.get(path.name, set()) | {"web"}
        else:
            continue
        wrong += [
            f"{short(path)} imports {part}"
            for part in sorted(imported_parts(path) & {*ORDER, "web"})
            if part not in allowed
        ]
    assert wrong == []


def libraries(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def pure_modules() -> list[Path]:
    named = [path for path in sources() if path.name in PURE or path.name == "ledger.py"]
    return [path for path in named if short(path) not in PURE_EXCEPTIONS]


def test_rules_know_neither_flask_nor_the_database() -> None:
    assert len(pure_modules()) > 10
    found = {short(path): libraries(path) for path in pure_modules()}
    banned = {"flask", "flask_sqlalchemy", "flask_login", "flask_smorest", "sqlalchemy", "psycopg"}
    assert {name: known & banned for name, known in found.items() if known & banned} == {}


def test_rules_import_no_module_that_knows_the_database() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in pure_modules()
        for name in imports(path)
        if name.startswith("marketplace.")
        and name.split(".")[-1] in {"models", "queries", "service", "database", "unit_of_work"}
    ]
    assert wrong == []


def test_services_and_queries_know_no_http() -> None:
    wrong = []
    for path in sources():
        if package_of(path) not in ORDER or is_edge(path) or path.name == "cli.py":
            continue
        if short(path) in EDGES_BESIDE_THE_NAMES | FLASK_ALLOWED:
            continue
        web = {name for name in libraries(path) if name.startswith(("flask", "werkzeug"))}
        if "web" in imported_parts(path):
            web.add("marketplace.web")
        wrong += [f"{short(path)} imports {name}" for name in sorted(web - {"flask_sqlalchemy"})]
    assert wrong == []


def calls(path: Path, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", None) == name or getattr(node.func, "id", None) == name)
    ]


def test_only_the_unit_of_work_commits() -> None:
    assert {short(path) for path in sources() if calls(path, "commit")} == {"unit_of_work.py"}


def test_no_module_is_longer_than_450_lines() -> None:
    lengths = {short(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {name: length for name, length in lengths.items() if length > 450} == {}


def test_only_named_modules_speak_to_other_systems() -> None:
    clients = {"boto3", "botocore", "requests", "urllib3", "httpx", "aiohttp", "smtplib"}
    speaking = {short(path) for path in sources() if libraries(path) & clients}
    assert speaking == {"documents/bucket.py", "notices/sending.py", "payments/gateway.py"}


def test_money_is_never_a_float_or_a_decimal() -> None:
    wrong = []
    for path in sources():
        if short(path) in DECIMAL_ALLOWED:
            continue
        if "decimal" in libraries(path):
            wrong.append(f"{short(path)} imports decimal")
        if package_of(path) in MONEY or path.name in PURE:
            wrong += [f"{short(path)}:{line} calls float()" for line in calls(path, "float")]
    assert wrong == []


def test_housekeeping_is_allowed_for_a_closed_list() -> None:
    assert sorted(HOUSEKEEPING_TABLES) == [
        "access_token",
        "app_user_login",
        "basket_draft",
        "checkpoint",
        "document_upload",
        "gateway_event",
        "idempotency_key",
        "notice",
        "notice_cursor",
        "notice_read",
        "notice_sending",
        "partner_key_use",
        "procrastinate_jobs",
        "seal",
        "throttle",
        "trace_scan",
        "web_session",
        "webhook_attempt",
        "webhook_cursor",
        "webhook_delivery",
    ]


def caught(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield "everything"
        else:
            yield from (name.id for name in ast.walk(node.type) if isinstance(name, ast.Name))


def test_no_error_is_caught_without_being_named() -> None:
    wrong = []
    for path in sources():
        allowed: set[str] = set()
        if short(path) in BROAD_EXCEPT_ALLOWED:
            allowed.add("Exception")
        if short(path) in BASE_EXCEPTION_ALLOWED:
            allowed.add("BaseException")
        wide = {"everything", "Exception", "BaseException"} & set(caught(path))
        wrong += [f"{short(path)} catches {name}" for name in sorted(wide - allowed)]
    assert wrong == []


def test_patterns_of_schemas_hold_the_whole_text() -> None:
    """A pattern is matched at the beginning alone, and $ lets a line end follow."""
    wrong = [
        f"{short(path)}: {node.args[0].value}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "validate.Regexp"
        if isinstance(node.args[0], ast.Constant) and not str(node.args[0].value).endswith(r"\Z")
    ]
    assert wrong == []


def test_every_exception_to_a_rule_is_still_needed() -> None:
    lists = (
        EDGES_BESIDE_THE_NAMES, FLASK_ALLOWED, DECIMAL_ALLOWED, BROAD_EXCEPT_ALLOWED, BASE_EXCEPTION_ALLOWED,
        PURE_EXCEPTIONS,
    )  # fmt: skip
    names = {short(path) for path in sources()}
    assert set().union(*lists) <= names

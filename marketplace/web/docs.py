"""What describes the API to its callers: the OpenAPI document, a page made of it, and a page for each problem."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

from apispec import APISpec
from flask import Flask, Response, render_template
from flask_smorest import Api
from marshmallow import Schema, fields

from marketplace.errors import NotFound
from marketplace.web.edge import public
from marketplace.web.problem_texts import SLUGS


class ProblemErrorOut(Schema):
    pointer = fields.String(
        metadata={"description": "JSON pointer into the body, such as #/lines/0/quantity"}
    )
    parameter = fields.String(metadata={"description": "name of a query parameter"})
    detail = fields.String(required=True)


class ProblemOut(Schema):
    """RFC 9457. Some problems have more members, such as `shortages`."""

    type = fields.String(required=True, metadata={"description": "stable; its page says what to do"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.List(fields.Nested(ProblemErrorOut))


class ProblemApi(Api):  # type: ignore[misc]
    """The library's API with our error form: its own handler would answer in another one."""

    ERROR_SCHEMA = ProblemOut
    DEFAULT_ERROR_RESPONSE_NAME = "DEFAULT_ERROR"

    def __init__(self, app: Flask, **options: Any) -> None:
        self._waiting: list[tuple[Any, str, Any]] = []
        self._describing = threading.Lock()
        super().__init__(app, **options)

    def _register_error_handlers(self) -> None:
        """Errors are answered in `problems.py` alone."""

    def register_blueprint(self, blp: Any, *, parameters: Any = None, **options: Any) -> None:
        """The routes at once; their description, a third of a start, when the document is asked for."""
        name = options.get("name", blp.name)
        self._app.extensions["flask-smorest"]["blp_name_to_api"][name] = self
        self._app.register_blueprint(blp, **options)
        self._waiting.append((blp, name, parameters))

    def describe(self) -> APISpec:
        """The document of all routes that were registered. Thread-safe."""
        with self._describing:
            while self._waiting:
                blp, name, parameters = self._waiting.pop(0)
                blp.register_views_in_doc(self, self._app, self.spec, name=name, parameters=parameters)
                self.spec.tag({"name": name, "description": blp.description})
            spec: APISpec = self.spec
            return spec


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Printable ASCII of the caller's own. A repeat with the same key and body has no second effect: it"
    " gets the stored answer with Idempotent-Replayed: true, for 30 days. Another body is refused with 422"
    " idempotency-key-reused, a repeat while the first is at work with 409 in-flight.",
}
_UNSAFE = ("post", "put", "patch", "delete")


def _describe_keys(app: Flask, described: dict[str, Any]) -> None:
    """Name the header on every unsafe operation that does not declare `without_key`."""
    for rule in app.url_map.iter_rules():
        if hasattr(app.view_functions[rule.endpoint], "takes_no_key"):
            continue
        item = described["paths"].get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
        for method in _UNSAFE:
            if method.upper() in (rule.methods or ()) and method in item:
                parameters = item[method].setdefault("parameters", [])
                if IDEMPOTENCY_KEY not in parameters:
                    parameters.append(IDEMPOTENCY_KEY)


def _register_document(app: Flask, api: ProblemApi, folder: str, name: str) -> None:
    """`folder`/openapi.json, and `folder`/docs made of it, of one API."""
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    made: dict[str, bytes] = {}

    def spec() -> dict[str, Any]:
        described: dict[str, Any] = api.describe().to_dict()
        _describe_keys(app, described)
        return described

    @public
    def document() -> Response:
        if "json" not in made:
            made["json"] = json.dumps(spec(), ensure_ascii=False, separators=(",", ":")).encode()
        return Response(made["json"], mimetype="application/json")

    @public
    def page() -> str:
        described = spec()
        return render_template(
            "web/docs.html",
            document=f"{name}openapi_json",
            info=described["info"],
            groups=_groups(described),
            schemas=_schemas(described),
        )

    app.add_url_rule(f"{folder}/openapi.json", f"{name}openapi_json", document)
    app.add_url_rule(f"{folder}/docs", f"{name}api_docs", page)


def register_docs(app: Flask, api: ProblemApi, partner: ProblemApi) -> None:
    """Public routes openapi.json and docs under /api and /partner, /problems and /problems/<slug>."""
    _register_document(app, api, "/api", "")
    _register_document(app, partner, "/partner", "partner_")

    @public
    def problem_index() -> str:
        return render_template("web/problems.html", slugs=dict(SLUGS.items()))

    @public
    def problem_page(slug: str) -> str:
        """Raises NotFound for a slug that no error has."""
        if slug not in SLUGS:
            raise NotFound
        return render_template("web/problems.html", slugs={slug: SLUGS[slug]})

    app.add_url_rule("/problems", "problem_index", problem_index)
    app.add_url_rule("/problems/<slug>", "problem_page", problem_page)


def _groups(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, in the order of the document."""
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in spec.get("tags", [])}
    for path, item in spec.get("paths", {}).items():
        shared = item.get("parameters", [])
        for method in ("get", "post", "put", "patch", "delete"):
            operation = item.get(method)
            if operation is None:
                continue
            body = operation.get("requestBody", {}).get("content", {})
            line = {
                "method": method.upper(),
                "path": path,
                "summary": operation.get("summary", ""),
                "description": operation.get("description", ""),
                "parameters": [
                    {
                        "name": p["name"],
                        "in": p["in"],
                        "required": p.get("required", False),
                        "shape": shape(p.get("schema", {})),
                    }
                    for p in [*shared, *operation.get("parameters", [])]
                    if "name" in p
                ],
                "body": [(kind, shape(content.get("schema", {}))) for kind, content in body.items()],
                "answers": [
                    (status, shape(_first_schema(answer)))
                    for status, answer in operation.get("responses", {}).items()
                    if status != "default"
                ],
            }
            for tag in operation.get("tags", ["other"]):
                groups.setdefault(tag, []).append(line)
    return {tag: lines for tag, lines in groups.items() if lines}


def _first_schema(answer: dict[str, Any]) -> dict[str, Any]:
    return next((content.get("schema", {}) for content in answer.get("content", {}).values()), {})


def _schemas(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found = spec.get("components", {}).get("schemas", {})
    return {name: list(_fields(schema)) for name, schema in sorted(found.items())}


def _fields(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        yield {
            "name": name,
            "required": name in required,
            "shape": shape(field),
            "note": field.get("description", ""),
        }


def shape(schema: dict[str, Any]) -> str:
    """A schema in a few words: `integer 1..100`, `[OrderOut]`, `string or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for word in ("allOf", "anyOf", "oneOf"):
        if word in schema:
            return " or ".join(shape(part) for part in schema[word])
    kind = schema.get("type", "")
    if kind == "array":
        return f"[{shape(schema.get('items', {}))}]"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    if low is not None or high is not None:
        words += f" {'' if low is None else low}..{'' if high is None else high}"
    if schema.get("format"):
        words += f" ({schema['format']})"
    return words

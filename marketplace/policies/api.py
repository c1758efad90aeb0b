"""The counties and the rules, readable by anybody with their sources; set by the poverty office."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.clock import budget_year, today
from marketplace.database import db
from marketplace.policies import queries, service
from marketplace.policies.schemas import (
    EligibilityIn,
    EligibilityOut,
    PolicyArgs,
    PolicyIn,
    PolicyOut,
    RegionsOut,
)
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, public, requires, sent, shown
from marketplace.web.schemas import page_of

blp = Blueprint("policies", __name__, url_prefix="/api/v1", description="地区与政策规则")
blueprints = [blp]

PolicyPage = page_of(PolicyOut)


@blp.route("/regions", methods=["GET"])
@public
@blp.response(200, RegionsOut)
def list_regions() -> Response:
    """The counties, the years in which their goods count, and the Tianjin districts paired with them."""
    rows = queries.list_regions(db.session(), budget_year(today()))
    return shown(RegionsOut(), {"items": rows, "next": None})


@blp.route("/policies", methods=["GET"])
@public
@blp.arguments(PolicyArgs, location="query")
@blp.response(200, PolicyPage)
def list_policies(args: dict[str, Any]) -> Response:
    """Every version of every rule with its source, the latest beginning of a key first."""
    return shown(PolicyPage, queries.list_policies(db.session(), **args))


@blp.route("/policies", methods=["POST"])
@requires(Permission.POLICY_MANAGE)
@blp.arguments(PolicyIn)
@blp.response(201, PolicyOut)
@retrying
def set_policy(fields: dict[str, Any]) -> Response:
    """Let a rule hold from a day on; the same beginning again makes the next revision."""
    return sent(service.set_policy(current_actor(), **fields, once=once(PolicyOut(), status=201)))


@blp.route("/eligibilities", methods=["POST"])
@requires(Permission.POLICY_MANAGE)
@blp.arguments(EligibilityIn)
@blp.response(201, EligibilityOut)
@retrying
def set_eligibility(fields: dict[str, Any]) -> Response:
    """Say from which year and to which year the goods of a county count."""
    return sent(service.set_eligibility(current_actor(), **fields, once=once(EligibilityOut(), status=201)))

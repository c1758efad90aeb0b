"""The journal over HTTP: the feed of facts by scope, checkpoints for everybody, proofs."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.journal import queries
from marketplace.journal.schemas import (
    CheckpointOut,
    ConsistencyArgs,
    ConsistencyOut,
    EventArgs,
    EventPageOut,
    ProofArgs,
    ProofOut,
)
from marketplace.web.edge import current_actor, public, requires, shown
from marketplace.web.schemas import PageArgs, page_of

blp = Blueprint("journal", __name__, url_prefix="/api/v1", description="存证记录、检查点与证明")
blueprints = [blp]

_CHECKPOINTS = page_of(CheckpointOut)


@blp.route("/events")
@requires(Permission.JOURNAL_READ)
@blp.arguments(EventArgs, location="query")
@blp.response(200, EventPageOut)
def list_events(args: dict[str, Any]) -> Response:
    """Facts that concern the caller, in the order in which they were sealed."""
    return shown(EventPageOut(), queries.events(db.session(), current_actor(), **args))


@blp.route("/events/<int:seq>/proof")
@requires(Permission.JOURNAL_READ)
@blp.arguments(ProofArgs, location="query")
@blp.response(200, ProofOut)
def show_proof(args: dict[str, Any], seq: int) -> Response:
    """The sealed text of a fact and its inclusion proof under a signed checkpoint."""
    return shown(ProofOut(), queries.proof(db.session(), current_actor(), seq, **args))


@blp.route("/checkpoints")
@public
@blp.arguments(PageArgs, location="query")
@blp.response(200, _CHECKPOINTS)
def list_checkpoints(args: dict[str, Any]) -> Response:
    """Signed checkpoints of the journal, newest first."""
    return shown(_CHECKPOINTS, queries.checkpoints(db.session(), **args))


@blp.route("/checkpoints/<int:size>/consistency")
@public
@blp.arguments(ConsistencyArgs, location="query")
@blp.response(200, ConsistencyOut)
def show_consistency(args: dict[str, Any], size: int) -> Response:
    """Proof that the journal of one checkpoint only appended to that of an earlier one."""
    return shown(ConsistencyOut(), queries.consistency(db.session(), args["from_size"], size))

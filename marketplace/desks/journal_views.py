"""The journal for readers who check by hand: a fact with every step from its text to a signed root."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from marketplace.actors import Actor
from marketplace.errors import NotFound
from marketplace.journal import queries
from marketplace.journal.merkle import node_hash
from marketplace.journal.queries import NotSignedYet


def fact_view(session: Session, actor: Actor, seq: int, size: int | None) -> dict[str, Any]:
    """The sealed text with its members, and the proof step by step; `proof` is None while nothing signed covers it.

    Raises NotFound for a fact the actor may not read and for a size nobody signed.
    """
    fact = queries.sealed(session, actor, seq)
    members = json.loads(fact["text"])
    try:
        proof = queries.proof(session, actor, seq, size=size)
    except NotSignedYet:
        proof = None
    return {
        **fact,
        "members": members,
        "data": flat(members["data"]),
        "proof": proof,
        "steps": [] if proof is None else steps(proof),
    }


def flat(data: Any, at: str = "") -> list[tuple[str, str]]:
    """Every value of a fact with its path, in the order of the sealed text."""
    if isinstance(data, dict):
        return [pair for name, value in data.items() for pair in flat(value, f"{at}.{name}" if at else name)]
    if isinstance(data, list):
        return [pair for n, value in enumerate(data) for pair in flat(value, f"{at}[{n}]")]
    return [(at, json.dumps(data, ensure_ascii=False) if not isinstance(data, str) else data)]


def steps(proof: dict[str, Any]) -> list[dict[str, Any]]:
    """The walk from the leaf to the root (RFC 9162, 2.1.3.2): {side, sibling, result}, hashes in hexadecimal.

    `side` says where the sibling stands in SHA-256(0x01 || left || right); the last result is the signed root.
    """
    at, last = proof["seq"] - 1, proof["tree_size"] - 1
    current = bytes.fromhex(proof["leaf_hash"])
    walked: list[dict[str, Any]] = []
    for text in proof["path"]:
        sibling = bytes.fromhex(text)
        left = bool(at & 1) or at == last
        current = node_hash(sibling, current) if left else node_hash(current, sibling)
        while left and not at & 1 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
        walked.append({"side": "left" if left else "right", "sibling": text, "result": current.hex()})
    return walked


def checked(session: Session, old: int | None, new: int | None) -> dict[str, Any] | None:
    """The proof that one checkpoint continues another, once both sizes are named; {} when no such two were signed."""
    if old is None or new is None:
        return None
    try:
        return queries.consistency(session, old, new)
    except NotFound:
        return {}

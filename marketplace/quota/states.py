"""The states of a declaration: a table of (from, event) -> to.

Editing makes a new version. A re-declaration of an approved one leaves the approved version in the figures until
the new one is approved itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from marketplace.errors import WrongState


class DeclarationState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"


D = DeclarationState

DECLARATION_MOVES: Mapping[tuple[DeclarationState, str], DeclarationState] = {
    (D.DRAFT, "edit"): D.DRAFT,
    (D.RETURNED, "edit"): D.DRAFT,
    (D.WITHDRAWN, "edit"): D.DRAFT,
    (D.APPROVED, "edit"): D.DRAFT,
    (D.DRAFT, "submit"): D.SUBMITTED,
    (D.WITHDRAWN, "submit"): D.SUBMITTED,
    (D.SUBMITTED, "withdraw"): D.WITHDRAWN,
    (D.SUBMITTED, "approve"): D.APPROVED,
    (D.SUBMITTED, "return"): D.RETURNED,
}


def move(state: DeclarationState, event: str) -> DeclarationState:
    """The state after `event`. Raises WrongState (`wrong-state`) with the present state and the event."""
    try:
        return DECLARATION_MOVES[state, event]
    except KeyError:
        raise WrongState(state=state.value, event=event) from None

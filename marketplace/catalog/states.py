"""The states of a product's listing: a table of (from, event) -> to. Access is no matter of this file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from marketplace.errors import WrongState

S = TypeVar("S", bound=StrEnum)


class ProductState(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RECOGNISED = "recognised"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


P = ProductState

PRODUCT_MOVES: Mapping[tuple[ProductState, str], ProductState] = {
    (P.DRAFT, "submit"): P.SUBMITTED,
    # A refused or withdrawn product comes back through the office, never straight onto the shelf.
    (P.REFUSED, "submit"): P.SUBMITTED,
    (P.WITHDRAWN, "submit"): P.SUBMITTED,
    (P.SUBMITTED, "recognise"): P.RECOGNISED,
    (P.SUBMITTED, "refuse"): P.REFUSED,
    (P.SUBMITTED, "withdraw"): P.WITHDRAWN,
    (P.RECOGNISED, "withdraw"): P.WITHDRAWN,
}


def move(
    table: Mapping[tuple[S, str], S],
    state: S,
    event: str,
    advice: Mapping[tuple[S, str], str] | None = None,
) -> S:
    """The state after `event`. Raises WrongState (`wrong-state`) with the present state and the event.

    `advice` says of what the table lacks why that is and what to do next.
    """
    try:
        return table[state, event]
    except KeyError:
        said = None if advice is None else advice.get((state, event))
        raise WrongState(said, state=state.value, event=event) from None

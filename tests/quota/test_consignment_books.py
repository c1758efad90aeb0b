"""What the facts of consignments say by themselves, and what they contradict."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace.quota.consignment_books import ConsignmentBooks
from marketplace.quota.rebuild import Rebuilt

HEAD = {"number": "SH-2026-000001", "channel": "c", "seller": "s", "agreement": "a", "shop": "shop"}
SENT = {
    "line": "l",
    "position": 1,
    "product": "p",
    "lot": "lot",
    "place": "store",
    "trace_code": "T",
    "quantity": 5,
}


def move(place: str, on_hand: int, reserved: int) -> dict[str, Any]:
    return {"lot": "lot", "place": place, "kind": "transfer", "on_hand": on_hand, "reserved": reserved}


def fact(event: str, lines: list[dict[str, Any]], moves: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    data = {**HEAD, **more, "lines": lines, "moves": moves}
    return {
        "id": event,
        "kind": f"consignment.{event}",
        "subject": {"type": "consignment", "id": "x"},
        "data": data,
    }


def line(**values: Any) -> dict[str, Any]:
    return {"line": "l", "lot": "lot", "trace_code": "T", "quantity": 5, **values}


GOOD = fact("sent", [SENT], [move("store", 0, 5)])
TAKEN = [move("store", -4, -4), move("shop", 4, 0), move("store", 0, -1)]


def test_a_consignment_that_is_taken_over_in_part_is_rebuilt_with_its_stock() -> None:
    rebuilt = Rebuilt()
    rebuilt.feed(GOOD)
    rebuilt.feed(fact("taken_over", [line(accepted=4)], TAKEN))
    assert rebuilt.refusals == []
    assert rebuilt.consignments.consignments["x"].state == "taken_over"
    assert (rebuilt.consignments.lines["l"].quantity, rebuilt.consignments.lines["l"].accepted) == (5, 4)
    assert rebuilt.stock == {("lot", "store"): [-4, 0], ("lot", "shop"): [4, 0]}


@pytest.mark.parametrize(
    "wrong",
    [
        fact("taken_over", [line(accepted=5)], TAKEN),
        fact("taken_over", [line(accepted=6)], [move("store", -6, -5), move("shop", 6, 0)]),
        fact("taken_over", [line(accepted=4, quantity=4)], TAKEN),
        fact("taken_over", [], []),
        fact("cancelled", [line()], [move("store", 0, -4)]),
        fact("cancelled", [line()], [move("shop", 0, -5)]),
    ],
)
def test_a_fact_that_moves_other_packs_than_its_lines_say_is_refused(wrong: dict[str, Any]) -> None:
    books = ConsignmentBooks()
    books.take(GOOD)
    with pytest.raises(ValueError, match=r"packs|lines"):
        books.take(wrong)


def test_what_has_ended_does_not_end_again() -> None:
    books = ConsignmentBooks()
    books.take(GOOD)
    ended = fact("cancelled", [line()], [move("store", 0, -5)])
    books.take(ended)
    with pytest.raises(ValueError, match="is cancelled"):
        books.take(ended)

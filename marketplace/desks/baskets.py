"""The basket (采购单) of a person and the lists of an organisation that are ordered again (常用单).

Drafts hold nothing: stock is held, and prices are copied, when `orders.purchasing.submit_purchase` takes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.clock import now
from marketplace.errors import Conflict, Forbidden, MarketplaceError, NotFound, RuleViolation
from marketplace.orders.models import BasketDraft, Order, OrderLine, Purchase
from marketplace.orders.queries import purchase_scope
from marketplace.unit_of_work import housekeeping
from marketplace.values import MAX_LINES, uuid7

BASKET = ""
MAX_TEMPLATES = 50
KEYS = 20  # forms of the last minutes; older ones are sent again on purpose
# What a named list keeps besides its lines; days and persons belong to one purchase only.
LASTING = (
    *("purpose", "payer_profile_id", "canteen_id", "for_agency_id", "note"),
    *("heads", "fed_days", "budget_fen"),
)


@dataclass(frozen=True)
class Line:
    """Packs of a product for a day (None: the day of the whole basket).

    `seen_fen` is the unit price when the line was put in. `amount` and `unit` are what was typed, for people who
    order in 公斤 or 斤.
    """

    product_id: UUID
    quantity: int
    deliver_on: date | None = None
    funding_source: str | None = None
    seen_fen: int | None = None
    amount: str = ""
    unit: str = "pack"
    # For each person at table and day, where packs are reckoned by heads (`heads.laid`).
    grams: int | None = None


@dataclass(frozen=True)
class Basket:
    """Lines, and the head of the purchase as far as it was filled in (`head`: plain JSON values).

    `keys` are those of the latest forms that put something in, so that one which was sent twice does it once.
    """

    lines: tuple[Line, ...] = ()
    head: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    def with_lines(self, lines: list[Line]) -> Basket:
        if len(lines) > MAX_LINES:
            raise RuleViolation(f"一单最多{MAX_LINES}行，请先交这一单")
        return replace(self, lines=tuple(lines))


def own_basket(session: Session, actor: Actor) -> Basket:
    """The actor's own basket; empty when there is none."""
    row = session.scalars(
        sa.select(BasketDraft).where(BasketDraft.user_id == actor.user_id, BasketDraft.name == BASKET)
    ).one_or_none()
    return Basket() if row is None else _read(row.content)


def count_lines(session: Session, actor: Actor) -> int:
    """How many lines lie in the basket; 0 for those who do not buy."""
    if not actor.can(Permission.PURCHASE_SUBMIT):
        return 0
    length = sa.func.jsonb_array_length(BasketDraft.content["lines"])
    return (
        session.scalar(
            sa.select(length).where(BasketDraft.user_id == actor.user_id, BasketDraft.name == BASKET)
        )
        or 0
    )


def keep(actor: Actor, basket: Basket) -> None:
    """Store the actor's basket; an empty one is removed."""
    if not basket.lines:
        clear(actor)
    else:
        _store(actor, BASKET, basket)


def clear(actor: Actor) -> None:
    with housekeeping(["basket_draft"]) as session:
        session.execute(
            sa.delete(BasketDraft).where(BasketDraft.user_id == actor.user_id, BasketDraft.name == BASKET)
        )


@contextmanager
def settling(actor: Actor, basket: Basket) -> Iterator[None]:
    """Around the submission of `basket`: it is emptied when the purchase is made and kept when it is refused.

    A form that was sent twice changes nothing: by then another basket may have been begun.
    """
    try:
        yield
    except MarketplaceError:
        keep(actor, basket)
        raise
    clear(actor)


def put_in_once(basket: Basket, wish: Line, key: str) -> Basket:
    """`put_in`, unless the form with this key has done it already."""
    if key and key in basket.keys:
        return basket
    return replace(put_in(basket, wish), keys=(*basket.keys, key)[-KEYS:])


def put_in(basket: Basket, wish: Line) -> Basket:
    """The basket with more of a product; a line of the same product, day and fund takes the packs."""
    lines = list(basket.lines)
    for place, line in enumerate(lines):
        same = (line.product_id, line.deliver_on, line.funding_source) == (
            wish.product_id,
            wish.deliver_on,
            wish.funding_source,
        )
        if same:
            total = line.quantity + wish.quantity
            lines[place] = replace(line, quantity=total, amount="", unit="pack", seen_fen=wish.seen_fen)
            return basket.with_lines(lines)
    return basket.with_lines([*lines, wish])


def list_templates(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """The named lists of the actor's organisation, newest first: {id, name, lines, saved_at}."""
    rows = session.scalars(
        sa.select(BasketDraft)
        .where(BasketDraft.organisation_id == actor.organisation_id, BasketDraft.name != BASKET)
        .order_by(BasketDraft.saved_at.desc(), BasketDraft.id)
        .limit(MAX_TEMPLATES)
    )
    return [
        {"id": row.id, "name": row.name, "lines": _read(row.content).lines, "saved_at": row.saved_at}
        for row in rows
    ]


def template(session: Session, actor: Actor, template_id: UUID) -> Basket:
    """Raises NotFound for a list of somebody else."""
    row = session.scalars(
        sa.select(BasketDraft).where(
            BasketDraft.id == template_id,
            BasketDraft.organisation_id == actor.organisation_id,
            BasketDraft.name != BASKET,
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return _read(row.content)


def save_template(session: Session, actor: Actor, name: str, basket: Basket) -> None:
    """Keep the lines under a name (1 to 50 characters), days put together; a list of that name is replaced.

    Raises RuleViolation (`invalid`) for an empty basket, Conflict (`conflict`) when there are too many.
    """
    if not basket.lines:
        raise RuleViolation("采购单里还没有货，没有可以存的")
    named = session.scalars(
        sa.select(BasketDraft.name).where(
            BasketDraft.organisation_id == actor.organisation_id, BasketDraft.name != BASKET
        )
    ).all()
    if name not in named and len(named) >= MAX_TEMPLATES:
        raise Conflict("常用单太多，请先删掉不用的")
    kept = Basket(head={key: basket.head[key] for key in LASTING if basket.head.get(key)})
    for line in basket.lines:
        kept = put_in(kept, replace(line, deliver_on=None, seen_fen=None))
    _store(actor, name, kept)


def delete_template(actor: Actor, template_id: UUID) -> None:
    """Raises NotFound for a list of somebody else."""
    with housekeeping(["basket_draft"]) as session:
        gone = session.execute(
            sa.delete(BasketDraft)
            .where(
                BasketDraft.id == template_id,
                BasketDraft.organisation_id == actor.organisation_id,
                BasketDraft.name != BASKET,
            )
            .returning(BasketDraft.id)
        ).all()
    if not gone:
        raise NotFound


def joined(basket: Basket, other: Basket) -> Basket:
    """The basket with everything of another one; what is filled in already stays."""
    head = {**other.head, **{key: value for key, value in basket.head.items() if value}}
    result = replace(basket, head=head)
    for line in other.lines:
        result = put_in(result, line)
    return result


def from_order(session: Session, actor: Actor, order_id: UUID) -> Basket:
    """The lines of an earlier order of one's own, to buy them again. Raises NotFound outside the scope."""
    rows = session.execute(
        sa.select(OrderLine.product_id, OrderLine.quantity, OrderLine.funding_source)
        .join(Order, Order.id == OrderLine.order_id)
        .where(
            Order.id == order_id,
            Order.buyer_id == actor.organisation_id,
            Order.purchase_id.in_(sa.select(Purchase.id).where(purchase_scope(actor))),
        )
        .order_by(OrderLine.position)
    ).all()
    if not rows:
        raise NotFound
    result = Basket()
    for row in rows:
        result = put_in(result, Line(row.product_id, row.quantity, funding_source=row.funding_source))
    return result


def _store(actor: Actor, name: str, basket: Basket) -> None:
    if actor.user_id is None or actor.organisation_id is None:
        raise Forbidden
    values = {"content": _written(basket), "saved_at": now(), "user_id": actor.user_id}
    statement = insert(BasketDraft).values(
        id=uuid7(), organisation_id=actor.organisation_id, name=name, **values
    )
    own = name == BASKET
    with housekeeping(["basket_draft"]) as session:
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id"] if own else ["organisation_id", "name"],
                index_where=sa.text("name = ''" if own else "name <> ''"),
                set_=values,
            )
        )


def _written(basket: Basket) -> dict[str, Any]:
    return {
        "lines": [
            {
                "product_id": str(line.product_id),
                "quantity": line.quantity,
                "deliver_on": None if line.deliver_on is None else line.deliver_on.isoformat(),
                "funding_source": line.funding_source,
                "seen_fen": line.seen_fen,
                "amount": line.amount,
                "unit": line.unit,
                "grams": line.grams,
            }
            for line in basket.lines
        ],
        "head": basket.head,
        "keys": list(basket.keys),
    }


def _read(content: dict[str, Any]) -> Basket:
    lines = [
        Line(
            UUID(row["product_id"]),
            row["quantity"],
            None if row["deliver_on"] is None else date.fromisoformat(row["deliver_on"]),
            row["funding_source"],
            row["seen_fen"],
            row["amount"],
            row["unit"],
            row.get("grams"),
        )
        for row in content["lines"]
    ]
    return Basket(tuple(lines), dict(content["head"]), tuple(content["keys"]))

"""Purchases, their orders per seller, lines, allocations, shipments, acceptances and evaluations."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.accounts.models import Purpose
from marketplace.catalog.models import PricedBy
from marketplace.database import Base, choice, row_id, uuid_pk
from marketplace.orders.states import (
    EvaluationState,
    InvoiceState,
    OrderState,
    PaymentState,
    PurchaseState,
)


class Purchase(Base):
    """采购单: what one buyer submits. The delivery person's name and phone never leave this row for a fact."""

    __tablename__ = "purchase"
    __table_args__ = (
        sa.UniqueConstraint("buyer_id", "reference"),
        sa.Index("ix_purchase_buyer", "buyer_id", "id"),
        sa.Index("ix_purchase_hold", "hold_until", postgresql_where=sa.text("state = 'awaiting_approval'")),
        sa.CheckConstraint("total_fen = goods_fen + freight_fen", name="total_adds_up"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    buyer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    submitted_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    payer_profile_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("payer_profile.id"))
    canteen_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("canteen.id"))
    # The agency whose reserve these lines fill; None for purchases that belong to no agency.
    quota_agency_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    for_agency_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    purpose: Mapped[Purpose] = choice(Purpose, "purchase_purpose")
    # Snapshots of the rules in force: how its lines will be counted never changes afterwards.
    buyer_county_code: Mapped[str]
    policy_version: Mapped[str]
    counted_states: Mapped[str]
    deliver_on: Mapped[date]
    deliver_name: Mapped[str]
    deliver_phone: Mapped[str]
    deliver_address: Mapped[str]
    reference: Mapped[str | None]
    note: Mapped[str | None]
    state: Mapped[PurchaseState] = choice(PurchaseState, "purchase_state")
    hold_until: Mapped[datetime | None]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int]
    total_fen: Mapped[int]
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    decision_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)


class Order(Base):
    """订单: a purchase's part for one seller. Fulfilment, invoice, payment, evaluation are separate machines."""

    # "order" is a reserved word of SQL.
    __tablename__ = "orders"
    __table_args__ = (
        sa.UniqueConstraint("purchase_id", "seller_id"),
        sa.Index("ix_orders_seller", "seller_id", "id"),
        sa.Index("ix_orders_buyer", "buyer_id", "id"),
        sa.Index("ix_orders_confirm_by", "confirm_by", postgresql_where=sa.text("state = 'placed'")),
    )

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    purchase_id: Mapped[UUID] = mapped_column(sa.ForeignKey("purchase.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    buyer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    quota_agency_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    state: Mapped[OrderState] = choice(OrderState, "order_state")
    invoice_state: Mapped[InvoiceState] = choice(
        InvoiceState, "order_invoice_state", default=InvoiceState.NONE
    )
    payment_state: Mapped[PaymentState] = choice(
        PaymentState, "order_payment_state", default=PaymentState.NONE
    )
    evaluation_state: Mapped[EvaluationState] = choice(
        EvaluationState, "order_evaluation_state", default=EvaluationState.NONE
    )
    confirm_by: Mapped[datetime | None]
    # One side asked to cancel after confirmation; the other must agree.
    cancel_asked_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    cancel_reason: Mapped[str | None]
    goods_fen: Mapped[int]
    freight_fen: Mapped[int] = mapped_column(default=0)
    accepted_fen: Mapped[int] = mapped_column(default=0)
    invoiced_fen: Mapped[int] = mapped_column(default=0)
    payment_opened_fen: Mapped[int] = mapped_column(default=0)
    paid_fen: Mapped[int] = mapped_column(default=0)
    accepted_on: Mapped[date | None]
    # The day on which the last payment arrived (到账).
    paid_on: Mapped[date | None]
    version: Mapped[int] = mapped_column(default=1)


class OrderLine(Base):
    """One product of an order, with everything copied that must not change later.

    Packs: `quantity` = ordered; cancelled, shipped, accepted and refused add up over the acts.
    """

    __tablename__ = "order_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("goods_fen = quantity * unit_price_fen", name="goods_add_up"),
        sa.CheckConstraint("shipped_quantity + cancelled_quantity <= quantity", name="shipped_within"),
        sa.CheckConstraint(
            "accepted_quantity + refused_quantity <= shipped_quantity", name="accepted_within"
        ),
        sa.CheckConstraint("accepted_fen >= 0", name="accepted_not_negative"),
        sa.Index("ix_order_line_order", "order_id", "position"),
        # What others pay for a product, beside each approval.
        sa.Index("ix_order_line_product", "product_id", "purchase_id"),
    )

    id: Mapped[uuid_pk]
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"))
    purchase_id: Mapped[UUID] = mapped_column(sa.ForeignKey("purchase.id"), index=True)
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    position: Mapped[int]
    product_name: Mapped[str]
    spec: Mapped[str]
    pack_unit: Mapped[str]
    net_g: Mapped[int]
    priced_by: Mapped[PricedBy] = choice(PricedBy, "line_priced_by")
    category_code: Mapped[str]
    county_code: Mapped[str]
    price_list_code: Mapped[str]
    tier_min_quantity: Mapped[int]
    unit_price_fen: Mapped[int]
    quantity: Mapped[int]
    goods_fen: Mapped[int]
    deliver_on: Mapped[date]
    funding_source: Mapped[str | None]
    eligible: Mapped[bool]
    ineligible_reason: Mapped[str | None]
    cancelled_quantity: Mapped[int] = mapped_column(default=0)
    shipped_quantity: Mapped[int] = mapped_column(default=0)
    accepted_quantity: Mapped[int] = mapped_column(default=0)
    refused_quantity: Mapped[int] = mapped_column(default=0)
    delivered_g: Mapped[int | None]
    accepted_fen: Mapped[int] = mapped_column(default=0)
    paid_fen: Mapped[int] = mapped_column(default=0)


class Allocation(Base):
    """Packs of a line held on one stock row. `shipped` of them have left; `open` = quantity - shipped - freed."""

    __tablename__ = "allocation"
    __table_args__ = (
        sa.UniqueConstraint("line_id", "stock_id"),
        sa.CheckConstraint("quantity > 0 and shipped >= 0 and freed >= 0", name="not_negative"),
        sa.CheckConstraint("shipped + freed <= quantity", name="within"),
        sa.Index("ix_allocation_stock", "stock_id"),
    )

    id: Mapped[row_id]
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"))
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    trace_code: Mapped[str]
    quantity: Mapped[int]
    shipped: Mapped[int] = mapped_column(default=0)
    freed: Mapped[int] = mapped_column(default=0)


class Shipment(Base):
    """One delivery of an order, with the lots that really left."""

    __tablename__ = "shipment"

    id: Mapped[uuid_pk]
    number: Mapped[str] = mapped_column(unique=True)
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), index=True)
    carrier: Mapped[str]
    tracking: Mapped[str | None]
    vehicle: Mapped[str | None]
    driver: Mapped[str | None]
    shipped_on: Mapped[date]
    shipped_at: Mapped[datetime]


class ShipmentLine(Base):
    """Packs of one lot sent for one line. `planned_lot_id` differs from `lot_id` where it is a substitution.

    accepted + refused <= quantity; of the refused, `restocked + lost` have been booked by the seller.
    """

    __tablename__ = "shipment_line"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("accepted + refused <= quantity", name="accepted_within"),
        sa.CheckConstraint("restocked + lost <= refused", name="returned_within"),
    )

    id: Mapped[row_id]
    shipment_id: Mapped[UUID] = mapped_column(sa.ForeignKey("shipment.id"), index=True)
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"), index=True)
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"), index=True)
    trace_code: Mapped[str]
    substitution: Mapped[bool] = mapped_column(default=False)
    quantity: Mapped[int]
    accepted: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    restocked: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)


class Acceptance(Base):
    """验收: one act of taking goods over; several add up. Inspectors' names stay in this row."""

    __tablename__ = "acceptance"

    id: Mapped[uuid_pk]
    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), index=True)
    accepted_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    inspectors: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    document_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("document.id"))
    accepted_on: Mapped[date]
    accepted_at: Mapped[datetime]


class AcceptanceLine(Base):
    """Per line and lot: packs accepted and refused, and the price reduction (降价接收) the seller must agree to."""

    __tablename__ = "acceptance_line"
    __table_args__ = (
        sa.CheckConstraint("accepted_quantity >= 0 and refused_quantity >= 0", name="not_negative"),
        sa.CheckConstraint("allowance_fen >= 0", name="allowance_not_negative"),
    )

    id: Mapped[row_id]
    acceptance_id: Mapped[UUID] = mapped_column(sa.ForeignKey("acceptance.id"), index=True)
    line_id: Mapped[UUID] = mapped_column(sa.ForeignKey("order_line.id"), index=True)
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    accepted_quantity: Mapped[int]
    refused_quantity: Mapped[int]
    allowance_fen: Mapped[int] = mapped_column(default=0)
    allowance_agreed_at: Mapped[datetime | None]
    accepted_fen: Mapped[int]
    reason: Mapped[str | None]


class Evaluation(Base):
    """评价: once per order; gates the count where the policy says so."""

    __tablename__ = "evaluation"
    __table_args__ = (sa.CheckConstraint("score between 1 and 5", name="score_range"),)

    order_id: Mapped[UUID] = mapped_column(sa.ForeignKey("orders.id"), primary_key=True)
    score: Mapped[int]
    comment: Mapped[str | None]
    automatic: Mapped[bool] = mapped_column(default=False)
    evaluated_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    evaluated_at: Mapped[datetime]


class BasketDraft(Base):
    """What a person is about to order (name ''), or a named list of an organisation that is ordered again (常用单).

    A convenience of the desk and no business state: nothing is held or promised by it.
    """

    __tablename__ = "basket_draft"
    __table_args__ = (
        sa.Index("ix_basket_draft_own", "user_id", unique=True, postgresql_where=sa.text("name = ''")),
        sa.Index(
            "ix_basket_draft_template",
            "organisation_id",
            "name",
            unique=True,
            postgresql_where=sa.text("name <> ''"),
        ),
    )

    id: Mapped[uuid_pk]
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    name: Mapped[str]
    content: Mapped[Any] = mapped_column(JSONB)
    saved_at: Mapped[datetime]

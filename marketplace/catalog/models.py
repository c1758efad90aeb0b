"""Products with their prices and certifications, lots, and stock by place."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalog.states import ProductState as ProductState
from marketplace.database import Base, choice, row_id, uuid_pk


class PricedBy(StrEnum):
    PACK = "pack"
    WEIGHT = "weight"


class LotState(StrEnum):
    DRAFT = "draft"
    RELEASED = "released"
    HELD = "held"
    RECALLED = "recalled"


class PlaceKind(StrEnum):
    STORE = "store"
    STATION = "station"
    SHOP = "shop"


class MovementKind(StrEnum):
    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    RETURNED = "returned"
    SPOILAGE = "spoilage"
    SHRINKAGE = "shrinkage"
    SOLD_ELSEWHERE = "sold_elsewhere"
    STOCKTAKE = "stocktake"
    OWN_USE = "own_use"
    TRANSFER = "transfer"
    # At a channel's shop; a red entry takes it back.
    SOLD = "sold"


class Category(Base):
    """A class in the manner of NY/T 3177. `proofs` are the certificate kinds a lot needs before release."""

    __tablename__ = "category"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(sa.ForeignKey("category.code"))
    proofs: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    shelf_life_days: Mapped[int | None]
    sampling_required: Mapped[bool] = mapped_column(default=False)


def _listed(name: str, *columns: str, include: list[str]) -> sa.Index:
    """An index over the products that are on the shelf."""
    recognised = sa.text("state = 'recognised'")
    return sa.Index(name, *columns, postgresql_where=recognised, postgresql_include=include)


class Product(Base):
    """One pack of one thing of one seller. `card` is its stored public JSON without the live numbers.

    `tokens` are the words it is found by: Han bigrams and single characters, pinyin and initials of its spans.
    `price_fen` is the price at the minimum quantity on the public list.
    """

    __tablename__ = "product"
    __table_args__ = (
        sa.UniqueConstraint("seller_id", "sku"),
        sa.CheckConstraint("net_g > 0", name="net_positive"),
        sa.CheckConstraint("price_fen > 0", name="price_positive"),
        sa.CheckConstraint(
            "order_multiple > 0 and mod(min_order_quantity, order_multiple) = 0", name="multiple"
        ),
        sa.Index(
            "ix_product_tokens", "tokens", postgresql_using="gin", postgresql_with={"fastupdate": "off"}
        ),
        # One for each order of the public list, holding what its filters ask: a page's ids come from it alone.
        _listed("ix_product_entry", "id", include=["county_code", "category_code", "seller_id"]),
        _listed("ix_product_price", "price_fen", "id", include=["county_code", "category_code", "seller_id"]),
        _listed(
            "ix_product_newest", "recognised_at", "id", include=["county_code", "category_code", "seller_id"]
        ),
        # The same of one class.
        _listed("ix_product_category", "category_code", "id", include=["county_code", "seller_id"]),
        _listed(
            "ix_product_category_price",
            *("category_code", "price_fen", "id"),
            include=["county_code", "seller_id"],
        ),
        _listed(
            "ix_product_category_newest",
            *("category_code", "recognised_at", "id"),
            include=["county_code", "seller_id"],
        ),
    )

    id: Mapped[uuid_pk]
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    agent_for_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    sku: Mapped[str]
    family: Mapped[str]
    name: Mapped[str]
    spec: Mapped[str]
    category_code: Mapped[str] = mapped_column(sa.ForeignKey("category.code"))
    county_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"))
    pack_unit: Mapped[str]
    net_g: Mapped[int]
    priced_by: Mapped[PricedBy] = choice(PricedBy, "priced_by")
    weight_tolerance_bp: Mapped[int] = mapped_column(default=0)
    min_order_quantity: Mapped[int]
    order_multiple: Mapped[int]
    shelf_life_days: Mapped[int | None]
    storage: Mapped[str]
    tax_category: Mapped[str | None]
    gtin: Mapped[str | None]
    season: Mapped[str | None]
    description: Mapped[str | None]
    state: Mapped[ProductState] = choice(ProductState, "product_state")
    state_reason: Mapped[str | None]
    price_fen: Mapped[int]
    search_name: Mapped[str]
    search_pinyin: Mapped[str]
    search_initials: Mapped[str]
    tokens: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    card: Mapped[str]
    created_at: Mapped[datetime]
    recognised_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class PriceList(Base):
    """A set of prices; the public one has no owner, a channel's own list belongs to that channel."""

    __tablename__ = "price_list"

    id: Mapped[uuid_pk]
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    organisation_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)


class PriceTier(Base):
    """From `min_quantity` packs of the merged quantity on, a pack costs `price_fen`."""

    __tablename__ = "price_tier"
    __table_args__ = (sa.CheckConstraint("price_fen > 0 and min_quantity > 0", name="positive"),)

    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"), primary_key=True)
    price_list_id: Mapped[UUID] = mapped_column(sa.ForeignKey("price_list.id"), primary_key=True)
    min_quantity: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    price_fen: Mapped[int]


class ProductCertification(Base):
    """三品一标 and the like: a scheme's certificate for a product."""

    __tablename__ = "product_certification"
    __table_args__ = (sa.Index("ix_product_certification_scheme", "scheme", "product_id"),)

    id: Mapped[uuid_pk]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"), index=True)
    scheme: Mapped[str]
    number: Mapped[str | None]
    valid_until: Mapped[date | None]


class ProductPhoto(Base):
    """A photo that its seller shows with a product: two JPEGs of ours, named in the store by their hash.

    `position` counts from 0 among those that are shown; one with `removed_at` is shown to nobody but can come back.
    """

    __tablename__ = "product_photo"
    __table_args__ = (sa.Index("ix_product_photo_product", "product_id", "position"),)

    id: Mapped[uuid_pk]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    document_id: Mapped[UUID] = mapped_column(sa.ForeignKey("document.id"))
    position: Mapped[int]
    alt: Mapped[str]
    large_sha256: Mapped[str] = mapped_column(index=True)
    large_width: Mapped[int]
    large_height: Mapped[int]
    small_sha256: Mapped[str] = mapped_column(index=True)
    small_width: Mapped[int]
    small_height: Mapped[int]
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Lot(Base):
    """A seller's batch of one product. Sold only when `released`; `best_before` bounds the delivery day."""

    __tablename__ = "lot"
    __table_args__ = (
        sa.UniqueConstraint("seller_id", "code"),
        sa.Index("ix_lot_product", "product_id", "best_before"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[uuid_pk]
    product_id: Mapped[UUID] = mapped_column(sa.ForeignKey("product.id"))
    seller_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    code: Mapped[str]
    trace_code: Mapped[str] = mapped_column(unique=True)
    quantity: Mapped[int]
    harvested_on: Mapped[date]
    best_before: Mapped[date]
    state: Mapped[LotState] = choice(LotState, "lot_state")
    released_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Place(Base):
    """库存点: where stock stands: a seller's store, a station, a channel's shop."""

    __tablename__ = "place"
    __table_args__ = (sa.UniqueConstraint("organisation_id", "name"),)

    id: Mapped[uuid_pk]
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    kind: Mapped[PlaceKind] = choice(PlaceKind, "place_kind")
    name: Mapped[str]


class Stock(Base):
    """Packs of one lot at one place. Moved only under an ordered lock, with a movement row beside it.

    `product_id`, `best_before` and `on_sale` (the lot is released, and the place is the seller's own) are copies which
    triggers of the database write with the row and with each change of its lot, and which nobody else may set: what is
    for sale is summed from this table alone.
    """

    __tablename__ = "stock"
    __table_args__ = (
        sa.UniqueConstraint("lot_id", "place_id"),
        sa.CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
        sa.CheckConstraint("reserved >= 0", name="reserved_not_negative"),
        sa.CheckConstraint("reserved <= on_hand", name="reserved_within_on_hand"),
        sa.Index("ix_stock_on_sale", "product_id", "best_before", postgresql_where=sa.text("on_sale")),
    )

    id: Mapped[row_id]
    lot_id: Mapped[UUID] = mapped_column(sa.ForeignKey("lot.id"))
    place_id: Mapped[UUID] = mapped_column(sa.ForeignKey("place.id"))
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    product_id: Mapped[UUID] = mapped_column(server_default=sa.FetchedValue())
    best_before: Mapped[date] = mapped_column(server_default=sa.FetchedValue())
    on_sale: Mapped[bool] = mapped_column(server_default=sa.FetchedValue())


class StockMovement(Base):
    """One change of a stock row; the sums over its movements equal the row. Append-only."""

    __tablename__ = "stock_movement"
    __table_args__ = (sa.Index("ix_stock_movement_stock", "stock_id", "id"),)

    id: Mapped[row_id]
    stock_id: Mapped[int] = mapped_column(sa.ForeignKey("stock.id"))
    kind: Mapped[MovementKind] = choice(MovementKind, "movement_kind")
    on_hand_delta: Mapped[int]
    reserved_delta: Mapped[int]
    order_id: Mapped[UUID | None] = mapped_column(index=True)
    reason: Mapped[str | None]
    moved_at: Mapped[datetime]

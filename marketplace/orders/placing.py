"""The three statements of a purchase: what it stands on, the locked stock, and everything it writes.

The hot path of the house. One statement writes the guarded reservation, the purchase, its orders, lines,
allocations, movements, the fact and the stored answer: measured at half the time of one insert per table. Its
rows travel as JSON recordsets, one parameter a table, so the statement stays readable and is prepared once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.errors import NotFound
from marketplace.orders.allocation import Candidate
from marketplace.orders.rules import Buyer, Offer
from marketplace.pipeline import Row
from marketplace.wire import Call, prepare, send

POLICY_KEYS = ("counted_states", "hold_hours", "confirm_hours")

_CONTEXT = prepare(
    sa.text(
        """
    select b.id, b.kind, b.subkind, b.region_code, b.canteen_mode, b.canteen_partner_id,
           f.id as f_id, f.kind as f_kind, f.subkind as f_subkind, f.region_code as f_region,
           f.canteen_mode as f_mode, f.canteen_partner_id as f_partner,
           (select jsonb_object_agg(key, jsonb_build_object('value', value, 'version', version)) from (
                select distinct on (key) key, value, key || '@' || valid_from || '.' || revision as version
                from policy
                where key in ('counted_states', 'hold_hours', 'confirm_hours') and scope_code in ('', b.region_code)
                  and valid_from <= cast(:today as date) and (valid_to is null or valid_to >= cast(:today as date))
                order by key, length(scope_code) desc, valid_from desc, revision desc) k) as policies,
           (select array_agg(county_code) from county_eligibility
             where from_year <= cast(:year as int) and (to_year is null or to_year >= cast(:year as int))) as counties,
           (select p.id from payer_profile p
             where p.organisation_id = coalesce(f.id, b.id)
               and (p.id = cast(:profile as uuid) or (cast(:profile as uuid) is null and p.purpose = cast(:purpose as text)))
             order by p.is_default desc, p.id limit 1) as profile_id,
           (select c.id from canteen c
             where c.organisation_id = coalesce(f.id, b.id)
               and (cast(:canteen as uuid) is null or c.id = cast(:canteen as uuid)) order by c.id limit 1) as canteen_id,
           next_number('CG', cast(:year as int)) as drawn
    from organisation b left join organisation f on f.id = cast(:for_agency as uuid)
    where b.id = cast(:buyer as uuid)
    """
    )
)

_OFFERS = prepare(
    sa.text(
        """
    select p.id, p.seller_id, o.name as seller_name, p.name, p.spec, p.pack_unit, p.net_g, p.priced_by,
           p.category_code, p.county_code, p.min_order_quantity, p.order_multiple,
           (o.admitted_on is not null and o.disabled_at is null) as admitted,
           (select array_agg(array[t.min_quantity, t.price_fen] order by t.min_quantity)
              from price_tier t join price_list l on l.id = t.price_list_id
             where t.product_id = p.id and l.code = cast(:price_list as text)) as ladder
    from product p join organisation o on o.id = p.seller_id
    -- The sub-select hides how many there are, so that one plan serves all: planning takes longer than running.
    where p.id = any(array(select unnest(cast(:products as uuid[])))) and p.state = 'recognised'
    """
    )
)

# The rows are locked in the order of their ids before anything is planned: a plan on unlocked values undersells.
# Everything that decides whether a row may be taken stands on the row itself: what a purchase has waited for is looked
# at again when the lock comes, but of the locked row alone.
_LOCK = prepare(
    sa.text(
        """
    select s.id, s.product_id, s.lot_id, s.place_id, l.trace_code, s.best_before, l.harvested_on,
           s.on_hand - s.reserved as free
    from stock s join lot l on l.id = s.lot_id
    where s.product_id = any(cast(:products as uuid[])) and s.on_sale and s.best_before >= cast(:earliest as date)
    order by s.id
    for update of s
    """
    )
)

_PLACE = prepare(
    sa.text(
        """
    with taken as (
        update stock s set reserved = s.reserved + t.quantity
        from jsonb_to_recordset(cast(:takes as jsonb)) as t(stock bigint, quantity bigint)
        where s.id = t.stock and s.on_hand - s.reserved >= t.quantity
        returning s.id
    ), new_purchase as (
        insert into purchase (id, number, buyer_id, submitted_by, payer_profile_id, canteen_id, quota_agency_id,
            for_agency_id, purpose, buyer_county_code, policy_version, counted_states, deliver_on, deliver_name,
            deliver_phone, deliver_address, reference, note, state, hold_until, goods_fen, freight_fen, total_fen,
            submitted_at, decided_at, version)
        select id, number, buyer_id, submitted_by, payer_profile_id, canteen_id, quota_agency_id,
            for_agency_id, purpose, buyer_county_code, policy_version, counted_states, deliver_on, deliver_name,
            deliver_phone, deliver_address, reference, note, state, hold_until, goods_fen, freight_fen, total_fen,
            submitted_at, decided_at, 1
        from jsonb_populate_record(null::purchase, cast(:purchase as jsonb))
    ), new_orders as (
        insert into orders (id, number, purchase_id, seller_id, buyer_id, quota_agency_id, state, invoice_state,
            payment_state, evaluation_state, confirm_by, goods_fen, freight_fen, accepted_fen, invoiced_fen,
            payment_opened_fen, paid_fen, version)
        select o.id, o.number, o.purchase_id, o.seller_id, o.buyer_id, o.quota_agency_id, o.state, 'none', 'none', 'none',
            o.confirm_by, o.goods_fen, 0, 0, 0, 0, 0, 1
        from jsonb_populate_recordset(null::orders, cast(:orders as jsonb)) o
    ), new_lines as (
        insert into order_line (id, order_id, purchase_id, product_id, position, product_name, spec, pack_unit,
            net_g, priced_by, category_code, county_code, price_list_code, tier_min_quantity, unit_price_fen,
            quantity, goods_fen, deliver_on, funding_source, eligible, ineligible_reason, cancelled_quantity,
            shipped_quantity, accepted_quantity, refused_quantity, accepted_fen, paid_fen)
        select l.id, l.order_id, l.purchase_id, l.product_id, l.position, l.product_name, l.spec, l.pack_unit,
            l.net_g, l.priced_by, l.category_code, l.county_code, l.price_list_code, l.tier_min_quantity,
            l.unit_price_fen, l.quantity, l.goods_fen, l.deliver_on, l.funding_source, l.eligible,
            l.ineligible_reason, 0, 0, 0, 0, 0, 0
        from jsonb_populate_recordset(null::order_line, cast(:lines as jsonb)) l
    ), allocated as (
        select * from jsonb_to_recordset(cast(:allocations as jsonb))
            as a(line uuid, "order" uuid, stock bigint, lot uuid, code text, quantity bigint)
    ), new_allocations as (
        insert into allocation (line_id, stock_id, lot_id, trace_code, quantity, shipped, freed)
        select line, stock, lot, code, quantity, 0, 0 from allocated
    ), new_movements as (
        insert into stock_movement (stock_id, kind, on_hand_delta, reserved_delta, order_id, moved_at)
        select stock, 'reserved', 0, sum(quantity), "order", cast(:at as timestamptz)
        from allocated group by stock, "order"
    ), new_fact as (
        insert into fact (id, kind, recorded_at, actor_id, door, subject_type, subject_id, parties, body)
        select cast(:fact_id as uuid), cast(:fact_kind as text), cast(:at as timestamptz), cast(:actor as uuid),
            cast(:door as text), 'purchase', cast(:subject as uuid), cast(:parties as uuid[]), cast(:body as text)
    ), new_answer as (
        insert into idempotency_key (principal_id, key, fingerprint, status, body, headers, created_at)
        select cast(:principal as uuid), cast(:key as text), cast(:fingerprint as bytea), cast(:status as int),
            cast(:answer as bytea), cast(:headers as text[]),
            cast(:at as timestamptz)
        where cast(:key as text) is not null
    )
    -- The rows are locked, so the guard never fires; if it did, the wrong count could not be committed.
    select 1 / (select (count(*) = cast(:expected as bigint))::int from taken),
           case when cast(:hold_until as timestamptz) is not null then
               procrastinate_defer_jobs_v1(array[row('default', 'orders.expire_hold', 0, null, null,
                   jsonb_build_object('purchase_id', cast(:subject as uuid)), cast(:hold_until as timestamptz)
               )::procrastinate_job_to_defer_v1]) end
    """
    )
)


@dataclass(frozen=True)
class Context:
    """Everything a purchase stands on besides its products and stock."""

    buyer: Buyer
    for_agency: Buyer | None
    policies: dict[str, dict[str, Any]]
    eligible_counties: frozenset[str]
    payer_profile_id: UUID | None
    canteen_id: UUID | None
    number: str

    def policy(self, key: str, default: Any) -> Any:
        row = self.policies.get(key)
        return default if row is None else row["value"]


@dataclass(frozen=True)
class Asked:
    """What a purchase names before anything is read: ids of organisations and products, the days it is about."""

    buyer_id: UUID
    for_agency_id: UUID | None
    purpose: str
    profile_id: UUID | None
    canteen_id: UUID | None
    product_ids: list[UUID]
    today: date
    earliest: date
    # The code of the list whose prices are asked.
    price_list: str = "public"


@dataclass(frozen=True)
class Grounds:
    """What a purchase is judged and planned on: `offers` on sale by product, `candidates` in the order of the locks."""

    context: Context
    offers: dict[UUID, Offer]
    candidates: list[Candidate]


def read_grounds(session: Session, asked: Asked) -> Grounds:
    """Read what stands behind a purchase and lock the stock rows on sale of its products, in the order of their ids.

    One round trip. Raises NotFound (`not-found`) when the buyer is absent.
    """
    products = {"products": _uuid_array(asked.product_ids)}
    context, offers, candidates = send(
        session,
        (
            _CONTEXT,
            {
                "buyer": asked.buyer_id,
                "for_agency": asked.for_agency_id,
                "purpose": asked.purpose,
                "profile": asked.profile_id,
                "canteen": asked.canteen_id,
                "today": asked.today,
                "year": asked.today.year,
            },
        ),
        (_OFFERS, {**products, "price_list": asked.price_list}),
        (_LOCK, {**products, "earliest": asked.earliest}),
    )
    return Grounds(
        _context(context, asked), _offers(offers, asked.price_list), [Candidate(*row) for row in candidates]
    )


def _context(rows: list[Row], asked: Asked) -> Context:
    if not rows:
        raise NotFound("找不到这家单位")
    buyer, agency, (policies, counties, profile_id, canteen_id, drawn) = (
        rows[0][:6],
        rows[0][6:12],
        rows[0][12:],
    )
    for_agency = None if agency[0] is None else Buyer(*agency)
    if asked.for_agency_id is not None and for_agency is None:
        # An agency that does not exist is one that entrusted nobody: refused as any that is not the buyer's to name.
        for_agency = Buyer(asked.for_agency_id, "", None, "", None, None)
    return Context(
        buyer=Buyer(*buyer),
        for_agency=for_agency,
        policies=policies or {},
        eligible_counties=frozenset(counties or ()),
        payer_profile_id=profile_id,
        canteen_id=canteen_id,
        number=f"CG-{asked.today.year}-{drawn:06d}",
    )


def _uuid_array(ids: list[UUID]) -> str:
    """A text literal: psycopg dumps lists item by item, which costs more than the statement's own parsing."""
    return "{" + ",".join(map(str, ids)) + "}"


def _offers(rows: list[Row], price_list: str) -> dict[UUID, Offer]:
    """Each with its ladder on the list; a product without one is not on sale."""
    names = (
        "product_id", "seller_id", "seller_name", "name", "spec", "pack_unit", "net_g", "priced_by", "category_code",
        "county_code", "min_order_quantity", "order_multiple", "seller_admitted",
    )  # fmt: skip
    return {
        row[0]: Offer(
            **dict(zip(names, row, strict=False)),
            ladder=tuple((step[0], step[1]) for step in row[-1]),
            price_list_code=price_list,
        )
        for row in rows
        if row[-1]
    }


def write_purchase(session: Session, parameters: dict[str, Any], *more: Call) -> None:
    """Everything in one statement; raises DBAPIError (division by zero) if a reservation was not possible.

    `more` are a caller's own rows, which go with it in the same round trip.
    """
    send(session, (_PLACE, parameters), *more)


def as_json(rows: Any) -> str:
    """JSON of rows of texts, numbers, days and ids."""
    return orjson.dumps(rows).decode()

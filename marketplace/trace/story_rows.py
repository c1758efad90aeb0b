"""All rows behind a public story, read by one statement, so that they are of one moment."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.reading import fetch_text
from marketplace.trace import rules

# $1 is the trace code, $2 the kinds of paper that stand for no single batch: of these only another holder matters, and
# thousands of lots name the same one. All that is a list stands in one JSON array, in the order of the names in `Rows`:
# it is read at once. Names of few rows are asked for one by one: joined, the whole small tables would be hashed.
_STORY = """
select l.id, l.trace_code, l.state, l.quantity, l.harvested_on, l.best_before, l.released_at,
  p.id, p.name, p.family, p.spec, p.category_code, c.name, p.pack_unit, p.net_g, p.storage,
  p.county_code, r.name, o.id, o.name,
  json_build_array(
  json_build_array(o.credit_code, (select a.credit_code from organisation a where a.id = p.agent_for_id)),
  (select json_agg(json_build_array((select t.name from township t where t.code = g.township_code), g.village,
            (select w.id from grower w where w.id = g.grower_id and w.poverty_household), g.paid_fen)
            order by g.position)
     from origin g where g.lot_id = l.id),
  (select json_agg(json_build_array(k.kind, k.number, k.product_name, k.holder_credit_code, k.issued_on,
            k.valid_until, k.quantity, (select sha256 from document d where d.id = k.document_id), (
              select json_agg(json_build_array(k2.product_name, k2.holder_credit_code,
                       (select l2.quantity from lot l2 where l2.id = k2.lot_id)))
              from lot_certificate k2
              where k2.kind = k.kind and k2.number = k.number and k2.lot_id <> l.id
                and (k.kind <> all($2::text[]) or k2.holder_credit_code <> k.holder_credit_code)
                and not exists (select from lot_certificate k3 where k3.kind = k.kind and k3.number = k.number
                                and k3.lot_id = k2.lot_id and k3.id > k2.id))) order by k.recorded_at, k.id)
     from lot_certificate k where k.lot_id = l.id),
  (select value from (
      select distinct on (scope_code, valid_from) scope_code, valid_from, valid_to, value from policy
      where key = 'certificate_rule' and valid_from <= l.harvested_on
        and scope_code in (p.county_code, left(p.county_code, 4) || '00', left(p.county_code, 2) || '0000', '')
      order by scope_code, valid_from, revision desc) k
    where valid_to is null or valid_to >= l.harvested_on
    order by scope_code = '', scope_code desc, valid_from desc limit 1),
  (select json_agg(json_build_array(i.sampled_on, i.passed, i.items, i.campaign,
            (select name from organisation b where b.id = i.recorded_by_id),
            (select sha256 from document d where d.id = i.document_id))
            order by i.sampled_on, i.id)
     from inspection i where i.lot_id = l.id),
  (select json_agg(json_build_array(h.cause, h.held_at, h.lifted_at) order by h.held_at, h.id)
     from lot_hold h where h.lot_id = l.id),
  (select json_build_array(
            coalesce(-sum(m.on_hand_delta) filter (where m.kind in ('shipped', 'returned')), 0),
            coalesce(sum(m.on_hand_delta), 0), coalesce(sum(m.reserved_delta), 0))
     from stock_movement m join stock s on s.id = m.stock_id where s.lot_id = l.id),
  coalesce((select sum(n.count) from trace_scan n where n.lot_id = l.id), 0)::bigint,
  (select json_build_array(s.seq, encode(s.leaf_hash, 'hex'),
            (select json_build_array(k.tree_size, encode(k.root, 'hex'), k.made_at) from checkpoint k
              where k.tree_size >= s.seq order by k.tree_size desc limit 1))
     from seal s join fact f on f.id = s.fact_id
    where f.subject_type = 'lot' and f.subject_id = l.id and f.kind = 'lot.added'))
from lot l
join product p on p.id = l.product_id
join category c on c.code = p.category_code
join organisation o on o.id = l.seller_id
join region r on r.code = p.county_code
where l.trace_code = $1
"""
_LICENCES = sorted(rules.LICENCES)
_NAMED = sa.text(_STORY.replace("$1", ":code").replace("$2::text[]", "cast(:licences as text[])"))


class Rows(NamedTuple):
    """One lot and what belongs to it. Days in the lists are ISO texts, as JSON brings them.

    `origins` are township, village, the 脱贫户 if it is one, and what it was paid in fen.
    """

    lot_id: UUID
    trace_code: str
    state: str
    quantity: int
    harvested_on: date
    best_before: date
    released_at: datetime | None
    product_id: UUID
    product_name: str
    family: str
    spec: str
    category_code: str
    category_name: str
    pack_unit: str
    net_g: int
    storage: str
    county_code: str
    county_name: str
    seller_id: UUID
    seller_name: str
    holders: list[str | None]
    origins: list[list[Any]] | None
    certificates: list[list[Any]] | None
    certificate_rule: Any
    inspections: list[list[Any]] | None
    holds: list[list[Any]] | None
    balance: list[int]
    scans: int
    seal: list[Any] | None

    def papers(self) -> rules.LotPapers:
        """The part of the lot that the rules of certificates compare."""
        rule = self.certificate_rule
        days = rule.get("days_before_harvest") if isinstance(rule, dict) else None
        return rules.LotPapers(
            product_names=(self.product_name, self.family, f"{self.product_name} {self.spec}"),
            holders=tuple(code or "" for code in self.holders),
            quantity=self.quantity,
            harvested_on=self.harvested_on,
            best_before=self.best_before,
            proofs=(),
            sampling_required=False,
            certificates=tuple(map(_certificate, self.certificates or ())),
            days_before_harvest=days if isinstance(days, int) else rules.DAYS_BEFORE_HARVEST,
        )


def _certificate(row: list[Any]) -> rules.Certificate:
    kind, number, product_name, holder, issued_on, valid_until, quantity, _, uses = row
    return rules.Certificate(
        kind=kind,
        number=number,
        product_name=product_name,
        holder=holder,
        issued_on=date.fromisoformat(issued_on),
        valid_until=None if valid_until is None else date.fromisoformat(valid_until),
        quantity=quantity,
        used=tuple(rules.Use(*use) for use in uses or ()),
    )


def read_rows(session: Session | None, code: str) -> Rows | None:
    """The rows of a code, in `session` or, without one, on a connection that opens no transaction."""
    if session is None:
        found = fetch_text(_STORY, (code, _LICENCES))
        row: Any = found[0] if found else None
    else:
        row = session.execute(_NAMED, {"code": code, "licences": _LICENCES}).one_or_none()
    return None if row is None else Rows(*row[:-1], *row[-1])

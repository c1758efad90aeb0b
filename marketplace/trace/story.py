"""The public story of a lot: what a trace code opens. No grower, no plot, no file, no free text of a user."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.models import LotState
from marketplace.clock import business_day, today
from marketplace.errors import NotFound
from marketplace.plain_json import encoded
from marketplace.trace import codes, rules, scans
from marketplace.trace.keyring import trace_keys
from marketplace.trace.models import CertificateKind, HoldCause
from marketplace.trace.story_rows import Rows, read_rows
from marketplace.values import kilograms

# Never the code of a lot; read in its place, so that a forged code takes the same way as an unknown one.
_ABSENT = "-" * codes.LENGTH
# Fewer households are no figure but somebody's income.
FEWEST_HOUSEHOLDS = 3
RECALL_ADVICE = "这一批正在召回。请停止食用，封存余货，联系供应商或拨打12315。"


def story(session: Session | None, text: str) -> dict[str, Any]:
    """All that the public may know of the lot behind a code as it was typed. One query, in `session` or, without
    one, on a connection that opens no transaction.

    Raises NotFound (`not-found`), alike for unknown, forged and mistyped codes.
    """
    code = codes.parse_trace_code(text, trace_keys())
    rows = read_rows(session, code or _ABSENT)
    if rows is None:
        raise NotFound("没有这个追溯码，请对照标签再输一遍")
    day = today()
    papers = _certificates(rows, day)
    samples = _inspections(rows)
    holds = _holds(rows)
    return {
        "lot_id": rows.lot_id,
        "trace_code": rows.trace_code,
        "trace_code_shown": codes.shown(rows.trace_code),
        "state": LotState(rows.state),
        "product": {
            "id": rows.product_id,
            "name": rows.product_name,
            "spec": rows.spec,
            "category": {"code": rows.category_code, "name": rows.category_name},
            "pack": {"unit": rows.pack_unit, "net_g": rows.net_g},
            "storage": rows.storage,
        },
        "seller": {"id": rows.seller_id, "name": rows.seller_name},
        "county": {"code": rows.county_code, "name": rows.county_name},
        "origins": _origins(rows),
        "households": _households(rows),
        "quantity": rows.quantity,
        "harvested_on": rows.harvested_on,
        "best_before": rows.best_before,
        "certificates": papers,
        "inspections": samples,
        "recall": {"advice": RECALL_ADVICE} if rows.state == LotState.RECALLED else None,
        "on_hold": _on_hold(rows, holds),
        "stock": _balance(rows),
        "events": _events(rows, papers, samples, holds),
        "scans": rows.scans + scans.waiting(rows.lot_id),
        "proof": _proof(rows),
    }


def story_json(found: dict[str, Any]) -> bytes:
    """A story as finished JSON, in the bytes of its schema (held by a test), without walking the schema."""
    return encoded({name: value for name, value in found.items() if name != "lot_id"})


def _origins(rows: Rows) -> list[dict[str, Any]]:
    """Town and village, each once; the plots stay with those who may see them."""
    places = dict.fromkeys((town, village) for town, village, _, _ in rows.origins or ())
    return [{"township": town, "village": village} for town, village in places]


def _households(rows: Rows) -> dict[str, Any] | None:
    """How many 脱贫户 the lot comes from and what they got; None below `FEWEST_HOUSEHOLDS`."""
    paid = [(household, fen) for _, _, household, fen in rows.origins or () if household is not None]
    count = len({household for household, _ in paid})
    return (
        None if count < FEWEST_HOUSEHOLDS else {"count": count, "paid_fen": sum(fen or 0 for _, fen in paid)}
    )


def _certificates(rows: Rows, day: date) -> list[dict[str, Any]]:
    """The papers that agree with the lot; one that does not is nothing to show."""
    if not rows.certificates:
        return []
    papers = rows.papers()
    return [
        {
            "kind": CertificateKind(paper.kind),
            "name": rules.PROOF_NAMES[paper.kind],
            "number": paper.number,
            "product_name": paper.product_name,
            "holder_credit_code": paper.holder,
            "issued_on": paper.issued_on,
            "valid_until": paper.valid_until,
            "quantity": paper.quantity,
            "sha256": row[7],
        }
        for row, paper in zip(rows.certificates, papers.certificates, strict=True)
        if not rules.certificate_reasons(papers, paper, day)
    ]


def _inspections(rows: Rows) -> list[dict[str, Any]]:
    return [
        {
            "sampled_on": date.fromisoformat(sampled_on),
            "passed": passed,
            "items": [_item(item) for item in items],
            "campaign": campaign,
            "recorded_by": by,
            "sha256": sha256,
        }
        for sampled_on, passed, items, campaign, by, sha256 in rows.inspections or ()
    ]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    """Values are texts, also where a number was written."""
    told = ("name", "value", "limit", "unit")
    return {name: item[name] if item[name] is None else str(item[name]) for name in told if name in item}


def _holds(rows: Rows) -> list[tuple[HoldCause, datetime, datetime | None]]:
    return [
        (
            HoldCause(cause),
            datetime.fromisoformat(held),
            None if lifted is None else datetime.fromisoformat(lifted),
        )
        for cause, held, lifted in rows.holds or ()
    ]


def _on_hold(rows: Rows, holds: list[tuple[HoldCause, datetime, datetime | None]]) -> dict[str, Any] | None:
    """Who took the lot off sale; the typed reasons stay inside."""
    if rows.state != LotState.HELD:
        return None
    causes = {cause for cause, _, lifted in holds if lifted is None}
    for cause in (HoldCause.FAILED_SAMPLE, HoldCause.REGULATOR):
        if cause in causes:
            return {"cause": cause.value}
    return {"cause": HoldCause.SELLER.value}


def _balance(rows: Rows) -> dict[str, int]:
    """Packs that came in, went out by orders, otherwise, and are left: the first equals the sum of the others."""
    shipped, left, reserved = rows.balance
    return {
        "received": rows.quantity,
        "shipped": shipped,
        "reserved": reserved,
        "available": left - reserved,
        "other": rows.quantity - shipped - left,
    }


def _proof(rows: Rows) -> dict[str, Any]:
    """Where the lot's first record stands in the sealed journal, and the newest signed tree that holds it."""
    if rows.seal is None:
        return {"sealed": False, "seq": None, "leaf_hash": None, "checkpoint": None}
    seq, leaf_hash, newest = rows.seal
    checkpoint = None
    if newest is not None:
        tree_size, root, made_at = newest
        checkpoint = {"tree_size": tree_size, "root": root, "made_at": datetime.fromisoformat(made_at)}
    return {"sealed": True, "seq": seq, "leaf_hash": leaf_hash, "checkpoint": checkpoint}


def _events(
    rows: Rows,
    papers: list[dict[str, Any]],
    samples: list[dict[str, Any]],
    holds: list[tuple[HoldCause, datetime, datetime | None]],
) -> list[dict[str, Any]]:
    """What happened, oldest first. `said`: told by the seller alone; else recorded by the regulator or a laboratory."""
    events: list[tuple[date, int, dict[str, Any]]] = []

    def tell(day: date, rank: int, kind: str, said: bool, title: str, detail: str = "") -> None:
        events.append((day, rank, {"day": day, "kind": kind, "said": said, "title": title, "detail": detail}))

    amount = f"{rows.quantity:,}{rows.pack_unit}，{kilograms(rows.quantity * rows.net_g)}公斤"
    tell(rows.harvested_on, 0, "harvested", True, "采收", amount)
    for paper in papers:
        number = f"编号{paper['number']}" if paper["number"] else ""
        tell(paper["issued_on"], 1, "certified", True, f"开具{paper['name']}", number)
    for sample in samples:
        who = f"{sample['recorded_by']}：" if sample["recorded_by"] else ""
        what = f"{who}检测{len(sample['items'])}项"
        title = "抽检合格" if sample["passed"] else "抽检不合格"
        tell(sample["sampled_on"], 2, "inspected", False, title, what)
    if rows.released_at is not None:
        tell(business_day(rows.released_at), 3, "released", True, "上市销售", "平台核对证件和检测记录后放行")
    for cause, held_at, lifted_at in holds:
        said = cause is HoldCause.SELLER
        tell(business_day(held_at), 4, "held", said, "暂停销售", HOLD_TEXTS[cause])
        if lifted_at is not None:
            tell(business_day(lifted_at), 5, "unheld", said, "解除停售")
    return [event for _, _, event in sorted(events, key=lambda e: (e[0], e[1]))]


HOLD_TEXTS = {
    HoldCause.SELLER: "供应商自己停售",
    HoldCause.REGULATOR: "监管部门停售",
    HoldCause.FAILED_SAMPLE: "抽检不合格",
}

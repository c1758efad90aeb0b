"""What a declaration must hold, the reserve that follows from it, and why a yuan is not counted yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from marketplace.clock import SHANGHAI
from marketplace.quota.ledger import LineState
from marketplace.values import ratio_bp, share_up


@dataclass(frozen=True)
class SharePolicy:
    """The rules of a year: least share in basis points, and whether a reserve may fall below last year's.

    财库〔2021〕19号: at least 10 % of the yearly canteen purchases; 15 % is encouraged from 2024. 武汉2022 asks
    that a reserve does not fall.
    """

    minimum_bp: int
    encouraged_bp: int | None = None
    non_decreasing: bool = False


@dataclass(frozen=True)
class Filing:
    """A declaration as typed: base in fen, share in basis points. `canteen`: own, none, shared, outsourced."""

    canteen: str
    base_fen: int
    share_bp: int
    represented_by: bool = False
    contractor: bool = False


def filing_errors(filing: Filing, policy: SharePolicy) -> list[dict[str, str]]:
    """Everything that is wrong with a filing as {pointer, detail}; empty when it may be filed.

    The four cases follow the answers on 财库〔2021〕20号: without a canteen nothing is reserved, a shared canteen
    is declared by its representative alone, an outsourced one is declared by the unit (2023 notice, item 3).
    """
    errors: list[dict[str, str]] = []

    def wrong(field: str, detail: str) -> None:
        errors.append({"pointer": f"#/{field}", "detail": detail})

    if filing.canteen in ("none", "shared") and filing.base_fen:
        wrong("base_fen", "没有食堂或共用食堂的单位，基数要填0")
    if filing.canteen in ("own", "outsourced"):
        if filing.base_fen <= 0:
            wrong("base_fen", "要填写全年食堂食材采购总额")
        if filing.share_bp < policy.minimum_bp:
            wrong("share_bp", f"预留比例不得低于{percent(policy.minimum_bp)}%")
    if filing.canteen == "shared" and not filing.represented_by:
        wrong("represented_by", "共用食堂要写明由哪家单位填报")
    if filing.canteen != "shared" and filing.represented_by:
        wrong("represented_by", "只有共用食堂才由别的单位填报")
    if filing.canteen == "outsourced" and not filing.contractor:
        wrong("contractor_id", "外包食堂要写明承包商")
    if filing.canteen != "outsourced" and filing.contractor:
        wrong("contractor_id", "只有外包食堂才有承包商")
    return errors


def reserve_fen(filing: Filing, policy: SharePolicy, prior_reserve_fen: int | None) -> int:
    """预留份额 in fen, rounded up to the fen; `prior_reserve_fen` is last year's approved one.

    0 without a canteen and for a member of a shared one.
    """
    if filing.canteen in ("none", "shared"):
        return 0
    reserve = share_up(filing.base_fen, filing.share_bp)
    if policy.non_decreasing and prior_reserve_fen is not None:
        return max(reserve, prior_reserve_fen)
    return reserve


def is_late(filed_on: date, deadline: date | None) -> bool:
    """A late declaration is marked, never refused: a unit without one is worse than a late one."""
    return deadline is not None and filed_on > deadline


def deadline_of(year: int, value: Any) -> date | None:
    """The day of a `declaration_deadline` policy {month, day} in `year`; None when there is no such policy."""
    return None if value is None else date(year, value["month"], value["day"])


def share_policy(share: Any, non_decreasing: Any) -> SharePolicy:
    """From the values of `reserve_share_bp` ({minimum, encouraged?}) and `reserve_non_decreasing` (true or false)."""
    return SharePolicy(int(share["minimum"]), share.get("encouraged"), bool(non_decreasing))


def period_is_over(period: str, at: datetime) -> bool:
    """Whether a month may be closed: it ended in Shanghai at least an hour ago.

    The hour lets every act that began in the month end first, so that none of them can meet a closed month.
    """
    year, month = int(period[:4]), int(period[5:])
    following = date(year + month // 12, month % 12 + 1, 1)
    return at >= datetime.combine(following, datetime.min.time(), SHANGHAI) + timedelta(hours=1)


def uncounted_reasons(state: LineState, open_fen: int) -> dict[str, int]:
    """Why the ordered fen of a line do not count, by reason; with `counted_fen` they add up to `ordered_fen`.

    `open_fen` is the price of the packs that are neither accepted nor refused yet. Stages that the line's policy
    does not name are no reason. refused holds refused packs and agreed reductions: they will never count.
    """
    reasons = dict.fromkeys(("not_eligible", "not_accepted", "not_paid", "not_evaluated", "refused"), 0)
    left = state.ordered_fen - state.counted_fen
    if not state.eligible or state.agency is None:
        reasons["not_eligible"] = left
        return reasons
    still_open = max(0, min(open_fen, left))
    gone = max(0, min(left - still_open, state.ordered_fen - state.accepted_fen - still_open))
    left -= gone
    reasons["refused"] = gone
    if "accepted" in state.states or "evaluated" in state.states:
        reasons["not_accepted"] = still_open
        left -= still_open
    if "paid" in state.states:
        reasons["not_paid"] = max(0, min(left, state.accepted_fen - state.paid_fen))
        left -= reasons["not_paid"]
    last = next((s for s in ("evaluated", "paid", "accepted") if s in state.states), "evaluated")
    reasons[f"not_{last}"] += left
    return reasons


def elapsed_bp(year: int, day: date) -> int:
    """How much of the year has passed at the end of `day`, in basis points from 0 to 10,000."""
    days = date(year + 1, 1, 1) - date(year, 1, 1)
    passed = max(0, min(days.days, (day - date(year, 1, 1)).days + 1))
    return ratio_bp(passed, days.days) or 0


def ranks(completions: list[int | None]) -> list[int | None]:
    """The rank of each completion, the highest first; equal ones share a rank, and none has none."""
    ordered = sorted((c for c in completions if c is not None), reverse=True)
    first: dict[int, int] = {}
    for place, completion in enumerate(ordered, start=1):
        first.setdefault(completion, place)
    return [None if c is None else first[c] for c in completions]


def percent(share_bp: int) -> str:
    """'10' or '12.5' or '113.6': a share as people write it, without the sign."""
    whole, rest = divmod(abs(share_bp), 100)
    text = f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
    return f"-{text}" if share_bp < 0 else text

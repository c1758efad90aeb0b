"""What a lot needs before it may be sold. Every comparison answers with its own reason; all of them at once.

Sources: 农产品质量安全承诺达标合格证管理办法 (农业农村部令2025年第4号, from 2026-02-01: name, quantity, origin, day, promising
subject, one for each production batch); 食品安全法 (2021), art. 52, 53 (a paper for every batch that is bought in);
动物防疫法 (2021), art. 29, 51 (no meat without its quarantine paper).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

PROOF_NAMES = {
    "commitment": "承诺达标合格证",
    "quarantine": "动物检疫合格证明",
    "meat_inspection": "肉品品质检验合格证",
    "factory_report": "出厂检验报告",
    "sc_licence": "食品生产许可证",
}
# A licence stands for the maker's whole production: no single product, batch or day of it.
LICENCES = frozenset({"sc_licence"})
# The latest business day of a paper before the harvest: it is written while the batch is made ready.
DAYS_BEFORE_HARVEST = 7
# A sample of the same product speaks for its other lots for a year.
SAMPLE_DAYS = 365


@dataclass(frozen=True)
class Certificate:
    """What a paper of the lot says. `used` are the other lots that name its kind and number."""

    kind: str
    number: str | None
    product_name: str
    holder: str
    issued_on: date
    valid_until: date | None
    quantity: int | None
    used: tuple[Use, ...] = ()


@dataclass(frozen=True)
class Use:
    """The same kind and number on another lot: what it says there, and the packs of that lot."""

    product_name: str
    holder: str
    quantity: int


@dataclass(frozen=True)
class LotPapers:
    """A lot, its papers and samples. `samples` are the results of its own samples, `covered` says whether a passed
    sample of the same product within the last `SAMPLE_DAYS` days speaks for it.
    """

    product_names: tuple[str, ...]
    holders: tuple[str, ...]
    quantity: int
    harvested_on: date
    best_before: date
    proofs: tuple[str, ...]
    sampling_required: bool
    certificates: tuple[Certificate, ...] = ()
    samples: tuple[bool, ...] = ()
    covered: bool = False
    days_before_harvest: int = field(default=DAYS_BEFORE_HARVEST)


Reason = dict[str, str]


def blocking_reasons(lot: LotPapers, today: date) -> list[Reason]:
    """Why the lot may not be sold on `today`; an empty list when it may. Each: {code, detail}."""
    reasons: list[Reason] = []
    if lot.best_before < today:
        reasons.append(_reason("lot-expired", f"保质期到{lot.best_before.isoformat()}为止，已经过了"))
    for kind in lot.proofs:
        reasons += _proof_reasons(lot, kind, today)
    if False in lot.samples:
        reasons.append(_reason("sample-failed", "这一批有抽检不合格"))
    elif lot.sampling_required and True not in lot.samples and not lot.covered:
        reasons.append(_reason("sample-missing", "这类产品要有抽检合格的记录，这一批和同一产品近一年都没有"))
    return reasons


def _proof_reasons(lot: LotPapers, kind: str, today: date) -> list[Reason]:
    """Nothing when one paper of the kind stands; else what is wrong with the newest one."""
    name = PROOF_NAMES[kind]
    found = [c for c in lot.certificates if c.kind == kind]
    if not found:
        return [_reason("certificate-missing", f"缺{name}", kind)]
    judged = [certificate_reasons(lot, c, today) for c in found]
    return [] if [] in judged else judged[-1]


def certificate_reasons(lot: LotPapers, paper: Certificate, today: date) -> list[Reason]:
    """Everything in which one paper disagrees with its lot."""
    name = PROOF_NAMES[paper.kind]
    licence = paper.kind in LICENCES
    reasons: list[Reason] = []

    def refuse(code: str, detail: str) -> None:
        reasons.append(_reason(code, f"{name}：{detail}", paper.kind))

    if not licence and _plain(paper.product_name) not in {_plain(n) for n in lot.product_names}:
        refuse("certificate-product", f"写的是“{paper.product_name}”，这一批是“{lot.product_names[0]}”")
    if paper.holder not in lot.holders:
        refuse("certificate-holder", "开具人的统一社会信用代码和供应商的不一样")
    if not licence and paper.quantity is not None and paper.quantity < lot.quantity:
        refuse("certificate-quantity", f"数量{paper.quantity}件，不够这一批的{lot.quantity}件")
    if paper.issued_on > today:
        refuse("certificate-not-yet-issued", f"开具日{paper.issued_on.isoformat()}还没有到")
    earliest = lot.harvested_on - timedelta(days=lot.days_before_harvest)
    if not licence and paper.issued_on < earliest:
        refuse(
            "certificate-too-early",
            f"开具日{paper.issued_on.isoformat()}比采收日{lot.harvested_on.isoformat()}早{lot.days_before_harvest}天以上",
        )
    if paper.valid_until is not None and paper.valid_until < today:
        refuse("certificate-expired", f"有效期到{paper.valid_until.isoformat()}为止，已经过了")
    if paper.number is not None:
        _compare_uses(lot, paper, licence, refuse)
    return reasons


def _compare_uses(lot: LotPapers, paper: Certificate, licence: bool, refuse: Any) -> None:
    """One number names one product of one holder, and no more packs than it was written for."""
    if any(use.holder != paper.holder for use in paper.used):
        refuse("certificate-number-holder", f"编号{paper.number}已用于另一家的批次")
    if licence:
        return
    if any(_plain(use.product_name) != _plain(paper.product_name) for use in paper.used):
        refuse("certificate-number-product", f"编号{paper.number}已用于另一个产品")
    if not paper.used:
        return
    together = lot.quantity + sum(use.quantity for use in paper.used)
    if paper.quantity is None:
        refuse("certificate-quantity-open", f"编号{paper.number}用在几个批次上，要写明数量")
    elif together > paper.quantity:
        refuse("certificate-overused", f"编号{paper.number}写{paper.quantity}件，各批次合计已用{together}件")


def _reason(code: str, detail: str, kind: str | None = None) -> Reason:
    reason = {"code": code, "detail": detail}
    return reason if kind is None else reason | {"kind": kind}


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()


def contradiction(items: Sequence[dict[str, str]], passed: bool) -> str | None:
    """The name of an item above its limit in a sample that is called passed; None when they agree.

    Values that are no numbers ("未检出") agree with everything.
    """
    if not passed:
        return None
    for item in items:
        value, limit = _number(item.get("value")), _number(item.get("limit"))
        if value is not None and limit is not None and value > limit:
            return item.get("name", "")
    return None


def _number(text: str | None) -> Decimal | None:
    try:
        number = Decimal(text.strip()) if text is not None else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def within_lot(lot_quantity: int, on_hand: int, gone: int) -> bool:
    """Whether a count of `on_hand` packs, with `gone` packs already shipped or used, fits into what was harvested."""
    return on_hand + gone <= lot_quantity

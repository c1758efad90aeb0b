"""What an invoice, a payment and a slip must satisfy, and how paid money is spread. Pure; amounts in fen."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

from marketplace.clock import add_working_days
from marketplace.payments.states import InvoiceKind
from marketplace.values import split_by_largest_remainder, yuan

K = TypeVar("K", bound=Hashable)

DIGITAL = frozenset({InvoiceKind.DIGITAL_ORDINARY, InvoiceKind.DIGITAL_SPECIAL})
SPECIAL = frozenset({InvoiceKind.DIGITAL_SPECIAL, InvoiceKind.SPECIAL})
_DIGITAL_NUMBER = re.compile(r"[0-9]{20}")
_CODE_AND_NUMBER = re.compile(r"(?:[0-9]{10}|[0-9]{12})-[0-9]{8}")

MAX_DUE_DAYS = 60  # 保障中小企业款项支付条例: an agreed term of payment is at most 60 days
EARLY_SLIP_DAYS = 60  # a transfer may be made before the payment is opened here, but not long before

MAX_GATEWAY_FEN = 99_999_999  # the gateway takes at most eight digits [Stripe API: amount]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_SYMBOLS = 8

Errors = list[dict[str, str]]


def plain_number(text: str) -> str:
    """A number as it is kept and compared: full-width forms and spaces gone, capital letters."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def payable_fen(accepted_fen: int, freight_fen: int) -> int:
    """What an order owes: accepted goods and, once anything was accepted, its freight."""
    return accepted_fen + freight_fen if accepted_fen > 0 else 0


def invoice_errors(
    *,
    number: str,
    kind: InvoiceKind,
    issued_on: date,
    tax_free: bool,
    amount_fen: int,
    order_amounts: Sequence[int],
    ordered_on: date,
    today: date,
) -> Errors:
    """Everything that is wrong with an invoice's own words; empty when nothing is.

    `number` is a plain number: 20 digits for 数电票, else `code-number` of 10 or 12 and 8 digits. Tax-free goods
    (own produce of farmers and cooperatives) get no special invoice [增值税暂行条例 art. 21]. `ordered_on` is
    the day of the newest order on it.
    """
    errors: Errors = []
    if kind in DIGITAL and not _DIGITAL_NUMBER.fullmatch(number):
        errors.append({"pointer": "#/number", "detail": "数电票号码是20位数字"})
    if kind not in DIGITAL and not _CODE_AND_NUMBER.fullmatch(number):
        errors.append({"pointer": "#/number", "detail": "请写“发票代码-发票号码”：代码10或12位，号码8位"})
    if issued_on > today:
        errors.append({"pointer": "#/issued_on", "detail": "开票日期不能晚于今天"})
    if issued_on < ordered_on:
        errors.append({"pointer": "#/issued_on", "detail": f"开票日期不能早于下单日期{ordered_on}"})
    if tax_free and kind in SPECIAL:
        errors.append({"pointer": "#/tax_free", "detail": "免税货物不能开具专用发票"})
    if sum(order_amounts) != amount_fen:
        total = yuan(sum(order_amounts))
        errors.append({"pointer": "#/amount_fen", "detail": f"发票金额要等于各订单金额之和{total}元"})
    return errors


def title_errors(
    title: str | None, tax_number: str | None, *, payer_title: str, payer_tax_number: str
) -> Errors:
    """The buyer's name and tax number on the paper must be the payer's; what was not given is not compared."""
    errors: Errors = []
    if title is not None and plain_number(title) != plain_number(payer_title):
        errors.append({"pointer": "#/buyer_title", "detail": "发票抬头与付款主体不一致"})
    if tax_number is not None and plain_number(tax_number) != plain_number(payer_tax_number):
        errors.append({"pointer": "#/buyer_tax_number", "detail": "税号与付款主体不一致"})
    return errors


def slip_errors(*, bank_reference: str, paid_on: date, opened_on: date, today: date) -> Errors:
    """Everything that is wrong with a slip besides its amount (which must be the payment's own)."""
    errors: Errors = []
    if not re.fullmatch(r"[A-Z0-9-]{4,64}", bank_reference):
        errors.append({"pointer": "#/bank_reference", "detail": "银行流水号要有4到64位字母或数字"})
    if paid_on > today:
        errors.append({"pointer": "#/paid_on", "detail": "付款日期不能晚于今天"})
    if paid_on < opened_on - timedelta(days=EARLY_SLIP_DAYS):
        errors.append({"pointer": "#/paid_on", "detail": f"付款日期早于开单前{EARLY_SLIP_DAYS}天"})
    return errors


def due_day(accepted_on: Iterable[date], days: int) -> date:
    """The day by which to pay: `days` calendar days after the earliest acceptance, never more than 60."""
    return min(accepted_on) + timedelta(days=min(days, MAX_DUE_DAYS))


def seller_answers_until(declared_on: date, silence_days: int) -> date:
    """The last day on which only the seller answers a slip: `silence_days` working days after it was filed."""
    return add_working_days(declared_on, silence_days)


@dataclass(frozen=True)
class Spread(Generic[K]):
    """A payment's amount over one order: lines (only those that got something), freight, and what nobody owes."""

    lines: list[tuple[K, int]]
    freight_fen: int
    excess_fen: int


def spread(amount_fen: int, lines: Sequence[tuple[K, int]], freight_rest_fen: int = 0) -> Spread[K]:
    """Spread a payment over what its order's lines still owe: goods first, then freight.

    `lines` are (line, accepted less paid). The goods part is split by largest remainder, and no line gets more
    than its rest. The parts add up to `amount_fen` exactly; `excess_fen` appears only when the order owes less
    than it did when the payment was opened. Raises ValueError for a negative amount.
    """
    if amount_fen < 0:
        raise ValueError("an amount to spread is at least 0")
    rests = [max(0, rest) for _, rest in lines]
    goods = min(amount_fen, sum(rests))
    freight = min(amount_fen - goods, max(0, freight_rest_fen))
    parts = split_by_largest_remainder(goods, rests) if goods else [0] * len(rests)
    given = [(key, part) for (key, _), part in zip(lines, parts, strict=True) if part]
    return Spread(given, freight, amount_fen - goods - freight)


@dataclass(frozen=True)
class Owed(Generic[K]):
    """A line as a refund sees it: what was paid for it and what of it was accepted."""

    key: K
    paid_fen: int
    accepted_fen: int


def take_back(
    amount_fen: int, lines: Sequence[Owed[K]], beside_fen: int, freight_fen: int
) -> list[tuple[K, int]]:
    """Which lines a refund of one order is taken from; what is left of it comes from freight and excess.

    `beside_fen` is what was paid beyond the lines. First goes what nobody owes any more: money beyond lines and
    freight, then lines paid above what was accepted; then the lines by largest remainder of what was paid, and the
    freight at last. No line falls below 0. Raises ValueError for more than was paid in all.
    """
    if not 0 <= amount_fen <= beside_fen + sum(line.paid_fen for line in lines):
        raise ValueError("a refund is at most what was paid")
    rest = amount_fen - min(amount_fen, max(0, beside_fen - freight_fen))
    surplus = [max(0, line.paid_fen - line.accepted_fen) for line in lines]
    taken = _shares(min(rest, sum(surplus)), surplus)
    left = [line.paid_fen - part for line, part in zip(lines, taken, strict=True)]
    more = _shares(min(rest - sum(taken), sum(left)), left)
    parts = [first + second for first, second in zip(taken, more, strict=True)]
    return [(line.key, part) for line, part in zip(lines, parts, strict=True) if part]


def _shares(amount_fen: int, weights: Sequence[int]) -> list[int]:
    return split_by_largest_remainder(amount_fen, weights) if amount_fen else [0] * len(weights)


def draw_transfer_code() -> str:
    """付款识别码 for the remark of a transfer: 8 random Crockford symbols and a check symbol (40 bits)."""
    symbols = "".join(secrets.choice(CROCKFORD) for _ in range(_CODE_SYMBOLS))
    return symbols + check_symbol(symbols)


def check_symbol(symbols: str) -> str:
    """The symbol that makes a code of GF(32): any single wrong symbol and any swap of neighbours is noticed."""
    state = 0
    for symbol in symbols:
        state = _times_x(state) ^ CROCKFORD.index(symbol)
    return CROCKFORD[_times_x(state)]


def parse_transfer_code(text: str) -> str | None:
    """The code as it was given out, from what somebody typed into a bank form; None when it can't be one."""
    code = plain_number(text).replace("-", "").translate(str.maketrans("OIL", "011"))
    if len(code) != _CODE_SYMBOLS + 1 or any(symbol not in CROCKFORD for symbol in code):
        return None
    return code if check_symbol(code[:-1]) == code[-1] else None


def _times_x(element: int) -> int:
    """Multiplication by x in GF(32) with the primitive polynomial x^5 + x^2 + 1."""
    element <<= 1
    return element ^ 0b100101 if element & 0b100000 else element

"""Compares the tables of channels with what the facts say: statements, sales and counts of shops, consignments."""

from __future__ import annotations

from marketplace.quota.comparison import Comparison
from marketplace.quota.consignment_books import ConsignmentBooks
from marketplace.quota.rebuild import Rebuilt
from marketplace.quota.shop_books import ShopBooks
from marketplace.quota.statement_books import StatementBooks

_STATEMENTS = """
    select id::text, number, channel_id::text, seller_id::text, agreement_id::text, period, from_day::text,
           to_day::text, due_on::text, state, total_fen, encode(sha256, 'hex'),
           paid_on::text, document_id::text
    from statement
"""
_STATEMENT_NAMES = (
    "number", "channel_id", "seller_id", "agreement_id", "period", "from_day", "to_day", "due_on", "state",
    "total_fen", "sha256", "paid_on", "document_id",
)  # fmt: skip
_STATEMENT_LINES = """
    select id::text, statement_id::text, position, kind, day::text, source_id::text, product_id::text, lot_id::text,
           quantity, unit_price_fen, amount_fen
    from statement_line
"""
_STATEMENT_LINE_NAMES = (
    "statement_id", "position", "kind", "day", "source_id", "product_id", "lot_id", "quantity", "unit_price_fen",
    "amount_fen",
)  # fmt: skip
_DISPUTES = (
    "select id::text, statement_id::text, line_id::text, raised_by::text, state from statement_dispute"
)

_SALES = """
    select id::text, channel_id::text, place_id::text, business_day::text, version, red, corrects_id::text, total_fen
    from sales_report
"""
_SALES_NAMES = ("channel_id", "place_id", "business_day", "version", "red", "corrects_id", "total_fen")
_SALES_LINES = """
    select r.report_id::text, r.position, r.seller_id::text, r.product_id::text, r.lot_id::text, s.lot_id::text,
           s.place_id::text, r.quantity, r.unit_price_fen, r.amount_fen, r.retail_fen
    from sales_report_line r join stock s on s.id = r.stock_id
"""
_SALES_LINE_NAMES = (
    "seller_id", "product_id", "lot_id", "lot of stock_id", "place of stock_id", "quantity", "unit_price_fen",
    "amount_fen", "retail_fen",
)  # fmt: skip

_COUNTS = """
    select id::text, channel_id::text, place_id::text, counted_on::text, version from stock_count
"""
_COUNT_LINES = """
    select c.count_id::text, c.position, c.seller_id::text, c.product_id::text, c.lot_id::text, s.lot_id::text,
           s.place_id::text, c.expected, c.counted, c.spoilage, c.loss, c.borne_by, c.cause, c.unit_price_fen,
           c.amount_fen
    from stock_count_line c join stock s on s.id = c.stock_id
"""
_COUNT_LINE_NAMES = (
    "seller_id", "product_id", "lot_id", "lot of stock_id", "place of stock_id", "expected", "counted", "spoilage",
    "loss", "borne_by", "cause", "unit_price_fen", "amount_fen",
)  # fmt: skip

_CONSIGNMENTS = """
    select id::text, number, channel_id::text, seller_id::text, agreement_id::text, place_id::text, state
    from consignment
"""
_CONSIGNMENT_NAMES = ("number", "channel_id", "seller_id", "agreement_id", "place_id", "state")
_CONSIGNMENT_LINES = """
    select c.id::text, c.consignment_id::text, c.position, c.product_id::text, c.lot_id::text, s.lot_id::text,
           s.place_id::text, c.trace_code, c.quantity, c.accepted
    from consignment_line c join stock s on s.id = c.stock_id
"""
_CONSIGNMENT_LINE_NAMES = (
    "consignment_id", "position", "product_id", "lot_id", "lot of stock_id", "place of stock_id", "trace_code",
    "quantity", "accepted",
)  # fmt: skip


def compare_channels(comparison: Comparison, rebuilt: Rebuilt) -> None:
    """Add to the comparison whatever these tables say otherwise than the facts."""
    _compare_statements(comparison, rebuilt.books)
    _compare_shops(comparison, rebuilt.shops)
    _compare_consignments(comparison, rebuilt.consignments)


def _compare_statements(comparison: Comparison, books: StatementBooks) -> None:
    comparison.table(
        "statement",
        _STATEMENT_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_STATEMENTS)),
        books.statements,
        lambda s: (*s.head, s.state, s.total_fen, s.sha256, s.paid_on, s.document),
    )
    for name, names, statement, expected in (
        ("statement_line", _STATEMENT_LINE_NAMES, _STATEMENT_LINES, books.lines),
        ("statement_dispute", ("statement_id", "line_id", "raised_by", "state"), _DISPUTES, books.disputes),
    ):
        rows = ((row[0], tuple(row[1:])) for row in comparison.rows(statement))
        comparison.table(name, names, rows, expected, tuple)


def _compare_shops(comparison: Comparison, shops: ShopBooks) -> None:
    comparison.table(
        "sales_report",
        _SALES_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_SALES)),
        shops.sales,
        lambda s: (*s.head, s.total_fen),
    )
    comparison.table(
        "stock_count",
        ("channel_id", "place_id", "counted_on", "version"),
        ((row[0], tuple(row[1:])) for row in comparison.rows(_COUNTS)),
        shops.counts,
        tuple,
    )
    for name, names, statement, expected in (
        ("sales_report_line", _SALES_LINE_NAMES, _SALES_LINES, shops.sales_lines),
        ("stock_count_line", _COUNT_LINE_NAMES, _COUNT_LINES, shops.count_lines),
    ):
        rows = (((row[0], row[1]), tuple(row[2:])) for row in comparison.rows(statement))
        comparison.table(name, names, rows, expected, tuple)


def _compare_consignments(comparison: Comparison, books: ConsignmentBooks) -> None:
    comparison.table(
        "consignment",
        _CONSIGNMENT_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_CONSIGNMENTS)),
        books.consignments,
        lambda sums: (*sums.head, sums.state),
    )
    comparison.table(
        "consignment_line",
        _CONSIGNMENT_LINE_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_CONSIGNMENT_LINES)),
        books.lines,
        lambda line: (*line.head, line.quantity, line.accepted),
    )

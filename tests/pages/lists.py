"""Which tables of the site are lists of records, and what each of them must offer.

A list of records is ordered by its heads, found through the address, turned page by page, and taken away as a workbook
with its 口径. The lines of one paper are ordered and taken away. The rest is named here, each with its reason.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from flask.testing import FlaskClient

from tests.crawling import Page, Table, Walk
from tests.desks.spreadsheets import sheet_rows

# (endpoint, first head; "" for all tables of the page): why it is no list of records, and offers nothing by itself.
FACTS = "facts of one thing, a line each"
CHART = "the numbers of a chart, of a fixed length"
FIRST = "the first rows of a list that stands elsewhere, with a way there"
PAPER = "the few lines of a paper as they are decided or printed"
OWN = "a person's or a channel's own few, held down by a limit"
TEXT = "a text to read, laid out as a table"
PLAIN: dict[tuple[str, str], str] = {
    ("account.home", ""): FACTS,
    ("account.sessions", ""): OWN,
    ("account.tokens", ""): OWN,
    ("api_docs", ""): TEXT,
    ("partner_api_docs", ""): TEXT,
    ("admin.organisation", "抬头"): FACTS,
    ("admin.user", ""): FACTS,
    ("buying.today", ""): FIRST,
    ("channels.channel", ""): CHART,
    ("consignment_pages.cancel", ""): PAPER,
    ("consignment_pages.sent", ""): "the shops to which one may send: a choice, as on a form",
    ("consignment_pages.shown", ""): PAPER,
    ("managing.approve", ""): PAPER,
    ("managing.reject", ""): PAPER,
    ("managing.today", ""): FIRST,
    ("money.check", ""): FACTS,
    ("money.invoice", ""): PAPER,
    ("money.payment", ""): PAPER,
    ("office_statements.one", "提出"): PAPER,
    ("offices.close_period", ""): FACTS,
    ("offices.declaration", ""): FACTS,
    ("offices.fact", ""): FACTS,
    ("offices.lot_origins", "证件"): PAPER,
    ("offices.lot_origins", "抽样日"): PAPER,
    ("offices.quota", "产地县"): CHART,
    ("offices.quota", "月份"): CHART,
    ("offices.quota", "环节"): CHART,
    ("offices.recognise", ""): FACTS,
    ("offices.refuse_product", ""): FACTS,
    ("portal.today", ""): FACTS,
    ("portal_orders.order", "订单"): PAPER,
    ("portal_statements.one", "提出"): PAPER,
    ("portal_stock.stock", "送货单号"): FIRST,
    ("portal_stock.take_over", ""): PAPER,
    ("portal_webhooks.endpoints", ""): OWN,
    ("problem_index", ""): TEXT,
    ("problem_page", ""): TEXT,
    ("regulating.lot", "原因"): PAPER,
    ("regulating.lot", "抽样日"): PAPER,
    ("regulating.lot", "证件"): PAPER,
    ("regulating.today", "抽样日"): FIRST,
    ("selling.confirm", ""): PAPER,
    ("selling.pick_list", ""): "the order in which the goods are packed",
    ("selling.product", ""): FACTS,
    ("selling_statements.one", "提出"): PAPER,
    ("shop.basis", ""): TEXT,
    ("shop.county", "产品"): CHART,
    ("shop.county", "供应商"): FIRST,
    ("shop.home", ""): CHART,
    ("shop.product", "数量"): FACTS,
    ("trace_pages.trace_page", ""): FACTS,
    ("trading.order", "批次"): PAPER,
    **{(f"regulating.{act}", ""): PAPER for act in ("hold", "inspect", "unhold")},
}
# Rows of one paper, lot, figure or year: as many as there are, ordered and taken away, never turned page by page.
LINES = {
    ("buying.purchase", "货品"),
    ("money.bank_accounts", "户名"),
    ("office_statements.one", "行"),
    ("offices.lot_origins", "地块"),
    ("offices.policies", "县区"),
    ("portal_counts.count", "产品"),
    ("portal_orders.order", "货品"),
    ("portal_sales.report", "产品"),
    ("portal_statements.one", "行"),
    ("regulating.inspections", "产地县"),
    ("regulating.lot", "地块"),
    ("regulating.today", "产地县"),
    ("regulating.today", "批次"),
    ("selling.lot", "乡镇和村"),
    ("selling.lot", "什么事"),
    ("selling_statements.one", "行"),
    ("shop.product", "追溯码"),
    ("trading.order", "货品"),
}
# What a list says of its pages, not of its rows.
OF_ORDER = {"sort", "format", "list"}


def of_records(endpoint: str, table: Table) -> bool:
    return not {(endpoint, ""), (endpoint, table.first)} & (PLAIN.keys() | LINES)


def finds(path: str, page: Page) -> bool:
    """Whether the page cuts its list by the address: a form that is read, or a link that changes an argument."""
    here = urlsplit(path)
    given = dict(parse_qsl(here.query))
    for link in map(urlsplit, page.narrowing):
        asked = dict(parse_qsl(link.query))
        changed = {name for name in asked.keys() | given.keys() if asked.get(name) != given.get(name)}
        if link.path == here.path and {
            n for n in changed - OF_ORDER if not n.startswith(("after", "before"))
        }:
            return True
    return page.searches


def complaints(found: Walk) -> list[str]:
    """What the tables of a walk's pages lack, once for each table of an endpoint."""
    lacking: dict[str, None] = {}
    for path, (endpoint, page) in found.parsed.items():
        for table in page.tables:
            if not table.named:
                lacking[f"{endpoint} [{table.first}]: has no name for a screen reader"] = None
            if {(endpoint, ""), (endpoint, table.first)} & PLAIN.keys():
                continue
            if not table.sorts:
                lacking[f"{endpoint} [{table.first}]: does not sort"] = None
            if not page.offers_sheet(table):
                lacking[f"{endpoint} [{table.first}]: is no workbook"] = None
            if of_records(endpoint, table) and not finds(path, page):
                lacking[f"{endpoint} [{table.first}]: is not found through the address"] = None
    return list(lacking)


def reversed_by(client: FlaskClient, address: str, first: str, place: int) -> str | None:
    """What is wrong with sorting a table by one of its heads, up and down; None when nothing is."""
    shown = []
    for asked in (address, address.replace("sort=", "sort=-", 1)):
        answer = client.get(asked)
        page = Page(answer.get_data(as_text=True))
        table = next((table for table in page.tables if table.first == first), None)
        if answer.status_code != 200 or table is None:
            return f"{asked}: {answer.status_code}, no such table"
        if table.sorted != place:
            return f"{asked}: no head says that it sorts"
        shown.append(table.rows)
        if page.turns:
            return None
    up, down = shown
    if sorted(map(str, up)) != sorted(map(str, down)):
        return f"{address}: upwards other rows than downwards"
    cells = ["".join(row[place].split()) for row in up]
    # Rows that are alike keep their order, and those without a value come last, both ways.
    told = len(set(cells)) == len(cells) > 1 and not {"", "—"} & set(cells)
    if told and up != down[::-1]:
        return f"{address}: downwards is not the reverse of upwards"
    return None


def workbook_complaint(client: FlaskClient, address: str, least: int) -> str | None:
    """What is wrong with the workbook of a list that shows `least` rows; None when nothing is."""
    answer = client.get(address)
    if answer.status_code != 200 or not answer.mimetype.endswith("spreadsheetml.sheet"):
        return f"{address}: {answer.status_code} {answer.mimetype}"
    rows = sheet_rows(answer.data)
    heads = next((n for n, row in enumerate(rows) if len(row) > 1), None)
    if heads is None or heads < 2:
        return f"{address}: no heads below a title and a 口径"
    if len(rows) - heads - 1 < least:
        return f"{address}: {len(rows) - heads - 1} rows, the page shows {least}"
    return None


def with_lists(found: Walk) -> dict[str, str]:
    """endpoint -> an address of it, for every page with a list of records."""
    return {
        endpoint: path
        for path, (endpoint, page) in found.parsed.items()
        if "after=" not in path and any(of_records(endpoint, table) for table in page.tables)
    }

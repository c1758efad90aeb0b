"""The seller's money: who owes what, invoices to write, slips to confirm, and the account that is paid to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, url_for
from flask_babel import gettext

from marketplace.accounts import bank_accounts as accounts
from marketplace.accounts.queries import list_bank_accounts
from marketplace.accounts.schemas import BankAccountIn
from marketplace.actors import Permission
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks.money_pages import blp
from marketplace.errors import NotFound
from marketplace.payments import queries, worklists
from marketplace.payments.states import PaymentDocState
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import client_address
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, went
from marketplace.web.language import N_
from marketplace.web.pages import page
from marketplace.web.sheets import Column, sheet_response, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows
from marketplace.web.words import word

ACCOUNTS_BASIS = N_("口径：本单位登记过的全部收款账户，新的在上；更换的账户批准后24小时生效。")
blueprints: list[Any] = []  # the routes stand on the blueprint of money_pages


@blp.route("/sell/money", methods=["GET"])
@requires(Permission.PAYMENT_CONFIRM)
def seller_money() -> Shown:
    """Owed, overdue, arrived this month; invoices to write; slips to confirm; debtors."""
    actor, session = current_actor(), db.session()
    whole = worklists.owed(session, actor, today())
    debtors = sorted_rows(found_rows(whole, "name"), "name", "orders", "owed_fen", "overdue_fen", "since")
    if wants_sheet():
        columns = [
            Column("name", gettext("采购单位"), width=32),
            Column("orders", gettext("订单数"), "count"),
            Column("owed_fen", gettext("欠款（元）"), "yuan"),
            Column("overdue_fen", gettext("其中逾期（元）"), "yuan"),
            Column("since", gettext("最早验收日"), "day"),
        ]
        return sheet_response(gettext("应收款"), columns, debtors, [_basis()])
    slips = queries.list_payments(
        session, actor, today=today(), state=PaymentDocState.DECLARED, sort="due_on"
    )
    return page(
        "money/seller_money.html",
        debtors=page_of(debtors),
        owing=len(whole),
        owed_fen=sum(row["owed_fen"] for row in whole),
        overdue_fen=sum(row["overdue_fen"] for row in whole),
        arrived=worklists.arrived(session, actor, today()),
        open_orders=worklists.to_invoice(session, actor),
        slips=slips["items"],
        basis_text=_basis(),
    )


def _basis() -> str:
    text: str = gettext("口径：已验收货款加运费，减去已确认到账的金额；验收后超过付款期限未到账的算逾期。")
    return text


@blp.route("/sell/bank-accounts", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def bank_accounts() -> Shown:
    """Where buyers pay to: one person proposes a change, another approves it, and 24 hours pass."""
    if posted():
        # No key: its fingerprint would be a fast hash of the password. A second sending replaces the first proposal.
        accounts.propose_bank_account(current_actor(), **read_form(BankAccountIn()), address=client_address())
        return went(
            url_for(".bank_accounts"), gettext("账户已登记；更换账户要另一个人批准，批准后24小时生效")
        )
    whole = list_bank_accounts(current_actor(), db.session(), now())
    rows = sorted_rows(whole, "account_name", "bank_name", "effective_at")
    if wants_sheet():
        return _accounts_sheet(rows)
    return page("money/bank_accounts.html", rows=rows, basis_text=gettext(ACCOUNTS_BASIS))


def _accounts_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("account_name", gettext("户名"), width=32), Column("bank_name", gettext("开户行"), width=32),
        Column("bank_branch_number", gettext("联行号"), width=18),
        Column("account_number", gettext("账号"), width=26), Column("state_word", gettext("状态")),
        Column("effective_at", gettext("生效时间"), "time", 18),
    ]  # fmt: skip
    told = [{**row, "state_word": word("bank_account_state", row["state"])} for row in rows]
    return sheet_response(gettext("收款账户"), columns, told, [gettext(ACCOUNTS_BASIS)])


@blp.route("/sell/bank-accounts/<uuid:account_id>/approve", methods=["GET", "POST"])
@requires(Permission.PAYMENT_CONFIRM)
@form
@retrying
def approve_bank_account(account_id: UUID) -> Shown:
    """A second person of the seller approves a proposed account."""
    if posted():
        once = page_once(".bank_accounts")
        return done(
            accounts.approve_bank_account(current_actor(), account_id, once=once),
            gettext("已批准，24小时后生效"),
        )
    rows = list_bank_accounts(current_actor(), db.session(), now())
    return page("money/approve_bank_account.html", account=_account(rows, account_id), rows=rows)


def _account(rows: list[dict[str, Any]], account_id: UUID) -> dict[str, Any]:
    found = next((row for row in rows if row["id"] == account_id), None)
    if found is None:
        raise NotFound
    return found

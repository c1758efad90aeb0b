"""Changing where a seller's money goes: one person proposes, another approves, and 24 hours pass."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts import queries
from marketplace.accounts.models import BankAccount, BankAccountState, Organisation
from marketplace.accounts.service import insert_row, record_bank_account
from marketplace.accounts.sign_in import confirm_password
from marketplace.actors import Actor, Permission
from marketplace.errors import NotFound, WrongState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

COOLING = timedelta(hours=24)


def _lock_accounts(tx: Transaction, organisation_id: UUID | None) -> list[BankAccount]:
    """All accounts of an organisation, with changes that have come due marked so.

    The organisation's row is the lock, so that two proposals can't pass each other.
    """
    tx.session.execute(
        sa.select(Organisation.id).where(Organisation.id == organisation_id).with_for_update()
    ).one()
    rows = list(
        tx.session.scalars(
            sa.select(BankAccount)
            .where(BankAccount.organisation_id == organisation_id)
            .order_by(BankAccount.effective_at, BankAccount.id)
            .with_for_update()
        )
    )
    _settle(tx, rows, tx.started_at)
    return rows


def _settle(tx: Transaction, rows: list[BankAccount], at: datetime) -> None:
    due = [
        row
        for row in rows
        if row.state == BankAccountState.PENDING and row.approved_by is not None and row.effective_at <= at
    ]
    for row in due:
        for other in rows:
            if other.state == BankAccountState.ACTIVE:
                other.state = BankAccountState.REPLACED
        # The old one first: the index allows one active account.
        tx.session.flush()
        row.state = BankAccountState.ACTIVE
        tx.session.flush()


def propose_bank_account(
    actor: Actor,
    *,
    account_name: str,
    bank_name: str,
    bank_branch_number: str,
    account_number: str,
    current_password: str,
    address: str,
    once: Once = NO_ONCE,
) -> Reply:
    """A seller names its account: the first is active at once, a later one waits for a colleague's approval.

    A new proposal takes the place of one that is not in effect yet, so a wrong one can be stopped. Raises
    BadCredentials (`bad-credentials`), Throttled.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    confirm_password(actor.principal, current_password, address)
    with transaction(actor, Permission.PAYMENT_CONFIRM, once) as tx:
        rows = _lock_accounts(tx, actor.organisation_id)
        for row in rows:
            if row.state == BankAccountState.PENDING:
                row.state = BankAccountState.REPLACED
        first = not any(row.state == BankAccountState.ACTIVE for row in rows)
        row = BankAccount(
            id=uuid7(),
            organisation_id=actor.organisation_id,
            account_name=account_name,
            bank_name=bank_name,
            bank_branch_number=bank_branch_number,
            account_number=account_number,
            state=BankAccountState.ACTIVE if first else BankAccountState.PENDING,
            proposed_by=actor.user_id,
            effective_at=tx.started_at,
        )
        insert_row(tx, row)
        record_bank_account(tx, "bank_account.added" if first else "bank_account.proposed", row)
        return tx.answer(queries.bank_account_view(row, tx.started_at))


def approve_bank_account(actor: Actor, account_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """A second person of the seller approves a proposed account; money goes there 24 hours later.

    Raises NotFound (`not-found`), WrongState (`wrong-state`; `same-person` for the one who proposed it).
    """
    with transaction(actor, Permission.PAYMENT_CONFIRM, once) as tx:
        row = next((r for r in _lock_accounts(tx, actor.organisation_id) if r.id == account_id), None)
        if row is None:
            raise NotFound
        if row.state != BankAccountState.PENDING or row.approved_by is not None:
            raise WrongState("这个账户不在等待批准")
        if row.proposed_by == actor.user_id:
            raise WrongState("要由另一个人批准", slug="same-person")
        row.approved_by = actor.user_id
        row.effective_at = tx.started_at + COOLING
        record_bank_account(tx, "bank_account.approved", row)
        return tx.answer(queries.bank_account_view(row, tx.started_at))

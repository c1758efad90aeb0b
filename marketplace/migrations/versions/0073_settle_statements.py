"""keep who agreed on a statement and how it was paid, and let statements into the money ledger"""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0071"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
ACCOUNTS = ("paid", "bank", "gateway", "fee", "due_back")
OWED = ("receivable", "payable")


def upgrade() -> None:
    op.add_column("statement", sa.Column("channel_agreed_at", AT, nullable=True))
    op.add_column("statement", sa.Column("seller_agreed_at", AT, nullable=True))
    op.add_column("statement", sa.Column("paid_on", sa.Date(), nullable=True))
    op.add_column("statement", sa.Column("bank_reference", sa.Text(), nullable=True))
    op.create_index("ix_statement_line_source_id", "statement_line", ["source_id"])
    op.execute(
        "create trigger statement_line_append_only before update or delete on statement_line"
        " for each row execute function refuse_change()"
    )
    op.execute(
        "create trigger statement_line_no_truncate before truncate on statement_line"
        " for each statement execute function refuse_change()"
    )
    op.add_column("money_entry", sa.Column("statement_id", sa.UUID(), nullable=True))
    op.create_index("ix_money_entry_statement_id", "money_entry", ["statement_id"])
    op.alter_column("money_entry", "payment_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_money_entry_of_one_paper"), "money_entry", "num_nonnulls(payment_id, statement_id) = 1"
    )
    _accounts(ACCOUNTS + OWED)


def _accounts(names: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_money_posting_money_account"), "money_posting")
    listed = ", ".join(f"'{name}'" for name in names)
    op.create_check_constraint(
        op.f("ck_money_posting_money_account"), "money_posting", f"account in ({listed})"
    )


def downgrade() -> None:
    _accounts(ACCOUNTS)
    op.drop_constraint(op.f("ck_money_entry_of_one_paper"), "money_entry")
    op.alter_column("money_entry", "payment_id", nullable=False)
    op.drop_index("ix_money_entry_statement_id", "money_entry")
    op.drop_column("money_entry", "statement_id")
    op.execute("drop trigger statement_line_no_truncate on statement_line")
    op.execute("drop trigger statement_line_append_only on statement_line")
    op.drop_index("ix_statement_line_source_id", "statement_line")
    for column in ("bank_reference", "paid_on", "seller_agreed_at", "channel_agreed_at"):
        op.drop_column("statement", column)

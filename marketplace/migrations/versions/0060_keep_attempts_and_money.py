"""keep attempts at the gateway, its events, refunds, and the money ledger"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0060"
down_revision = "0070"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
LIVE = "state in ('pending', 'action', 'quarantined')"
LEDGER = ("money_entry", "money_posting")


def one_of(name, *values):
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=40)


def upgrade() -> None:
    op.add_column("payment", sa.Column("merchant_of_record", sa.Text(), nullable=True))
    op.create_table(
        "payment_attempt",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("payment_id", sa.UUID(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("means", sa.Text(), nullable=False),
        sa.Column(
            "state",
            one_of("attempt_state", "pending", "action", "failed", "quarantined", "captured"),
            nullable=False,
        ),
        sa.Column("intent_id", sa.Text(), nullable=True),
        sa.Column("next_url", sa.Text(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("captured_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("booked", sa.Boolean(), nullable=False),
        sa.Column("asked_by", sa.UUID(), nullable=True),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.CheckConstraint("amount_fen between 1 and 99999999", name="ck_payment_attempt_amount_fits"),
        sa.CheckConstraint("captured_fen in (0, amount_fen)", name="ck_payment_attempt_captured_whole"),
        sa.CheckConstraint(
            "refunded_fen between 0 and captured_fen", name="ck_payment_attempt_refunded_within"
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_payment_attempt_payment_id"),
        sa.ForeignKeyConstraint(["asked_by"], ["app_user.id"], name="fk_payment_attempt_asked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_attempt"),
        sa.UniqueConstraint("intent_id", name="uq_payment_attempt_intent_id"),
    )
    op.create_index(
        "uq_payment_attempt_live",
        "payment_attempt",
        ["payment_id"],
        unique=True,
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "uq_payment_attempt_booked",
        "payment_attempt",
        ["payment_id"],
        unique=True,
        postgresql_where=sa.text("booked"),
    )
    op.create_index("ix_payment_attempt_payment_id", "payment_attempt", ["payment_id", "id"])
    op.create_index(
        "ix_payment_attempt_open", "payment_attempt", ["asked_at"], postgresql_where=sa.text(LIVE)
    )
    op.create_table(
        "payment_refund",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("payment_id", sa.UUID(), nullable=False),
        sa.Column("attempt_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=True),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", one_of("refund_state", "pending", "refunded", "failed"), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.UUID(), nullable=True),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.CheckConstraint("amount_fen > 0", name="ck_payment_refund_amount_positive"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_payment_refund_payment_id"),
        sa.ForeignKeyConstraint(["attempt_id"], ["payment_attempt.id"], name="fk_payment_refund_attempt_id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_payment_refund_order_id"),
        sa.ForeignKeyConstraint(["asked_by"], ["app_user.id"], name="fk_payment_refund_asked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_refund"),
        sa.UniqueConstraint("gateway_id", name="uq_payment_refund_gateway_id"),
    )
    op.create_index("ix_payment_refund_payment_id", "payment_refund", ["payment_id"])
    op.create_index(
        "ix_payment_refund_open",
        "payment_refund",
        ["asked_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "gateway_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column(
            "state",
            one_of("gateway_event_state", "new", "waiting", "applied", "ignored", "quarantined"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("received_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_event"),
        sa.UniqueConstraint("event_id", name="uq_gateway_event_event_id"),
    )
    op.create_index(
        "ix_gateway_event_open",
        "gateway_event",
        ["received_at"],
        postgresql_where=sa.text("state in ('new', 'waiting')"),
    )
    op.create_table(
        "money_entry",
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.UUID(), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_money_entry_payment_id"),
        sa.PrimaryKeyConstraint("fact_id", name="pk_money_entry"),
    )
    op.create_index("ix_money_entry_payment_id", "money_entry", ["payment_id"])
    op.create_table(
        "money_posting",
        sa.Column("fact_id", sa.UUID(), nullable=False),
        sa.Column(
            "account", one_of("money_account", "paid", "bank", "gateway", "fee", "due_back"), nullable=False
        ),
        sa.Column("organisation_id", sa.UUID(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen <> 0", name="ck_money_posting_amount_not_zero"),
        sa.ForeignKeyConstraint(["fact_id"], ["money_entry.fact_id"], name="fk_money_posting_fact_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_money_posting_organisation_id"
        ),
        sa.PrimaryKeyConstraint("fact_id", "account", "organisation_id", name="pk_money_posting"),
    )
    op.create_index("ix_money_posting_account", "money_posting", ["organisation_id", "account"])
    _tell_what_was_paid_before()
    _hold_the_ledger()


def _tell_what_was_paid_before() -> None:
    """Transfers that were confirmed before this ledger existed, from their facts."""
    op.execute(
        """
        insert into money_entry (fact_id, kind, payment_id, occurred_on, recorded_at)
        select f.id, f.kind, p.id, cast(cast(f.body as jsonb) #>> '{data,occurred_on}' as date), f.recorded_at
        from fact f join payment p on p.id = f.subject_id
        where f.kind in ('payment.confirmed', 'payment.upheld')
        """
    )
    op.execute(
        """
        insert into money_posting (fact_id, account, organisation_id, amount_fen)
        select e.fact_id, side.account, side.organisation, side.sign * p.amount_fen
        from money_entry e join payment p on p.id = e.payment_id,
             lateral (values ('bank', p.seller_id, 1), ('paid', p.buyer_id, -1)) side (account, organisation, sign)
        """
    )


def _hold_the_ledger() -> None:
    op.execute(
        """
        create function refuse_unbalanced() returns trigger language plpgsql as $$
        declare
            total numeric;
        begin
            select sum(amount_fen) into total from money_posting where fact_id = new.fact_id;
            if total is null or total <> 0 then
                raise exception 'postings of % add up to %, not to 0', new.fact_id, coalesce(total, 0)
                    using errcode = 'check_violation';
            end if;
            return null;
        end $$
        """
    )
    for table in LEDGER:
        op.execute(
            f"create constraint trigger {table}_adds_up after insert on {table} deferrable initially deferred"
            " for each row execute function refuse_unbalanced()"
        )
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table}"
            " for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    for table in ("money_posting", "money_entry", "gateway_event", "payment_refund", "payment_attempt"):
        op.drop_table(table)
    op.execute("drop function refuse_unbalanced()")
    op.drop_column("payment", "merchant_of_record")

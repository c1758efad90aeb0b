"""keep notices: who is waited for, who has read it, where it is sent"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0050"
down_revision = "0026"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.UUID(), nullable=True),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.Column("news", sa.Boolean(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("due_at", AT, nullable=True),
        sa.Column("made_at", AT, nullable=False),
        sa.Column("done_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name="fk_notice_organisation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        sa.UniqueConstraint(
            "seq",
            "topic",
            "subject_id",
            "organisation_id",
            name="uq_notice_seq_topic_subject_id_organisation_id",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_notice_inbox", "notice", ["organisation_id", "permission", "id"])
    op.create_index(
        "ix_notice_open",
        "notice",
        ["topic", "subject_id"],
        postgresql_where=sa.text("done_at is null and not news"),
    )
    op.create_table(
        "notice_read",
        sa.Column("notice_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("read_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_notice_read_notice_id"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_notice_read_user_id"),
        sa.PrimaryKeyConstraint("notice_id", "user_id", name="pk_notice_read"),
    )
    op.create_table(
        "notice_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_notice_cursor"),
    )
    op.create_table(
        "notice_address",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("set_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_notice_address_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_notice_address"),
    )
    op.create_table(
        "notice_sending",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("made_at", AT, nullable=False),
        sa.Column("sent_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_notice_sending_notice_id"),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_notice_sending_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notice_sending"),
        sa.UniqueConstraint(
            "notice_id",
            "channel",
            "user_id",
            name="uq_notice_sending_notice_id_channel_user_id",
            postgresql_nulls_not_distinct=True,
        ),
    )


def downgrade() -> None:
    for table in ("notice_sending", "notice_address", "notice_cursor", "notice_read", "notice"):
        op.drop_table(table)

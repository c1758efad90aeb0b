"""keep what a sign-in moves, two-person resets, uploads under way and readers of documents"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "app_user_login",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_app_user_login_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_app_user_login"),
    )
    op.execute(
        "insert into app_user_login (user_id, totp_last_step, signed_in_at)"
        " select id, totp_last_step, created_at from app_user where totp_last_step > 0"
    )
    op.drop_column("app_user", "totp_last_step")
    op.create_table(
        "second_factor_reset",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("asked_by", sa.UUID(), nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("done_by", sa.UUID(), nullable=True),
        sa.Column("done_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_second_factor_reset_user_id"),
        sa.ForeignKeyConstraint(["asked_by"], ["app_user.id"], name="fk_second_factor_reset_asked_by"),
        sa.ForeignKeyConstraint(["done_by"], ["app_user.id"], name="fk_second_factor_reset_done_by"),
        sa.PrimaryKeyConstraint("id", name="pk_second_factor_reset"),
    )
    op.create_index("ix_second_factor_reset_user_id", "second_factor_reset", ["user_id"])
    op.create_table(
        "document_reader",
        sa.Column("document_id", sa.UUID(), nullable=False),
        sa.Column("organisation_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_document_reader_document_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_document_reader_organisation_id"
        ),
        sa.PrimaryKeyConstraint("document_id", "organisation_id", name="pk_document_reader"),
    )
    op.create_index("ix_document_reader_organisation_id", "document_reader", ["organisation_id"])
    op.create_table(
        "document_upload",
        sa.Column("document_id", sa.UUID(), nullable=False),
        sa.Column("principal_id", sa.UUID(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("started_at", AT, nullable=False),
        sa.Column("finished_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("document_id", name="pk_document_upload"),
        sa.UniqueConstraint("principal_id", "key", "sha256", name="uq_document_upload_key"),
    )


def downgrade() -> None:
    op.drop_table("document_upload")
    op.drop_table("document_reader")
    op.drop_table("second_factor_reset")
    op.add_column(
        "app_user", sa.Column("totp_last_step", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute(
        "update app_user u set totp_last_step = l.totp_last_step from app_user_login l where l.user_id = u.id"
    )
    op.alter_column("app_user", "totp_last_step", server_default=None)
    op.drop_table("app_user_login")

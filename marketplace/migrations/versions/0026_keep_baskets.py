"""keep baskets and the lists that people order again and again"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "basket_draft",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("organisation_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_basket_draft_user_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_basket_draft_organisation_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_basket_draft"),
    )
    op.create_index(
        "ix_basket_draft_own", "basket_draft", ["user_id"], unique=True, postgresql_where=sa.text("name = ''")
    )
    op.create_index(
        "ix_basket_draft_template",
        "basket_draft",
        ["organisation_id", "name"],
        unique=True,
        postgresql_where=sa.text("name <> ''"),
    )


def downgrade() -> None:
    op.drop_table("basket_draft")

"""keep every reason why a lot is off sale"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)
CAUSES = sa.Enum(
    "seller",
    "regulator",
    "failed_sample",
    name="hold_cause",
    native_enum=False,
    create_constraint=True,
    length=40,
)


def upgrade() -> None:
    op.create_table(
        "lot_hold",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("cause", CAUSES, nullable=False),
        sa.Column("organisation_id", sa.UUID(), nullable=True),
        sa.Column("inspection_id", sa.UUID(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("held_at", AT, nullable=False),
        sa.Column("lifted_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_lot_hold_lot_id"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name="fk_lot_hold_organisation_id"),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name="fk_lot_hold_inspection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lot_hold"),
    )
    op.create_index("ix_lot_hold_open", "lot_hold", ["lot_id"], postgresql_where=sa.text("lifted_at is null"))


def downgrade() -> None:
    op.drop_table("lot_hold")

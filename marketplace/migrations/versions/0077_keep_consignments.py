"""keep what sellers send to a shop on consignment, and what the shop took over"""

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0075"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "consignment",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("agreement_id", sa.UUID(), nullable=False),
        sa.Column("place_id", sa.UUID(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "sent", "taken_over", "cancelled",
                name="consignment_state", native_enum=False, create_constraint=True, length=40,
            ),
            nullable=False,
        ),
        sa.Column("sent_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_consignment_channel_id"),
        sa.ForeignKeyConstraint(["seller_id"], ["organisation.id"], name="fk_consignment_seller_id"),
        sa.ForeignKeyConstraint(["agreement_id"], ["channel_agreement.id"], name="fk_consignment_agreement_id"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_consignment_place_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consignment"),
        sa.UniqueConstraint("number", name="uq_consignment_number"),
    )  # fmt: skip
    op.create_index("ix_consignment_channel", "consignment", ["channel_id", "id"])
    op.create_index("ix_consignment_seller", "consignment", ["seller_id", "id"])
    op.create_table(
        "consignment_line",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("consignment_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("trace_code", sa.Text(), nullable=False),
        sa.Column("stock_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "quantity > 0 and accepted between 0 and quantity", name="ck_consignment_line_accepted_range"
        ),
        sa.ForeignKeyConstraint(
            ["consignment_id"], ["consignment.id"], name="fk_consignment_line_consignment_id"
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_consignment_line_product_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_consignment_line_lot_id"),
        sa.ForeignKeyConstraint(["stock_id"], ["stock.id"], name="fk_consignment_line_stock_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consignment_line"),
        sa.UniqueConstraint("consignment_id", "position", name="uq_consignment_line_consignment_id_position"),
    )


def downgrade() -> None:
    op.drop_table("consignment_line")
    op.drop_table("consignment")

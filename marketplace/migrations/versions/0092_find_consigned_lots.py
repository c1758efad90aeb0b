"""find when a shop first took a lot over by the lot: every report of sales read all lines of all consignments"""

from alembic import op

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_consignment_line_lot_id", "consignment_line", ["lot_id"])


def downgrade() -> None:
    op.drop_index("ix_consignment_line_lot_id", table_name="consignment_line")

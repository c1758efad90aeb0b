"""find the lines of a product: a manager compares a price with what others paid for it"""

from alembic import op

revision = "0085"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_order_line_product", "order_line", ["product_id", "purchase_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_order_line_product", table_name="order_line")

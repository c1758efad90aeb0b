"""index the newest products"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_product_newest",
        "product",
        ["recognised_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'recognised'"),
    )


def downgrade() -> None:
    op.drop_index("ix_product_newest", table_name="product", postgresql_where=sa.text("state = 'recognised'"))

"""give each class of goods its products in each order of the list: they were all read and sorted for every page"""

import sqlalchemy as sa
from alembic import op

revision = "0079"
down_revision = "0081"
branch_labels = None
depends_on = None

RECOGNISED = sa.text("state = 'recognised'")


def _make(name: str, columns: list[str], include: list[str]) -> None:
    op.create_index(
        name, "product", columns, unique=False, postgresql_where=RECOGNISED, postgresql_include=include
    )


def upgrade() -> None:
    op.drop_index("ix_product_category", table_name="product")
    _make("ix_product_category", ["category_code", "id"], ["county_code", "seller_id"])
    _make("ix_product_category_price", ["category_code", "price_fen", "id"], ["county_code", "seller_id"])
    _make(
        "ix_product_category_newest", ["category_code", "recognised_at", "id"], ["county_code", "seller_id"]
    )


def downgrade() -> None:
    for name in ("ix_product_category_newest", "ix_product_category_price", "ix_product_category"):
        op.drop_index(name, table_name="product")
    _make(
        "ix_product_category",
        ["category_code"],
        ["county_code", "price_fen", "recognised_at", "id", "seller_id"],
    )

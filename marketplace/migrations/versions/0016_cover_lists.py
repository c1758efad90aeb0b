"""let an index hold all that chooses a page of the product list"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

RECOGNISED = sa.text("state = 'recognised'")
ALSO = ["county_code", "category_code", "seller_id"]


def _make(name: str, columns: list[str], include: list[str]) -> None:
    op.create_index(
        name, "product", columns, unique=False, postgresql_where=RECOGNISED, postgresql_include=include
    )


def upgrade() -> None:
    op.drop_index("ix_product_listed", table_name="product")
    op.drop_index("ix_product_price", table_name="product")
    op.drop_index("ix_product_newest", table_name="product")
    _make("ix_product_entry", ["id"], ALSO)
    _make("ix_product_price", ["price_fen", "id"], ALSO)
    _make("ix_product_newest", ["recognised_at", "id"], ALSO)
    _make(
        "ix_product_category",
        ["category_code"],
        ["county_code", "price_fen", "recognised_at", "id", "seller_id"],
    )


def downgrade() -> None:
    for name in ("ix_product_category", "ix_product_newest", "ix_product_price", "ix_product_entry"):
        op.drop_index(name, table_name="product")
    for name, columns in (
        ("ix_product_newest", ["recognised_at", "id"]),
        ("ix_product_price", ["price_fen", "id"]),
        ("ix_product_listed", ["county_code", "category_code"]),
    ):
        op.create_index(name, "product", columns, unique=False, postgresql_where=RECOGNISED)

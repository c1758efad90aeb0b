"""keep the photos that sellers show with their products"""

import sqlalchemy as sa
from alembic import op

revision = "0076"
down_revision = "0078"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "product_photo",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("document_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.Column("large_sha256", sa.Text(), nullable=False),
        sa.Column("large_width", sa.BigInteger(), nullable=False),
        sa.Column("large_height", sa.BigInteger(), nullable=False),
        sa.Column("small_sha256", sa.Text(), nullable=False),
        sa.Column("small_width", sa.BigInteger(), nullable=False),
        sa.Column("small_height", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_product_photo_product_id"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_product_photo_document_id"),
        sa.PrimaryKeyConstraint("id", name="pk_product_photo"),
    )
    op.create_index("ix_product_photo_product", "product_photo", ["product_id", "position"])
    op.create_index("ix_product_photo_large_sha256", "product_photo", ["large_sha256"])
    op.create_index("ix_product_photo_small_sha256", "product_photo", ["small_sha256"])


def downgrade() -> None:
    op.drop_table("product_photo")

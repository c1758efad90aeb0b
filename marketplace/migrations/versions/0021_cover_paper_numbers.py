"""let an index hold what papers of one number say on other lots"""

from alembic import op

revision = "0021"
down_revision = "0016"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_lot_certificate_number", "lot_certificate"


def upgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(
        NAME,
        TABLE,
        ["kind", "number", "lot_id", "id"],
        unique=False,
        postgresql_include=["product_name", "holder_credit_code"],
    )


def downgrade() -> None:
    op.drop_index(NAME, table_name=TABLE)
    op.create_index(NAME, TABLE, ["kind", "number"], unique=False)

"""keep the bank's slip of a statement's transfer, and why a seller returned it"""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0076"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("statement", sa.Column("document_id", sa.UUID(), nullable=True))
    op.create_foreign_key("fk_statement_document_id", "statement", "document", ["document_id"], ["id"])
    op.add_column("statement", sa.Column("return_reason", sa.Text(), nullable=True))
    op.add_column("statement", sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("statement", "returned_at")
    op.drop_column("statement", "return_reason")
    op.drop_constraint("fk_statement_document_id", "statement")
    op.drop_column("statement", "document_id")

"""find facts by their kind: of a rare one the whole journal was read"""

from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_fact_kind", "fact", ["kind"])


def downgrade() -> None:
    op.drop_index("ix_fact_kind", "fact")

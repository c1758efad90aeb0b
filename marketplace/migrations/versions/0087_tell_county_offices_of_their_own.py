"""keep with a notice whom it concerns: offices of a county are told of their own county"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notice", sa.Column("parties", ARRAY(sa.UUID()), nullable=False, server_default="{}"))
    op.execute(
        "update notice n set parties = f.parties from seal s join fact f on f.id = s.fact_id where s.seq = n.seq"
    )
    op.alter_column("notice", "parties", server_default=None)


def downgrade() -> None:
    op.drop_column("notice", "parties")

"""keep from when on failures of a webhook are counted"""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    at = sa.Column(
        "watched_since", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )
    op.add_column("webhook_endpoint", at)
    op.alter_column("webhook_endpoint", "watched_since", server_default=None)


def downgrade() -> None:
    op.drop_column("webhook_endpoint", "watched_since")

"""mark passwords that an administrator gave and their user has to change"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "app_user",
        sa.Column("password_initial", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )


def downgrade() -> None:
    op.drop_column("app_user", "password_initial")

"""look again at messages of the gateway that were put aside before that was a fact: the worker does it anew, with one"""

from alembic import op

revision = "0086"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "update gateway_event set state = 'new', reason = null, ended_at = null where state = 'quarantined'"
    )


def downgrade() -> None:
    """A message that waits for a person is the same without its fact."""

"""keep the day on which the last payment of an order arrived"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("paid_on", sa.Date(), nullable=True))
    op.execute(
        "update orders o set paid_on = found.day from (select c.order_id,"
        " max((p.settled_at at time zone 'Asia/Shanghai')::date) as day from payment p"
        " join payment_order c on c.payment_id = p.id where p.state = 'paid' group by c.order_id) found"
        " where found.order_id = o.id"
    )


def downgrade() -> None:
    op.drop_column("orders", "paid_on")

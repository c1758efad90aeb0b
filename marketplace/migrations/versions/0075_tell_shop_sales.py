"""tell packs sold at shops from others, and say why a count differs"""

import sqlalchemy as sa
from alembic import op

revision = "0075"
down_revision = "0073"
branch_labels = None
depends_on = None

KINDS = (
    "received", "reserved", "released", "shipped", "returned", "spoilage", "shrinkage", "sold_elsewhere",
    "stocktake", "own_use", "transfer",
)  # fmt: skip
CAUSES = ("rotten", "expired", "damaged", "stolen", "miscounted", "unknown")
# Beside the rights of the application's role: the owner cannot rewrite them unnoticed either.
TABLES = ("sales_report", "sales_report_line", "stock_count", "stock_count_line")


def upgrade() -> None:
    _kinds((*KINDS, "sold"))
    cause = sa.Enum(*CAUSES, name="count_cause", native_enum=False, create_constraint=True, length=40)
    op.add_column("stock_count_line", sa.Column("cause", cause, nullable=True))
    for table in TABLES:
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table}"
            " for each statement execute function refuse_change()"
        )


def _kinds(names: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_stock_movement_movement_kind"), "stock_movement")
    listed = ", ".join(f"'{name}'" for name in names)
    op.create_check_constraint(
        op.f("ck_stock_movement_movement_kind"), "stock_movement", f"kind in ({listed})"
    )


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop trigger {table}_no_truncate on {table}")
        op.execute(f"drop trigger {table}_append_only on {table}")
    op.drop_column("stock_count_line", "cause")
    _kinds(KINDS)

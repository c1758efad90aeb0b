"""bring the job queue's schema"""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The library is pinned to this schema's minor version in pyproject.toml.
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())
    # pg_notify takes a lock on the whole database at commit; the worker polls twice a second instead.
    op.execute("drop trigger procrastinate_jobs_notify_queue_job_inserted_v1 on procrastinate_jobs")


def downgrade() -> None:
    bind = op.get_bind()
    tables = (
        "procrastinate_events",
        "procrastinate_periodic_defers",
        "procrastinate_jobs",
        "procrastinate_workers",
    )
    for table in tables:
        op.execute(f"drop table if exists {table} cascade")
    functions = bind.execute(
        sa.text("select oid::regprocedure::text from pg_proc where proname like 'procrastinate%'")
    ).scalars()
    for function in list(functions):
        op.execute(f"drop function {function} cascade")
    for name in ("procrastinate_job_to_defer_v1", "procrastinate_job_status", "procrastinate_job_event_type"):
        op.execute(f"drop type if exists {name} cascade")

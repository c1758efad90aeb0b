"""What the application's database role may do to each table; the owner alone may do the rest.

Facts, seals, checkpoints, movements and ledger rows take SELECT and INSERT only, so that even a fault of the
application cannot rewrite them.
"""

from __future__ import annotations

import sqlalchemy as sa

APPEND_ONLY = frozenset(
    {
        "fact", "seal", "checkpoint", "stock_movement", "reserve_entry", "declaration_version",
        "organisation_history", "period_close", "payment_line", "evaluation",
        "partner_order", "sales_report", "sales_report_line", "stock_count", "stock_count_line", "webhook_attempt",
        "money_entry", "money_posting", "statement_line",
    }
)  # fmt: skip
# Technical rows that are also removed (old answers, counters, ended sessions) and lists that are replaced whole.
DELETABLE = frozenset(
    {
        "idempotency_key",
        "throttle",
        "access_token",
        "web_session",
        "recovery_code",
        "price_tier",
        "product_certification",
        "basket_draft",
    }
)


def grant_rights(connection: sa.Connection, app_role: str | None) -> None:
    """Give `app_role` exactly its rights on every table of the current schema. No role, or the owner: nothing."""
    if app_role is None or app_role == connection.execute(sa.text("select current_user")).scalar_one():
        return
    role = connection.dialect.identifier_preparer.quote(app_role)
    tables = connection.execute(
        sa.text(
            "select tablename from pg_tables where schemaname = current_schema() and tableowner = current_user"
        )
    ).scalars()
    current = connection.execute(sa.text("select current_schema()")).scalar_one()
    schema = connection.dialect.identifier_preparer.quote(current)
    connection.exec_driver_sql(f"grant usage on schema {schema} to {role}")
    for table in tables:
        name = connection.dialect.identifier_preparer.quote(table)
        rights = "select, insert"
        if table == "alembic_version":
            rights = "select"
        elif table.startswith("procrastinate_"):
            rights = "select, insert, update, delete"
        elif table not in APPEND_ONLY:
            rights += ", update"
            if table in DELETABLE:
                rights += ", delete"
        connection.exec_driver_sql(f"revoke all on {name} from {role}")
        connection.exec_driver_sql(f"grant {rights} on {name} to {role}")
    connection.exec_driver_sql(f"grant usage on all sequences in schema {schema} to {role}")

"""refuse changes of facts and ledgers, number papers by year"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    "fact",
    "seal",
    "checkpoint",
    "stock_movement",
    "reserve_entry",
    "declaration_version",
    "organisation_history",
    "period_close",
    "payment_line",
    "evaluation",
)


def upgrade() -> None:
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
        end $$
        """
    )
    for table in TABLES:
        op.execute(
            f"create trigger {table}_append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table}"
            " for each statement execute function refuse_change()"
        )
    # A sequence per series and year: no counter row that would serialise every purchase; gaps are allowed.
    # The owner's rights are needed only for the first number of a year, which makes the sequence.
    schema = op.get_bind().execute(sa.text("select current_schema()")).scalar_one()
    op.execute(
        """
        create function next_number(series text, in_year int) returns bigint
        language plpgsql security definer set search_path = {schema}, pg_temp as $$
        declare
            name text := 'number_' || lower(series) || '_' || in_year;
        begin
            if series !~ '^[A-Z]{2}$' or in_year not between 2000 and 2200 then
                raise exception 'no such series: % %', series, in_year;
            end if;
            begin
                return nextval(name::regclass);
            exception when undefined_table then
                -- The first purchases of a year come at once: one makes the sequence, the others wait for it.
                perform pg_advisory_xact_lock(hashtextextended(name, 8020833));
                execute format('create sequence if not exists %I', name);
                return nextval(name::regclass);
            end;
        end $$
        """.replace("{schema}", op.get_bind().dialect.identifier_preparer.quote(schema))
    )


def downgrade() -> None:
    bind = op.get_bind()
    op.execute("drop function next_number(text, int)")
    sequences = bind.execute(
        sa.text(
            "select sequencename from pg_sequences where schemaname = current_schema() and sequencename ~ '^number_[a-z]{2}_'"
        )
    ).scalars()
    for name in list(sequences):
        op.execute(f'drop sequence "{name}"')
    for table in TABLES:
        op.execute(f"drop trigger {table}_append_only on {table}")
        op.execute(f"drop trigger {table}_no_truncate on {table}")
    op.execute("drop function refuse_change()")

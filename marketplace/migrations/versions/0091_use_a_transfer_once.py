"""refuse an order's slip whose bank reference pays a statement of the same seller: orders know nothing of statements"""

from alembic import op

revision = "0091"
down_revision = "0087"
branch_labels = None
depends_on = None

# The lock is the one under which a statement takes its transfer, so that neither overtakes the other.
ON_SLIP = """
create function slip_pays_no_statement() returns trigger language plpgsql as $$
declare
  payee uuid;
begin
  select p.seller_id into strict payee from payment p where p.id = new.payment_id;
  perform pg_advisory_xact_lock(hashtextextended('statement-transfer:' || payee, 0));
  if exists (select from statement s
              where s.seller_id = payee and s.bank_reference = new.bank_reference and s.total_fen > 0) then
    raise exception using errcode = 'unique_violation', constraint = 'slip_pays_no_statement',
      message = 'the bank reference pays a statement of the same seller';
  end if;
  return new;
end $$
"""


def upgrade() -> None:
    op.execute(ON_SLIP)
    op.execute(
        "create trigger slip_on_insert before insert on slip for each row execute function slip_pays_no_statement()"
    )


def downgrade() -> None:
    op.execute("drop trigger slip_on_insert on slip")
    op.execute("drop function slip_pays_no_statement()")

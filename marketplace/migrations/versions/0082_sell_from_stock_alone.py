"""say on each stock row what is sold from it: the sum of a product's stock went through lots and places for each row"""

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0085"
branch_labels = None
depends_on = None

# The share lock waits for an act that takes the lot off sale just now, and makes the next one wait for this row.
ON_INSERT = """
create function stock_says_what_is_sold() returns trigger language plpgsql as $$
begin
  select l.product_id, l.best_before, l.state = 'released' and o.organisation_id = p.seller_id
    into strict new.product_id, new.best_before, new.on_sale
    from lot l join product p on p.id = l.product_id join place o on o.id = new.place_id
   where l.id = new.lot_id for share of l;
  return new;
end $$
"""
# In the order of their ids, as everybody locks stock.
ON_LOT = """
create function stock_follows_its_lot() returns trigger language plpgsql as $$
begin
  perform from stock where lot_id = new.id order by id for update;
  update stock s set product_id = new.product_id, best_before = new.best_before,
         on_sale = new.state = 'released' and o.organisation_id = p.seller_id
    from product p, place o where s.lot_id = new.id and p.id = new.product_id and o.id = s.place_id;
  return null;
end $$
"""


def upgrade() -> None:
    op.add_column("stock", sa.Column("product_id", sa.UUID(), nullable=True))
    op.add_column("stock", sa.Column("best_before", sa.Date(), nullable=True))
    op.add_column("stock", sa.Column("on_sale", sa.Boolean(), nullable=True))
    op.execute(
        "update stock s set product_id = l.product_id, best_before = l.best_before,"
        " on_sale = l.state = 'released' and o.organisation_id = p.seller_id"
        " from lot l, product p, place o where l.id = s.lot_id and p.id = l.product_id and o.id = s.place_id"
    )
    for column in ("product_id", "best_before", "on_sale"):
        op.alter_column("stock", column, nullable=False)
    op.create_index(
        "ix_stock_on_sale", "stock", ["product_id", "best_before"], postgresql_where=sa.text("on_sale")
    )
    op.execute(ON_INSERT)
    op.execute(
        "create trigger stock_on_insert before insert on stock"
        " for each row execute function stock_says_what_is_sold()"
    )
    op.execute(ON_LOT)
    op.execute(
        "create trigger lot_to_stock after update of product_id, best_before, state on lot for each row"
        " when ((old.product_id, old.best_before, old.state) is distinct from"
        " (new.product_id, new.best_before, new.state)) execute function stock_follows_its_lot()"
    )


def downgrade() -> None:
    op.execute("drop trigger lot_to_stock on lot")
    op.execute("drop trigger stock_on_insert on stock")
    op.execute("drop function stock_follows_its_lot()")
    op.execute("drop function stock_says_what_is_sold()")
    op.drop_index("ix_stock_on_sale", table_name="stock")
    for column in ("on_sale", "best_before", "product_id"):
        op.drop_column("stock", column)

"""keep agreements, assortments, keys, orders, consignment and webhooks of channels"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0070"
down_revision = "0011"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_webhook_cursor"),
    )
    op.create_table(
        "channel_pair",
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("county_code", sa.Text(), nullable=False),
        sa.Column("district_code", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_channel_pair_channel_id"),
        sa.ForeignKeyConstraint(["county_code"], ["region.code"], name="fk_channel_pair_county_code"),
        sa.ForeignKeyConstraint(["district_code"], ["region.code"], name="fk_channel_pair_district_code"),
        sa.PrimaryKeyConstraint("channel_id", "county_code", name="pk_channel_pair"),
    )
    op.create_table(
        "channel_agreement",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column(
            "pattern",
            sa.Enum(
                "wholesale",
                "consignment",
                "drop_ship",
                "group_purchase",
                "call_off",
                name="trade_pattern",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("price_list_id", sa.UUID(), nullable=False),
        sa.Column("order_cut_off", sa.Text(), nullable=False),
        sa.Column("lead_days", sa.BigInteger(), nullable=False),
        sa.Column("confirm_within_h", sa.BigInteger(), nullable=False),
        sa.Column("ship_within_h", sa.BigInteger(), nullable=False),
        sa.Column("period_end_day", sa.BigInteger(), nullable=False),
        sa.Column("due_days", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.UUID(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("made_at", AT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "order_cut_off ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'", name="ck_channel_agreement_cut_off_is_a_time"
        ),
        sa.CheckConstraint(
            "confirm_within_h > 0 and ship_within_h > 0", name="ck_channel_agreement_hours_positive"
        ),
        sa.CheckConstraint("lead_days between 0 and 30", name="ck_channel_agreement_lead_days_range"),
        sa.CheckConstraint(
            "period_end_day between 1 and 31 and due_days >= 0", name="ck_channel_agreement_period_range"
        ),
        sa.CheckConstraint(
            "valid_to is null or valid_to >= valid_from", name="ck_channel_agreement_days_in_order"
        ),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_channel_agreement_channel_id"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_channel_agreement_place_id"),
        sa.ForeignKeyConstraint(
            ["price_list_id"], ["price_list.id"], name="fk_channel_agreement_price_list_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_channel_agreement"),
        sa.UniqueConstraint(
            "channel_id", "pattern", "valid_from", name="uq_channel_agreement_channel_id_pattern_valid_from"
        ),
    )
    op.create_table(
        "channel_item",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("partner_sku", sa.Text(), nullable=True),
        sa.Column("gtin", sa.Text(), nullable=True),
        sa.Column("min_remaining_days", sa.BigInteger(), nullable=False),
        sa.Column("box_quantity", sa.BigInteger(), nullable=False),
        sa.Column("box_gross_g", sa.BigInteger(), nullable=True),
        sa.Column("box_length_mm", sa.BigInteger(), nullable=True),
        sa.Column("box_width_mm", sa.BigInteger(), nullable=True),
        sa.Column("box_height_mm", sa.BigInteger(), nullable=True),
        sa.Column("listed_at", AT, nullable=False),
        sa.Column("withdrawn_at", AT, nullable=True),
        sa.Column("changed_at", AT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("min_remaining_days >= 0 and box_quantity > 0", name="ck_channel_item_positive"),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_channel_item_channel_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_channel_item_product_id"),
        sa.PrimaryKeyConstraint("id", name="pk_channel_item"),
        sa.UniqueConstraint("channel_id", "partner_sku", name="uq_channel_item_channel_id_partner_sku"),
        sa.UniqueConstraint("channel_id", "product_id", name="uq_channel_item_channel_id_product_id"),
    )
    op.create_index(
        "ix_channel_item_changed", "channel_item", ["channel_id", "changed_at", "id"], unique=False
    )
    op.create_index("ix_channel_item_product_id", "channel_item", ["product_id"], unique=False)
    op.create_table(
        "partner_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "mode",
            sa.Enum(
                "live", "test", name="partner_key_mode", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.UUID(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.Column("revoked_at", AT, nullable=True),
        sa.Column("revoked_by", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_partner_key_channel_id"),
        sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name="fk_partner_key_created_by"),
        sa.ForeignKeyConstraint(["revoked_by"], ["app_user.id"], name="fk_partner_key_revoked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_partner_key"),
        sa.UniqueConstraint("key_id", name="uq_partner_key_key_id"),
    )
    op.create_index(
        "ix_partner_key_live",
        "partner_key",
        ["channel_id", "mode"],
        unique=False,
        postgresql_where=sa.text("revoked_at is null"),
    )
    op.create_table(
        "sales_report",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("place_id", sa.UUID(), nullable=False),
        sa.Column("business_day", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("red", sa.Boolean(), nullable=False),
        sa.Column("corrects_id", sa.UUID(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("reported_by", sa.UUID(), nullable=True),
        sa.Column("reported_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_sales_report_channel_id"),
        sa.ForeignKeyConstraint(["corrects_id"], ["sales_report.id"], name="fk_sales_report_corrects_id"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_sales_report_place_id"),
        sa.ForeignKeyConstraint(["reported_by"], ["app_user.id"], name="fk_sales_report_reported_by"),
        sa.PrimaryKeyConstraint("id", name="pk_sales_report"),
        sa.UniqueConstraint(
            "channel_id",
            "place_id",
            "business_day",
            "version",
            name="uq_sales_report_channel_id_place_id_business_day_version",
        ),
    )
    op.create_table(
        "stock_count",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("place_id", sa.UUID(), nullable=False),
        sa.Column("counted_on", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reported_by", sa.UUID(), nullable=True),
        sa.Column("reported_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_stock_count_channel_id"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name="fk_stock_count_place_id"),
        sa.ForeignKeyConstraint(["reported_by"], ["app_user.id"], name="fk_stock_count_reported_by"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_count"),
        sa.UniqueConstraint(
            "channel_id",
            "place_id",
            "counted_on",
            "version",
            name="uq_stock_count_channel_id_place_id_counted_on_version",
        ),
    )
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", AT, nullable=True),
        sa.Column("created_by", sa.UUID(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("disabled_at", AT, nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_webhook_endpoint_channel_id"),
        sa.ForeignKeyConstraint(["created_by"], ["app_user.id"], name="fk_webhook_endpoint_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoint"),
    )
    op.create_index("ix_webhook_endpoint_channel_id", "webhook_endpoint", ["channel_id"], unique=False)
    op.create_table(
        "partner_key_use",
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("used_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["partner_key.id"], name="fk_partner_key_use_key_id"),
        sa.PrimaryKeyConstraint("key_id", name="pk_partner_key_use"),
    )
    op.create_table(
        "partner_order",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("partner_order_no", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.UUID(), nullable=False),
        sa.Column("purchase_id", sa.UUID(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("cut_off_at", AT, nullable=False),
        sa.Column("placed_at", AT, nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["channel_agreement.id"], name="fk_partner_order_agreement_id"
        ),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_partner_order_channel_id"),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchase.id"], name="fk_partner_order_purchase_id"),
        sa.PrimaryKeyConstraint("id", name="pk_partner_order"),
        sa.UniqueConstraint(
            "channel_id", "partner_order_no", name="uq_partner_order_channel_id_partner_order_no"
        ),
        sa.UniqueConstraint("purchase_id", name="uq_partner_order_purchase_id"),
    )
    op.create_table(
        "statement",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("agreement_id", sa.UUID(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("to_day", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "issued",
                "disputed",
                "agreed",
                "settled",
                name="statement_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", AT, nullable=False),
        sa.Column("agreed_at", AT, nullable=True),
        sa.Column("settled_at", AT, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["channel_agreement.id"], name="fk_statement_agreement_id"),
        sa.ForeignKeyConstraint(["channel_id"], ["organisation.id"], name="fk_statement_channel_id"),
        sa.ForeignKeyConstraint(["seller_id"], ["organisation.id"], name="fk_statement_seller_id"),
        sa.PrimaryKeyConstraint("id", name="pk_statement"),
        sa.UniqueConstraint(
            "channel_id", "seller_id", "period", name="uq_statement_channel_id_seller_id_period"
        ),
        sa.UniqueConstraint("number", name="uq_statement_number"),
    )
    op.create_index("ix_statement_seller", "statement", ["seller_id", "id"], unique=False)
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("endpoint_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("order_key", sa.UUID(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "delivered",
                "failed",
                name="webhook_delivery_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", AT, nullable=False),
        sa.Column("made_at", AT, nullable=False),
        sa.Column("delivered_at", AT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoint.id"], name="fk_webhook_delivery_endpoint_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
        sa.UniqueConstraint("endpoint_id", "event_id", name="uq_webhook_delivery_endpoint_id_event_id"),
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["next_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_delivery_order", "webhook_delivery", ["endpoint_id", "order_key", "seq"], unique=False
    )
    op.create_table(
        "change_request",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("partner_order_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "agreed",
                "refused",
                name="change_request_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("decided_at", AT, nullable=True),
        sa.Column("decided_by", sa.UUID(), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["decided_by"], ["app_user.id"], name="fk_change_request_decided_by"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_change_request_order_id"),
        sa.ForeignKeyConstraint(
            ["partner_order_id"], ["partner_order.id"], name="fk_change_request_partner_order_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_change_request"),
    )
    op.create_index(
        "ix_change_request_partner_order_id", "change_request", ["partner_order_id"], unique=False
    )
    op.create_index(
        "uq_change_request_open",
        "change_request",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "sales_report_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("report_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("stock_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("retail_fen", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "amount_fen = quantity * unit_price_fen", name="ck_sales_report_line_amount_adds_up"
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_sales_report_line_lot_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_sales_report_line_product_id"),
        sa.ForeignKeyConstraint(["report_id"], ["sales_report.id"], name="fk_sales_report_line_report_id"),
        sa.ForeignKeyConstraint(["seller_id"], ["organisation.id"], name="fk_sales_report_line_seller_id"),
        sa.ForeignKeyConstraint(["stock_id"], ["stock.id"], name="fk_sales_report_line_stock_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sales_report_line"),
    )
    op.create_index("ix_sales_report_line_report_id", "sales_report_line", ["report_id"], unique=False)
    op.create_index("ix_sales_report_line_seller_id", "sales_report_line", ["seller_id"], unique=False)
    op.create_table(
        "statement_line",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("statement_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "sale",
                "red",
                "spoilage",
                "loss",
                "adjustment",
                name="statement_line_kind",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("source_id", sa.UUID(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_statement_line_lot_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_statement_line_product_id"),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name="fk_statement_line_statement_id"),
        sa.PrimaryKeyConstraint("id", name="pk_statement_line"),
        sa.UniqueConstraint("statement_id", "position", name="uq_statement_line_statement_id_position"),
    )
    op.create_table(
        "stock_count_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("count_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.UUID(), nullable=False),
        sa.Column("seller_id", sa.UUID(), nullable=False),
        sa.Column("stock_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.UUID(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("spoilage", sa.BigInteger(), nullable=False),
        sa.Column("loss", sa.BigInteger(), nullable=False),
        sa.Column(
            "borne_by",
            sa.Enum(
                "seller",
                "channel",
                "carrier",
                name="count_borne_by",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("unit_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("expected = counted + spoilage + loss", name="ck_stock_count_line_adds_up"),
        sa.ForeignKeyConstraint(["count_id"], ["stock_count.id"], name="fk_stock_count_line_count_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_stock_count_line_lot_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_stock_count_line_product_id"),
        sa.ForeignKeyConstraint(["seller_id"], ["organisation.id"], name="fk_stock_count_line_seller_id"),
        sa.ForeignKeyConstraint(["stock_id"], ["stock.id"], name="fk_stock_count_line_stock_id"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_count_line"),
    )
    op.create_index("ix_stock_count_line_count_id", "stock_count_line", ["count_id"], unique=False)
    op.create_index("ix_stock_count_line_seller_id", "stock_count_line", ["seller_id"], unique=False)
    op.create_table(
        "webhook_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("tried_at", AT, nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_delivery.id"], name="fk_webhook_attempt_delivery_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempt"),
    )
    op.create_index("ix_webhook_attempt_delivery_id", "webhook_attempt", ["delivery_id"], unique=False)
    op.create_table(
        "statement_dispute",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("statement_id", sa.UUID(), nullable=False),
        sa.Column("line_id", sa.UUID(), nullable=False),
        sa.Column("raised_by", sa.UUID(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "corrected",
                "upheld",
                "withdrawn",
                name="statement_dispute_state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("raised_at", AT, nullable=False),
        sa.Column("answered_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["line_id"], ["statement_line.id"], name="fk_statement_dispute_line_id"),
        sa.ForeignKeyConstraint(["raised_by"], ["organisation.id"], name="fk_statement_dispute_raised_by"),
        sa.ForeignKeyConstraint(["statement_id"], ["statement.id"], name="fk_statement_dispute_statement_id"),
        sa.PrimaryKeyConstraint("id", name="pk_statement_dispute"),
    )
    op.create_index("ix_statement_dispute_statement_id", "statement_dispute", ["statement_id"], unique=False)
    op.create_index(
        "uq_statement_dispute_open",
        "statement_dispute",
        ["line_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )


def downgrade() -> None:
    for table in (
        "statement_dispute",
        "webhook_attempt",
        "stock_count_line",
        "statement_line",
        "sales_report_line",
        "change_request",
        "webhook_delivery",
        "statement",
        "partner_order",
        "partner_key_use",
        "webhook_endpoint",
        "stock_count",
        "sales_report",
        "partner_key",
        "channel_item",
        "channel_agreement",
        "channel_pair",
        "webhook_cursor",
    ):
        op.drop_table(table)

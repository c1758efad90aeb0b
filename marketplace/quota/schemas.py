"""JSON shapes of declarations and figures."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from marketplace.accounts.models import CanteenMode
from marketplace.quota.figures import PAGE
from marketplace.quota.grouping import By, parse_as_of
from marketplace.quota.ledger import EntryKind
from marketplace.quota.states import DeclarationState
from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, fen, integer, text

YEARS = (2019, 2200)


def _one_of(values: Any) -> validate.OneOf:
    return validate.OneOf([v.value for v in values], error="没有这个选项")


class AsOf(fields.Field[Any]):
    """An instant with its offset, or a day: its end in Shanghai."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("要写成日期或带时区的时间")
        try:
            return parse_as_of(value)
        except (ValueError, OverflowError):
            raise ValidationError("要写成日期（2026-11-24）或带时区的时间") from None


class DeclarationIn(InSchema):
    agency_id = fields.UUID(required=True)
    year = integer(*YEARS)
    canteen = fields.String(required=True, validate=_one_of(CanteenMode))
    base_fen = fen(required=False, load_default=0)
    share_bp = integer(0, 10_000, required=False, load_default=0)
    represented_by = fields.UUID(load_default=None, allow_none=True)
    contractor_id = fields.UUID(load_default=None, allow_none=True)
    contact = text(100, required=False, load_default=None, allow_none=True)
    remark = text(500, required=False, load_default=None, allow_none=True)


class DeclarationArgs(PageArgs):
    year = fields.Integer(load_default=None, validate=validate.Range(*YEARS))
    state = fields.Enum(DeclarationState, by_value=True, load_default=None)
    agency_id = fields.UUID(load_default=None)


class MissingArgs(InSchema):
    year = fields.Integer(required=True, validate=validate.Range(*YEARS))


class VersionOut(Schema):
    number = fields.Integer(required=True)
    canteen = fields.String(required=True)
    base_fen = fields.Integer(required=True)
    share_bp = fields.Integer(required=True)
    reserve_fen = fields.Integer(required=True)
    represented_by = fields.Nested(NamedIdOut, required=True, allow_none=True)
    contractor = fields.Nested(NamedIdOut, required=True, allow_none=True)
    contact = fields.String(required=True, allow_none=True)
    remark = fields.String(required=True, allow_none=True)
    policy_version = fields.String(required=True)
    filed_at = fields.AwareDateTime(required=True)
    late = fields.Boolean(required=True)


class DeclarationOut(VersionOut):
    id = fields.String(required=True)
    agency = fields.Nested(NamedIdOut, required=True)
    agency_id = fields.String(required=True)
    year = fields.Integer(required=True)
    state = fields.String(required=True)
    state_reason = fields.String(required=True, allow_none=True)
    approved_number = fields.Integer(required=True, allow_none=True)
    deadline = fields.Date(required=True, allow_none=True)
    version = fields.Integer(required=True)


class DeclarationWithVersionsOut(DeclarationOut):
    versions = fields.List(fields.Nested(VersionOut), required=True)


class MissingOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, allow_none=True)


class MissingListOut(Schema):
    items = fields.List(fields.Nested(MissingOut), required=True)
    total = fields.Integer(required=True)


class PeriodOut(Schema):
    period = fields.String(required=True)
    closed_at = fields.AwareDateTime(required=True)


class FigureArgs(InSchema):
    year = fields.Integer(required=True, validate=validate.Range(*YEARS))
    by = fields.Enum(By, by_value=True, load_default=By.AGENCY)
    as_of = AsOf(load_default=None)


class SummaryArgs(FigureArgs):
    limit = fields.Integer(load_default=PAGE, validate=validate.Range(1, PAGE))
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class EntriesArgs(PageArgs):
    year = fields.Integer(required=True, validate=validate.Range(*YEARS))
    by = fields.Enum(By, by_value=True, load_default=By.AGENCY)
    key = fields.String(load_default=None, validate=validate.Length(1, 100))
    kind = fields.Enum(EntryKind, by_value=True, load_default=None)
    as_of = AsOf(load_default=None)


class PaceArgs(InSchema):
    agency_id = fields.UUID(required=True)
    year = fields.Integer(required=True, validate=validate.Range(*YEARS))


class AsOfOut(Schema):
    time = fields.AwareDateTime(required=True)
    tree_size = fields.Integer(required=True)


class FiguresOut(Schema):
    agencies = fields.Integer(required=True)
    declared = fields.Integer(metadata={"description": "Approved declarations; only where a reserve exists."})
    missing = fields.Integer(
        metadata={"description": "Agencies that owe a declaration and have none approved."}
    )
    reserve_fen = fields.Integer()
    ordered_fen = fields.Integer(required=True)
    accepted_fen = fields.Integer(required=True)
    paid_fen = fields.Integer(required=True)
    evaluated_fen = fields.Integer(required=True)
    counted_fen = fields.Integer(required=True)
    completion_bp = fields.Integer(allow_none=True)


class SummaryRowOut(FiguresOut):
    key = fields.String(required=True)
    name = fields.String(required=True)
    rank = fields.Integer(allow_none=True)


class BasisOut(Schema):
    year = fields.Integer(required=True)
    by = fields.String(required=True)
    policy_versions = fields.List(fields.String(), required=True)
    counted_states = fields.List(fields.String(), required=True)
    counted = fields.String(required=True)
    cut_off = fields.Nested(AsOfOut, required=True)
    sealed_only = fields.Boolean(required=True)
    scope = fields.String(required=True)
    unit = fields.String(required=True)
    rounding = fields.String(required=True)


class SummaryOut(Schema):
    items = fields.List(fields.Nested(SummaryRowOut), required=True)
    next = fields.String(required=True, allow_none=True)
    total = fields.Nested(FiguresOut, required=True)
    as_of = fields.Nested(AsOfOut, required=True)
    basis = fields.Nested(BasisOut, required=True)


class PlotOut(Schema):
    trace_code = fields.String(required=True)
    township = fields.String(required=True)
    village = fields.String(required=True)
    plot = fields.String(required=True)


class EntryOut(Schema):
    occurred_on = fields.Date(required=True)
    period = fields.String(required=True)
    adjusts = fields.Boolean(required=True)
    kind = fields.String(required=True)
    amount_fen = fields.Integer(required=True)
    agency_id = fields.String(required=True, allow_none=True)
    purpose = fields.String(required=True)
    county_code = fields.String(required=True)
    eligible = fields.Boolean(required=True)
    policy_version = fields.String(required=True)
    order_id = fields.String(required=True)
    order_number = fields.String(required=True)
    line_id = fields.String(required=True)
    trace_codes = fields.List(fields.String(), required=True)
    plots = fields.List(fields.Nested(PlotOut), required=True)
    fact_id = fields.String(required=True)
    fact_seq = fields.Integer(required=True, allow_none=True)


class EntriesOut(Schema):
    items = fields.List(fields.Nested(EntryOut), required=True)
    next = fields.String(required=True, allow_none=True)
    as_of = fields.Nested(AsOfOut, required=True)


class ReasonAmountOut(Schema):
    reason = fields.String(required=True)
    name = fields.String(required=True)
    amount_fen = fields.Integer(required=True)


class PaceOut(Schema):
    agency = fields.Nested(NamedIdOut, required=True)
    year = fields.Integer(required=True)
    reserve_fen = fields.Integer(required=True)
    counted_fen = fields.Integer(required=True)
    remaining_fen = fields.Integer(required=True)
    under_way_fen = fields.Integer(required=True)
    to_order_fen = fields.Integer(required=True)
    completion_bp = fields.Integer(required=True, allow_none=True)
    elapsed_bp = fields.Integer(required=True)
    pace_bp = fields.Integer(required=True, allow_none=True)
    last_day = fields.Date(required=True)
    days_left = fields.Integer(required=True)
    uncounted = fields.List(fields.Nested(ReasonAmountOut), required=True)

"""JSON shapes of lots, growers and the public story."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from marketplace.catalog.models import LotState
from marketplace.trace.intake import MAX_ORIGINS
from marketplace.trace.models import CertificateKind, HoldCause
from marketplace.trace.movements import SELLER_MOVES
from marketplace.values import MAX_QUANTITY
from marketplace.web.schemas import InSchema, NamedCodeOut, NamedIdOut, PageArgs, fen, integer, quantity, text

MAX_GRAMS = 100_000_000_000
MAX_LABELS = 2_100


class OriginIn(InSchema):
    township_code = fields.String(
        required=True, validate=validate.Regexp(r"\A[0-9]{9}\Z", error="要有9位数字")
    )
    village = text(50)
    plot = text(50)
    grower_id = fields.UUID(load_default=None, allow_none=True)
    weight_g = integer(1, MAX_GRAMS, required=False, load_default=None, allow_none=True)
    paid_fen = fen(required=False, load_default=None, allow_none=True)


class LotIn(InSchema):
    product_id = fields.UUID(required=True)
    quantity = quantity()
    harvested_on = fields.Date(required=True)
    best_before = fields.Date(load_default=None, allow_none=True)
    code = text(40, required=False, load_default=None, allow_none=True)
    origins = fields.List(
        fields.Nested(OriginIn),
        required=True,
        validate=validate.Length(1, MAX_ORIGINS, error=f"要有1到{MAX_ORIGINS}处产地"),
    )


class LotsArgs(PageArgs):
    state = fields.Enum(LotState, by_value=True, load_default=None)
    product_id = fields.UUID(load_default=None)


class CertificateIn(InSchema):
    kind = fields.Enum(CertificateKind, by_value=True, required=True)
    number = text(100, required=False, load_default=None, allow_none=True)
    product_name = text(100, required=False, load_default=None, allow_none=True)
    holder_credit_code = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"\A[0-9A-Z]{18}\Z", error="要有18位统一社会信用代码"),
    )
    issued_on = fields.Date(required=True)
    valid_until = fields.Date(load_default=None, allow_none=True)
    quantity = quantity(required=False, load_default=None, allow_none=True)
    document_id = fields.UUID(required=True)


class _Reading(fields.Field[str]):
    """A measured value as it stands on the report: a text, or a number that becomes one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValidationError("要写数值或文字")
        written = str(value).strip()
        if not 1 <= len(written) <= 50:
            raise ValidationError("要有1到50个字")
        return written

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class ItemIn(InSchema):
    name = text(50)
    value = _Reading(required=True, metadata={"type": "string"})
    limit = _Reading(load_default=None, allow_none=True, metadata={"type": "string"})
    unit = text(20, required=False, load_default=None, allow_none=True)


class InspectionIn(InSchema):
    sampled_on = fields.Date(required=True)
    items = fields.List(
        fields.Nested(ItemIn), required=True, validate=validate.Length(1, 500, error="要有1到500项")
    )
    passed = fields.Boolean(required=True, truthy={True}, falsy={False})
    document_id = fields.UUID(load_default=None, allow_none=True)
    campaign = text(50, required=False, load_default=None, allow_none=True)
    sample_number = text(50, required=False, load_default=None, allow_none=True)


class CampaignInspectionIn(InspectionIn):
    county_code = fields.String(required=True, validate=validate.Regexp(r"\A[0-9]{6}\Z", error="要有6位数字"))
    product_name = text(100)
    campaign = text(50)


class MovementIn(InSchema):
    kind = fields.String(required=True, validate=validate.OneOf(sorted(k.value for k in SELLER_MOVES)))
    quantity = integer(0, MAX_QUANTITY)
    reason = text(500)
    place_id = fields.UUID(load_default=None, allow_none=True)


class ReasonOptionalIn(InSchema):
    reason = text(500, required=False, load_default=None, allow_none=True)


class LabelArgs(InSchema):
    count = fields.Integer(load_default=21, validate=validate.Range(1, MAX_LABELS))


class GrowerIn(InSchema):
    code = text(40)
    name = text(50)
    township_code = fields.String(
        required=True, validate=validate.Regexp(r"\A[0-9]{9}\Z", error="要有9位数字")
    )
    village = text(50)
    household_code = text(40, required=False, load_default=None, allow_none=True)


class GrowerOut(Schema):
    id = fields.String(required=True)
    code = fields.String(required=True)
    name = fields.String(required=True)
    poverty_household = fields.Boolean(required=True)
    township = fields.Nested(NamedCodeOut, required=True)
    village = fields.String(required=True)


class OriginOut(Schema):
    township = fields.Nested(NamedCodeOut, required=True)
    village = fields.String(required=True)
    plot = fields.String(required=True)
    grower_id = fields.String(allow_none=True)
    grower_code = fields.String(allow_none=True)
    poverty_household = fields.Boolean(allow_none=True)
    weight_g = fields.Integer(allow_none=True)
    paid_fen = fields.Integer(allow_none=True)


class PublicCertificateOut(Schema):
    kind = fields.Enum(CertificateKind, by_value=True, required=True)
    name = fields.String(required=True)
    number = fields.String(allow_none=True)
    product_name = fields.String(required=True)
    holder_credit_code = fields.String(required=True)
    issued_on = fields.Date(required=True)
    valid_until = fields.Date(allow_none=True)
    quantity = fields.Integer(allow_none=True)
    sha256 = fields.String(required=True)


class CertificateOut(PublicCertificateOut):
    id = fields.String(required=True)
    document_id = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class ItemOut(Schema):
    name = fields.String(required=True)
    value = fields.String(allow_none=True)
    limit = fields.String(allow_none=True)
    unit = fields.String(allow_none=True)


class PublicInspectionOut(Schema):
    sampled_on = fields.Date(required=True)
    passed = fields.Boolean(required=True)
    items = fields.List(fields.Nested(ItemOut), required=True)
    campaign = fields.String(required=True)
    recorded_by = fields.String(allow_none=True)
    sha256 = fields.String(allow_none=True)


class InspectionOut(PublicInspectionOut):
    id = fields.String(required=True)
    sample_number = fields.String(required=True)
    document_id = fields.String(allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)


class CampaignInspectionOut(Schema):
    id = fields.String(required=True)
    campaign = fields.String(required=True)
    passed = fields.Boolean(required=True)


class StockOut(Schema):
    place = fields.Nested(NamedIdOut, required=True)
    on_hand = fields.Integer(required=True)
    reserved = fields.Integer(required=True)


class ConsignmentNumberOut(Schema):
    id = fields.String(required=True)
    number = fields.String(required=True)


class ElsewhereOut(Schema):
    """Packs on consignment at a channel: on their way with `consignment`, or standing in the shop."""

    channel = fields.Nested(NamedIdOut, required=True)
    shop = fields.Nested(NamedIdOut, required=True)
    consignment = fields.Nested(ConsignmentNumberOut, allow_none=True, required=True)
    quantity = fields.Integer(required=True)


class HoldOut(Schema):
    cause = fields.Enum(HoldCause, by_value=True, required=True)
    reason = fields.String(required=True)
    held_at = fields.AwareDateTime(required=True)


class BlockingOut(Schema):
    code = fields.String(required=True)
    detail = fields.String(required=True)
    kind = fields.String()


class LotProductOut(NamedIdOut):
    spec = fields.String(required=True)
    unit = fields.String(required=True)


class LotRowOut(Schema):
    id = fields.String(required=True)
    code = fields.String(required=True)
    trace_code = fields.String(required=True)
    product = fields.Nested(LotProductOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    quantity = fields.Integer(required=True)
    on_hand = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    harvested_on = fields.Date(required=True)
    best_before = fields.Date(required=True)
    state = fields.Enum(LotState, by_value=True, required=True)
    released_at = fields.AwareDateTime(allow_none=True)
    hold_reason = fields.String(allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class LotOut(LotRowOut):
    trace_code_shown = fields.String(required=True)
    origins = fields.List(fields.Nested(OriginOut), required=True)
    certificates = fields.List(fields.Nested(CertificateOut), required=True)
    inspections = fields.List(fields.Nested(InspectionOut), required=True)
    stock = fields.List(fields.Nested(StockOut), required=True)
    elsewhere = fields.List(fields.Nested(ElsewhereOut), required=True)
    holds = fields.List(fields.Nested(HoldOut), required=True)
    blocking = fields.List(fields.Nested(BlockingOut), required=True)
    version = fields.Integer(required=True)


class LotPrivateOut(Schema):
    id = fields.String(required=True)
    trace_code = fields.String(required=True)
    origins = fields.List(fields.Nested(OriginOut), required=True)
    certificates = fields.List(fields.Nested(CertificateOut), required=True)
    inspections = fields.List(fields.Nested(InspectionOut), required=True)

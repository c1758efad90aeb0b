"""What a partner's engineer sends to the sandbox alone."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.schemas import MAX_LINES
from marketplace.web.schemas import InSchema, integer, quantity, text

LONGEST_HOURS = 366 * 24


class SandboxLineIn(InSchema):
    line_id = fields.UUID(required=True)
    quantity = quantity(low=0)


class SandboxShipIn(InSchema):
    """Without `lines` all that is left goes; fewer packs than ordered make a short delivery."""

    lines = fields.List(
        fields.Nested(SandboxLineIn), load_default=None, validate=validate.Length(1, MAX_LINES)
    )


class SandboxReasonIn(InSchema):
    reason = text(500, required=False, load_default="沙箱试验")


class SandboxSpoilIn(SandboxReasonIn):
    quantity = quantity()


class SandboxSendIn(InSchema):
    """Packs of one item: what its seller sends to the channel's shop, or brings in fresh."""

    partner_sku = text(100)
    quantity = quantity()


class SandboxClockIn(InSchema):
    """Forward only, for every channel of the sandbox."""

    hours = integer(1, LONGEST_HOURS)


class SandboxClockOut(Schema):
    now = fields.AwareDateTime(required=True)
    ahead_seconds = fields.Integer(required=True, metadata={"description": "of the marketplace's clock"})


class SandboxLotOut(Schema):
    trace_code = fields.String(required=True)

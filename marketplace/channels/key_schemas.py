"""What a channel's people send and read of the keys of their programs."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.keys import LONGEST_DAYS
from marketplace.channels.states import KeyMode, Scope
from marketplace.web.schemas import InSchema, integer, text

MODES = [mode.value for mode in KeyMode]
SCOPES = [scope.value for scope in Scope]


class PartnerKeyIn(InSchema):
    """A new key, and who asks for it: the password again, and a code where a second factor is set up."""

    name = text(60)
    mode = fields.String(
        load_default=KeyMode.TEST.value,
        validate=validate.OneOf(MODES),
        metadata={"description": "test: of use in the sandbox alone"},
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        required=True,
        validate=validate.Length(1, len(SCOPES)),
    )
    days = integer(1, LONGEST_DAYS, required=False, load_default=90)
    current_password = fields.String(required=True, validate=validate.Length(1, 1000), load_only=True)
    otp = fields.String(load_default=None, validate=validate.Length(1, 40), load_only=True)


class PartnerKeyOut(Schema):
    id = fields.String(required=True)
    key_id = fields.String(required=True)
    name = fields.String(required=True)
    mode = fields.String(required=True, validate=validate.OneOf(MODES))
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True)
    revoked_at = fields.AwareDateTime(allow_none=True, required=True)
    used_at = fields.AwareDateTime(allow_none=True, required=True)


class PartnerKeyMadeOut(PartnerKeyOut):
    key = fields.String(
        required=True, metadata={"description": "shown in this answer alone and kept nowhere"}
    )


class PartnerKeyListedOut(PartnerKeyOut):
    created_by = fields.String(required=True, metadata={"description": "the name of who made it"})


class PartnerKeysOut(Schema):
    """All keys that the channel ever had, newest first."""

    items = fields.List(fields.Nested(PartnerKeyListedOut), required=True)

"""JSON shapes of accounts."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from marketplace.accounts.models import OrganisationKind
from marketplace.actors import Role
from marketplace.web.schemas import InSchema, PageArgs, text


def _secret(maximum: int, *, required: bool = True, **kwargs: Any) -> fields.String:
    return fields.String(required=required, validate=validate.Length(1, maximum), load_only=True, **kwargs)


class TokenIn(InSchema):
    """`otp`: six digits of the authenticator, or a recovery code."""

    username = fields.String(required=True, validate=validate.Length(1, 200))
    password = _secret(1000)
    otp = _secret(40, required=False, load_default=None)


class TokenOut(Schema):
    token = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True)


class MeUserOut(Schema):
    id = fields.String(required=True)
    username = fields.String(required=True)
    name = fields.String(required=True)
    second_factor = fields.Boolean(required=True)


class OrganisationOut(Schema):
    id = fields.String(required=True)
    code = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.Enum(OrganisationKind, by_value=True, required=True)
    subkind = fields.String(allow_none=True)
    credit_code = fields.String(allow_none=True)
    region_code = fields.String(required=True)
    parent_id = fields.String(allow_none=True)
    level = fields.String(allow_none=True)
    counts_in_city = fields.Boolean(required=True)
    canteen_mode = fields.String(allow_none=True)
    canteen_partner_id = fields.String(allow_none=True)
    admitted_on = fields.Date(allow_none=True)
    disabled_at = fields.AwareDateTime(allow_none=True)


class MeOrganisationOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.Enum(OrganisationKind, by_value=True, required=True)
    subkind = fields.String(allow_none=True)
    region_code = fields.String(required=True)


class MeOut(Schema):
    user = fields.Nested(MeUserOut, required=True)
    organisation = fields.Nested(MeOrganisationOut, required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    permissions = fields.List(fields.String(), required=True)


class PasswordIn(InSchema):
    current_password = _secret(1000)
    new_password = _secret(1000)


class ReauthenticateIn(InSchema):
    current_password = _secret(1000)


class SecondFactorOut(Schema):
    """The secret and its otpauth address, shown once, for the authenticator."""

    secret = fields.String(required=True)
    uri = fields.String(required=True)


class SecondFactorConfirmIn(InSchema):
    otp = fields.String(required=True, validate=validate.Regexp(r"\A[0-9]{6}\Z", error="要有6位数字"))


class RecoveryCodesOut(Schema):
    """Shown once: print them and keep them apart from the phone."""

    recovery_codes = fields.List(fields.String(), required=True)


class BankAccountIn(InSchema):
    account_name = text(200)
    bank_name = text(200)
    bank_branch_number = fields.String(
        required=True, validate=validate.Regexp(r"\A[0-9]{12}\Z", error="联行号要有12位数字")
    )
    account_number = fields.String(
        required=True, validate=validate.Regexp(r"\A[0-9-]{6,40}\Z", error="账号只能有数字和横线")
    )
    current_password = _secret(1000)


class BankAccountOut(Schema):
    """`state`: pending (not approved), waiting (approved, not in effect), active, replaced."""

    id = fields.String(required=True)
    account_name = fields.String(required=True)
    bank_name = fields.String(required=True)
    bank_branch_number = fields.String(required=True)
    account_number = fields.String(required=True)
    state = fields.String(required=True)
    effective_at = fields.AwareDateTime(required=True)


class BankAccountsOut(Schema):
    items = fields.List(fields.Nested(BankAccountOut), required=True)
    next = fields.String(allow_none=True, required=True)


class UserIn(InSchema):
    username = fields.String(required=True, validate=validate.Length(1, 64))
    name = text(100)
    password = _secret(1000)
    organisation_id = fields.UUID(required=True)
    role = fields.Enum(Role, by_value=True, required=True)


class RoleIn(InSchema):
    role = fields.Enum(Role, by_value=True, required=True)


class UserOut(Schema):
    id = fields.String(required=True)
    username = fields.String(required=True)
    name = fields.String(required=True)
    organisation_id = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    second_factor = fields.Boolean(required=True)
    disabled_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True)


class ResetOut(Schema):
    """`state`: waiting (a second administrator has to confirm within a day) or done."""

    user_id = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["waiting", "done"]))


class OrganisationArgs(PageArgs):
    kind = fields.Enum(OrganisationKind, by_value=True, load_default=None)

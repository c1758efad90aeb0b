"""Organisations, their payers and bank accounts, users, sessions and tokens; the regions they stand in."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.actors import Role
from marketplace.database import Base, choice, uuid_pk


class OrganisationKind(StrEnum):
    AGENCY = "agency"
    STATE_FIRM = "state_firm"
    FINANCIAL = "financial"
    UNION = "union"
    SELLER = "seller"
    CONTRACTOR = "contractor"
    CHANNEL = "channel"
    SOCIAL_BUYER = "social_buyer"
    OFFICE = "office"
    LAB = "lab"
    CARRIER = "carrier"


class CanteenMode(StrEnum):
    OWN = "own"
    NONE = "none"
    SHARED = "shared"
    OUTSOURCED = "outsourced"


class Purpose(StrEnum):
    CANTEEN = "canteen"
    UNION = "union"
    CONDOLENCE = "condolence"
    PERSONAL = "personal"
    SOCIAL = "social"
    RESALE = "resale"


class BankAccountState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    REPLACED = "replaced"


class Region(Base):
    """A city, county or district by its GB/T 2260 code; townships have nine digits (`Township`)."""

    __tablename__ = "region"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(sa.ForeignKey("region.code"))
    former_code: Mapped[str | None]
    tianjin_district_code: Mapped[str | None]
    pinyin_key: Mapped[str]


class Township(Base):
    __tablename__ = "township"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    county_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"), index=True)


class Organisation(Base):
    """A legal subject. `name`, `parent_id` are today's; `OrganisationHistory` keeps what they were."""

    __tablename__ = "organisation"

    id: Mapped[uuid_pk]
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    pinyin_key: Mapped[str]
    kind: Mapped[OrganisationKind] = choice(OrganisationKind, "organisation_kind")
    subkind: Mapped[str | None]
    credit_code: Mapped[str | None] = mapped_column(unique=True)
    region_code: Mapped[str] = mapped_column(sa.ForeignKey("region.code"), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    level: Mapped[str | None]
    counts_in_city: Mapped[bool] = mapped_column(default=False)
    canteen_mode: Mapped[CanteenMode | None] = choice(CanteenMode, "canteen_mode", nullable=True)
    # Shared: the representative that declares. Outsourced: the contractor that buys.
    canteen_partner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    address: Mapped[str | None]
    admitted_on: Mapped[date | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class OrganisationHistory(Base):
    """Name and parent from a day on (扶贫办 became 乡村振兴局); the newest row equals the organisation."""

    __tablename__ = "organisation_history"
    __table_args__ = (sa.UniqueConstraint("organisation_id", "valid_from"),)

    id: Mapped[uuid_pk]
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    name: Mapped[str]
    parent_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"))
    valid_from: Mapped[date]


class Canteen(Base):
    """A kitchen. Its agency's declaration decides which agency its purchases count for."""

    __tablename__ = "canteen"
    __table_args__ = (sa.UniqueConstraint("organisation_id", "name"),)

    id: Mapped[uuid_pk]
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"))
    name: Mapped[str]
    address: Mapped[str | None]


class PayerProfile(Base):
    """付款主体: who pays and whose name the invoice carries, for a purpose of an organisation."""

    __tablename__ = "payer_profile"

    id: Mapped[uuid_pk]
    code: Mapped[str] = mapped_column(unique=True)
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    purpose: Mapped[Purpose] = choice(Purpose, "payer_purpose")
    legal_name: Mapped[str]
    credit_code: Mapped[str]
    invoice_title: Mapped[str]
    tax_number: Mapped[str]
    bank_name: Mapped[str]
    bank_branch_number: Mapped[str]
    bank_account: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)


class BankAccount(Base):
    """A payee's account. A change is proposed by one person, approved by another, and waits 24 hours."""

    __tablename__ = "bank_account"
    __table_args__ = (
        sa.Index(
            "uq_bank_account_active",
            "organisation_id",
            unique=True,
            postgresql_where=sa.text("state = 'active'"),
        ),
    )

    id: Mapped[uuid_pk]
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    account_name: Mapped[str]
    bank_name: Mapped[str]
    bank_branch_number: Mapped[str]
    account_number: Mapped[str]
    state: Mapped[BankAccountState] = choice(BankAccountState, "bank_account_state")
    proposed_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    approved_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    effective_at: Mapped[datetime]


class User(Base):
    """A person who signs in. `auth_version` kills every session and token when it rises."""

    __tablename__ = "app_user"

    id: Mapped[uuid_pk]
    username: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    organisation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    role: Mapped[Role] = choice(Role, "user_role")
    auth_version: Mapped[int] = mapped_column(default=1)
    # Given by an administrator: good for nothing but choosing another one.
    password_initial: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    # Encrypted with FIELD_KEY; None until the second factor is set up.
    totp_secret: Mapped[bytes | None]
    totp_enabled_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class UserLogin(Base):
    """What a sign-in moves: the last time step whose code was used, so that no code works twice."""

    __tablename__ = "app_user_login"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), primary_key=True)
    totp_last_step: Mapped[int] = mapped_column(default=0)
    signed_in_at: Mapped[datetime]


class SecondFactorReset(Base):
    """One administrator asks, another one confirms within a day: nobody takes over an account alone."""

    __tablename__ = "second_factor_reset"

    id: Mapped[uuid_pk]
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), index=True)
    asked_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    asked_at: Mapped[datetime]
    done_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    done_at: Mapped[datetime | None]


class RecoveryCode(Base):
    __tablename__ = "recovery_code"

    id: Mapped[uuid_pk]
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), index=True)
    digest: Mapped[bytes]
    used_at: Mapped[datetime | None]


class AccessToken(Base):
    """A bearer token of a user; only its SHA-256 is kept."""

    __tablename__ = "access_token"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), index=True)
    auth_version: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class WebSession(Base):
    """A browser session, kept on the server; only the SHA-256 of its id is stored."""

    __tablename__ = "web_session"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"), index=True)
    auth_version: Mapped[int]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Throttle(Base):
    """A guarded counter per key and window (sign-in tries, request rates): right over all workers."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]


class IdempotencyKey(Base):
    """The stored answer of a request, kept 30 days; written in the transaction of its effect."""

    __tablename__ = "idempotency_key"

    principal_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    body: Mapped[bytes]
    headers: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    created_at: Mapped[datetime] = mapped_column(index=True)

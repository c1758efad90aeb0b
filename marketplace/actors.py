"""Who acts, and what each role may ever do. Absent means denied; state is never part of a permission."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from uuid import UUID

from marketplace.errors import Forbidden, Unauthenticated


class Door(StrEnum):
    """The way by which an act came in; it stands on every fact."""

    WEB = "web"
    API = "api"
    PARTNER = "partner"
    JOB = "job"
    IMPORT = "import"
    CLI = "cli"


class Role(StrEnum):
    BUYER = "buyer"
    MANAGER = "manager"
    CONTRACTOR_BUYER = "contractor_buyer"
    SELLER = "seller"
    POVERTY_OFFICE = "poverty_office"
    FINANCE_REVIEWER = "finance_reviewer"
    SETTLEMENT_CLERK = "settlement_clerk"
    MARKET_REGULATOR = "market_regulator"
    CHANNEL_PARTNER = "channel_partner"
    PLATFORM_ADMIN = "platform_admin"


class Permission(StrEnum):
    """resource:action. The Chinese names stand in the README's table."""

    ACCOUNT_OWN = "account:own"
    USER_MANAGE = "user:manage"
    ORGANISATION_MANAGE = "organisation:manage"
    POLICY_MANAGE = "policy:manage"
    DOCUMENT_UPLOAD = "document:upload"
    DOCUMENT_READ = "document:read"
    PRODUCT_EDIT = "product:edit"
    PRODUCT_RECOGNISE = "product:recognise"
    LOT_READ = "lot:read"
    LOT_EDIT = "lot:edit"
    LOT_HOLD = "lot:hold"
    INSPECTION_RECORD = "inspection:record"
    STOCK_MOVE = "stock:move"
    TRACE_PRIVATE = "trace:private"
    PURCHASE_SUBMIT = "purchase:submit"
    PURCHASE_READ = "purchase:read"
    PURCHASE_DECIDE = "purchase:decide"
    PURCHASE_CANCEL = "purchase:cancel"
    ORDER_READ = "order:read"
    ORDER_CONFIRM = "order:confirm"
    ORDER_SHIP = "order:ship"
    ORDER_CANCEL = "order:cancel"
    ORDER_RETURN = "order:return"
    ORDER_ACCEPT = "order:accept"
    ORDER_EVALUATE = "order:evaluate"
    INVOICE_ISSUE = "invoice:issue"
    INVOICE_READ = "invoice:read"
    INVOICE_CHECK = "invoice:check"
    PAYMENT_OPEN = "payment:open"
    PAYMENT_READ = "payment:read"
    PAYMENT_CONFIRM = "payment:confirm"
    PAYMENT_UPHOLD = "payment:uphold"
    RECEIPT_RECORD = "receipt:record"
    DECLARATION_FILE = "declaration:file"
    DECLARATION_READ = "declaration:read"
    DECLARATION_REVIEW = "declaration:review"
    QUOTA_READ = "quota:read"
    PERIOD_CLOSE = "period:close"
    JOURNAL_READ = "journal:read"
    # A channel's own: its keys by its people; the others by a key whose scopes cover them.
    CHANNEL_KEYS = "channel:keys"
    CHANNEL_CATALOGUE = "channel:catalogue"
    CHANNEL_ORDER = "channel:order"
    CHANNEL_SALES = "channel:sales"
    CHANNEL_STATEMENTS = "channel:statements"
    CHANNEL_EVENTS = "channel:events"
    # Agreements, pairs and assortments are the poverty office's.
    CHANNEL_MANAGE = "channel:manage"
    # Acts of the system itself: jobs, import of reference data, sealing.
    SYSTEM = "system:run"


_P = Permission
_EVERYONE = {_P.ACCOUNT_OWN, _P.DOCUMENT_UPLOAD, _P.DOCUMENT_READ, _P.JOURNAL_READ}
_BUYS = {
    _P.PURCHASE_SUBMIT, _P.PURCHASE_READ, _P.PURCHASE_CANCEL, _P.ORDER_READ, _P.ORDER_CANCEL, _P.ORDER_ACCEPT,
    _P.ORDER_EVALUATE, _P.INVOICE_READ, _P.INVOICE_CHECK, _P.PAYMENT_OPEN, _P.PAYMENT_READ,
}  # fmt: skip

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.BUYER: frozenset(_EVERYONE | _BUYS),
    Role.CONTRACTOR_BUYER: frozenset(_EVERYONE | _BUYS),
    # The management account declares and approves and sees its subordinates; buying is the trading account's.
    Role.MANAGER: frozenset(
        _EVERYONE
        | {_P.PURCHASE_READ, _P.PURCHASE_DECIDE, _P.ORDER_READ, _P.INVOICE_READ, _P.PAYMENT_READ}
        | {_P.DECLARATION_FILE, _P.DECLARATION_READ, _P.QUOTA_READ}
    ),
    Role.SELLER: frozenset(
        _EVERYONE
        | {_P.PRODUCT_EDIT, _P.LOT_READ, _P.LOT_EDIT, _P.STOCK_MOVE, _P.TRACE_PRIVATE}
        | {_P.ORDER_READ, _P.ORDER_CONFIRM, _P.ORDER_SHIP, _P.ORDER_CANCEL, _P.ORDER_RETURN}
        | {_P.INVOICE_ISSUE, _P.INVOICE_READ, _P.PAYMENT_READ, _P.PAYMENT_CONFIRM}
    ),
    Role.POVERTY_OFFICE: frozenset(
        _EVERYONE
        | {_P.PRODUCT_RECOGNISE, _P.LOT_READ, _P.TRACE_PRIVATE, _P.ORDER_READ, _P.PAYMENT_READ, _P.PAYMENT_UPHOLD}
        | {_P.DECLARATION_READ, _P.QUOTA_READ, _P.PERIOD_CLOSE, _P.POLICY_MANAGE, _P.PURCHASE_READ, _P.INVOICE_READ}
        | {_P.CHANNEL_MANAGE}
    ),
    Role.FINANCE_REVIEWER: frozenset(
        _EVERYONE | {_P.DECLARATION_READ, _P.DECLARATION_REVIEW, _P.QUOTA_READ, _P.ORDER_READ, _P.PAYMENT_READ}
    ),
    Role.SETTLEMENT_CLERK: frozenset(_EVERYONE | {_P.RECEIPT_RECORD, _P.PAYMENT_READ}),
    Role.MARKET_REGULATOR: frozenset(
        _EVERYONE | {_P.LOT_READ, _P.LOT_HOLD, _P.INSPECTION_RECORD, _P.TRACE_PRIVATE}
    ),
    Role.CHANNEL_PARTNER: frozenset(
        _EVERYONE
        | {_P.CHANNEL_KEYS, _P.CHANNEL_CATALOGUE, _P.CHANNEL_ORDER, _P.CHANNEL_SALES, _P.CHANNEL_STATEMENTS}
        | {_P.CHANNEL_EVENTS, _P.PURCHASE_READ, _P.ORDER_READ, _P.ORDER_ACCEPT, _P.INVOICE_READ, _P.INVOICE_CHECK}
        | {_P.PAYMENT_OPEN, _P.PAYMENT_READ}
    ),
    Role.PLATFORM_ADMIN: frozenset(_EVERYONE | {_P.USER_MANAGE, _P.ORGANISATION_MANAGE}),
}  # fmt: skip


@dataclass(frozen=True)
class Actor:
    """One who acts: a signed-in user, the system, or nobody. Plain data, safe to keep after its session ended."""

    user_id: UUID | None
    username: str | None
    organisation_id: UUID | None
    organisation_kind: str | None
    region_code: str | None
    role: Role | None
    permissions: frozenset[Permission]
    door: Door
    # Organisations whose rows it sees besides its own: a management account its subordinate units, a county's office
    # those of its county. An office of the city sees all and has none here.
    subordinate_ids: frozenset[UUID] = field(default=frozenset())

    @property
    def of_county(self) -> bool:
        """An office whose region is a county: codes of cities and provinces end in 00 (GB/T 2260)."""
        return self.organisation_kind == "office" and not (self.region_code or "00").endswith("00")

    def can(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raises Unauthenticated (`unauthenticated`) for nobody, Forbidden (`forbidden`) for a role without it."""
        if permission in self.permissions:
            return
        if self.user_id is None and not self.permissions:
            raise Unauthenticated
        raise Forbidden(permission=permission.value)

    @property
    def principal(self) -> UUID:
        """Scope of idempotency keys and limits. Raises Unauthenticated for nobody."""
        if self.user_id is None:
            raise Unauthenticated
        return self.user_id


@cache
def anonymous(door: Door = Door.API) -> Actor:
    return Actor(None, None, None, None, None, None, frozenset(), door)


def system(door: Door = Door.JOB) -> Actor:
    """The system acting for itself: every permission, no user; its acts stand in the journal under its door."""
    return Actor(None, "system", None, None, None, None, frozenset(Permission), door)

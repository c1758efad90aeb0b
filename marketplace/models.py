"""Every table, imported once so that the metadata is whole (migrations, drift test)."""

from marketplace.accounts import models as accounts
from marketplace.catalog import models as catalog
from marketplace.channels import consignment_models, statement_models, webhook_models
from marketplace.channels import models as channels
from marketplace.documents import models as documents
from marketplace.journal import models as journal
from marketplace.notices import models as notices
from marketplace.orders import models as orders
from marketplace.payments import models as payments
from marketplace.policies import models as policies
from marketplace.quota import models as quota
from marketplace.trace import models as trace

__all__ = [
    "accounts", "catalog", "channels", "consignment_models", "documents", "journal", "notices", "orders", "payments",
    "policies", "quota", "statement_models", "trace", "webhook_models",
]  # fmt: skip

"""Acts on accounts, documents, the journal and policies."""

from __future__ import annotations

import itertools
from typing import Any

from tests.conftest import PASSWORD
from tests.matrix.acts import (
    ACTS,
    BUYING,
    COUNTY,
    OFFICE,
    PRINCIPAL,
    SELLER,
    Prepared,
    act,
    given,
)  # fmt: skip
from tests.matrix.tenant import Tenant, day

# Accounts.


@act("accounts.create_token", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body={"username": t.world.fresh_user()[0], "password": PASSWORD})


@act("accounts.end_token", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0])


@act("accounts.change_password", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        user=t.world.fresh_user()[0],
        body={"current_password": PASSWORD, "new_password": "another-password-2026"},
    )


@act("accounts.sign_out_everywhere", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0])


@act("accounts.enrol_second_factor", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0], body={"current_password": PASSWORD})


@act("accounts.confirm_second_factor", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    fresh, _ = t.world.fresh_user()
    return Prepared(user=fresh, body={"otp": t.world.second_factor(fresh)})


@act("accounts.propose_bank_account", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.bank_account_body())


@act("accounts.approve_bank_account", by="seller", sees=SELLER, after=lambda t, p, r: t.bank_account())
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"account_id": t.bank_account()})


@act("accounts.add_user", by="platform.admin")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        body={"username": f"made{t.world.number()}", "name": "某某", "password": PASSWORD,
              "organisation_id": t.seller_id, "role": "seller"}
    )  # fmt: skip


def _disable(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post("platform.admin", f"/users/{p.params['user_id']}/disable")


@act(
    "accounts.set_role", by="platform.admin", sees=OFFICE, changed=given(role="market_regulator"), after=_disable
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    fresh = t.world.fresh_user("poverty_office", "ORG-OFF-POV")[1]
    return Prepared({"user_id": fresh}, {"role": "finance_reviewer"})


@act("accounts.disable_user", by="platform.admin", sees=OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"user_id": t.world.fresh_user()[1]})


@act("accounts.reset_second_factor", by="platform.admin", sees=OFFICE, after=_disable)
def _(t: Tenant, user: str) -> Prepared:
    name, fresh = t.world.fresh_user()
    t.world.second_factor(name)
    return Prepared({"user_id": fresh})


# Documents and the journal: everybody has some of his own.


@act("documents.store_document", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(form={"kind": "other", "file": t.world.file(f"file {t.world.number()}")})


@act("documents.show_document", by="seller", sees=SELLER | COUNTY, personal=True)
def _(t: Tenant, user: str) -> Prepared:
    """Tenants' words are in their own files only."""
    words = t.word("file") if user == t.seller else "own file"
    return Prepared({"document_id": t.kept(f"document {user}", lambda: t.world.upload(user, "other", words))})


ACTS["documents.send_document"] = ACTS["documents.show_document"]


@act(
    "journal.show_proof", by="buyer", personal=True,
    sees=BUYING | PRINCIPAL | {"office:poverty_office", "office:finance_reviewer"},
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    def seal() -> int:
        if user != t.buyer:
            t.world.upload(user, "other", "own file")
            t.world.seal()
            return t.world.first_fact(user)
        bought = t.purchase()["id"]
        t.world.seal()
        return int(
            t.world.one(
                "select seq from seal join fact on fact.id = fact_id where kind = 'purchase.submitted'"
                " and subject_id = %s",
                bought,
            )
        )

    return Prepared({"seq": t.kept(f"proof {user}", seal)})


@act("journal.show_consistency", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    def sizes() -> tuple[int, int]:
        t.upload("other")
        t.world.seal()
        first = t.world.one("select max(tree_size) from checkpoint")
        t.upload("other")
        t.world.seal()
        return first, t.world.one("select max(tree_size) from checkpoint")

    old, new = t.kept("sizes", sizes)
    return Prepared({"size": new}, query={"from": old})


# Policies.


@act("policies.set_policy", by="county.office", changed=given(title="另一条"))
def _(t: Tenant, user: str) -> Prepared:
    number = t.world.number()
    return Prepared(
        body={"key": "late_interest_bp_per_day", "value": 5, "valid_from": day(400 + number), "title": "逾期利息",
              "source": f"通知{number}"}
    )  # fmt: skip


# Years before the first rule, each once.
_ELIGIBLE = itertools.product(("620802", "620821", "620822", "620823", "620825", "620826"), range(2000, 2019))


@act("policies.set_eligibility", by="county.office", changed=given(source="另一份通知"))
def _(t: Tenant, user: str) -> Prepared:
    county, year = next(_ELIGIBLE)
    return Prepared(body={"county_code": county, "from_year": year, "to_year": year, "source": "通知"})

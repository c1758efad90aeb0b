"""The two languages: every marked text has its English one, and no template holds Chinese that is not marked."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from marketplace.web.language import FOLDER
from marketplace.web.words import LOOKS, WORDS

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = sorted((ROOT / "marketplace" / "templates").rglob("*.html"))
CHINESE = re.compile(r"[\u3400-\u9fff]")
# Papers of machines: they are Chinese alone.
ALONE = {"web/docs.html", "web/problems.html"}
MARKS = {"_", "gettext", "ngettext", "N_"}
translations = runpy.run_path(str(ROOT / "script" / "translations"), run_name="translations")


def test_every_marked_text_has_its_english_one() -> None:
    assert translations["missing"]() == {}


def test_placeholders_are_the_same_in_both_languages() -> None:
    form = re.compile(r"%\((\w+)\)[sd]")
    wrong = [
        chinese
        for chinese, english in translations["translated"]().items()
        if sorted(set(form.findall(chinese))) != sorted(set(form.findall(english)))
    ]
    assert wrong == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.relative_to(p.parents[1]).as_posix())
def test_no_template_holds_chinese_outside_marks(path: Path) -> None:
    if path.relative_to(ROOT / "marketplace" / "templates").as_posix() in ALONE:
        return
    parsed = Environment(extensions=["jinja2.ext.i18n"]).parse(path.read_text("utf-8"))
    marked = {
        id(argument)
        for call in parsed.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in MARKS
        for argument in call.args
    }
    # What a macro is called around is an example to copy, the same in every language.
    examples = {
        id(text) for block in parsed.find_all(nodes.CallBlock) for text in block.find_all(nodes.TemplateData)
    }
    texts = [text.data for text in parsed.find_all(nodes.TemplateData) if id(text) not in examples]
    texts += [
        c.value for c in parsed.find_all(nodes.Const) if isinstance(c.value, str) and id(c) not in marked
    ]
    left = [
        re.sub(r'<[^<>]*lang="zh-Hans"[^<>]*>[^<]*(?:<small[^>]*>[^<]*</small>)?', "", text) for text in texts
    ]
    assert [text.strip() for text in left if CHINESE.search(text)] == []


def test_every_catalogue_is_read() -> None:
    assert {p.suffix for p in FOLDER.rglob("*") if p.is_file()} == {".po"}


def test_looks_belong_to_words_that_exist() -> None:
    for family, looks in LOOKS.items():
        assert set(looks) <= set(WORDS[family])
        assert set(looks.values()) <= {"go", "act", "done", "bad"}


def test_every_state_of_the_house_has_its_word() -> None:
    from marketplace.accounts.models import BankAccountState, CanteenMode, OrganisationKind, Purpose
    from marketplace.actors import Role
    from marketplace.catalog.models import LotState, MovementKind, PlaceKind, PricedBy
    from marketplace.catalog.states import ProductState
    from marketplace.documents.models import DocumentKind
    from marketplace.orders.states import (
        EvaluationState,
        InvoiceState,
        OrderState,
        PaymentState,
        PurchaseState,
    )
    from marketplace.payments.states import InvoiceKind, PaymentDocState, PaymentMethod
    from marketplace.quota.grouping import By
    from marketplace.quota.ledger import EntryKind
    from marketplace.quota.states import DeclarationState
    from marketplace.trace.models import CertificateKind, HoldCause

    families = {
        "role": Role, "organisation_kind": OrganisationKind, "canteen_mode": CanteenMode, "purpose": Purpose,
        "product_state": ProductState, "lot_state": LotState, "movement_kind": MovementKind,
        "certificate_kind": CertificateKind, "hold_cause": HoldCause, "purchase_state": PurchaseState,
        "order_state": OrderState, "invoice_state": InvoiceState, "invoice_kind": InvoiceKind,
        "payment_state": PaymentState, "payment_document_state": PaymentDocState, "payment_method": PaymentMethod,
        "evaluation_state": EvaluationState, "declaration_state": DeclarationState, "quota_by": By,
        "entry_kind": EntryKind, "document_kind": DocumentKind, "place_kind": PlaceKind, "priced_by": PricedBy,
        "bank_account_state": BankAccountState,
    }  # fmt: skip
    for family, codes in families.items():
        assert {code.value for code in codes} <= set(WORDS[family]), family

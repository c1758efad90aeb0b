"""Products, growers, lots with their papers and samples, and which of them are on sale.

What people did with a row after it was loaded stands: a lot that was ever released or held isn't moved again.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from marketplace.actors import Actor
from marketplace.catalog import service as catalog
from marketplace.catalog.models import LotState
from marketplace.catalog.states import ProductState
from marketplace.clock import today
from marketplace.documents import service as documents
from marketplace.documents.models import Document
from marketplace.seeding.owned import lot_ids, own_growers, own_lots, own_products
from marketplace.seeding.reading import (
    Act,
    Row,
    ago,
    day,
    flag,
    found,
    importer,
    keys,
    number,
    rows,
    specimen,
    text,
    whole,
)
from marketplace.seeding.reference import organisation_ids
from marketplace.trace import service as trace
from marketplace.trace.models import Inspection, LotCertificate, LotHold
from marketplace.unit_of_work import UNREAD

SPECIMEN_NAME = "演示用证明文件.pdf"
HOLD_REASON = "供应商复核库存，暂停销售"
# Where a product stands before the step that is named by the state its row asks for.
_BEFORE = {"submitted": ProductState.DRAFT, "recognised": ProductState.SUBMITTED}


def _for_seller(seller_id: UUID) -> Actor:
    """The import, acting in a seller's name: so that a hold is the seller's own."""
    return replace(importer(), organisation_id=seller_id)


def products() -> list[Act]:
    ids = organisation_ids()
    known = {row.sku for row in own_products()}
    marks: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows("product_certifications"):
        mark = {"scheme": row["scheme"], "number": row["number"], "valid_until": day(row, "valid_until")}
        marks[row["sku"]].append(mark)
    return [
        partial(
            catalog.add_product,
            importer(),
            _wish(row, marks[row["sku"]]),
            seller_id=ids[text(row, "seller_code")],
            once=UNREAD,
        )
        for row in rows("products")
        if row["sku"] not in known
    ]


def _wish(row: Row, marks: list[dict[str, Any]]) -> catalog.ProductWish:
    steps = [step.split(":") for step in text(row, "ladder").split()]
    return catalog.ProductWish(
        sku=text(row, "sku"),
        family=text(row, "family"),
        name=text(row, "name"),
        spec=text(row, "spec"),
        category_code=text(row, "category_code"),
        county_code=text(row, "county_code"),
        pack_unit=text(row, "pack_unit"),
        net_g=whole(row, "net_g"),
        priced_by=text(row, "priced_by"),
        min_order_quantity=whole(row, "min_order_quantity"),
        order_multiple=whole(row, "order_multiple"),
        ladder=[(int(minimum), int(price)) for minimum, price in steps],
        shelf_life_days=number(row, "shelf_life_days"),
        storage=text(row, "storage"),
        tax_category=row["tax_category"],
        gtin=row["gtin"],
        season=row["season"],
        description=row["description"],
        certifications=marks,
    )


def submissions() -> list[Act]:
    """Every product of the seed goes to the office, unless it went there before."""
    states = {row.sku: (row.id, row.state) for row in own_products()}
    return [
        partial(catalog.submit_product, importer(), states[text(row, "sku")][0], once=UNREAD)
        for row in rows("products")
        if row["state"] in _BEFORE and states[text(row, "sku")][1] is ProductState.DRAFT
    ]


def recognitions() -> list[Act]:
    states = {row.sku: (row.id, row.state) for row in own_products()}
    return [
        partial(catalog.recognise_product, importer(), states[text(row, "sku")][0], once=UNREAD)
        for row in rows("products")
        if row["state"] == "recognised" and states[text(row, "sku")][1] is ProductState.SUBMITTED
    ]


def growers() -> list[Act]:
    ids = organisation_ids()
    known = own_growers()
    return [
        partial(
            trace.add_grower,
            importer(),
            code=text(row, "code"),
            name=text(row, "name"),
            township_code=text(row, "township_code"),
            village=text(row, "village"),
            household_code=row["household_code"],
            poverty_household=flag(row, "poverty_household"),
            seller_id=ids[text(row, "seller_code")],
        )
        for row in rows("growers")
        if row["code"] not in known
    ]


def lots() -> list[Act]:
    """Batches of recognised products; a product that waits for the office gets its batches once it is recognised."""
    known = lot_ids()
    grower_ids = own_growers()
    ready = {row.sku: row for row in own_products() if row.state is ProductState.RECOGNISED}
    origins: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows("origins"):
        grower = row["grower_code"]
        origins[row["lot_code"]].append(
            {
                "township_code": row["township_code"],
                "village": row["village"],
                "plot": row["plot"],
                "grower_id": None if grower is None else grower_ids[grower],
                "weight_g": number(row, "weight_g"),
                "paid_fen": number(row, "paid_fen"),
            }
        )
    return [
        partial(
            trace.add_lot,
            importer(),
            product_id=ready[row["sku"]].id,
            quantity=whole(row, "quantity"),
            harvested_on=ago(row, "harvested_days_ago", today()),
            origins=origins[row["code"]],
            code=text(row, "code"),
            seller_id=ready[row["sku"]].seller_id,
            once=UNREAD,
        )
        for row in rows("lots")
        if row["code"] not in known and row["sku"] in ready
    ]


def certificate_files() -> list[Act]:
    """One specimen for each seller that files a paper."""
    ids = organisation_ids()
    sellers = {row["code"]: row for row in rows("organisations")}
    products_sellers = {row["sku"]: row["seller_code"] for row in rows("products")}
    lot_skus = {row["code"]: row["sku"] for row in rows("lots")}
    codes = sorted({text({"s": products_sellers[lot_skus[row["lot_code"]]]}, "s") for row in _papers()})
    known = _specimens()
    return [
        partial(
            documents.store_document,
            importer(),
            kind="certificate",
            filename=SPECIMEN_NAME,
            content=specimen(text(sellers[code], "name")),
            organisation_id=ids[code],
        )
        for code in codes
        if ids[code] not in known
    ]


def _papers() -> list[Row]:
    return rows("lot_certificates")


def _specimens() -> dict[UUID, UUID]:
    stored = found(Document.organisation_id, Document.id, Document.filename)
    return {row.organisation_id: row.id for row in stored if row.filename == SPECIMEN_NAME}


def certificates() -> list[Act]:
    lot_rows = {row.code: row for row in own_lots()}
    known = {
        (row.lot_id, row.kind.value, row.number)
        for row in found(LotCertificate.lot_id, LotCertificate.kind, LotCertificate.number)
    }
    files = _specimens()
    acts: list[Act] = []
    for row in _papers():
        lot = lot_rows.get(row["lot_code"])
        if lot is None or (lot.id, row["kind"], row["number"]) in known:
            continue
        issued_on = ago(row, "issued_days_ago", today())
        valid_days = number(row, "valid_days")
        acts.append(
            partial(
                trace.certify_lot,
                importer(),
                lot.id,
                kind=text(row, "kind"),
                issued_on=issued_on,
                document_id=files[lot.seller_id],
                number=row["number"],
                valid_until=None if valid_days is None else issued_on + timedelta(days=valid_days),
                quantity=number(row, "quantity"),
                once=UNREAD,
            )
        )
    return acts


def inspections() -> list[Act]:
    """Samples of lots and of campaigns; a sample's number is made of what its row names, for the file has none."""
    ids = lot_ids()
    known = {tuple(row) for row in found(Inspection.campaign, Inspection.sample_number)}
    seen: Counter[str] = Counter()
    acts: list[Act] = []
    for row in rows("inspections"):
        subject = row["lot_code"] or f"{text(row, 'county_code')}-{text(row, 'product_name')}"
        seen[subject] += 1
        sample_number = f"{subject}-{seen[subject]}"
        campaign = text(row, "campaign")
        lot_code = row["lot_code"]
        if (campaign, sample_number) in known or (lot_code is not None and lot_code not in ids):
            continue
        said: dict[str, Any] = {
            "sampled_on": day(row, "sampled_on") or ago(row, "sampled_days_ago", today()),
            "items": json.loads(text(row, "items")),
            "passed": flag(row, "passed"),
            "campaign": campaign,
            "sample_number": sample_number,
        }
        if lot_code is not None:
            acts.append(partial(trace.inspect_lot, importer(), ids[lot_code], **said, once=UNREAD))
        else:
            place = {"county_code": text(row, "county_code"), "product_name": text(row, "product_name")}
            acts.append(partial(trace.add_inspection, importer(), **place | said))
    return acts


def releases() -> list[Act]:
    """Lots that are on sale, and those that were before they were held; never one that a failed sample holds."""
    wanted = {row["code"] for row in rows("lots") if row["state"] in ("released", "held")}
    return [
        partial(trace.release_lot, importer(), row.id, once=UNREAD)
        for row in own_lots()
        if row.code in wanted and row.state is LotState.DRAFT and row.released_at is None
    ]


def holds() -> list[Act]:
    wanted = {row["code"] for row in rows("lots") if row["state"] == "held"}
    held_before = keys(LotHold.lot_id)
    return [
        partial(trace.hold_lot, _for_seller(row.seller_id), row.id, reason=HOLD_REASON, once=UNREAD)
        for row in own_lots()
        if row.code in wanted and row.state is LotState.RELEASED and row.id not in held_before
    ]

"""Numbers that people read: a series and a year, such as CG-2026-000123. Unique, gaps allowed."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session


class Series(StrEnum):
    PURCHASE = "CG"  # 采购单; its orders are CG-2026-000123-1, -2 …
    SHIPMENT = "FH"  # 发货单
    PAYMENT = "FK"  # 付款单
    STATEMENT = "JS"  # 结算单
    CONSIGNMENT = "SH"  # 送货单


def next_number(session: Session, series: Series, year: int) -> str:
    drawn = session.execute(
        sa.text("select next_number(:series, :year)"), {"series": series.value, "year": year}
    ).scalar_one()
    return f"{series.value}-{year}-{drawn:06d}"

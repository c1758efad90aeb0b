"""代销送货单: what a seller sends to a channel's shop, to be counted and signed at its door."""

from __future__ import annotations

from typing import Any

from marketplace.clock import business_day
from marketplace.papers.sheet import Column, Sheet, Sign
from marketplace.trace.codes import shown
from marketplace.values import kilograms


def consignment_note(view: dict[str, Any], address: str) -> Sheet:
    """One copy for each side; the shop writes beside each lot what arrived well."""
    lines = view["lines"]
    rows = [
        (
            str(n), f"{line['name']} {line['spec']}", shown(line["trace_code"]), line["best_before"].isoformat(),
            line["pack_unit"], f"{line['quantity']:,}", kilograms(line["quantity"] * line["net_g"]),
            "" if line["accepted_quantity"] is None else f"{line['accepted_quantity']:,}",
        )
        for n, line in enumerate(lines, start=1)
    ]  # fmt: skip
    packs = sum(line["quantity"] for line in lines)
    grams = sum(line["quantity"] * line["net_g"] for line in lines)
    return Sheet(
        title="代销送货单",
        facts=[
            ("送货单号", view["number"]), ("送货日期", business_day(view["sent_at"]).isoformat()),
            ("供货单位", view["seller"]["name"]), ("代销单位", view["channel"]["name"]),
            ("收货门店", view["shop"]["name"]), ("送货人", ""),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 20), Column("批次追溯码", 16, "code"),
            Column("保质期到", 11, "centre"), Column("单位", 6, "centre"), Column("送货件数", 9, "number"),
            Column("净重（公斤）", 10, "number"), Column("完好实收", 9, "number"),
        ],
        rows=rows,
        total=("合计", "", "", "", "", f"{packs:,}", kilograms(grams), ""),
        remarks=["代销货物卖出以前归供货单位。请逐批点数，完好实收的件数在平台上接收，其余退还供货单位。"],
        signs=[
            Sign("供货单位", ("发货人", "送货人"), "单位盖章"),
            Sign("代销单位", ("收货人", "收货时间"), "单位盖章"),
        ],
        foot="本单一式两联：供货单位、代销单位各一联。",
        address=address,
    )  # fmt: skip

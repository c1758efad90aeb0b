"""The summary as a spreadsheet: every cell has its type, so that a name can never become a formula."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import xlsxwriter

from marketplace.clock import SHANGHAI
from marketplace.quota.grouping import WITH_RESERVE, By

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KEY_NAMES = {
    By.AGENCY: "预算单位",
    By.DEPARTMENT: "主管部门",
    By.ORIGIN_COUNTY: "产地县",
    By.BUYER_COUNTY: "采购单位所在县",
    By.CATEGORY: "品类",
    By.PURPOSE: "用途",
    By.MONTH: "月份",
}
_COUNTS = {"agencies": "单位数", "declared": "已审核填报数", "missing": "未填报数"}
_AMOUNTS = {
    "reserve_fen": "预留份额",
    "ordered_fen": "已确认订单",
    "accepted_fen": "已验收",
    "paid_fen": "已付款",
    "evaluated_fen": "已评价",
    "counted_fen": "计入金额",
}
_ONLY_WITH_RESERVE = frozenset({"declared", "missing", "reserve_fen", "completion_bp", "rank"})


def summary_xlsx(figures: dict[str, Any]) -> bytes:
    """A workbook of one sheet from what `figures.summary` answers; amounts in 元 with two decimals.

    Title, 口径, head, rows, total. Text cells are written as text: `=1+1` in a name stays those four characters.
    """
    basis = figures["basis"]
    by = By(basis["by"])
    columns = [
        ("name", KEY_NAMES[by]),
        *_COUNTS.items(),
        *_AMOUNTS.items(),
        ("completion_bp", "完成率（%）"),
        ("rank", "排名"),
    ]
    if by not in WITH_RESERVE:
        columns = [column for column in columns if column[0] not in _ONLY_WITH_RESERVE]
    target = BytesIO()
    book = xlsxwriter.Workbook(
        target,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    sheet = book.add_worksheet("预留份额执行情况")
    title = book.add_format({"bold": True, "font_size": 14})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
    formats = {
        "yuan": book.add_format({"num_format": "#,##0.00"}),
        "percent": book.add_format({"num_format": "0.00"}),
        "count": book.add_format({"num_format": "0"}),
    }
    sheet.write_string(0, 0, f"{basis['year']}年预留份额执行情况（按{KEY_NAMES[by]}）", title)
    lines = basis_lines(basis)
    for number, line in enumerate(lines, start=1):
        sheet.write_string(number, 0, line)
    top = len(lines) + 2
    for place, (_, label) in enumerate(columns):
        sheet.write_string(top, place, label, head)
    rows = [*figures["items"], {**figures["total"], "name": "合计"}]
    for number, row in enumerate(rows, start=top + 1):
        for place, (name, _) in enumerate(columns):
            _write(sheet, number, place, name, row.get(name), formats)
    sheet.set_column(0, 0, 32)
    sheet.set_column(1, len(columns) - 1, 16)
    sheet.freeze_panes(top + 1, 1)
    book.close()
    return target.getvalue()


def basis_lines(basis: dict[str, Any]) -> list[str]:
    """口径 as lines below a title: what counts, until when, in which unit."""
    cut_off = basis["cut_off"]
    time = cut_off["time"].astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    sealed = "仅含已封存事实" if basis["sealed_only"] else "实时"
    return [
        f"计入口径：{basis['counted'] or '无'}（政策版本：{'；'.join(basis['policy_versions']) or '无'}）",
        f"截止：{time}（北京时间），日志大小 {cut_off['tree_size']}，{sealed}",
        f"范围：{basis['scope']}",
        f"单位：元；{basis['rounding']}",
    ]


def _write(sheet: Any, row: int, place: int, name: str, value: Any, formats: dict[str, Any]) -> None:
    if value is None:
        sheet.write_string(row, place, "—" if name == "completion_bp" else "")
    elif name == "name":
        sheet.write_string(row, place, value)
    elif name in _AMOUNTS or name == "completion_bp":
        # A spreadsheet knows only binary doubles; they hold every amount here to the fen.
        form = formats["percent" if name == "completion_bp" else "yuan"]
        sheet.write_number(row, place, value / 100, form)
    else:
        sheet.write_number(row, place, value, formats["count"])

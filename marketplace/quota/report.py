"""The summary as a spreadsheet: title, 口径, head, rows, total."""

from __future__ import annotations

from typing import Any

from marketplace.clock import SHANGHAI
from marketplace.quota.grouping import WITH_RESERVE, By
from marketplace.workbooks import CONTENT_TYPE as CONTENT_TYPE
from marketplace.workbooks import Column, workbook

KEY_NAMES = {
    By.AGENCY: "预算单位",
    By.DEPARTMENT: "主管部门",
    By.ORIGIN_COUNTY: "产地县",
    By.BUYER_COUNTY: "采购单位所在县",
    By.CATEGORY: "品类",
    By.PURPOSE: "用途",
    By.MONTH: "月份",
}
_COUNTS = (("agencies", "单位数"), ("declared", "已审核填报数"), ("missing", "未填报数"))
_AMOUNTS = (
    ("reserve_fen", "预留份额"),
    ("ordered_fen", "已确认订单"),
    ("accepted_fen", "已验收"),
    ("paid_fen", "已付款"),
    ("evaluated_fen", "已评价"),
    ("counted_fen", "计入金额"),
)
_ONLY_WITH_RESERVE = frozenset({"declared", "missing", "reserve_fen", "completion_bp", "rank"})


def summary_xlsx(figures: dict[str, Any]) -> bytes:
    """A workbook of one sheet from what `figures.summary` answers; amounts in 元 with two decimals."""
    basis = figures["basis"]
    by = By(basis["by"])
    columns = [
        Column("name", KEY_NAMES[by], width=32),
        *(Column(key, label, "count") for key, label in _COUNTS),
        *(Column(key, label, "yuan") for key, label in _AMOUNTS),
        Column("completion_bp", "完成率（%）", "percent", none="—"),
        Column("rank", "排名", "count"),
    ]
    if by not in WITH_RESERVE:
        columns = [column for column in columns if column.key not in _ONLY_WITH_RESERVE]
    return workbook(
        f"{basis['year']}年预留份额执行情况（按{KEY_NAMES[by]}）",
        columns,
        [*figures["items"], {**figures["total"], "name": "合计"}],
        basis_lines(basis),
        tab="预留份额执行情况",
    )


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

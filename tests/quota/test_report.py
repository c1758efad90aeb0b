"""The spreadsheet, read back from its XML: types, 口径, totals, and no formula anywhere."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile

import sqlalchemy as sa

from marketplace.actors import Permission, system
from marketplace.database import db
from marketplace.quota import figures
from marketplace.quota.grouping import By
from marketplace.quota.report import summary_xlsx
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.test_figures import approve
from tests.quota.world import City, Want

NS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def cells(content: bytes) -> list[list[str | float]]:
    """Rows of the one sheet: texts as str, numbers as float."""
    book = zipfile.ZipFile(io.BytesIO(content))
    shared = [
        "".join(t.text or "" for t in item.iter(f"{{{NS['m']}}}t"))
        for item in ET.fromstring(book.read("xl/sharedStrings.xml")).findall("m:si", NS)
    ]
    sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert sheet.findall(".//m:f", NS) == []
    rows: list[list[str | float]] = []
    for row in sheet.findall(".//m:row", NS):
        values: list[str | float] = []
        for cell in row.findall("m:c", NS):
            value = cell.find("m:v", NS)
            if value is None or value.text is None:
                values.append("")
            else:
                values.append(shared[int(value.text)] if cell.get("t") == "s" else float(value.text))
        rows.append(values)
    return rows


def test_the_spreadsheet_carries_its_rule_its_unit_and_its_total(fresh_city: City):
    city = fresh_city
    approve(city, "school", base_fen=1_000_000)
    city.trade("school", Want(113, price_fen=1_001))
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.execute(
            sa.text("update organisation set name = :name where id = :id"),
            {"name": '=HYPERLINK("http://x")', "id": city.agencies["hospital"]},
        )
        tx.record("organisation.edited", "organisation", uuid7())
    table = figures.summary(db.session(), city.poverty_office, year=2026)
    rows = cells(summary_xlsx(table))
    assert rows[0] == ["2026年预留份额执行情况（按预算单位）"]
    assert rows[1] == ["计入口径：已验收、已付款、已评价（政策版本：counted_states@2019-01-01.1）"]
    assert rows[2][0].startswith("截止：")
    assert rows[2][0].endswith("日志大小 0，实时")
    assert rows[4][0].startswith("单位：元")
    head = rows[5]
    assert head == [
        "预算单位", "单位数", "已审核填报数", "未填报数", "预留份额", "已确认订单", "已验收", "已付款", "已评价",
        "计入金额", "完成率（%）", "排名",
    ]  # fmt: skip
    assert rows[6] == ["单位school", 1, 1, 0, 1000, 1131.13, 1131.13, 1131.13, 1131.13, 1131.13, 113.11, 1]
    assert '=HYPERLINK("http://x")' in [row[0] for row in rows]
    assert rows[-1][0] == "合计"
    assert rows[-1][9] == 1131.13
    assert sum(row[9] for row in rows[6:-1]) == 1131.13


def test_a_table_by_origin_has_no_reserve_columns(fresh_city: City):
    fresh_city.trade("school", Want(1))
    table = figures.summary(db.session(), fresh_city.poverty_office, year=2026, by=By.ORIGIN_COUNTY)
    rows = cells(summary_xlsx(table))
    assert rows[5] == ["产地县", "单位数", "已确认订单", "已验收", "已付款", "已评价", "计入金额"]
    assert rows[6:] == [["静宁县", 1, 10, 10, 10, 10, 10], ["合计", 1, 10, 10, 10, 10, 10]]

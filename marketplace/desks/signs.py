"""The drawn sign of a kind of goods (示意图), for products without a photo of their own. Pure."""

from __future__ import annotations

# By the beginning of the category code; the longest that fits decides.
_BY_CATEGORY = {
    "01": "leaf", "0101": "millet", "010102": "bean", "010103": "potato", "0103": "apple", "010302": "apricot",
    "010303": "berry", "010304": "nut", "010305": "melon", "0104": "leaf", "010401": "radish",
    "010402": "cabbage", "010404": "tomato", "010405": "cucumber", "010406": "yam", "010407": "lily",
    "010408": "mushroom", "0105": "herb", "010502": "flower", "02": "beef", "0202": "chicken", "05": "bowl", "050101": "bread",
    "050102": "noodle", "050103": "flour", "0502": "beef", "050301": "juice", "050302": "crisp", "0504": "bottle",
    "09": "craft", "0902": "basket", "0903": "papercut",
}  # fmt: skip
_BY_FAMILY = {
    "梨": "pear", "烧鸡": "chicken", "鸡": "chicken", "芹菜": "celery", "萝卜": "radish-white", "辣椒": "chili",
    "党参": "root", "黄芪": "root", "柴胡": "root", "布艺": "tiger", "苹果醋": "bottle",
}  # fmt: skip


def sign_of(category_code: str, family: str = "") -> str:
    """The file below static/img, without its ending; a bowl for what has no sign of its own."""
    named = _BY_FAMILY.get(family)
    if named is not None:
        return named
    fitting = (code for code in _BY_CATEGORY if category_code.startswith(code))
    return _BY_CATEGORY[max(fitting, key=len)] if category_code[:2] in _BY_CATEGORY else "bowl"

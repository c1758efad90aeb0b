"""An amount in capital Chinese numerals (大写), as banks and finance offices want it on payment papers.

Source: 中国人民银行《正确填写票据和结算凭证的基本规定》 (an annex of 《支付结算办法》, 1997): 元 is followed by 整 when there
are no 角 and 分; after 角 the word 整 may be left out and is left out here only when 分 follow; a zero, or several in
a row, between other digits is one 零; a zero before 角 that follows 元 is written when 分 follow.
"""

from __future__ import annotations

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
GROUPS = ("", "万", "亿", "万亿")
MAX_FEN = 10**18 - 1


def in_capitals(amount_fen: int) -> str:
    """'伍仟零柒拾肆元整' for 507400. Raises ValueError for amounts below 0 or beyond 万亿."""
    if not 0 <= amount_fen <= MAX_FEN:
        raise ValueError(f"no capitals for {amount_fen}")
    yuan, rest = divmod(amount_fen, 100)
    jiao, fen = divmod(rest, 10)
    whole = f"{_whole(yuan)}元" if yuan else ""
    if not rest:
        return f"{whole or '零元'}整"
    if not jiao:
        return f"{whole}{'零' if yuan else ''}{DIGITS[fen]}分"
    # 元 that end in a zero are parted from 角 by 零 (10.30: 壹拾元零叁角整).
    gap = "零" if yuan and yuan % 10 == 0 else ""
    return f"{whole}{gap}{DIGITS[jiao]}角{DIGITS[fen] + '分' if fen else '整'}"


def _whole(number: int) -> str:
    """A whole number above 0, in groups of four digits."""
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    text = ""
    gap = False  # a 零 is due before the next digits
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if not group:
            gap = bool(text)
            continue
        if text and (gap or group < 1000):
            text += "零"
        text += _group(group) + GROUPS[place]
        gap = group % 10 == 0 and place > 0
    return text


def _group(group: int) -> str:
    text = ""
    gap = False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if not digit:
            gap = bool(text)
            continue
        text += ("零" if gap else "") + DIGITS[digit] + PLACES[place]
        gap = False
    return text

"""What a valid credit code, user name, password, second-factor code and return path is. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import unquote

from stdnum.cn.uscc import calc_check_digit

from marketplace.actors import Role

# GB 32100-2015: letters without I, O, S, V, Z.
_CREDIT_CODE = re.compile(r"[1-9ANY][0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

# 华亭县 (620824) became 华亭市 (620881) in 2018; codes given before stay valid and keep the old area.
FORMER_AREAS = {"620824": "620881"}

USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,62})[a-z0-9]")
PASSWORD_MINIMUM = 10
PASSWORD_MAXIMUM = 128

TOTP_PERIOD_S = 30
TOTP_DRIFT_STEPS = 1  # one step either way, for the clock of a phone (RFC 6238, 5.2)

# Sign-in tries: more failures than this within the window, for an account or an address, and nothing is checked.
TRIES = 10
TRY_WINDOW = timedelta(minutes=15)

# These roles supervise others or hold keys to the house: in production a password alone opens nothing of theirs.
SECOND_FACTOR_ROLES = frozenset(
    {
        Role.POVERTY_OFFICE,
        Role.FINANCE_REVIEWER,
        Role.SETTLEMENT_CLERK,
        Role.MARKET_REGULATOR,
        Role.PLATFORM_ADMIN,
    }
)

_BUYERS = frozenset({"agency", "state_firm", "financial", "union", "social_buyer"})
# Kinds of organisation whose people may hold a role; absent kinds are refused.
ROLE_KINDS: dict[Role, frozenset[str]] = {
    Role.BUYER: _BUYERS,
    Role.MANAGER: _BUYERS,
    Role.CONTRACTOR_BUYER: frozenset({"contractor"}),
    Role.SELLER: frozenset({"seller"}),
    Role.POVERTY_OFFICE: frozenset({"office"}),
    Role.FINANCE_REVIEWER: frozenset({"office"}),
    Role.SETTLEMENT_CLERK: frozenset({"office"}),
    Role.MARKET_REGULATOR: frozenset({"office", "lab"}),
    Role.CHANNEL_PARTNER: frozenset({"channel"}),
    Role.PLATFORM_ADMIN: frozenset({"office"}),
}


def _body_check(body: str) -> str:
    """Check symbol of the organisation code inside (GB 11714-1997): modulus 11 over eight symbols."""
    total = sum(int(symbol, 36) * weight for symbol, weight in zip(body, _BODY_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def credit_code_problem(code: str) -> str | None:
    """Why `code` is no unified social credit code (GB 32100-2015), in Chinese; None when it is one.

    Both checks count: the organisation code inside (GB 11714) and the whole. Village collectives have the
    registering authority N (农业农村部), which common libraries refuse.
    """
    if not _CREDIT_CODE.fullmatch(code):
        return "统一社会信用代码要有18位数字或大写字母（不含I、O、S、V、Z）"
    if _body_check(code[8:16]) != code[16]:
        return "统一社会信用代码第17位（组织机构代码校验位）不对"
    if calc_check_digit(code[:17]) != code[17]:
        return "统一社会信用代码第18位（校验位）不对"
    return None


def credit_code_area(code: str) -> str:
    """The area of registration by today's code: a former area answers as the one it became."""
    return FORMER_AREAS.get(code[2:8], code[2:8])


def username_problem(username: str) -> str | None:
    if not USERNAME.fullmatch(username):
        return "用户名要有3到64个小写字母、数字、点、横线或下划线，首尾是字母或数字"
    return None


def password_problem(password: str, username: str) -> str | None:
    """Length decides, not composition (NIST SP 800-63B, 3.1.1.2): 10 to 128 characters, not the user name."""
    if not PASSWORD_MINIMUM <= len(password) <= PASSWORD_MAXIMUM:
        return f"密码要有{PASSWORD_MINIMUM}到{PASSWORD_MAXIMUM}个字符"
    if password.casefold() == username.casefold():
        return "密码不能与用户名相同"
    if len(set(password)) < 4:
        return "密码不能只用几个重复的字符"
    return None


def accepted_step(code: str, code_at: Callable[[int], str], at_s: int, last_step: int) -> int | None:
    """The time step that `code` belongs to, within the drift and after `last_step`; None when there is none.

    A step is used once (RFC 6238, 5.2). All candidates are compared, in constant time each.
    """
    now_step = at_s // TOTP_PERIOD_S
    found = None
    for step in range(now_step - TOTP_DRIFT_STEPS, now_step + TOTP_DRIFT_STEPS + 1):
        if hmac.compare_digest(code_at(step).encode(), code.encode()) and step > last_step:
            found = step
    return found


def safe_next(path: str) -> bool:
    """Is `path` a place on this site to return to after signing in?

    Only an absolute path of printable ASCII without a double slash, backslash, dot segment or encoded control
    character, so that no browser can read another host, scheme or header out of it.
    """
    if not 1 <= len(path) <= 2000 or not path.startswith("/") or not all("!" <= c <= "~" for c in path):
        return False
    before_query = re.split(r"[?#]", path, maxsplit=1)[0]
    decoded = unquote(before_query, errors="replace")
    if unquote(decoded, errors="replace") != decoded:
        return False
    for form in (before_query, decoded):
        if "//" in form or "\\" in form or any(c < " " or c == "\x7f" for c in form):
            return False
        if any(segment in (".", "..") for segment in form.split("/")):
            return False
    return "\\" not in path and not re.search(r"%(0[0-9a-f]|1[0-9a-f]|7f)", path, re.IGNORECASE)

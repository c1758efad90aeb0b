"""What every page shares: the frame with its menus, the ways to write amounts and days, language and theme.

`page("desks/today.html", …)` renders a template that extends `layout.html`. Templates know: the filters and words
below, `form` (this request's form), `actor`, `here(**changes)` for links that change one part of the address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Flask, current_app, g, render_template, request, url_for
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from marketplace.actors import Actor
from marketplace.clock import SHANGHAI, now, today
from marketplace.config import Settings
from marketplace.values import kilograms, ratio_bp, yuan
from marketplace.web.edge import current_actor, public
from marketplace.web.forms import current_form, fresh_key, safe_next, went
from marketplace.web.language import (
    COOKIE,
    LANGUAGES,
    THEME_COOKIE,
    THEMES,
    current_language,
    in_english,
    selected_theme,
    translated,
)
from marketplace.web.navigation import Menu, menu_of
from marketplace.web.words import chip, choices, word

preferences = Blueprint("preferences", __name__)
YEAR_SECONDS = 365 * 24 * 3600
WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")

# Counts for badges in the menus: name -> reader of a number; packages register theirs (unread notices, basket lines).
_badges: dict[str, Callable[[Actor], int]] = {}


def register_badge(name: str, count: Callable[[Actor], int]) -> None:
    """Show `count(actor)` beside the menu entries that name this badge. One cheap statement per page, no more."""
    _badges[name] = count


def page(template: str, /, **values: object) -> str:
    """Render a page in the site's frame."""
    return render_template(template, **values)


def register_pages(app: Flask) -> None:
    app.register_blueprint(preferences)
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(
        yuan=yuan, money=money, wan=wan, brief=brief, brief_unit=brief_unit, kg=kilograms, weight=weight, percent=percent, day=day_text,
        days=days_text, long_day=long_day, moment=moment, iso=iso, fives=in_fives, count=count_text, t=translated,
    )  # fmt: skip
    env.globals.update(
        word=word, chip=chip, choices=choices, here=here, weekday=weekday, static=static_address
    )
    env.globals.update(endpoint_exists=endpoint_exists, badge_count=_count)
    app.context_processor(_frame)


def _frame() -> dict[str, Any]:
    settings: Settings = current_app.config["SETTINGS"]
    actor = current_actor()
    return {
        "settings": settings,
        "platform_name": settings.platform_name,
        "actor": actor,
        "person": getattr(current_user, "name", None) if actor.user_id is not None else None,
        "menu": _menu(actor),
        "form": current_form(),
        "fresh_key": fresh_key,
        "today": today(),
        "now": now(),
        "language": current_language(),
        "html_language": "en" if in_english() else "zh-Hans",
        "theme": selected_theme(),
    }


def _menu(actor: Actor) -> Menu:
    return menu_of(actor, current_app.view_functions, request.endpoint, _count)


def _count(name: str) -> int:
    """The number of a badge, read once per request."""
    known: dict[str, int] = g.setdefault("badges", {})
    if name not in known:
        reader = _badges.get(name)
        known[name] = reader(current_actor()) if reader is not None else 0
    return known[name]


def endpoint_exists(endpoint: str) -> bool:
    """Whether a page is part of this site; menus leave out what is not."""
    return endpoint in current_app.view_functions


def here(**changes: object) -> str:
    """This page's address with some arguments changed; None takes one away. Paging starts again."""
    given = request.args.to_dict(flat=False)
    arguments: dict[str, Any] = {k: v for k, v in given.items() if not k.startswith(("after", "before"))}
    arguments.update(request.view_args or {})
    for name, value in changes.items():
        if value is None:
            arguments.pop(name, None)
        else:
            arguments[name] = value
    return url_for(request.endpoint or "shop.home", **arguments)


def static_address(filename: str) -> str:
    """A static file's address, which changes with its content, so browsers may keep it."""
    known: dict[tuple[str, str], str] = current_app.extensions.setdefault("static_addresses", {})
    place = (request.script_root, filename)
    if place not in known:
        from hashlib import sha256

        with open(f"{current_app.static_folder}/{filename}", "rb") as content:
            version = sha256(content.read()).hexdigest()[:12]
        known[place] = url_for("static", filename=filename, v=version)
    return known[place]


def money(amount_fen: int) -> str:
    """'1,234.50元', in English '1,234.50 yuan'."""
    return f"{yuan(amount_fen)} yuan" if in_english() else f"{yuan(amount_fen)}元"


WAN_FEN = 1_000_000


def wan(amount_fen: int) -> str:
    """万元 with two decimals, half up; the unit stands in the head or behind it."""
    hundredths = ratio_bp(amount_fen, 100_000_000) or 0  # 1 万元 is 1,000,000 fen; two decimals more
    return yuan(hundredths)


def brief(amount_fen: int) -> str:
    """A sum on a desk: 万元 from ten thousand yuan on, 元 below, so that small sums are not rounded away."""
    return wan(amount_fen) if abs(amount_fen) >= WAN_FEN else yuan(amount_fen)


def brief_unit(amount_fen: int) -> str:
    unit: str = gettext("万元") if abs(amount_fen) >= WAN_FEN else gettext("元")
    return unit


def weight(weight_g: int) -> str:
    """'5公斤（10斤）', as people order."""
    if in_english():
        return f"{kilograms(weight_g)} kg"
    return f"{kilograms(weight_g)}公斤（{kilograms(weight_g * 2)}斤）"


def percent(basis_points: int | None) -> str:
    return "—" if basis_points is None else f"{yuan(basis_points)}%"


def count_text(number: int) -> str:
    return f"{number:,}"


def _local(at: date | datetime) -> date | datetime:
    return at.astimezone(SHANGHAI) if isinstance(at, datetime) else at


def day_text(at: date | datetime | str | None) -> str:
    """'11月24日', with the year when it is not this one."""
    if at is None:
        return "—"
    at = _local(_parsed(at))
    if at.year != today().year:
        return long_day(at)
    return f"{at.day} {at:%b}" if in_english() else f"{at.month}月{at.day}日"


def days_text(days: Sequence[date]) -> str:
    """'11月27日、11月30日'."""
    return (", " if in_english() else "、").join(day_text(day) for day in days)


def long_day(at: date | datetime | str | None) -> str:
    if at is None:
        return "—"
    at = _local(_parsed(at))
    return f"{at.day} {at:%b} {at.year}" if in_english() else f"{at.year}年{at.month}月{at.day}日"


def moment(at: datetime | str | None) -> str:
    """'11月24日 14:40' in Beijing time."""
    if at is None:
        return "—"
    local = _local(_parsed(at))
    return f"{day_text(local)} {local:%H:%M}"


def iso(at: date | datetime | str | None) -> str:
    """'2026-11-24', or with the minute for an instant, for audit tables."""
    if at is None:
        return ""
    at = _local(_parsed(at))
    return f"{at:%Y-%m-%d %H:%M}" if isinstance(at, datetime) else at.isoformat()


def _parsed(at: date | datetime | str) -> date | datetime:
    if not isinstance(at, str):
        return at
    return date.fromisoformat(at) if len(at) == 10 else datetime.fromisoformat(at)


def weekday(at: date) -> str:
    return f"{at:%A}" if in_english() else WEEKDAYS[at.weekday()]


def in_fives(code: str) -> str:
    """'1K7QM-2V9XA-TF4G8-CNRH3'."""
    return "-".join(code[start : start + 5] for start in range(0, len(code), 5))


@preferences.route("/preferences", methods=["POST"])
@public
def choose() -> AnyResponse:
    """Language and theme of this browser, kept in two cookies of a year; then back to where the reader was."""
    response = went(safe_next(request.form.get("next"), "/"), None)
    language, theme = request.form.get("language"), request.form.get("theme")
    if language in LANGUAGES:
        _keep(response, COOKIE, language)
    if theme in THEMES:
        _keep(response, THEME_COOKIE, theme)
    elif theme == "system":
        response.delete_cookie(THEME_COOKIE)
    return response


def _keep(response: AnyResponse, name: str, value: str) -> None:
    settings: Settings = current_app.config["SETTINGS"]
    response.set_cookie(
        name, value, max_age=YEAR_SECONDS, secure=settings.production, httponly=True, samesite="Lax"
    )

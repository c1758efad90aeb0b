"""What the QR code on a box opens, for a phone without an account; and the door of the site."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, current_app, render_template

from marketplace.clock import SHANGHAI, today
from marketplace.errors import NotFound
from marketplace.trace import scans, story
from marketplace.values import kilograms, yuan
from marketplace.web.edge import public

blp = Blueprint("trace_pages", __name__)
blueprints = [blp]


@blp.route("/t/<path:trace_code>", methods=["GET"])
@public
def trace_page(trace_code: str) -> str:
    """The story of a lot, as a page."""
    found = story.story(None, trace_code)
    scans.count_scan(found["lot_id"])
    return _page("trace/story.html", lot=found)


@blp.route("/", methods=["GET"])
@public
def home() -> str:
    """Where the site begins for the public."""
    return _page("trace/home.html")


@blp.errorhandler(NotFound)
def unknown_code(error: NotFound) -> tuple[str, int]:
    """The same page for unknown, forged and mistyped codes: how to read the label again."""
    return _page("trace/unknown.html"), 404


def _page(template: str, **values: object) -> str:
    settings = current_app.config["SETTINGS"]
    return render_template(
        template,
        platform_name=settings.platform_name,
        today=today(),
        day_text=day_text,
        kilograms=kilograms,
        yuan=yuan,
        shanghai=SHANGHAI,
        in_groups=in_groups,
        **values,
    )


def day_text(day: date) -> str:
    return f"{day.month}月{day.day}日"


def in_groups(digits: str, size: int = 8) -> str:
    """A long hash with a gap after every `size` characters, so that a narrow screen can break it."""
    return " ".join(digits[start : start + size] for start in range(0, len(digits), size))

"""The only place that reads the time. Instants are aware and UTC; days, months and budget years are Shanghai's."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import chinese_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")


# How far each application that is being served runs ahead, the innermost last; only the sandbox's says anything.
_ahead: ContextVar[tuple[Callable[[], timedelta], ...]] = ContextVar("_ahead", default=())


def now() -> datetime:
    ahead = _ahead.get()
    return datetime.now(UTC) + ahead[-1]() if ahead else datetime.now(UTC)


def real_now() -> datetime:
    """The time outside of the sandbox, whose own may run ahead."""
    return datetime.now(UTC)


def run_ahead(by: Callable[[], timedelta]) -> None:
    """From here on `now` is ahead by what `by` says at each call, until `run_as_before`."""
    _ahead.set((*_ahead.get(), by))


def run_as_before() -> None:
    _ahead.set(_ahead.get()[:-1])


def business_day(at: datetime) -> date:
    """The day in Shanghai: 31 December 16:00 UTC is already the next budget year."""
    return at.astimezone(SHANGHAI).date()


def today() -> date:
    return business_day(now())


def budget_year(day: date) -> int:
    return day.year


def period_of(day: date) -> str:
    """The accounting month, 'YYYY-MM'."""
    return f"{day.year:04d}-{day.month:02d}"


@lru_cache(4_000)
def is_working_day(day: date) -> bool:
    """Working days with the public holidays and 调休 of the State Council's yearly notice.

    A year whose notice is not out yet (the calendar does not know it) is taken as Monday to Friday.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


def add_working_hours(start: datetime, hours: int) -> datetime:
    """`hours` later, where only hours of working days pass (24 to a working day, as deadlines here count)."""
    at = start.astimezone(SHANGHAI)
    left = timedelta(hours=hours)
    while True:
        midnight = datetime.combine(at.date() + timedelta(days=1), datetime.min.time(), SHANGHAI)
        if is_working_day(at.date()):
            if midnight - at > left:
                return (at + left).astimezone(UTC)
            left -= midnight - at
            if not left:
                return midnight.astimezone(UTC)
        at = midnight


def add_working_days(start: date, days: int) -> date:
    """The `days`-th working day after `start` (days >= 0)."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        if is_working_day(day):
            days -= 1
    return day

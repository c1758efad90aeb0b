"""Working days and hours with the public holidays and worked weekends of the notice for 2026, and with no notice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from marketplace import clock


def shanghai(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=clock.SHANGHAI)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 9, 30), True),  # the Wednesday before National Day
        (date(2026, 10, 1), False),
        (date(2026, 10, 7), False),  # a Wednesday off
        (date(2026, 10, 8), True),
        (date(2026, 10, 10), True),  # a Saturday that is worked for it
        (date(2026, 10, 11), False),  # the Sunday after
        (date(2026, 9, 20), True),  # a Sunday that is worked
        (date(2026, 2, 14), True),  # a Saturday worked for the Spring Festival
        (date(2026, 2, 16), False),  # a Monday off
        (date(2026, 2, 23), False),
        (date(2026, 2, 24), True),
    ],
)
def test_holidays_are_off_and_exchanged_weekends_are_worked(day: date, works: bool) -> None:
    assert clock.is_working_day(day) is works


def test_a_year_without_a_notice_is_monday_to_friday() -> None:
    week = [clock.is_working_day(date(2090, 10, 2) + timedelta(days=n)) for n in range(7)]  # a Monday first
    assert date(2090, 10, 2).weekday() == 0
    assert week == [True, True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        # Within a day, and over the midnight between two working days.
        (shanghai(9, 28, 10), 5, shanghai(9, 28, 15)),
        (shanghai(9, 28, 20), 6, shanghai(9, 29, 2)),
        # The last half hour before the holiday.
        (shanghai(9, 30, 14, 30), 9, shanghai(9, 30, 23, 30)),
        # 10 hours of 30 September, 24 each of 8, 9; the rest on the Saturday that is worked.
        (shanghai(9, 30, 14), 72, shanghai(10, 10, 14)),
        # Begun within the holiday: nothing has passed before 8 October.
        (shanghai(10, 3, 9, 30), 48, shanghai(10, 10)),
        # From the worked Saturday over the Sunday.
        (shanghai(10, 10, 18), 12, shanghai(10, 12, 6)),
        # An ordinary weekend.
        (shanghai(11, 27, 12), 24, shanghai(11, 30, 12)),
    ],
)
def test_only_hours_of_working_days_pass(start: datetime, hours: int, end: datetime) -> None:
    assert clock.add_working_hours(start, hours) == end


def test_hours_that_end_with_a_working_day_end_at_its_midnight_not_after_the_holiday() -> None:
    assert clock.add_working_hours(shanghai(9, 30, 14), 10) == shanghai(10, 1)
    assert clock.add_working_hours(shanghai(9, 29), 48) == shanghai(10, 1)


def test_from_midnight_a_whole_day_passes() -> None:
    assert clock.add_working_hours(shanghai(9, 28), 24) == shanghai(9, 29)
    assert clock.add_working_hours(shanghai(10, 1), 24) == shanghai(10, 9)


def test_the_day_is_that_of_shanghai_and_the_answer_is_in_utc() -> None:
    # 18:00 in UTC on 30 September is already the first hours of National Day.
    until = clock.add_working_hours(datetime(2026, 9, 30, 18, tzinfo=UTC), 1)
    assert (until, until.tzinfo) == (datetime(2026, 10, 7, 17, tzinfo=UTC), UTC)
    assert clock.add_working_hours(shanghai(9, 30, 14), 10).tzinfo is UTC


def test_no_hours_are_the_start_itself() -> None:
    assert clock.add_working_hours(shanghai(9, 28, 10), 0) == shanghai(9, 28, 10)


def test_hours_in_a_year_without_a_notice_skip_its_weekends_only() -> None:
    friday = shanghai(9, 29, 12, year=2090)
    assert friday.weekday() == 4
    assert clock.add_working_hours(friday, 48) == shanghai(10, 3, 12, year=2090)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (date(2026, 9, 30), 0, date(2026, 9, 30)),
        (date(2026, 9, 29), 1, date(2026, 9, 30)),
        (date(2026, 9, 30), 1, date(2026, 10, 8)),
        (date(2026, 9, 30), 3, date(2026, 10, 10)),  # the worked Saturday
        (date(2026, 9, 30), 4, date(2026, 10, 12)),
        (date(2026, 2, 13), 1, date(2026, 2, 14)),
        (date(2026, 2, 13), 2, date(2026, 2, 24)),
        (date(2090, 9, 29), 2, date(2090, 10, 3)),
    ],
)
def test_the_nth_working_day_after_a_day(start: date, days: int, end: date) -> None:
    assert clock.add_working_days(start, days) == end


def test_the_budget_year_begins_at_midnight_in_shanghai() -> None:
    last, first = datetime(2026, 12, 31, 15, 59, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert [clock.budget_year(clock.business_day(at)) for at in (last, first)] == [2026, 2027]
    assert [clock.period_of(clock.business_day(at)) for at in (last, first)] == ["2026-12", "2027-01"]

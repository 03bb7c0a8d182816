"""Tests the warnings about schedules whose step does not have its apparent effect."""

from __future__ import annotations

from cronsim import CronSim

from reconciler.core.cron import step_warnings
from tests.builders import NOW
from tests.campaigns import in_one_test

TOO_LONG = {
    "*/90 * * * *": "a minute step of 90 means every hour at minute 0",
    "0-10/15 * * * *": "a minute step of 15 means every hour at minute 0",
    "*/90 3 * * *": "a minute step of 90 means only minute 0",
    "0 */36 * * *": "an hour step of 36 means every day at hour 0",
    "0 0 */40 * *": "a day step of 40 means every month on day 1",
    "0 0 1 */18 *": "a month step of 18 means every year in month 1",
    "0 0 * * */9": "a weekday step of 9 means every week on weekday 0",
    "5,*/75 * * * *": "a minute step of 75 means every hour at minute 0",
}
UNEVEN = {
    "*/7 * * * *": "after minute 56 comes minute 0 of the next hour, 4 minutes later",
    "*/45 * * * *": "after minute 45 comes minute 0 of the next hour, 15 minutes later",
    "5/7 * * * *": "after minute 54 comes minute 5 of the next hour, 11 minutes later",
    "*/59 9-17 * * *": "after minute 59 comes minute 0 of the next hour, 1 minute later",
    "0 */5 * * *": "after hour 20 comes hour 0 of the next day, 4 hours later",
    "0 0 */2 * *": "after day 31 comes day 1 of the next month",
    "0 0 1 */5 *": "after month 11 comes month 1 of the next year, 2 months later",
    "0 0 * * */2": "after weekday 6 comes weekday 0 of the next week, 1 weekday later",
}
EVEN = [
    "* * * * *",
    "*/15 * * * *",
    "*/60 * * * *",
    "5/15 * * * *",
    "0 */24 * * *",
    "0 */6 * * 1-5",
    "0 2 1 */3 *",
    "0 0 * * */7",
    "*/45 3 * * *",
    "0 */5 * * 1",
    "*/7,3 * * * *",
    "0 9-17/3 * * 1-5/2",
    "0 0 L * *",
    "0 0 * JAN-DEC/5 MON",
]


@in_one_test(("schedule", "expected"), (TOO_LONG | UNEVEN).items())
def test_a_step_that_surprises_is_explained(schedule, expected):
    """A step that is too large or uneven causes one warning, which describes the actual effect."""
    CronSim(schedule, NOW)
    (warning,) = step_warnings(schedule)
    assert expected in warning


@in_one_test("schedule", EVEN)
def test_an_even_step_is_silent(schedule):
    """No warning appears if a step is even, if it has a range, or if its field is not cyclic."""
    CronSim(schedule, NOW)
    assert list(step_warnings(schedule)) == []


@in_one_test("schedule", TOO_LONG)
def test_a_step_that_is_too_long_has_one_value(schedule):
    """The warning describes the actual schedule: the field takes a single value, besides the other values of the
    list."""
    times = CronSim(schedule, NOW)
    runs = [next(times) for _ in range(5)]
    value = {0: "minute", 1: "hour", 2: "day", 3: "month"}.get(
        next(index for index, field in enumerate(schedule.split()) if "/" in field)
    )
    values = {run.isoweekday() % 7 if value is None else getattr(run, value) for run in runs}
    assert len(values) == 1 + schedule.count(",")

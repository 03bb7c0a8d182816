"""The checks of schedules and time zones: what is refused, and what is proposed instead."""

import pytest

from reconciler.model.schedules import check_schedule, check_time_zone
from tests.campaigns import in_one_test

REFUSED_SCHEDULES = {
    "@daily": "write '0 0 * * *'",
    "@every 5m": "write '*/5 * * * *'",
    "@every 7m": "got '@every 7m'",
    "@every 0m": "got '@every 0m'",
    "rate(1 hour)": "write '0 * * * *'",
    "rate(6 hours)": "write '0 */6 * * *'",
    "rate(2 days)": "got 'rate(2 days)'",
    "cron(0 2 * * ? *)": "write '0 2 * * *'",
    "cron(0 2 ? * 2-6 *)": "write '0 2 * * 1-5'",
    "cron(0 2 ? * 2#1 *)": "five fields",
    "cron( 0 2 * * ?)": "five fields",
    "0 0 2 ? * MON-FRI": "write '0 2 * * MON-FRI'",
    "0 0 2 ? * 2 *": "write '0 2 * * 1'",
    "0 0 2 * * *": "leave out the seconds, which come first, or the year",
    "0 2 1 * ? 2026": "a schedule has no year",
    "TZ=UTC 0 2 * * *": "write '0 2 * * *', and timeZone: UTC",
    "0 2 * * * America/New_York": "write '0 2 * * *', and timeZone: America/New_York",
    "02:30": "write '30 2 * * *'",
    "25:00": "got '25:00'",
    "0 2 ? * MON-FRI": "bad day ? (write *)",
    "0 0,12,25 * * *": "bad hour 25 in 0,12,25 (write 0 to 23)",
    "0 24 * * *": "bad hour 24 (write 0 for midnight)",
    "5-1 * * * *": "bad minute 5-1 (a range starts with its smaller value)",
    "61 25 * * *": "bad minute 61 (write 0 to 59), bad hour 25",
    "0 2 31 4 *": "none of its months has its days",
}


@in_one_test("schedule", REFUSED_SCHEDULES)
def test_schedules_of_other_tools_are_refused_with_what_to_write(schedule: str):
    """Each message has the remedy. A proposed schedule is valid."""
    with pytest.raises(ValueError, match="schedule") as caught:
        check_schedule(schedule)
    message = str(caught.value)
    assert REFUSED_SCHEDULES[schedule] in message
    if "; write '" in message:
        check_schedule(message.partition("; write '")[2].partition("'")[0])


REFUSED_ZONES = {
    "PST": "did you mean America/Los_Angeles?",
    "BST": "did you mean Europe/London?",
    "Z": "did you mean UTC?",
    "utc": "did you mean UTC?",
    "UTC+2": "did you mean Etc/GMT-2? Its sign is the opposite of UTC+2",
    "GMT-05:00": "did you mean Etc/GMT+5?",
    "+05:30": "such as Europe/Madrid",
    "localtime": "such as Europe/Madrid",
    "posix/UTC": "did you mean UTC?",
    "right/Europe/Madrid": "did you mean Europe/Madrid?",
    "Madrid": "did you mean Europe/Madrid?",
    "new york": "did you mean America/New_York?",
    "Europe/Madird": "did you mean Europe/Madrid?",
    "Europe": "such as Europe/Madrid",
    "../etc": "such as Europe/Madrid",
    "": "such as Europe/Madrid",
}


@in_one_test("zone", REFUSED_ZONES)
def test_other_names_of_time_zones_are_refused_with_what_was_meant(zone: str):
    """Each message has the zone that was meant, if that is certain enough. A proposed zone is valid."""
    with pytest.raises(ValueError, match="is not an IANA time zone") as caught:
        check_time_zone(zone)
    assert REFUSED_ZONES[zone] in str(caught.value)
    if "did you mean " in str(caught.value):
        check_time_zone(str(caught.value).partition("did you mean ")[2].partition("?")[0])


@in_one_test("zone", ["UTC", "Europe/Madrid", "Etc/GMT-2", "US/Pacific", "CET"])
def test_names_of_the_database_are_valid(zone: str):
    """Names of zones, also the older ones."""
    assert check_time_zone(zone) == zone

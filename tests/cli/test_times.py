"""Tests times and durations on the command line."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.app.session import SystemClock
from reconciler.cli.times import WrittenTime
from reconciler.core.times import seconds_of
from tests.campaigns import in_one_test
from tests.cli.world import World

NOW = datetime(2026, 11, 28, 21, 30, tzinfo=UTC)  # a Saturday


def understood(text: str, time_zone: str = "UTC", *, end: bool = False, ago: bool = False) -> str:
    """Returns the time in UTC, without fractions of a second."""
    return f"{WrittenTime('--at', text, NOW, end, ago).utc(time_zone):%Y-%m-%dT%H:%M:%SZ}"


@in_one_test(
    ("text", "expected"),
    [
        ("2026-11-30", "2026-11-30T00:00:00Z"),
        ("2026-11-30 02:00", "2026-11-30T02:00:00Z"),
        ("2026-11-30 2:00", "2026-11-30T02:00:00Z"),
        ("2026-11-30T02:00", "2026-11-30T02:00:00Z"),
        ("2026-11-30T02:00:00Z", "2026-11-30T02:00:00Z"),
        ("2026-11-30t02:00:00z", "2026-11-30T02:00:00Z"),
        ("20261130T020000Z", "2026-11-30T02:00:00Z"),
        ("2026-11-30 02:00 UTC", "2026-11-30T02:00:00Z"),
        ("2026-11-30 02:00 +01:00", "2026-11-30T01:00:00Z"),
        ("2026-11-30T02:00:00.5-0500", "2026-11-30T07:00:00Z"),
        ("2026-11-30 02:00 Europe/Madrid", "2026-11-30T01:00:00Z"),
        ("tomorrow 02:00 America/New_York", "2026-11-29T07:00:00Z"),
        ("2026-W48-1", "2026-11-23T00:00:00Z"),
        ("now", "2026-11-28T21:30:00Z"),
        ("today", "2026-11-28T00:00:00Z"),
        ("tomorrow", "2026-11-29T00:00:00Z"),
        ("Tomorrow  02:00", "2026-11-29T02:00:00Z"),
        ("tomorrow at 2:00", "2026-11-29T02:00:00Z"),
        ("02:00 tomorrow", "2026-11-29T02:00:00Z"),
        ("yesterday 23:59:59", "2026-11-27T23:59:59Z"),
        ("next monday", "2026-11-30T00:00:00Z"),
        ("next saturday 02:00", "2026-12-05T02:00:00Z"),
        ("last saturday", "2026-11-21T00:00:00Z"),
        ("last Fri 02:00", "2026-11-27T02:00:00Z"),
        ("in 2h", "2026-11-28T23:30:00Z"),
        ("+90m", "2026-11-28T23:00:00Z"),
        ("2 hours from now", "2026-11-28T23:30:00Z"),
        ("2 hours ago", "2026-11-28T19:30:00Z"),
        ("-1d", "2026-11-27T21:30:00Z"),
        ("an hour ago", "2026-11-28T20:30:00Z"),
        ("in 1h30m", "2026-11-28T23:00:00Z"),
        ("1 day and 2 hours ago", "2026-11-27T19:30:00Z"),
        ("1.5h ago", "2026-11-28T20:00:00Z"),
        ("a week ago", "2026-11-21T21:30:00Z"),
        ("0001-01-01T00:00:00Z", "1-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)  # fmt: skip
def test_times_that_people_write(text, expected):
    """The accepted forms are dates, times with and without a zone, names of days, and distances from now; without a
    zone, a time is in UTC."""
    assert understood(text).lstrip("0") == expected


@in_one_test(
    ("text", "remedies"),
    [
        ("11/12/2026", ["2026-11-12 or 2026-12-11"]),
        ("30/11/2026 02:00", ["write 2026-11-30"]),
        ("1.12.2026", ["2026-01-12 or 2026-12-01"]),
        ("2026/11/30", ["write 2026-11-30"]),
        ("2026-1-5 02:00", ["write 2026-01-05 02:00"]),
        ("10-11-12", ["2026-11-30"]),
        ("5", ["unit", "in 5m or 5m ago"]),
        ("5m", ["in 5m or 5m ago"]),
        ("2 hours", ["in 2 hours or 2 hours ago"]),
        ("in 2h ago", ["tomorrow 02:00"]),
        ("in 2 months", ["2026-11-30"]),
        ("monday", ["next monday or last monday"]),
        ("this monday 02:00", ["next monday or last monday"]),
        ("02:00", ["today 02:00 or tomorrow 02:00"]),
        ("tomorrow 2am", ["tomorrow 02:00"]),
        ("tomorrow 12:30 pm", ["tomorrow 12:30"]),
        ("1764460800", ["2025-11-30T00:00:00Z"]),
        ("1764460800000", ["2025-11-30T00:00:00Z"]),
        ("2026-11-30 02:00 CET", ["CET", "Europe/Madrid"]),
        ("2026-11-30 02:00 Europe/Madird", ["'Europe/Madird' is not an IANA time zone"]),
        ("2026-13-01", ["month must be in 1..12"]),
        ("2026-02-30", ["day is out of range"]),
        ("2026-11-30 25:00", ["hour must be in 0..23"]),
        ("tomorrow 25:00", ["hour must be in 0..23"]),
        ("2026-11-30T02:00+99:99", ["2026-11-30T02:00:00Z"]),
        ("tomorow", ["tomorrow 02:00"]),
        ("2026-11", ["2026-11-30"]),
        ("30 Nov", ["2026-11-30"]),
        ("", ["2026-11-30"]),
        ("x" * 5000, ["2026-11-30"]),
        ("in 999999999w", ["is out of range"]),
        ("0001-01-01T00:00:00+01:00", ["is out of range"]),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_can_mean_two_things_is_refused(text, remedies):
    """The message lists similar forms or, if there are none, all forms."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
        understood(text)
    assert all(remedy in str(caught.value) for remedy in remedies)
    assert len(str(caught.value)) < 500


def test_a_time_without_zone_is_in_the_zone_of_the_schedule():
    """Days begin and end in the given zone, and last 23 or 25 hours when the clocks change."""
    assert understood("2026-11-01", "Europe/Madrid") == "2026-10-31T23:00:00Z"
    assert understood("2026-11-01", "Europe/Madrid", end=True) == "2026-11-01T22:59:59Z"
    assert understood("2026-10-25", "Europe/Madrid") == "2026-10-24T22:00:00Z"
    assert understood("2026-10-25", "Europe/Madrid", end=True) == "2026-10-25T22:59:59Z"
    assert understood("today", "Asia/Tokyo") == "2026-11-28T15:00:00Z"
    assert understood("2026-11-01 02:00Z", "Europe/Madrid") == "2026-11-01T02:00:00Z"
    assert understood("2026-11-01 02:00", "UTC", end=True) == "2026-11-01T02:00:00Z"
    assert understood("2026-09-06", "America/Santiago") == "2026-09-06T04:00:00Z"  # midnight is skipped


@pytest.mark.parametrize(
    ("text", "happens"),
    [
        ("2026-10-25 02:30", "comes twice in Europe/Madrid.*2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z"),
        ("2026-03-29 02:30", "does not exist in Europe/Madrid.*2026-03-29T00:30:00Z or 2026-03-29T01:30:00Z"),
    ],
)
def test_times_at_a_change_of_the_clocks(text, happens):
    """A local time that occurs twice or is skipped is refused, and the error contains both times in UTC."""
    with pytest.raises(ValueError, match=happens):
        understood(text, "Europe/Madrid")


def test_a_duration_alone_is_a_distance_where_only_the_past_makes_sense():
    """``--since 2h`` is two hours ago, as in kubectl and journalctl."""
    assert understood("2h", ago=True) == "2026-11-28T19:30:00Z"
    assert understood("in 2h", ago=True) == "2026-11-28T23:30:00Z"


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30)), st.sampled_from(" T"))
def test_every_iso_time_is_read_as_it_is(moment, separator):
    """A time with seconds is read exactly, with a space or a T."""
    moment = moment.replace(microsecond=0)
    assert understood(moment.isoformat(separator)) == f"{moment.isoformat()}Z"


@given(st.text(max_size=60) | st.from_regex(r"\A[0-9a-z:/+ .-]{0,30}\Z"))
def test_any_text_is_a_time_or_refused(text):
    """Any text is either a valid time or a usage error."""
    with suppress(ValueError):
        assert understood(text, "Europe/Madrid").endswith("Z")


@in_one_test(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("5 min", 300), ("1h", 3600), ("1h30m", 5400), ("2 hours", 7200), ("1.5h", 5400)],
)  # fmt: skip
def test_durations(text, seconds):
    """A duration consists of numbers with units."""
    assert seconds_of(text) == seconds


@in_one_test(
    ("text", "remedy"), [("5", "5s, 5m or 5h"), ("0.5", "0.5s"), ("", "60s"), ("5 months", "60s"), ("-5m", "60s")]
)  # fmt: skip
def test_durations_without_a_unit_are_refused(text, remedy):
    """The message for a number without a unit asks for the unit."""
    with pytest.raises(ValueError, match=remedy):
        seconds_of(text)


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Sets the clock to noon on a Wednesday in winter, when no clock change is near."""
    noon = datetime(2027, 1, 13, 12, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _self: noon.timestamp())
    return noon


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-20", "2027-01-20T00:00:00Z"),
        ("tomorrow 02:00", "2027-01-14T02:00:00Z"),
        ("in 2h", "2027-01-13T14:00:00Z"),
        ("next monday", "2027-01-18T00:00:00Z"),
    ],
)
def test_plan_at_a_time(world: World, at_noon: datetime, text: str, expected: str):
    """The plan is made for that time, which is printed to standard error in UTC."""
    world.batch("clicks")

    done = world.run("plan", "--at", text, "--format", "json", "--no-refresh")

    assert (done.code, done.json["created_at"]) == (0, expected)
    assert done.err == f"--at: {text} is {expected}\n"


def test_a_time_in_full_needs_no_explanation(world: World, at_noon: datetime):
    """A time that was written in UTC is not printed again."""
    world.batch("clicks")
    assert world.run("plan", "--at", "2027-01-20T00:00:00Z", "--no-refresh").err == ""


def test_backfill_of_days_in_the_schedule_s_zone(world: World, at_noon: datetime):
    """The period includes all slots of both days, in the time zone of the schedule."""
    world.batch("clicks", schedule='"30 0 * * *"', timeZone="Europe/Madrid")

    done = world.run("backfill", "clicks", "--from", "2027-01-10", "--to", "yesterday", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert done.json["slots"] == ["2027-01-09T23:30:00Z", "2027-01-10T23:30:00Z", "2027-01-11T23:30:00Z"]
    assert "--from: 2027-01-10 is 2027-01-09T23:00:00Z (Europe/Madrid)" in done.err
    assert "--to: yesterday is 2027-01-12T22:59:59Z (Europe/Madrid)" in done.err


def test_a_slot_by_the_schedule_s_clock(world: World, at_noon: datetime):
    """A slot may be given in the time zone of the schedule. Messages show it in UTC."""
    world.batch("clicks", schedule='"0 2 * * *"', timeZone="Europe/Madrid")

    done = world.run("retry", "clicks", "--slot", "2027-01-12 02:00", "--yes")

    assert done.code == 1
    assert "slot 2027-01-12T01:00:00Z of clicks was never submitted" in done.err


def test_a_slot_that_comes_twice(world: World, at_noon: datetime):
    """A local time at the end of summer time is refused with both times in UTC."""
    world.batch("clicks", schedule='"30 2 * * *"', timeZone="Europe/Madrid")

    done = world.run("retry", "clicks", "--slot", "2026-10-25 02:30", "--yes")

    assert done.code == 64
    assert "--slot: 2026-10-25 02:30 comes twice in Europe/Madrid" in done.err
    assert "2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "--at", "11/12/2026"], "2026-11-12 or 2026-12-11"),
        (["fsck", "--since", "5"], "has no unit"),
        (["reconcile", "--every", "5"], "'5' has no unit: 5s, 5m or 5h?"),
        (["reconcile", "--every", "0s"], "is zero"),
        (["backfill", "clicks", "--from", "2026-13-01", "--to", "now"], "month must be in 1..12"),
        (["backfill", "clicks", "--from", "monday", "--to", "now"], "next monday or last monday"),
    ],
)
def test_refused_options_exit_64(world: World, arguments: list[str], says: str):
    """An ambiguous time or duration is a usage error, and the message lists the accepted forms."""
    world.batch("clicks", schedule='"0 2 * * *"')
    done = world.run(*arguments)
    assert done.code == 64
    assert says in done.err


def test_fsck_since_a_distance(world: World, at_noon: datetime):
    """A duration alone refers to the past."""
    done = world.run("fsck", "--since", "36h")
    assert "--since: 36h is 2027-01-12T00:00:00Z\n" in done.err
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("2027-02-01", "until 2027-02-01T00:00:00Z"),
        ('"2027-02-01"', "until 2027-02-01T00:00:00Z"),
        ("2027-02-01T02:00:00+01:00", "until 2027-02-01T02:00:00+01:00"),
    ],
)
def test_a_date_in_a_spec(world: World, at_noon: datetime, until: str, says: str):
    """`until` accepts a date with or without quotes, which means the start of the day in UTC, and a time with its
    zone."""
    world.batch("clicks", suspend=f"{{reason: quarter end, until: {until}}}")
    done = world.run("plan", "--no-refresh")
    assert says in done.out


@pytest.mark.parametrize("until", ["tomorrow", "tomorrow 02:00", "in 2h", "2 days ago", "next monday", "5d"])
def test_a_relative_time_in_a_spec_is_refused(world: World, until: str):
    """Relative times are refused, because a spec must mean the same on every day. The error explains this and says what
    to write instead."""
    world.batch("clicks", suspend=f"{{reason: quarter end, until: {until}}}")
    done = world.run("validate")
    assert done.code == 1
    assert f"spec.suspend.until: '{until}' depends on when the file is read; write a date" in done.err

"""Parses times and durations on the command line in the forms that people write, and refuses ambiguous forms.

A date library would accept more forms, but only by guessing. docs/adr/0018 compares some libraries.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconciler.core.times import DURATION, duration_seconds
from reconciler.values import dataclass

DISTANCE = rf"(?P<before>in |\+|-)?(?P<duration>{DURATION})(?P<after> ago| from now)?"
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAY = r"(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
CLOCK = r"\d{1,2}:\d\d(?::\d\d)?"
DAY = rf"(?:(?P<day>{'|'.join(DAYS)})|(?P<which>next|last) (?P<weekday>{WEEKDAY}))(?: (?:at )?(?P<clock>{CLOCK}))?"
ISO = r"(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-?[Ww]\d\d-?\d)(?P<clock>[Tt ]\S.*)?"
ZONED = r"(?P<time>.+?) ?(?P<zone>(?<= )[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|(?<=[\d ])(?:UTC|GMT|Z))"

LONGEST = 100  # characters
FORMS = (
    "write a date (2026-11-30), a time in UTC (2026-11-30 02:00) or with its zone (2026-11-30T02:00:00Z, 2026-11-30 "
    "02:00 Europe/Madrid), a day (tomorrow 02:00, last monday) or a distance (in 2h, 2 hours ago)"
)


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time as the user wrote it for an option. `now` is the current time, with a zone.

    If `end` is set, a day without a time of day means the last second of the day instead of the first. If `ago` is set,
    a duration alone means a time in the past.
    """

    option: str
    text: str
    now: datetime
    end: bool = False
    ago: bool = False

    def utc(self, time_zone: str = "UTC") -> datetime:
        """Returns the time in UTC. `time_zone` applies to a time that was written without a zone. Otherwise raises
        `ValueError` with a list of the accepted forms."""
        text, zone = " ".join(self.text.split()), ZoneInfo(time_zone)
        if len(text) > LONGEST:
            raise ValueError(f"{text[:LONGEST]!r}… is not a time; {FORMS}")
        if zoned := re.fullmatch(ZONED, text):
            text, zone = zoned["time"], _zone(zoned["zone"])
        try:
            moment = self._distance(text) or self._day(text.lower(), zone) or self._iso(text, zone)
            if moment is not None:
                return moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{text!r} is not a time in UTC: it is out of range") from None
        raise ValueError(_remedy(text))

    def _distance(self, text: str) -> datetime | None:
        """Parses ``now``, ``in 2h``, ``+2h``, ``2 hours ago`` and ``2h from now``."""
        if text.lower() == "now":
            return self.now
        match = re.fullmatch(DISTANCE, text, re.IGNORECASE)
        if match is None or (match["before"] and match["after"]):
            return None
        direction = (match["before"] or match["after"] or ("ago" if self.ago else "")).strip().lower()
        if not direction:
            return None
        seconds = timedelta(seconds=duration_seconds(match["duration"]))
        return self.now - seconds if direction in {"-", "ago"} else self.now + seconds

    def _day(self, text: str, zone: ZoneInfo) -> datetime | None:
        """Parses ``tomorrow``, ``tomorrow 02:00``, ``next monday at 02:00`` and ``02:00 tomorrow``."""
        match = re.fullmatch(DAY, re.sub(rf"^({CLOCK}) (.+)$", r"\2 \1", text))
        if match is None:
            return None
        today = self.now.astimezone(zone).date()
        if match["day"]:
            day = today + timedelta(days=DAYS[match["day"]])
        else:
            ahead = (WEEKDAYS.index(match["weekday"][:3]) - today.weekday()) % 7
            day = today + timedelta(days=(ahead or 7) if match["which"] == "next" else ahead - 7)
        if match["clock"] is None:
            return self._whole_day(day, zone)
        return _placed(datetime.combine(day, _time_of_day(match["clock"])), zone)

    def _iso(self, text: str, zone: ZoneInfo) -> datetime | None:
        """Parses ISO 8601. Also accepts a space between date and time, and an hour with one digit."""
        match = re.fullmatch(ISO, text)
        if match is None:
            return None
        clock = re.sub(r"^(\d)(?=:)", r"0\1", (match["clock"] or "")[1:].upper()).replace(" ", "")
        try:
            day = date.fromisoformat(match["date"].upper())
            moment = datetime.combine(day, time.fromisoformat(clock)) if clock else None
        except ValueError as error:
            if "must be in" not in str(error) and "out of range" not in str(error):
                return None
            raise ValueError(f"{text!r} is not a time: {error}") from None
        if moment is None:
            return self._whole_day(day, zone)
        return _placed(moment, zone) if moment.tzinfo is None else moment

    def _whole_day(self, day: date, zone: ZoneInfo) -> datetime:
        """Returns the first or the last second of a day. Midnight may not exist, or may occur twice, on a day with a
        clock change."""
        if not self.end:
            return datetime.combine(day, time(), zone)
        return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC) - timedelta(seconds=1)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo("UTC" if name in {"UTC", "GMT", "Z"} else name)
    except (KeyError, OSError, ValueError):  # a missing zone raises KeyError, a folder OSError
        raise ValueError(f"{name!r} is not an IANA time zone, such as Europe/Madrid") from None


def _time_of_day(clock: str) -> time:
    try:
        return time.fromisoformat(clock.rjust(5 if clock.count(":") == 1 else 8, "0"))
    except ValueError as error:
        raise ValueError(f"{clock} is not a time of day: {error}") from None


def _placed(local: datetime, zone: ZoneInfo) -> datetime:
    """Returns a local time with its zone. Raises `ValueError` if the time does not exist in the zone, or occurs
    twice."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    shown = f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    forms = " or ".join(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in sorted((first, second)))
    happens = "comes twice" if first < second else "does not exist"
    raise ValueError(f"{shown} {happens} in {zone.key}, where the clocks change; write {forms}")


Remedy = Callable[[re.Match[str]], str]

# Texts that are refused although their meaning could be guessed, with the form to use instead.
_REMEDIES: tuple[tuple[str, Remedy], ...] = (
    (r"(\d{1,6})", lambda m: f"{m[0]!r} has no unit; write in {m[0]}m or {m[0]}m ago"),
    (r"(\d{10}|\d{13})", lambda m: f"{m[0]!r} looks like seconds since 1970; write {_unix(m[0])}"),
    (DURATION, lambda m: f"{m[0]!r} can lie before or after now; write in {m[0]} or {m[0]} ago"),
    (CLOCK, lambda m: f"{m[0]!r} has no day; write today {m[0]} or tomorrow {m[0]}"),
    (
        rf"(?:this |on )?({WEEKDAY})(?: .*)?",
        lambda m: f"{m[0]!r} can be the next or the last one; write next {m[1]} or last {m[1]}",
    ),
    (
        r"(.* )?(\d{1,2})(:\d\d)? ?([ap])m",
        lambda m: (
            f"{m[0]!r} is not in 24 hours; write {m[1] or ''}{int(m[2]) % 12 + 12 * (m[4] in 'pP'):02}{m[3] or ':00'}"
        ),
    ),
    (
        r".*:\d\d ?([a-z]{3,5})",
        lambda m: f"{m[0]!r}: {m[1].upper()} is not one zone everywhere; write UTC, +01:00 or Europe/Madrid",
    ),
    (r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?: .*)?", lambda m: _day_or_month(m[0], int(m[1]), int(m[2]), m[3])),
    (
        r"(?!\d{4}-\d\d-\d\d)(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})(?!\d)(.*)",
        lambda m: f"{m[0]!r} is not in the form of ISO 8601; write {m[1]}-{m[2]:0>2}-{m[3]:0>2}{m[4]}",
    ),
)


def _remedy(text: str) -> str:
    """Returns why a text is not a time, and what to write instead."""
    for pattern, remedy in _REMEDIES:
        if match := re.fullmatch(pattern, text, re.IGNORECASE):
            return remedy(match)
    return f"{text!r} is not a time; {FORMS}"


def _unix(text: str) -> str:
    return f"{datetime.fromtimestamp(int(text[:10]), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day_or_month(text: str, first: int, second: int, year: str) -> str:
    dates = sorted({(month, day) for month, day in ((first, second), (second, first)) if month <= 12 and day <= 31})
    forms = " or ".join(f"{year}-{month:02}-{day:02}" for month, day in dates) or "the year first"
    return f"{text!r} {'is ambiguous' if len(dates) > 1 else 'is not in the form of ISO 8601'}; write {forms}"

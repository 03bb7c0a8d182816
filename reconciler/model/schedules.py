"""Checks schedules and time zones, and proposes what to write instead of the forms that other tools use."""

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from reconciler.values import regex

CRON_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day": "1 to 31, or L for the last day",
    "month": "1 to 12, or JAN to DEC",
    "weekday": "0 to 7, or SUN to SAT",
}
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@cache
def check_schedule(value: str) -> str:
    """Checks a five-field cron expression as Debian's cron interprets it. Raises `ValueError`."""
    fields = value.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError(
            'a schedule has five fields (minute hour day month weekday), such as "0 2 * * *"; got '
            f"{value!r}{_instead(value.strip())}"
        )
    wrong = [
        f"{name} {_wrong_part(name, field)}"
        for name, field in zip(CRON_FIELDS, fields, strict=True)
        if not _is_field(name, field)
    ]
    if wrong:
        raise ValueError(f"{value!r} is not a cron schedule: bad {', bad '.join(wrong)}")
    if not _is_cron(value):
        raise ValueError(f"{value!r} is not a cron schedule: none of its months has its days")
    return value


def _is_cron(value: str) -> bool:
    try:
        # The check is the same for every start.
        CronSim(value, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _is_field(name: str, field: str) -> bool:
    return _is_cron(" ".join(field if name == other else "*" for other in CRON_FIELDS))


def _wrong_part(name: str, field: str) -> str:
    """Returns the part of a field that is wrong, with what to write instead."""
    part = next((part for part in field.split(",") if not _is_field(name, part)), field)
    shown = part if part == field else f"{part} in {field}"
    ends = part.split("-")
    if part == "?":
        return f"{shown} (write *)"
    if len(ends) == 2 and all(_is_field(name, end) for end in ends):
        return f"{shown} (a range starts with its smaller value)"
    if (name, part) == ("hour", "24"):
        return f"{shown} (write 0 for midnight)"
    return f"{shown} (write {CRON_FIELDS[name]})"


def _instead(value: str) -> str:
    """Returns ``; write '0 2 * * *'`` for a schedule in the form of another tool, or an empty string."""
    if value in MACROS:
        return f"; write {MACROS[value]!r}"
    if match := re.fullmatch(r"(?:CRON_)?TZ=(\S+)\s+(.+)", value):
        return f"; write {match[2]!r}, and timeZone: {match[1]}"
    fields = value.split()
    if len(fields) == 6 and "/" in fields[5] and _is_cron(" ".join(fields[:5])):
        return f"; write {' '.join(fields[:5])!r}, and timeZone: {fields[5]}"
    cron: str | None = None
    if match := re.fullmatch(r"@every (\d+)([mh])", value):
        unit = {"m": "minute", "h": "hour"}[match[2]]
        cron, _ = from_eventbridge(f"rate({match[1]} {unit})")
    elif match := re.fullmatch(r"(\d\d?):(\d\d)(?::00)?", value):
        cron = f"{int(match[2])} {int(match[1])} * * *"
    elif value.startswith(("cron(", "rate(")):
        cron, _ = from_eventbridge(value)
    elif len(fields) in {6, 7}:
        return _of_more(fields)
    return f"; write {cron!r}" if cron and _is_cron(cron) else ""


def _of_more(fields: list[str]) -> str:
    """Returns what to write instead of six or seven fields: with a year at the end, as in EventBridge, or with seconds
    at the start, as in Quartz. The position of ``?`` shows which it is."""
    cron = None
    if fields[-1].isdecimal() and len(fields[-1]) == 4:
        return "; a schedule has no year: write a spec without a schedule for a single run"
    if len(fields) == 6 and "?" in (fields[2], fields[4]):
        cron, _ = from_eventbridge(f"cron({' '.join(fields)})")
    elif fields[0] == "0" and "?" in (fields[3], fields[5]):
        cron, _ = from_eventbridge(f"cron({' '.join(fields[1:6])} *)")
    if cron and _is_cron(cron):
        return f"; write {cron!r}"
    return "; leave out the seconds, which come first, or the year, which comes last"


# --- EventBridge ------------------------------------------------------------------------------------------------------

_RATE = regex(r"rate\(\s*(?P<number>\d+)\s+(?P<unit>minute|hour|day)s?\s*\)")
_CRON = regex(r"cron\(\s*(?P<fields>[^()]*)\)")
_UNITS = {"minute": (60, "*/{n} * * * *"), "hour": (24, "0 */{n} * * *")}
_LAST = ("59", "23", "31", "12", "6")
"""The last value of each field of cron."""


def from_eventbridge(expression: str) -> tuple[str | None, str]:
    """Returns a schedule of EventBridge as a five-field expression, or `None` if there is none, and a note about what
    the user must check."""
    rate, cron = _RATE.fullmatch(expression), _CRON.fullmatch(expression)
    if rate is not None:
        number, unit = int(rate["number"]), rate["unit"]
        counted = f"{expression} counts from the creation of the rule; the spec's schedule starts on the full {unit}"
        if unit == "day":
            return ("0 0 * * *", counted) if number == 1 else (None, _unsupported(expression))
        size, form = _UNITS[unit]
        if number and size % number == 0:
            return form.format(n=number).replace("*/1 ", "* "), counted
        return (None, _unsupported(expression))
    fields = cron["fields"].split() if cron is not None else []
    if len(fields) != 6 or fields[5] not in {"*", "?"} or any(mark in "".join(fields[:5]) for mark in "LW#"):
        return None, _unsupported(expression)
    plain = [each.replace("?", "*") for each in fields[:5]]
    plain[4] = _weekday(plain[4])
    return " ".join(_stepped(text, last) for text, last in zip(plain, _LAST, strict=True)), ""


def _stepped(text: str, last: str) -> str:
    """Returns a field in which every step has a range: ``5/15`` becomes ``5-59/15``."""
    return re.sub(r"(?<![-\w])(\w+)/", lambda start: f"{start[1]}-{last}/", text)


def _unsupported(expression: str) -> str:
    return f"{expression} cannot be written in five-field cron: write spec.schedule, or run the spec once"


def _weekday(text: str) -> str:
    """Returns a field for the day of the week, converted to cron's numbers, which start at 0 for Sunday. Those of
    EventBridge start at 1."""
    head, slash, step = text.partition("/")
    return re.sub(r"\d+", lambda number: str((int(number[0]) - 1) % 7), head) + slash + step


# --- time zones -------------------------------------------------------------------------------------------------------

NOT_EVERYWHERE = ("localtime", "Factory", "posixrules")
"""Files of a time zone database that have another meaning on each machine, or none."""
OTHER_FOLDERS = ("posix/", "right/")

ABBREVIATIONS = {
    **dict.fromkeys(("z", "utc+0", "utc-0", "+00:00", "utc+00:00", "gmt+00:00", "zulu time"), "UTC"),
    **dict.fromkeys(("pst", "pdt", "pt"), "America/Los_Angeles"),
    **dict.fromkeys(("mdt", "mt"), "America/Denver"),
    **dict.fromkeys(("cst", "cdt", "ct"), "America/Chicago"),
    **dict.fromkeys(("edt", "et"), "America/New_York"),
    "bst": "Europe/London",
    "cest": "Europe/Paris",
    "eest": "Europe/Athens",
    "ist": "Asia/Kolkata",
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "sgt": "Asia/Singapore",
    **dict.fromkeys(("aest", "aedt"), "Australia/Sydney"),
}
"""The zone that an abbreviation usually means. Abbreviations are ambiguous, so they are only proposed."""


@cache
def check_time_zone(value: str) -> str:
    """Checks an IANA time zone name against this machine's database. Raises `ValueError`."""
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):  # a missing zone raises KeyError, a folder OSError
        raise ValueError(f"{value!r} is not an IANA time zone{_meant_zone(value)}") from None
    if value in NOT_EVERYWHERE or value.startswith(OTHER_FOLDERS):
        raise ValueError(f"{value!r} is not an IANA time zone, and depends on the machine{_meant_zone(value)}")
    return value


def _meant_zone(value: str) -> str:
    """Returns the zone that was probably meant: by its abbreviation, its distance from UTC, its city or its
    spelling."""
    low = value.lower().replace(" ", "_").replace("\\", "/")
    if low.replace("_", " ") in ABBREVIATIONS:
        return f"; did you mean {ABBREVIATIONS[low.replace('_', ' ')]}?"
    if match := re.fullmatch(r"(?:utc|gmt)?([+-])(\d\d?)(?::?00)?", low):
        sign = "-" if match[1] == "+" else "+"
        return f"; did you mean Etc/GMT{sign}{int(match[2])}? Its sign is the opposite of UTC{match[1]}{int(match[2])}"
    names = {name.lower(): name for name in available_timezones()}
    low = low.partition("/")[2] if low.startswith(OTHER_FOLDERS) else low
    of_city = sorted(name for name in names if name.rpartition("/")[2] == low and "/" in name)
    close = [low] if low in names else of_city or get_close_matches(low, names, n=1, cutoff=0.75)
    fits = close and not low.endswith("/") and names[close[0]] not in NOT_EVERYWHERE
    return f"; did you mean {names[close[0]]}?" if fits else ", such as Europe/Madrid"

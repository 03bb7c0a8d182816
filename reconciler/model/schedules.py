"""Checks schedules and time zones, and proposes what to write instead of the forms that other tools use."""

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

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
    cron = ""
    if match := re.fullmatch(r"(?:rate\(|@every )(\d+) ?(m|h|d|min|hr|minute|hour|day)s?\)?", value):
        cron = _every(int(match[1]), match[2][0])
    elif match := re.fullmatch(r"(\d\d?):(\d\d)(?::00)?", value):
        cron = f"{int(match[2])} {int(match[1])} * * *"
    elif len(fields) in {6, 7}:
        cron = _of_more(value)
        if re.fullmatch(r"\d{4}", fields[-1].rstrip(")")):
            return "; a schedule has no year: write a spec without a schedule for a single run"
        if not _is_cron(cron):
            return "; leave out the seconds, which come first, or the year, which comes last"
    return f"; write {cron!r}" if _is_cron(cron) else ""


def _of_more(value: str) -> str:
    """Returns the five fields of an expression of Amazon EventBridge (a year at the end) or of Quartz (seconds at the
    start), whose weekdays are 1 to 7 from Sunday. Returns an empty string if it is not certain which it is."""
    fields = value.removeprefix("cron(").removesuffix(")").split()
    if len(fields) not in {6, 7}:
        return ""
    of_eventbridge = value.startswith("cron(") or "?" in (fields[2], fields[4])
    if len(fields) == 6 and of_eventbridge and fields[5] == "*":
        five = fields[:5]
    elif fields[0] == "0" and "?" in (fields[3], fields[5]) and fields[6:] in ([], ["*"]):
        five = fields[1:6]
    else:
        return ""
    if not re.fullmatch(r"[A-Z\d,*?-]+", five[4]):
        return ""
    five[4] = re.sub(r"\d", lambda digit: str(int(digit[0]) - 1), five[4])
    return " ".join(five).replace("?", "*")


def _every(number: int, unit: str) -> str:
    size = {"m": 60, "h": 24, "d": 1}[unit]
    if not number or size % number:
        return ""
    step = "*" if number == 1 else f"*/{number}"
    return {"m": f"{step} * * * *" if number < 60 else "0 * * * *", "h": f"0 {step} * * *", "d": "0 0 * * *"}[unit]


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

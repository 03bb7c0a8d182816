"""Converts the schedules of EventBridge to five-field cron: ``cron(0 2 * * ? *)``, ``rate(1 hour)``."""

import re
from collections.abc import Mapping
from typing import Any

from reconciler.values import dataclass

_RATE = re.compile(r"rate\(\s*(?P<number>\d+)\s+(?P<unit>minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\(\s*(?P<fields>[^()]*)\)")
_UNITS = {"minute": (60, "*/{n} * * * *"), "hour": (24, "0 */{n} * * *")}
NOTED = ("FlexibleTimeWindow", "StartDate", "EndDate")


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A schedule in the form of a spec. `cron` is `None` if there is no schedule, or if cron cannot express it.
    `left_out` and `notes` are as in `Payload`."""

    cron: str | None = None
    time_zone: str | None = None
    suspended: bool = False
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


NO_SCHEDULE = CronSchedule()

_LAST = ("59", "23", "31", "12", "6")
"""The last value of each field of cron."""


def cron_schedule(rule: Mapping[str, Any]) -> CronSchedule | None:
    """Returns the schedule of a rule of EventBridge or of a schedule of EventBridge Scheduler; `None` for any other
    object."""
    expression = rule.get("ScheduleExpression")
    if not isinstance(expression, str):
        return None
    cron, note = _cron(expression.strip())
    zone = rule.get("ScheduleExpressionTimezone")
    left_out = tuple(name for name in NOTED if rule.get(name) not in (None, {"Mode": "OFF"}))
    state = str(rule.get("State", "ENABLED"))
    return CronSchedule(
        cron,
        zone if isinstance(zone, str) and zone != "UTC" else None,
        suspended=state == "DISABLED",
        left_out=left_out,
        notes=(note,) if note else (),
    )


def _cron(expression: str) -> tuple[str | None, str]:
    """Returns a five-field expression, `None` if there is none, and a note about what the user must check."""
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

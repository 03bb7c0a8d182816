"""Finds steps of a schedule that are probably mistakes: ``*/90`` minutes, ``*/5`` hours, ``*/2`` days."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.values import regex


class Field(NamedTuple):
    """One of the five fields of a schedule: its unit, the period after which it starts again, and its first and last
    value."""

    unit: str
    whole: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """The number of values."""
        return self.last - self.first + 1


MINUTE, HOUR, DAY, MONTH, WEEKDAY = FIELDS = (
    Field("minute", "hour", 0, 59),
    Field("hour", "day", 0, 23),
    Field("day", "month", 1, 31),
    Field("month", "year", 1, 12),
    Field("weekday", "week", 0, 6),
)
_ON = {MINUTE: "at minute", HOUR: "at hour", DAY: "on day", MONTH: "in month", WEEKDAY: "on weekday"}
_STEP = regex(r"(?P<start>\*|[0-9]+)(?:-(?P<end>[0-9]+))?/(?P<step>[0-9]+)")


def step_warnings(schedule: str) -> Iterator[str]:
    """Yields a sentence about each step of a valid schedule that is larger than its field, or that makes the schedule
    run at uneven intervals.

    A step is counted within one hour, day, month, year or week, and restarts in the next. A step of an explicit range
    is assumed to be intended if it has more than one value.
    """
    minute, hour, day, month, weekday = schedule.split()
    goes_on = {MINUTE: hour, HOUR: day if weekday == "*" else weekday, DAY: month, MONTH: "*", WEEKDAY: "*"}
    for field, text in zip(FIELDS, (minute, hour, day, month, weekday), strict=True):
        for part in text.split(","):
            if match := _STEP.fullmatch(part):
                yield from _warning(field, match, alone=part == text, following=goes_on[field])


def _warning(field: Field, match: re.Match[str], *, alone: bool, following: str) -> Iterator[str]:
    start = field.first if match["start"] == "*" else int(match["start"])
    step, end = int(match["step"]), int(match["end"] or field.last)
    values = range(start, end + 1, step)
    name = f"{'an' if field is HOUR else 'a'} {field.unit} step of {step}"
    if len(values) == 1 and (step != field.size or field is DAY):
        when = f"every {field.whole} {_ON[field]} {start}" if following == "*" else f"only {field.unit} {start}"
        limit = f", so it is less than {field.size}" if step >= field.size else f", and {step} goes past its end"
        yield f"{name} is {when}: a step counts within the {field.whole}{limit}. {_even(field)}"
        return
    returns = field.size - values[-1] + start  # the distance to the first value of the next hour, day …
    is_whole = start - field.first < step and end == field.last
    if alone and is_whole and step > 1 and (returns != step or field is DAY) and _is_continuous(following):
        later = "" if field is DAY else f", {returns} {field.unit}{'s' * (returns != 1)} later"
        yield (
            f"{name} is uneven: after {field.unit} {values[-1]} comes {field.unit} {start} of the next {field.whole}"
            f"{later}. {_even(field)}"
        )


def _is_continuous(text: str) -> bool:
    """Returns whether a field has consecutive values."""
    return text == "*" or ("-" in text and "/" not in text)


def _even(field: Field) -> str:
    if field is DAY:
        return "No step of days is even, because months differ: list the days, such as 1,11,21"
    steps = [str(step) for step in range(2, field.size) if field.size % step == 0]
    if not steps:
        return f"No step of {field.unit}s is even: list the {field.unit}s, such as 1,4"
    return f"Even steps of {field.unit}s are {', '.join(steps)}"

"""Renders the runs that a command waits for: a table, a line for each change, and JSON."""

from collections import Counter
from collections.abc import Sequence

from reconciler.core.awaited import Awaited, Progress
from reconciler.core.identity import Place
from reconciler.core.state import Submission
from reconciler.model.base import JSON
from reconciler.render.runs import COLOURS, console_url, which_text
from reconciler.render.table import Layout, Line, fitted
from reconciler.render.text import Style, lines_text, plain, sentence

ORDER = ("NAME", "RUN OF", "STATE", "RUN ID")
LAYOUT = Layout(always=("NAME", "STATE"), if_they_fit=("RUN OF", "RUN ID"))


def awaited_text(runs: Sequence[Awaited], *, color: bool = False, width: int | None = None) -> str:
    """Returns a table of the runs, with AWS's reason or the reason why a run waits, and a summary. There is no final
    line break. `width` is the width of the terminal, or `None` without a terminal."""
    style = Style(color)
    if not runs:
        return "Nothing to wait for."
    lines = [
        Line(
            {
                "NAME": plain(each.key.name),
                "RUN OF": _which(each),
                "STATE": style.paint(_state(each), COLOURS.get(each.state, "")),
                "RUN ID": plain(_run_id(each) or "-"),
            },
            (sentence(each.message),) if each.message else (),
        )
        for each in runs
    ]
    return lines_text([*fitted(lines, ORDER, LAYOUT, style, width), "", style.bold(_summary(runs))])


def awaited_line(each: Awaited) -> str:
    """Returns one line about a run whose state has changed, such as ``orders running 00f… (generation 2)``."""
    words = (each.key.name, _state(each), _run_id(each) or "", f"({_which(each)})")
    return "  ".join([*(plain(word) for word in words if word), *([sentence(each.message)] if each.message else [])])


def awaited_json(runs: Sequence[Awaited], place: Place) -> list[JSON]:
    """Returns the runs as JSON. `outcome` is ``moving``, ``succeeded``, ``failed`` or ``held``."""
    return [
        {
            "name": each.key.name,
            "generation": each.key.generation,
            "slot": each.key.slot,
            "attempt": each.submission.attempt if each.submission is not None else None,
            "run_id": _run_id(each),
            **_where(each.submission, place),
            "state": each.state,
            "outcome": str(each.progress),
            "message": each.message,
        }
        for each in runs
    ]


def _where(submission: Submission | None, place: Place) -> JSON:
    """Returns where the run of a submission is in AWS, and its page in AWS's console."""
    if submission is None or submission.run_id is None:
        return {"location": {}, "console_url": None}
    location = submission.content.location
    return {
        "location": dict(location),
        "console_url": console_url(place, submission.kind, location, submission.run_id),
    }


def _state(each: Awaited) -> str:
    """Returns the state for text output. A run that nothing will submit while the command waits is shown as held."""
    return str(each.progress) if each.submission is None and each.progress is Progress.HELD else each.state


def _summary(runs: Sequence[Awaited]) -> str:
    counts = Counter(each.progress for each in runs)
    return ", ".join(f"{counts[progress]} {progress}" for progress in Progress if counts[progress]) + "."


def _which(each: Awaited) -> str:
    attempt = each.submission.attempt if each.submission is not None else 1
    return which_text(each.key.generation, each.key.slot, attempt)


def _run_id(each: Awaited) -> str | None:
    return each.submission.run_id if each.submission is not None else None

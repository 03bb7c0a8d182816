"""What is wrong in a rule or in a plan's settings: one sentence for each problem, with what would be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args

from reconciler.emulator import batch, emr_serverless, sts
from reconciler.emulator.faults.replies import CODES, STATUSES
from reconciler.emulator.settings import FAULTS, MOST_SECONDS, Settings
from reconciler.errors import UsageError

OPERATIONS: Mapping[str, Iterable[str]] = {
    emr_serverless.SERVICE.name: emr_serverless.SERVICE.operations,
    batch.SERVICE.name: batch.SERVICE.operations,
    sts.NAME: (sts.OPERATION,),
}
"""What rules can name, by service."""

Request = Literal["processed", "lost", "late", "twice"]
Answer = Literal["given", "closed", "reset", "never", "error", "html", "empty", "truncated", "garbage"]
OWN = ("given", "truncated")
"""Answers made of AWS's own, which a lost request does not have."""
_WITHOUT_BODY = (204, 205, 304)
_MADE_UP = ("error", "html", "empty")

Given = Mapping[str, Any]
"""The fields of a rule that are given, by name."""


class FaultProblems(UsageError):
    """A fault rule, plan or file that makes no sense: `problems` has a sentence for each thing that is wrong in it."""

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = f" {problems[0]}" if len(problems) == 1 else "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{what}:{lines}")


def setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong in a plan's settings."""
    yield from (f"settings: {problem}" for problem in unknown(settings, FAULTS))
    try:
        Settings().changed({name: value for name, value in settings.items() if name in FAULTS})
    except UsageError as error:
        yield from (f"settings: {problem}" for problem in str(error).removeprefix("emulator settings: ").split("; "))


def unknown(given: Iterable[Any], known: Sequence[str]) -> Iterator[str]:
    """Names that do not exist, each with the one that may be meant."""
    for name in given:
        if name not in known:
            yield f"unknown field {name!r}; {_meant(str(name), known)}"


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def rule_problems(given: Given) -> list[str]:
    """Each wrong field of a rule; where each is fine by itself, what does not go together."""
    rule = {**_DEFAULTS, **given}
    checked = [name for name in _CHECKS if rule[name] is not None or _DEFAULTS[name] is not None]
    wrong = [f"{name} must be {_CHECKS[name][1]}" for name in checked if not _CHECKS[name][0](rule[name])]
    return wrong or [*_contradictions(rule), *_operation_problems(rule)]


def _contradictions(rule: Given) -> Iterator[str]:
    chosen = [name for name in ("nth", "every", "probability") if rule[name] is not None]
    if len(chosen) > 1:
        yield f"{' and '.join(chosen)} do not go together; give one of them"
    if rule["seed"] is not None and rule["probability"] is None:
        yield "seed goes with probability"
    if (rule["request"] == "late") != (rule["late_seconds"] is not None):
        yield "request: late and late_seconds go together"
    if rule["request"] == "lost" and rule["answer"] in OWN:
        yield f"a lost request has no answer of its own to be {rule['answer']}; say another answer, such as closed"
    if rule["request"] == "processed" and rule["answer"] == "given" and not rule["delay_seconds"]:
        yield "it does nothing; say another request, another answer or delay_seconds"
    yield from _answer_problems(rule)


def _answer_problems(rule: Given) -> Iterator[str]:
    code, status, answer = rule["code"], rule["status"], rule["answer"]
    if code is not None and answer != "error":
        yield "code goes with answer: error"
    if (status is not None or rule["request_id"] is not None) and answer not in _MADE_UP:
        yield f"status and request_id go with the answers {', '.join(_MADE_UP)}"
    if status in _WITHOUT_BODY and answer != "empty":
        yield f"an answer with status {status} has no body; say answer: empty"
    if answer != "error":
        return
    if code is None and status not in CODES:
        yield f"answer: error needs code, or a status that has a usual one ({', '.join(map(str, CODES))})"
    if code is not None and status is None and code not in STATUSES:
        yield f"code {code} has no usual status; say status too"
    if status is not None and status < 300:
        yield "status of an error must be from 300 to 599"


def _operation_problems(rule: Given) -> Iterator[str]:
    services = [rule["service"]] if rule["service"] else list(OPERATIONS)
    known = sorted({name for service in services for name in OPERATIONS[service]})
    for name in several(rule["operation"]):
        if name not in known:
            where = f" of {rule['service']}" if rule["service"] else ""
            yield f"there is no operation {name}{where}; {_meant(name, known)}"


def several(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a field of a rule
    """A field that holds nothing, one value or several, as several."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _each(fine: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: several(value) != () and all(map(fine, several(value)))


def _one_of(known: Iterable[str]) -> tuple[Callable[[object], bool], str]:
    return lambda value: isinstance(value, str) and value in known, f"one of {', '.join(known)}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS


_SECONDS = (_is_number, "seconds, 0 or more")
_COUNTED = (_is_positive, "a number from 1")
_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "request": _one_of(get_args(Request)),
    "answer": _one_of(get_args(Answer)),
    "service": _one_of(OPERATIONS),
    "operation": (_each(_is_text), "the name of an operation, or a list of names"),
    "name": (_is_text, "a pattern such as orders-*"),
    "nth": (_each(_is_positive), "a number from 1, or a list of them"),
    "every": _COUNTED,
    "probability": (lambda value: _is_number(value) and value <= 1, "a number from 0 to 1"),
    "seed": (_is_whole, "a whole number"),
    "count": _COUNTED,
    "late_seconds": _SECONDS,
    "delay_seconds": _SECONDS,
    "status": (lambda value: _is_whole(value) and 200 <= value <= 599, "a number from 200 to 599"),
    "code": (_is_text, "an error code such as ThrottlingException"),
    "request_id": (lambda value: isinstance(value, bool), "true or false"),
}
_DEFAULTS: Given = {**dict.fromkeys(_CHECKS), "request": "", "answer": "given", "delay_seconds": 0.0}

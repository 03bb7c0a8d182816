"""Defines fault rules (the calls that they select, the effect on the request, and the reply), and validates and matches
them."""

import dataclasses
import json
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal, get_args

from reconciler.emulator import sts
from reconciler.emulator.dispatch import OPERATIONS, service_of
from reconciler.emulator.http import Call
from reconciler.emulator.operations import AwsError
from reconciler.emulator.protocol import route
from reconciler.emulator.settings import is_seconds
from reconciler.emulator.state import State
from reconciler.errors import UsageError

Request = Literal["processed", "lost", "late", "twice"]
Answer = Literal["given", "closed", "reset", "never", "error", "html", "empty", "truncated", "garbage"]
MADE_FROM_AWS = ("given", "truncated")
"""Replies that are made from AWS's reply. They cannot be used for a lost request, which has no reply."""
_MADE_UP = ("error", "html", "empty")
_STATUSES_WITHOUT_BODY = (204, 205, 304)

USUAL_CODES: Mapping[int, str] = {
    403: "AccessDeniedException",
    408: "RequestTimeout",
    409: "ConflictException",
    429: "TooManyRequestsException",
    500: "InternalServerException",
    503: "ServiceUnavailable",
}
"""Maps each status to its usual error code. For status 500, AWS Batch uses ServerException instead."""

USUAL_STATUSES: Mapping[str, int] = {
    **{code: status for status, code in USUAL_CODES.items()},
    "ClientException": 400,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "RequestExpired": 400,
    "ResourceNotFoundException": 404,
    "ServerException": 500,
    "ServiceQuotaExceededException": 402,
    "SignatureDoesNotMatch": 403,
    "Throttling": 400,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}


class FaultProblems(UsageError):
    """Raised if a fault rule, plan or file is invalid. `problems` has one sentence for each problem."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = f" {problems[0]}" if len(problems) == 1 else "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{subject}:{lines}")


@dataclass(frozen=True, slots=True)
class Rule:
    """The fault for the calls that match a rule. Raises `FaultProblems` with every problem."""

    # The effect of the request: it is processed as usual; it is lost and has no effect; it is late and takes effect
    # `late_seconds` from now, even if the client has disconnected; or it is processed twice.
    request: Request
    # The reply to the client:
    # given: AWS's own reply. For a late request, it is sent when the request is processed; for a doubled request, the
    #   first reply is sent.
    # closed, reset: no reply; the connection ends normally or with RST.
    # never: no reply until the client disconnects.
    # error: an AWS error with `code` and `status`.
    # html, empty: a page or an empty body, with `status` (200 by default).
    # truncated: the first half of AWS's own reply, with the length of the whole reply in the header.
    # garbage: bytes that are not HTTP.
    answer: Answer = "given"
    # The calls to select; every condition must be true:
    service: str | None = None  # the service, as AWS names it
    operation: str | Sequence[str] | None = None  # one or several operations, as AWS names them
    name: str | None = None  # a pattern (orders-*) for the name of the run that the call starts or identifies
    nth: int | Sequence[int] | None = None  # the nth matching call, from 1, or several such numbers
    every: int | None = None  # every k-th matching call
    probability: float | None = None  # each matching call with this probability
    seed: int | None = None  # the seed for `probability`: the same seed selects the same calls
    count: int | None = None  # the maximum number of times that the rule acts
    # Details:
    late_seconds: float | None = None
    delay_seconds: float = 0.0  # how much later than usual the client receives its reply
    status: int | None = None  # derived from `code`, and `code` from `status`, if there is a usual one
    code: str | None = None
    request_id: bool | None = None  # whether a made-up reply has a request id; by default only errors have one

    def __post_init__(self) -> None:
        problems = rule_problems(self.to_json())
        if problems:
            raise FaultProblems("fault rule", problems)
        for name in ("operation", "nth"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))

    def to_json(self) -> dict[str, Any]:
        """Returns the rule as a JSON object, without fields at their default."""
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


RULE_FIELDS = tuple(field.name for field in dataclasses.fields(Rule))


def as_tuple(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a field of a rule
    """Returns the value of a field as a tuple. The field may contain `None`, one value or several values."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def unknown_fields(names: Iterable[Any], allowed: Sequence[str]) -> Iterator[str]:
    """Yields a message for each name that is not allowed, with a similar allowed name."""
    for name in names:
        if name not in allowed:
            yield f"unknown field {name!r}; {_suggestion(str(name), allowed)}"


def _suggestion(name: str, allowed: Sequence[str]) -> str:
    close = get_close_matches(name, allowed, 1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(allowed)}"


def rule_problems(fields: Mapping[str, Any]) -> list[str]:
    """Returns the problems of a rule's fields. If all fields are valid, returns contradictions between them."""
    rule = {**_DEFAULTS, **fields}
    present = [name for name in _CHECKS if rule[name] is not None or _DEFAULTS[name] is not None]
    invalid = [f"{name} must be {_CHECKS[name][1]}" for name in present if not _CHECKS[name][0](rule[name])]
    return invalid or [*_contradictions(rule), *_answer_problems(rule), *_operation_problems(rule)]


def _contradictions(rule: Mapping[str, Any]) -> Iterator[str]:
    chosen = [name for name in ("nth", "every", "probability") if rule[name] is not None]
    if len(chosen) > 1:
        yield f"{' and '.join(chosen)} cannot be combined; use one of them"
    if rule["seed"] is not None and rule["probability"] is None:
        yield "seed needs probability"
    if (rule["request"] == "late") != (rule["late_seconds"] is not None):
        yield "request: late and late_seconds need each other"
    if rule["request"] == "lost" and rule["answer"] in MADE_FROM_AWS:
        yield f"a lost request has no answer of AWS to be {rule['answer']}; set another answer, such as closed"
    if rule["request"] == "processed" and rule["answer"] == "given" and not rule["delay_seconds"]:
        yield "the rule has no effect; set another request, another answer or delay_seconds"


def _answer_problems(rule: Mapping[str, Any]) -> Iterator[str]:
    code, status, answer = rule["code"], rule["status"], rule["answer"]
    if code is not None and answer != "error":
        yield "code needs answer: error"
    if (status is not None or rule["request_id"] is not None) and answer not in _MADE_UP:
        yield f"status and request_id need one of the answers {', '.join(_MADE_UP)}"
    if status in _STATUSES_WITHOUT_BODY and answer != "empty":
        yield f"an answer with status {status} has no body; use answer: empty"
    if answer != "error":
        return
    if code is None and status not in USUAL_CODES:
        yield f"answer: error needs code, or a status that has a usual one ({', '.join(map(str, USUAL_CODES))})"
    if code is not None and status is None and code not in USUAL_STATUSES:
        yield f"code {code} has no usual status; set status too"
    if status is not None and status < 300:
        yield "status of an error must be from 300 to 599"


def _operation_problems(rule: Mapping[str, Any]) -> Iterator[str]:
    services = [rule["service"]] if rule["service"] else list(OPERATIONS)
    operations = sorted({name for service in services for name in OPERATIONS[service]})
    for name in as_tuple(rule["operation"]):
        if name not in operations:
            owner = f" of {rule['service']}" if rule["service"] else ""
            yield f"there is no operation {name}{owner}; {_suggestion(name, operations)}"


def _all(is_valid: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: as_tuple(value) != () and all(map(is_valid, as_tuple(value)))


def _one_of(allowed: Iterable[str]) -> tuple[Callable[[object], bool], str]:
    return lambda value: isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return _is_integer(value) and value >= 1


_SECONDS = (is_seconds, "seconds, 0 or more")
_COUNT = (_is_positive, "a number from 1")
_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "request": _one_of(get_args(Request)),
    "answer": _one_of(get_args(Answer)),
    "service": _one_of(OPERATIONS),
    "operation": (_all(_is_text), "the name of an operation, or a list of names"),
    "name": (_is_text, "a pattern such as orders-*"),
    "nth": (_all(_is_positive), "a number from 1, or a list of them"),
    "every": _COUNT,
    "probability": (lambda value: is_seconds(value) and value <= 1, "a number from 0 to 1"),
    "seed": (_is_integer, "a whole number"),
    "count": _COUNT,
    "late_seconds": _SECONDS,
    "delay_seconds": _SECONDS,
    "status": (lambda value: _is_integer(value) and 200 <= value <= 599, "a number from 200 to 599"),
    "code": (_is_text, "an error code such as ThrottlingException"),
    "request_id": (lambda value: isinstance(value, bool), "true or false"),
}
_DEFAULTS: Mapping[str, Any] = {**dict.fromkeys(_CHECKS), "request": "", "answer": "given", "delay_seconds": 0.0}


_NAME_MEMBERS = {"StartJobRun": "name", "SubmitJob": "jobName"}


class IdentifiedCall:
    """A call with its service and operation. `operation` is empty if AWS has none for it."""

    def __init__(self, call: Call, state: State) -> None:
        self.call, self._state = call, state
        self.operation = ""
        self._labels: Mapping[str, str] = {}
        service = service_of(call)
        self.service = sts.NAME if service is None else service.name
        if service is None:
            self.operation = sts.parameters(call).get("Action", "")
        else:
            try:
                model, self._labels = route(service.name, call)
            except AwsError:
                return
            self.operation = model.name

    @cached_property
    def run_names(self) -> frozenset[str]:
        """The name of the run that the call starts, or of the runs that it names by id, including expired ones."""
        body = self._body()
        own = body.get(_NAME_MEMBERS.get(self.operation, ""))
        if isinstance(own, str):
            return frozenset({own})
        ids = [re.split("[:#]", run_id)[0] for run_id in self._ids(body)]
        if not ids:
            return frozenset()
        with self._state.reading() as records:
            runs = [records.run(run_id, None) for run_id in ids]
        return frozenset(run.name for run in runs if run is not None)

    def _ids(self, body: Mapping[str, object]) -> Iterator[str]:
        if "jobRunId" in self._labels:
            yield self._labels["jobRunId"]
        several = body.get("jobs")
        for value in (body.get("jobId"), *(several if isinstance(several, list) else ())):
            if isinstance(value, str):
                yield value

    def _body(self) -> Mapping[str, object]:
        try:
            body = json.loads(self.call.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


class CountedRule:
    """An active rule, with the number of calls that it matched and the number of calls that it acted on."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.matched, self.fired = rule, 0, 0
        self._operations, self._nth = frozenset(as_tuple(rule.operation)), frozenset(as_tuple(rule.nth))
        self._random = random.Random(rule.seed or 0)  # noqa: S311 - reproducible, not secret

    def matches(self, call: IdentifiedCall) -> bool:
        """Returns whether the rule applies to a call. Checks the name last, because reading it may need a database
        transaction."""
        rule = self.rule
        return (
            (rule.service is None or rule.service == call.service)
            and (not self._operations or call.operation in self._operations)
            and (rule.name is None or any(fnmatchcase(name, rule.name) for name in call.run_names))
        )

    def count_match(self) -> bool:
        """Counts a matching call, and returns whether the rule acts on it."""
        rule = self.rule
        self.matched += 1
        if rule.probability is not None:
            # A number is drawn for each match, so that the same seed always selects the same calls.
            is_due = self._random.random() < rule.probability
        elif rule.every is not None:
            is_due = self.matched % rule.every == 0
        else:
            is_due = not self._nth or self.matched in self._nth
        return is_due and (rule.count is None or self.fired < rule.count)


class ActiveRules:
    """The active rules, in order. Safe for threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._lock = threading.Lock()
        self._rules = [CountedRule(rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def select(self, call: IdentifiedCall) -> Rule | None:
        """Returns the first rule that acts on a call. Every rule counts the calls that it matches, whichever rule acts
        on them."""
        # Not under the lock, because `matches` may wait for a transaction.
        matching = [rule for rule in self._rules if rule.matches(call)]
        with self._lock:
            due = [rule for rule in matching if rule.count_match()]
            if not due:
                return None
            due[0].fired += 1
            return due[0].rule

    def counts(self) -> list[dict[str, object]]:
        """Returns each rule as a JSON object, with ``matched`` and ``fired``."""
        with self._lock:
            return [{**rule.rule.to_json(), "matched": rule.matched, "fired": rule.fired} for rule in self._rules]

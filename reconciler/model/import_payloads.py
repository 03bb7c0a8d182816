"""Finds the requests in files of other tools: payloads and outputs of the AWS CLI, state machines of Step Functions,
rules of EventBridge, and schedules of EventBridge Scheduler, which are converted to five-field cron.

This module handles the formats of these tools. Everything that is specific to one service is left to the kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any, get_args, get_origin

from reconciler.model.base import JSON
from reconciler.model.import_descriptions import DescribedRequest, bare, described, fields_of
from reconciler.model.import_expressions import Fillings, escaped, is_jsonata
from reconciler.model.import_state_machines import Order, is_machine, orders
from reconciler.model.kind import MODULES, RESERVED_FIELD, Kind, kind_named
from reconciler.model.schedules import from_eventbridge
from reconciler.model.template import mapped
from reconciler.values import dataclass, regex

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


def cron_schedule(rule: Mapping[str, Any]) -> CronSchedule | None:
    """Returns the schedule of a rule of EventBridge or of a schedule of EventBridge Scheduler, or `None` for any other
    object."""
    expression = rule.get("ScheduleExpression")
    if not isinstance(expression, str):
        return None
    cron, note = from_eventbridge(expression.strip())
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


_TASK = regex(r"arn:.+?:states:::(?:aws-sdk:)?(?P<service>[\w-]+):(?P<operation>\w+)(?:\.[\w:]+)?")
_UNIVERSAL = regex(r"arn:.+?:scheduler:::aws-sdk:(?P<service>[\w-]+):(?P<operation>\w+)")
_OF_THE_STATE = ("Type", "Resource", "Parameters", "Arguments", "Comment", "QueryLanguage", "End")
_OF_THE_TARGET = ("Arn", "Id", "Input", "BatchParameters")
ORDER = "Next is not imported, because the file contains a single state: write spec.dependsOn"
DEEPEST = 64  # levels; a state machine has only a few


@dataclass(frozen=True, slots=True)
class Payload:
    """A request that was found. `request` is in the form of a spec: with AWS's field names, escaped text, and
    placeholders for expressions.

    `name` is a name for the spec, and `origin` describes where the request was found. `variables` maps the variables
    that need a value to the expressions that they replace. `omitted` maps the paths of fields that need a value to
    their expressions. `left_out` are fields that a spec does not have, and `notes` are sentences for the user. `run_id`
    is set if the payload describes a run. `path` is the position in the file, and `after` are the paths of the payloads
    whose jobs must succeed first.
    """

    kind: str
    request: JSON
    name: str
    origin: str
    variables: Mapping[str, str] = field(default_factory=dict)
    omitted: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    schedule: CronSchedule = NO_SCHEDULE
    run_id: str | None = None
    path: str = ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request was found. `name` is the name for the spec, `text` describes the origin, and `left_out` are
    fields that a spec does not have. `fallback` is the name if there is no other."""

    name: str
    text: str
    left_out: tuple[str, ...] = ()
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a file: its path and depth, and the information in the objects around it: a name, a schedule, and
    the order of the states of a state machine."""

    name: str
    path: str = ""
    depth: int = 0
    schedule: CronSchedule = NO_SCHEDULE
    orders: Mapping[str, Order] = field(default_factory=dict)

    def below(self, step: str, name: str | None = None) -> Position:
        """Returns the position one level deeper."""
        path = f"{self.path}{step}" if step.startswith("[") or not self.path else f"{self.path}.{step}"
        return replace(self, name=self.name if name is None else name, path=path, depth=self.depth + 1)


def find(value: Any, name: str = "") -> Iterator[Payload]:  # noqa: ANN401 - any JSON value
    """Yields the requests in a JSON value, in the order of the file."""
    yield from _found(value, Position(name))


def _found(value: Any, at: Position) -> Iterator[Payload]:  # noqa: ANN401 - any JSON value
    if at.depth > DEEPEST:
        return
    if isinstance(value, str):
        if value.lstrip()[:1] in {"{", "["} and (inner := _parsed(value)) is not None:  # a definition within a template
            yield from _found(inner, replace(at, depth=at.depth + 1))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _found(entry, at.below(f"[{index}]"))
    elif isinstance(value, dict):
        at = replace(at, schedule=cron_schedule(value) or at.schedule)
        if not at.orders and is_machine(value):
            at = replace(at, orders=orders(value, at.path, _starts_job))
        order = at.orders.get(at.path)
        mine = list(_recognised(value, at.name, at.schedule, order))
        yield from (replace(each, path=at.path, after=order.after if order else ()) for each in mine)
        if not mine:
            own = value.get("Name") or value.get("name")
            for key, inner in value.items():
                below = own if isinstance(own, str) and key in {"Target", "Targets", "definition"} else key
                yield from _found(inner, at.below(str(key), below))


def _starts_job(state: JSON) -> bool:
    return _match(_TASK, state.get("Resource")) is not None


def _parsed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _recognised(value: JSON, name: str, schedule: CronSchedule, order: Order | None) -> Iterator[Payload]:
    """Yields the requests of an object in one of the formats, or nothing for any other object."""
    if (task := _match(_TASK, value.get("Resource"))) is not None:
        given: Any = next((value[key] for key in ("Parameters", "Arguments", "Parameters.$") if key in value), {})
        left_out = _others(value, (*_OF_THE_STATE, *(("Next",) if order else ())))
        payload = _payload(task, given, Origin(name, f"state {name}", left_out), NO_SCHEDULE)
        yield replace(payload, notes=(*payload.notes, *(order.notes if order else ())))
    elif (universal := _match(_UNIVERSAL, value.get("Arn"))) is not None:
        given, origin = (
            _parsed(value.get("Input") or "{}"),
            Origin(name, f"schedule {name}", _others(value, _OF_THE_TARGET)),
        )
        yield _payload(universal, given, origin, schedule)
    else:
        for kind in map(kind_named, MODULES):
            yield from _of_kind(kind, value, name, schedule)


def _of_kind(kind: Kind, value: JSON, name: str, schedule: CronSchedule) -> Iterator[Payload]:
    """Yields the requests of an object that only one kind can recognise: runs, targets and plain payloads."""
    reader = described(kind.name)
    if reader is not None:
        for run in reader.runs_in(value):
            yield _of_run(kind, reader.run_id(run), reader.request_of(run, None))
        if (request := reader.target_request(value)) is not None:
            origin = Origin("", f"target of {name or 'a rule'}", _others(value, _OF_THE_TARGET), fallback=name)
            yield _payload(kind, request, origin, schedule)
            return
    if _is_request(kind, value):
        yield _payload(kind, value, Origin("", "payload"), schedule)


def _others(value: JSON, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in value if key not in known)


def _match(pattern: re.Pattern[str], arn: object) -> Kind | None:
    """Returns the kind whose operation an ARN names, or `None` if there is none."""
    match = pattern.fullmatch(arn) if isinstance(arn, str) else None
    if match is None:
        return None
    for kind in map(kind_named, MODULES):
        words = {kind.service.replace("_", "-"), kind.service.replace("_", "")}
        if match["service"] in words and match["operation"].lower() == kind.operation.lower():
            return kind
    return None


def _is_request(kind: Kind, value: JSON) -> bool:
    """Returns whether an object has all fields that a request of the kind requires, except those with a default."""
    required = {name for name, each in kind.model.model_fields.items() if each.is_required()}
    return required - {kind.token_field, kind.name_field} <= {_camel(str(key).removesuffix(".$")) for key in value}


def _of_run(kind: Kind, run_id: str, read: DescribedRequest) -> Payload:
    request = mapped(read.request, escaped)
    name = str(read.request.get(kind.name_field) or run_id)
    return Payload(kind.name, request, name, f"run {run_id}", left_out=read.left_out, notes=read.notes, run_id=run_id)


def _payload(kind: Kind, given: Any, origin: Origin, schedule: CronSchedule) -> Payload:  # noqa: ANN401 - any JSON value
    fillings, left_out = Fillings(slots=schedule.cron is not None), origin.left_out
    if not isinstance(given, dict):
        fillings.omitted["request"] = str(given)
        given = {}
    # The reconciler makes client tokens. An imported one would be the same in every run.
    reserved = [key for key in given if _camel(str(key).removesuffix(".$")) == RESERVED_FIELD]
    left_out = (*left_out, *reserved)
    request = _converted({key: given[key] for key in given if key not in reserved}, kind.model, "", fillings)
    own = request.get(kind.name_field)
    # A name with a placeholder has no fixed value, so it cannot name the spec.
    name = origin.name or (own if isinstance(own, str) and "$" not in own else "") or origin.fallback
    return Payload(
        kind.name,
        request,
        name,
        origin.text,
        fillings.variables,
        fillings.omitted,
        (*left_out, *fillings.left_out, *schedule.left_out),
        (*schedule.notes, *([ORDER] if "Next" in origin.left_out else [])),
        schedule,
    )


def _converted(value: Any, annotation: Any, path: str, fillings: Fillings) -> Any:  # noqa: ANN401 - any JSON value
    """Returns a value of a payload in the form of a spec, as far as a model describes it."""
    model = bare(annotation)
    if isinstance(value, dict):
        fields = fields_of(model)
        entry = get_args(model)[1] if get_origin(model) is dict else None
        return dict(_pairs(value, fields, entry, path, fillings))
    if isinstance(value, list):
        inner = get_args(model)[0] if get_origin(model) is list else None
        return [_converted(each, inner, f"{path}[{index}]", fillings) for index, each in enumerate(value)]
    if isinstance(value, str):
        return fillings.text(value, path)
    return value


def _pairs(
    value: JSON,
    fields: Mapping[str, Any],
    entry: Any,  # noqa: ANN401 - an annotation
    path: str,
    fillings: Fillings,
) -> Iterator[tuple[str, Any]]:
    """Yields the fields of an object under AWS's own names. Keys of mappings are unchanged."""
    for key, inner in value.items():
        base = key.removesuffix(".$")
        name = _field(base, fields) if fields else base if entry is not None else _camel(base)
        hint, below = fields.get(name, entry), f"{path}.{name}" if path else name
        if inner is None or (fields and name not in fields):
            fillings.left_out.append(f"{below}{' (null)' if inner is None else ' (unknown field)'}")
            continue
        expression = inner if base != key else inner.strip()[2:-2].strip() if is_jsonata(inner) else None
        if expression is None:
            converted = _converted(inner, hint, below, fillings)
            if converted != {} or inner == {}:  # an object may have had nothing but omitted fields
                yield name, converted
        elif bare(hint) is str or hint is None:
            yield name, _whole(inner, below, fillings, is_path=base != key)
        elif get_origin(bare(hint)) is list and bare(get_args(bare(hint))[0]) is str:
            yield name, fillings.entries(str(expression), below)
        else:  # numbers and objects cannot have placeholders
            fillings.omitted[below] = str(expression)


def _whole(inner: Any, below: str, fillings: Fillings, *, is_path: bool) -> str:  # noqa: ANN401 - any JSON value
    return fillings.expression(str(inner), below) if is_path else fillings.text(str(inner), below)


def _field(key: str, fields: Mapping[str, Any]) -> str:
    """Returns the field whose name matches a key, ignoring case. If there is none, returns the key in AWS's
    spelling."""
    camel = _camel(key)
    return camel if camel in fields else next((name for name in fields if name.lower() == key.lower()), camel)


def _camel(key: str) -> str:
    return key[:1].lower() + key[1:]

"""Renders plans, results and statuses as complete, unmasked JSON, and reads plans back.

In JSON, an action and a change are flat. In memory, an `Action` contains a key and a content, and a `SpecChange` and a
`PendingDeclaration` contain a content, which are assembled when a plan is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from reconciler import __version__
from reconciler.core.declarations import PROJECT_KIND, PROJECT_NAME, PendingDeclaration
from reconciler.core.identity import Place, request_digest
from reconciler.core.plan import Action, ActionResult, Change, Plan, SpecChange
from reconciler.core.settings import change_of_settings
from reconciler.core.suggestions import SuggestedCommands
from reconciler.errors import PlanFileError, Problem
from reconciler.model.base import JSON
from reconciler.render.diff import all_fields
from reconciler.render.json_text import Each
from reconciler.render.runs import usual_json

if TYPE_CHECKING:
    from reconciler.render.status import StatusRow

FORMAT_VERSION = "1.1"
"""The version of the format. New keys raise the minor number, and changes of existing keys raise the major number."""

MAJOR = FORMAT_VERSION.split(".", maxsplit=1)[0]


def plan_form(plan: Plan) -> JSON:
    """Returns the JSON form of a plan, with keys in the documented order (docs/plan-format.md). Changes and actions are
    converted when they are written, because thousands of them take more memory as JSON than in the plan."""
    settings = change_of_settings(plan)
    return {
        "format_version": FORMAT_VERSION,
        "tool_version": __version__,
        **asdict(plan.place),
        "created_at": plan.created_at,
        "ledger_position": plan.ledger_position,
        "commit": plan.commit,
        **({"uncommitted": True} if plan.uncommitted else {}),
        **({"base": plan.base} if plan.base is not None else {}),
        **_problems_json(plan.problems),
        "warnings": list(plan.warnings),
        "schedules": [asdict(change) for change in plan.schedule_changes],
        "plan_id": plan.plan_id,
        **({"project_changes": [spec_change_json(settings)]} if settings is not None else {}),
        "changes": Each(spec_change_json, [change for change in plan.changes if change is not settings]),
        "actions": Each(partial(_action_json, place=plan.place), plan.actions),
        "summary": plan.summary(),
    }


def _action_json(action: Action, place: Place) -> JSON:
    content = action.content
    return {
        "name": action.name,
        "kind": action.kind,
        "action": str(action.action),
        "reason": str(action.reason),
        "generation": action.generation,
        "slot": action.slot,
        "attempt": action.attempt,
        "digest": action.digest,
        "client_token": action.client_token,
        "ledger_head": action.ledger_head,
        "run_id": action.run_id,
        "replaces": action.replaces,
        "source": asdict(content.source) if content.source else None,
        "changes": [change_json(change) for change in action.changes],
        "request": content.request,
        "message": action.message,
        "compared_with": action.compared_with,
        "send": action.send,
        "revision": content.revision,
        "deletion_policy": content.deletion_policy,
        "streaming": content.streaming,
        "locate": dict(content.location),
        **({"remedy": _suggested_json(action.suggested)} if action.suggested else {}),  # the key of release 0.1.0
        "next_slot": action.next_slot,
        "missed": [{**asdict(m), "slots": None if m.slots is None else list(m.slots)} for m in action.missed],
        **_scheduling(action),
        "console_url": place.console_url(action.kind, content.location, action.run_id),
        "usual": usual_json(action.typical) if action.typical is not None else None,
    }


def _scheduling(action: Action) -> JSON:
    """Returns the fields that only scheduled and dependent specs need. Default values are left out."""
    return {
        **({"template": action.template, "time_zone": action.time_zone} if action.template is not None else {}),
        **({"run_ids": dict(action.run_ids)} if action.run_ids else {}),
        **({"backoff_limit": action.backoff_limit} if action.backoff_limit else {}),
        **({"settled_slots": action.handled_until} if action.handled_until else {}),
        **({"beside": True} if action.beside else {}),
        **({"overdue": True} if action.overdue else {}),
        **({"since": action.since} if action.since else {}),
        **({"replaces_label": action.replaces_label} if action.replaces_label else {}),
    }


def _suggested_json(suggested: SuggestedCommands) -> JSON:
    return {"since": suggested.since, "settles_at": suggested.settles_at, "commands": list(suggested.commands)}


def change_json(change: Change) -> JSON:
    """Returns the JSON form of one change. `sensitive` is left out unless it is true."""
    form = {"path": change.path, "op": change.op, "before": change.before, "after": change.after}
    return {**form, "sensitive": True} if change.sensitive else form


def spec_change_json(change: SpecChange) -> JSON:
    """Returns the differences between a spec and its last-applied version as JSON. Nothing is masked."""
    return {
        "name": change.name,
        "kind": change.kind,
        "change": str(change.change),
        "fields": [change_json(each) for each in all_fields(change)],
        "effect": str(change.effect),
        "effect_at": change.effect_at,
        "message": change.message,
        "commit_of_declaration": change.declared_commit,
        "compared_with": change.compared_with,
        "source": asdict(change.source) if change.source else None,
        "digest": change.content.digest if change.content is not None else None,
        "stale": change.stale,
        **({"origin": str(change.origin), "origin_note": change.origin_note} if change.origin is not None else {}),
        **({"renamed_from": change.renamed_from} if change.renamed_from is not None else {}),
    }


def declarations_form(plan: Plan) -> JSON:
    """Returns the keys of a plan file that contain all declarations: of the project file and of the specs. They are in
    the file because applying it reads no specs."""
    form: JSON = {
        "declarations": Each(_declaration_json, [each for each in plan.declarations if each.kind != PROJECT_KIND])
    }
    for each in plan.declarations:
        if each.kind == PROJECT_KIND:
            form["project_declaration"] = {"after": each.after, "settings": dict(each.policy)}
    return form


def _declaration_json(pending: PendingDeclaration) -> JSON:
    form: JSON = {"name": pending.name, "kind": pending.kind, "after": pending.after}
    content = pending.content
    if content is None:
        return {**form, "undeclared": True}
    return {
        **form,
        "digest": content.digest,
        "request_digest": request_digest(content.request or {}),
        "policy": dict(pending.policy),
        "request": content.request,
        "source": asdict(content.source) if content.source else None,
    }


def result_form(plan: Plan, results: Sequence[ActionResult]) -> JSON:
    """Returns the JSON form of an applied plan: `plan_form` with ``outcome``, ``error`` and the current ``run_id`` on
    each action. `results` are in the order of the plan's actions."""
    pairs = zip(plan.actions, results, strict=True)
    return {**plan_form(plan), "actions": Each(partial(_result_json, place=plan.place), [*pairs])}


def _result_json(applied: tuple[Action, ActionResult], place: Place) -> JSON:
    action, result = applied
    form = _action_json(action, place)
    run_id = result.run_id or action.run_id
    url = place.console_url(action.kind, action.content.location, run_id)
    return {**form, "run_id": run_id, "console_url": url, "outcome": str(result.outcome), "error": result.error}


def status_json(rows: Sequence[StatusRow], problems: Sequence[Problem] = ()) -> JSON:
    """Returns ``{"specs": […]}``, with one object for each row, in the order of the rows. ``remedy`` and ``problems``
    are left out if empty."""
    names = {"suggested": FILE_NAMES["suggested"]}
    forms = [{names.get(key, key): value for key, value in asdict(row).items()} for row in rows]
    specs = [{k: v for k, v in form.items() if k != "remedy" or v is not None} for form in forms]
    return {"specs": specs, **_problems_json(problems)}


def _problems_json(problems: Sequence[Problem]) -> JSON:
    """Returns a field with the problems in the project's files, or no field if there are no problems."""
    keys = ("path", "line", "col", "message", "rule")
    return {"problems": [{key: getattr(problem, key) for key in keys} for problem in problems]} if problems else {}


PLACE_KEYS = ("project", "target", "account", "region")
PLAN_KEYS = ("created_at", "ledger_position", "actions", "commit", "warnings")
CHANGE_KEYS = ("project_changes", "changes")
LATER_KEYS = ("uncommitted", "base", "plan_id", "settings_digest")
ACTION_KEYS = (
    "name", "kind", "action", "reason", "generation", "slot", "attempt", "digest", "client_token", "ledger_head",
    "run_id", "replaces", "source", "changes", "request", "message", "compared_with", "send", "revision",
    "deletion_policy", "streaming", "locate",
)  # fmt: skip
"""The keys of every action. Most keys have a default in memory, but a plan file in which a key is missing was edited
and is refused."""

CONTENT_KEYS = ("revision", "request", "deletion_policy", "streaming", "source")
FILE_NAMES = {
    "schedule_changes": "schedules", "location": "locate", "suggested": "remedy", "handled_until": "settled_slots",
    "declared_commit": "commit_of_declaration",
}  # fmt: skip
"""Names in JSON that differ from those in memory."""

CHANGE_OF_SPEC_KEYS = (
    "name", "kind", "change", "fields", "effect", "effect_at", "message", "commit_of_declaration", "compared_with",
    "source", "digest", "stale",
)  # fmt: skip
DECLARATION_KEYS = ("name", "kind", "after")
DECLARED_KEYS = ("digest", "request_digest", "policy", "request", "source")

EXPECTED = {
    "string_type": "a string", "int_type": "a whole number", "bool_type": "true or false", "tuple_type": "a list",
    "dict_type": "an object", "mapping_type": "an object", "dataclass_type": "an object",
}  # fmt: skip
"""The expected type of a value, by the type of the pydantic error."""


@cache
def _adapter(of: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type
    return TypeAdapter(of)


def _read(of: Any, form: object, *location: str) -> Any:  # noqa: ANN401 - a type, and an object of it
    """Returns the object of a form. `location` is where the form is in the file. Raises `PlanFileError`."""
    try:
        return _adapter(of).validate_python(form)
    except ValidationError as error:
        raise PlanFileError(_problem(error, location)) from None


def plan_from_json(data: object) -> Plan:
    """Reads the JSON form of a plan. Unknown keys are ignored, because a newer minor version may add keys.

    Raises `PlanFileError` for another major version, a missing key, a value of the wrong type, or a summary that does
    not match the actions. Its message is one sentence with the location.
    """
    if not isinstance(data, dict):
        raise PlanFileError("the plan file is not a JSON object: it was not written by `reconciler plan --out`")
    _check_version(data)
    _require(data, (*PLACE_KEYS, *PLAN_KEYS, "summary"))
    form = {key: data[key] for key in (*PLAN_KEYS, *LATER_KEYS) if key in data}
    form["place"] = {key: data[key] for key in PLACE_KEYS}
    form["schedule_changes"] = data.get("schedules", [])
    form["actions"] = _each(_nested, data["actions"], "actions")
    changes = [
        change
        for key in CHANGE_KEYS
        for change in _read(tuple[SpecChange, ...], _each(_nested_change, data.get(key, []), key), key)
    ]
    plan: Plan = replace(_read(Plan, form), changes=tuple(changes), declarations=tuple(_declarations(data)))
    if data["summary"] != plan.summary():
        raise PlanFileError("the plan file's summary does not match its actions: the file was edited, or is truncated")
    return plan


def _check_version(data: JSON) -> None:
    _require(data, ("format_version",))
    version = data["format_version"]
    if not isinstance(version, str):
        raise PlanFileError("the plan file: format_version must be a string")
    if version.split(".", maxsplit=1)[0] != MAJOR:
        raise PlanFileError(
            f"the plan file has format_version {version}, this version reads {MAJOR}.x: plan again with this version"
        )


def _require(form: JSON, keys: Iterable[str], *location: str | int) -> None:
    for key in keys:
        if key not in form:
            raise PlanFileError(_missing((*location, key)))


def _each(nested: Callable[[JSON, str, int], JSON], forms: object, key: str) -> object:
    """Returns the JSON forms in a list, each with nested objects. Returns anything else unchanged, to be refused."""
    if not isinstance(forms, list):
        return forms
    return [nested(form, key, index) if isinstance(form, dict) else form for index, form in enumerate(forms)]


def _nested(form: JSON, *location: str | int) -> JSON:
    """Returns the JSON form of an action, with the fields of its key and its content in nested objects."""
    _require(form, ACTION_KEYS, *location)
    key = {name: form[name] for name in ("name", "generation", "slot", "attempt")}
    content = {name: form[name] for name in CONTENT_KEYS} | {"location": form["locate"]}
    if form["digest"] is not None:
        content["digest"] = form["digest"]
    has_key = form["generation"] is not None or form["slot"] is not None
    return {**_flat(Action, form), "key": key if has_key else None, "content": content}


def _flat(of: type[Action | SpecChange], form: JSON) -> JSON:
    """Returns the values of a form that are fields of a type, by their names in memory."""
    names = {field.name: FILE_NAMES.get(field.name, field.name) for field in fields(of)}
    return {name: form[key] for name, key in names.items() if key in form}


def _nested_change(form: JSON, *location: str | int) -> JSON:
    """Returns the JSON form of a change, with its content in a nested object."""
    _require(form, CHANGE_OF_SPEC_KEYS, *location)
    content = None if form["digest"] is None else {"digest": form["digest"], "source": form["source"]}
    return {**_flat(SpecChange, form), "content": content}


def _declarations(data: JSON) -> Iterator[PendingDeclaration]:
    """Yields the declarations that `declarations_form` wrote. Raises `PlanFileError` for an invalid declaration, and if
    a request does not match its digest."""
    project = data.get("project_declaration")
    if project is not None:
        form = project if isinstance(project, dict) else {}
        _require(form, ("after", "settings"), "project_declaration")
        own = {"name": PROJECT_NAME, "kind": PROJECT_KIND, "after": form["after"], "policy": form["settings"]}
        yield _read(PendingDeclaration, own, "project_declaration")
    forms = data.get("declarations", [])
    nested = _each(_nested_declaration, forms, "declarations")
    declared: tuple[PendingDeclaration, ...] = _read(tuple[PendingDeclaration, ...], nested, "declarations")
    for pending, form in zip(declared, forms, strict=True):
        if pending.content is not None and request_digest(pending.content.request or {}) != form["request_digest"]:
            problem = f"the declared request of {pending.name}"
            raise PlanFileError(f"the plan file was changed after it was created: {problem}")
        yield pending


def _nested_declaration(form: JSON, *location: str | int) -> JSON:
    """Returns the JSON form of the declaration of a spec, with its content in a nested object."""
    _require(form, DECLARATION_KEYS, *location)
    own = {key: form[key] for key in DECLARATION_KEYS}
    if form.get("undeclared") is True:
        return own
    _require(form, DECLARED_KEYS, *location)
    policy = form["policy"]
    content = {key: form[key] for key in ("digest", "request", "source")}
    revision = policy.get("revision", 1) if isinstance(policy, dict) else 1
    return {**own, "policy": policy, "content": {**content, "revision": revision}}


def _problem(error: ValidationError, location_of_form: Sequence[str | int]) -> str:
    """Returns the first problem in a plan file: its location and the expected type. The value is left out, because it
    may be a secret."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    parts = (*location_of_form, *first["loc"])
    location = [FILE_NAMES.get(str(part), part) for part in parts if part not in {"place", "key", "content"}]
    if first["type"] == "missing":
        return _missing(location)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{_location(location)}: {message}"
    expected = EXPECTED.get(first["type"], message.removeprefix("Input should be "))
    *outer, last = location
    value = _location(location) if isinstance(last, int) else f"{_location(outer)}: {last}"
    return f"{value} must be {expected}"


def _missing(location: Sequence[str | int]) -> str:
    *outer, key = location
    return f"{_location(outer)} lacks {key}: it was not written by `reconciler plan --out`, or is truncated"


def _location(parts: Iterable[str | int]) -> str:
    """Returns a location such as ``the plan file, actions[0], changes[1]``."""
    return "the plan file" + "".join(f"[{part}]" if isinstance(part, int) else f", {part}" for part in parts)

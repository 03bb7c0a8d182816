"""The plan, its results and the status as JSON: for machines, and whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from reconciler import __version__
from reconciler.core.identity import Content, Place, Source, SubmissionKey
from reconciler.core.plan import Action, ActionResult, ActionType, Change, MissedSlots, Op, Plan, Reason, ScheduleChange
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.errors import PlanFileError
from reconciler.model.base import JSON
from reconciler.redact.escape import BLANK_LETTERS, without_hash_commands

if TYPE_CHECKING:
    from reconciler.render.status import StatusRow

__all__ = ["change_json", "dumps", "plan_from_json", "plan_json", "result_json", "status_json"]


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON value
    r"""`value` as indented JSON without a line end. Every character that is not plainly visible is a ``\u`` escape, so
    that the text is safe on a terminal and can be encoded as UTF-8 whatever is in it, and nothing in it is a command to
    a CI runner; read back it is the same value.
    """
    text = without_hash_commands(json.dumps(value, indent=2, ensure_ascii=False))
    if text.replace("\n", "").isprintable() and BLANK_LETTERS.isdisjoint(text):
        return text
    return "".join(char if char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    visible = char.isprintable() and char not in BLANK_LETTERS
    return char if visible else json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def plan_json(plan: Plan) -> JSON:
    """The JSON form of a plan, keys in the documented order (docs/plan-format.md). Nothing is masked."""
    return {
        "format_version": FORMAT_VERSION,
        "tool_version": __version__,
        **asdict(plan.place),
        "created_at": plan.created_at,
        "ledger_position": plan.ledger_position,
        "commit": plan.commit,
        **({"uncommitted": True} if plan.uncommitted else {}),
        "warnings": list(plan.warnings),
        "schedules": [asdict(begin) for begin in plan.schedule_changes],
        "actions": [_action_json(action) for action in plan.actions],
        "summary": plan.summary(),
    }


def _action_json(action: Action) -> JSON:
    source = action.source
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
        "source": {"path": source.path, "line": source.line} if source else None,
        "changes": [change_json(change) for change in action.changes],
        "request": action.request,
        "message": action.message,
        "compared_with": action.compared_with,
        "send": action.send,
        "revision": action.content.revision,
        "deletion_policy": action.content.deletion_policy,
        "streaming": action.content.streaming,
        "locate": dict(action.content.location),
        **({"remedy": remedy_json(action.suggested)} if action.suggested else {}),
        "next_slot": action.next_slot,
        "missed": [_missed_json(missed) for missed in action.missed],
        **_scheduling(action),
    }


def _missed_json(missed: MissedSlots) -> JSON:
    return {
        "first": missed.first,
        "last": missed.last,
        "count": missed.count,
        "slots": None if missed.slots is None else list(missed.slots),
        "reason": missed.reason,
    }


def _scheduling(action: Action) -> JSON:
    """What only submissions of scheduled and dependent specs have; absent where it is the default."""
    return {
        **({"template": action.template, "time_zone": action.time_zone} if action.template is not None else {}),
        **({"run_ids": dict(action.run_ids)} if action.run_ids else {}),
        **({"backoff_limit": action.backoff_limit} if action.backoff_limit else {}),
        **({"settled_slots": action.handled_until} if action.handled_until else {}),
        **({"beside": True} if action.beside else {}),
        **({"overdue": True} if action.overdue else {}),
    }


def remedy_json(remedy: SuggestedCommands) -> JSON:
    """What a person can do: ``{"since", "settles_at", "commands"}``."""
    return {"since": remedy.since, "settles_at": remedy.settles_at, "commands": list(remedy.commands)}


def change_json(change: Change) -> JSON:
    """The JSON form of one change; `sensitive` is there only where it is true, which is almost never."""
    form = {"path": change.path, "op": change.op, "before": change.before, "after": change.after}
    return {**form, "sensitive": True} if change.sensitive else form


def result_json(plan: Plan, results: Sequence[ActionResult]) -> JSON:
    """The JSON form of a plan that was carried out: as `plan_json`, with ``outcome`` and ``error`` on each action, and
    ``run_id`` as it is now. `results` are in the order of the plan's actions.
    """
    form = plan_json(plan)
    for action, result in zip(form["actions"], results, strict=True):
        action["run_id"] = result.run_id or action["run_id"]
        action["outcome"] = str(result.outcome)
        action["error"] = result.error
    return form


def status_json(rows: Sequence[StatusRow]) -> JSON:
    """``{"specs": […]}``, one object for each row, in their order; ``remedy`` only where there is one."""
    forms = [asdict(row) for row in rows]
    return {"specs": [{k: v for k, v in form.items() if k != "remedy" or v is not None} for form in forms]}


FORMAT_VERSION = "1.0"
"""Additions raise the minor number; a change of what is there raises the major one."""

MAJOR = FORMAT_VERSION.split(".", maxsplit=1)[0]
T = TypeVar("T")
E = TypeVar("E", bound=Enum)


def plan_from_json(data: object) -> Plan:
    """The plan that `plan_json` wrote. Unknown keys are passed over: a newer minor version may add some.

    Raises `PlanFileError`, with one sentence that names the place, for another major version, a missing key, a value of
    another type, and a summary that its actions do not add up to.
    """
    if not isinstance(data, dict):
        raise PlanFileError("the plan file is not a JSON object: it was not written by `reconciler plan --out`")
    fields = _Fields(data, "the plan file")
    version = fields.text("format_version")
    if version.split(".", maxsplit=1)[0] != MAJOR:
        raise PlanFileError(
            f"the plan file has format_version {version}, this version reads {MAJOR}.x: plan again with this version"
        )
    plan = Plan(
        place=Place(*(fields.text(key) for key in ("project", "target", "account", "region"))),
        created_at=fields.text("created_at"),
        ledger_position=fields.whole("ledger_position"),
        actions=fields.each("actions", _action),
        commit=fields.maybe("commit", fields.text),
        warnings=fields.texts("warnings"),
        uncommitted=data.get("uncommitted") is True,
        schedule_changes=fields.each("schedules", _begin) if fields.has("schedules") else (),
    )
    if fields.mapping("summary") != plan.summary():
        raise PlanFileError("the plan file's summary does not count its actions: it was changed by hand, or cut")
    return plan


def _action(fields: _Fields) -> Action:
    return Action(
        name=fields.text("name"),
        kind=fields.text("kind"),
        action=fields.member("action", ActionType),
        reason=fields.member("reason", Reason),
        key=_key(fields),
        content=_content(fields),
        client_token=fields.maybe("client_token", fields.text),
        ledger_head=fields.whole("ledger_head"),
        run_id=fields.maybe("run_id", fields.text),
        replaces=fields.maybe("replaces", fields.text),
        changes=fields.each("changes", _change),
        message=fields.text("message"),
        compared_with=fields.maybe("compared_with", fields.whole),
        send=fields.whole("send"),
        suggested=fields.one("remedy", _remedy) if fields.has("remedy") else None,
        overdue=fields.given("overdue", fields.flag, False),
        template=fields.given("template", fields.mapping, None),
        time_zone=fields.given("time_zone", fields.text, "UTC"),
        run_ids=fields.given("run_ids", fields.text_mapping, {}),
        backoff_limit=fields.given("backoff_limit", fields.whole, 0),
        missed=fields.given("missed", lambda key: fields.each(key, _missed), ()),
        handled_until=fields.given("settled_slots", fields.text, None),
        beside=fields.given("beside", fields.flag, False),
        next_slot=fields.given("next_slot", lambda key: fields.maybe(key, fields.text), None),
    )


def _key(fields: _Fields) -> SubmissionKey | None:
    generation, slot = fields.maybe("generation", fields.whole), fields.maybe("slot", fields.text)
    attempt = fields.whole("attempt")
    if generation is not None and slot is not None:
        raise fields.wrong("slot", "null where there is a generation")
    return (
        None if generation is None and slot is None else SubmissionKey(fields.text("name"), generation, slot, attempt)
    )


def _content(fields: _Fields) -> Content:
    return Content(
        digest=fields.maybe("digest", fields.text) or "",
        revision=fields.whole("revision"),
        request=fields.maybe("request", fields.mapping),
        location=fields.text_mapping("locate"),
        deletion_policy=fields.text("deletion_policy"),
        streaming=fields.of("streaming", bool, "true or false"),
        source=fields.maybe("source", lambda key: fields.one(key, _source)),
    )


def _missed(fields: _Fields) -> MissedSlots:
    return MissedSlots(
        first=fields.text("first"),
        last=fields.text("last"),
        count=fields.maybe("count", fields.whole),
        slots=fields.maybe("slots", fields.texts),
        reason=fields.text("reason"),
    )


def _begin(fields: _Fields) -> ScheduleChange:
    return ScheduleChange(
        name=fields.text("name"),
        kind=fields.text("kind"),
        schedule=fields.text("schedule"),
        time_zone=fields.text("time_zone"),
        stopped=fields.maybe("stopped", fields.text),
    )


def _remedy(fields: _Fields) -> SuggestedCommands:
    since, settles_at = fields.maybe("since", fields.text), fields.maybe("settles_at", fields.text)
    return SuggestedCommands(fields.texts("commands"), since, settles_at)


def _source(fields: _Fields) -> Source:
    return Source(fields.text("path"), fields.whole("line"))


def _change(fields: _Fields) -> Change:
    op = fields.text("op")
    if op not in get_args(Op):
        raise fields.wrong("op", f"one of {', '.join(get_args(Op))}")
    return Change(
        path=fields.text("path"),
        op=op,  # type: ignore[arg-type]  # checked above
        before=fields.value("before"),
        after=fields.value("after"),
        sensitive=fields.of("sensitive", bool, "true or false") if fields.has("sensitive") else False,
    )


class _Fields:
    """One JSON object of the file: each access checks that the key is there and its value of the right type."""

    def __init__(self, data: Mapping[str, Any], place: str) -> None:
        self.data, self.place = data, place

    def wrong(self, key: str, expected: str) -> PlanFileError:
        return PlanFileError(f"{self.place}: {key} must be {expected}")

    def has(self, key: str) -> bool:
        return key in self.data

    def value(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        if key not in self.data:
            raise PlanFileError(f"{self.place} lacks {key}: it was not written by `reconciler plan --out`, or was cut")
        return self.data[key]

    def of(self, key: str, wanted: type[T], expected: str) -> T:
        value = self.value(key)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise self.wrong(key, expected)
        return value

    def text(self, key: str) -> str:
        return self.of(key, str, "a string")

    def whole(self, key: str) -> int:
        return self.of(key, int, "a whole number")

    def flag(self, key: str) -> bool:
        return self.of(key, bool, "true or false")

    def given(self, key: str, read: Callable[[str], T], absent: T) -> T:
        """A field that a plan holds only where it says something."""
        return read(key) if self.has(key) else absent

    def mapping(self, key: str) -> dict[str, Any]:
        return self.of(key, dict, "an object")

    def member(self, key: str, wanted: type[E]) -> E:
        text = self.text(key)
        try:
            return wanted(text)
        except ValueError:
            raise self.wrong(key, f"an action or reason that this version knows, not {text!r}") from None

    def maybe(self, key: str, read: Callable[[str], T]) -> T | None:
        return None if self.value(key) is None else read(key)

    def texts(self, key: str) -> tuple[str, ...]:
        entries: list[Any] = self.of(key, list, "a list")
        if not all(isinstance(entry, str) for entry in entries):
            raise self.wrong(key, "a list of strings")
        return tuple(entries)

    def text_mapping(self, key: str) -> dict[str, str]:
        mapping = self.mapping(key)
        if not all(isinstance(entry, str) for entry in mapping.values()):
            raise self.wrong(key, "an object of strings")
        return mapping

    def one(self, key: str, build: Callable[[_Fields], T]) -> T:
        return build(_Fields(self.mapping(key), f"{self.place}, {key}"))

    def each(self, key: str, build: Callable[[_Fields], T]) -> tuple[T, ...]:
        entries: list[Any] = self.of(key, list, "a list")
        for entry in entries:
            if not isinstance(entry, dict):
                raise self.wrong(key, "a list of objects")
        return tuple(build(_Fields(entry, f"{self.place}, {key}[{i}]")) for i, entry in enumerate(entries))

"""Checks that a plan file contains only actions that follow from git and the ledger.

The seal, digests and tokens of a plan file use no key, so anyone who can write the file can forge them. Therefore the
plan is made again from the specs of the file's commit and the ledger, and must contain every action of the file.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from reconciler.app.inputs import PassInputs, desired_state
from reconciler.app.reconcile import assume, observe
from reconciler.app.session import Session
from reconciler.core import decide
from reconciler.core.checkout import Ancestry
from reconciler.core.declarations import PROJECT_KIND, PendingDeclaration
from reconciler.core.identity import canonical, request_digest
from reconciler.core.plan import Action, Plan
from reconciler.core.renames import after_renames
from reconciler.core.safety_checks import CLOCK_ERROR_SECONDS
from reconciler.core.settings import settings_declared_at
from reconciler.core.state import Recorded
from reconciler.core.times import parse_time
from reconciler.errors import PlanFileError
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.project import Limits
from reconciler.specs.git import read_checkout
from reconciler.specs.project import ProjectFile
from reconciler.specs.specs_at_commit import project_at
from reconciler.specs.usable import load_usable

WITHIN_THE_SECOND = timedelta(microseconds=999_999)
"""The largest error of `created_at`, which is truncated to seconds."""

COMPARED = (
    "kind", "reason", "digest", "client_token", "run_id", "replaces", "send", "run_ids", "backoff_limit", "missed",
    "handled_until", "beside",
)  # fmt: skip
"""The fields of an action that determine what it does, except requests and templates. The other fields are only
displayed."""
COMPARED_CONTENT = ("revision", "deletion_policy", "streaming", "location")
FILE_NAMES = {"handled_until": "settled_slots", "location": "locate"}
MOST_PATHS = 5


class _Named(Protocol):
    """A part of a plan that is about one spec."""

    @property
    def name(self) -> str:
        """The name of the spec."""


def check_asked(session: Session, plan: Plan) -> None:
    """Raises `PlanFileError`, which lists every difference, if the plan does anything that does not follow from the
    specs of its commit and the ledger. A plan that was made from uncommitted changes or outside git is compared with
    the current files."""
    moment = _moment(session, plan)
    file, inputs, from_objects = _inputs(session, plan)
    at_commit = replace(session, project_file=file)
    session.aws.name_runs(inputs.specs)

    def again(inputs: PassInputs, now: datetime) -> Plan:
        desired = desired_state(at_commit, inputs, may_repeat=False, from_objects=from_objects)
        return decide.plan(replace(desired, limits=Limits()), inputs.recorded, now)  # `plan` has applied its limits

    caused = again(inputs, moment)
    problems = [*_other_problems(plan, caused, inputs)]
    open_actions = [action for action in plan.pending if not _is_in(action, caused)]
    if open_actions:  # this follows from run states that no pass has recorded yet
        # A copy, because what is observed here must not count as recorded when the plan is applied.
        observed = replace(inputs, recorded=deepcopy(inputs.recorded))
        assume(observed, observe(at_commit, observed), absence=False)
        later = [again(observed, moment), again(observed, session.now())]
        problems += [
            _problem(action, caused) for action in open_actions if not any(_is_in(action, each) for each in later)
        ]
    if problems:
        source = f"commit {plan.commit[:12]}" if plan.commit and not plan.uncommitted else "the files of the project"
        start = f"the plan does not match {source} and the ledger; nothing was sent. Differences:"
        raise PlanFileError("\n".join([start, *(f"  {problem}" for problem in problems), "Plan again"]))


def _moment(session: Session, plan: Plan) -> datetime:
    """Returns the time that the plan was made for. Raises `PlanFileError` if the value is not a time, or is in the
    future."""
    try:
        moment = parse_time(plan.created_at)
    except ValueError:
        raise PlanFileError("the plan file: created_at is not a time. Nothing was sent") from None
    if moment > session.now() + timedelta(seconds=CLOCK_ERROR_SECONDS):
        raise PlanFileError(f"the plan is for a time in the future, {plan.created_at}: nothing was sent. Plan again")
    return moment + WITHIN_THE_SECOND


def _inputs(session: Session, plan: Plan) -> tuple[ProjectFile, PassInputs, bool]:
    """Returns the inputs that the plan must have been made from: the project, its specs and the ledger. Also returns
    whether the specs were read from git's objects, which happens if the checkout's files differ from the files of the
    plan's commit."""
    checkout = read_checkout(session.root, [plan.commit] if plan.commit is not None else [])
    file, commit, from_objects = session.project_file, checkout.commit, False
    if plan.commit is None and commit is not None:  # else the check of old checkouts would end
        raise PlanFileError(
            f"the plan contains no commit, but this checkout is at {commit[:12]}: nothing was sent. Plan again"
        )
    if plan.commit is not None:
        _check_commit(session, plan.commit, checkout.commit, checkout.ancestry.get(plan.commit))
        if not plan.uncommitted and (checkout.uncommitted or plan.commit != checkout.commit):
            at_commit = project_at(session.root, plan.commit, session.place)
            if isinstance(at_commit, str):
                raise PlanFileError(f"commit {plan.commit[:12]} of the plan {at_commit}. Nothing was sent")
            file, commit, from_objects = at_commit, plan.commit, True
    usable = load_usable(file, session.place.target)
    parts: tuple[Iterable[_Named], ...] = (plan.actions, plan.changes, plan.declarations, plan.schedule_changes)
    # Only the specs of the plan are compared, because it may have been made with --only.
    names = frozenset(each.name for part in parts for each in part)
    recorded = session.ledger.recorded
    inputs = PassInputs(usable.ready, names, recorded, usable.on_hold, usable.unnamed, usable.problems, commit)
    return file, inputs, from_objects


def _check_commit(session: Session, commit: str, head: str | None, ancestry: Ancestry | None) -> None:
    """Raises `PlanFileError` unless the checkout contains the commit."""
    if head is None:
        why = f"{session.root} is not a git checkout, so the specs of that commit cannot be read"
    elif ancestry is Ancestry.NEWER:
        why = f"this checkout ({head[:12]}) is older than that commit"
    elif ancestry is not Ancestry.CONTAINED:
        why = f"this checkout ({head[:12]}) does not contain that commit"
    else:
        return
    raise PlanFileError(
        f"the plan was made from commit {commit[:12]}: {why}. Nothing was sent. Apply it in a checkout of that commit, "
        "with its history, or with --detached and a key"
    )


def _is_in(action: Action, caused: Plan) -> bool:
    """Returns whether the remade plan contains the action."""
    return any(_is_about(each, action) and not any(_differences(action, each)) for each in caused.actions)


def _is_about(one: Action, other: Action) -> bool:
    return (one.name, one.action, one.key) == (other.name, other.action, other.key)


def _problem(action: Action, caused: Plan) -> str:
    """Describes in one line how an action differs from the remade plan."""
    for each in caused.actions:
        if _is_about(each, action):
            return f"{action.name}: {_described(action)} has another {', '.join(_differences(action, each))}"
    asked = [each for each in caused.actions if each.name == action.name]
    instead = ", ".join(f"{_described(each)} ({each.reason})" for each in asked) or "nothing with this name"
    why_not = _why_not(action.name, caused)
    return f"{action.name}: the plan has {_described(action)}, but the specs require {instead}{why_not}"


def _why_not(name: str, caused: Plan) -> str:
    """Returns why the remade plan does nothing for the spec, such as a checkout that is too old."""
    return next((f": {each.message}" for each in caused.actions if each.name == name and each in caused.held), "")


def _described(action: Action) -> str:
    return f"{action.action} of {action.key.label}" if action.key is not None else str(action.action)


def _differences(action: Action, asked: Action) -> Iterator[str]:
    """Yields the names of the fields that differ; for requests, their paths. Never yields values, which may be
    secrets."""
    for request, wanted, name in (
        (action.request, asked.request, "request"),
        (action.template, asked.template, "template"),
    ):
        if not _is_same_request(asked.kind, request, wanted):
            yield from list(_paths(request, wanted, name))[:MOST_PATHS]
    for name in COMPARED_CONTENT:
        if getattr(action.content, name) != getattr(asked.content, name):
            yield FILE_NAMES.get(name, name)
    for name in COMPARED:
        if getattr(action, name) != getattr(asked, name):
            yield FILE_NAMES.get(name, name)
    if action.template is not None and action.time_zone != asked.time_zone:
        yield "time_zone"


def _is_same_request(kind: str, request: JSON | None, wanted: JSON | None) -> bool:
    """Returns whether two requests are the same, or the first is the second in the form that version 0.1.0 sent."""
    if request is None or wanted is None:
        return request is wanted
    forms = (wanted, kind_named(kind).first_form(wanted)) if kind in MODULES else (wanted,)
    return canonical(request) in {canonical(form) for form in forms}


def _paths(one: Any, other: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yields the paths at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _paths(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from _paths(mine, theirs, f"{path}[{index}]")
    elif type(one) is not type(other) or one != other:
        yield path


def _other_problems(plan: Plan, caused: Plan, inputs: PassInputs) -> Iterator[str]:
    """Yields the differences in the parts of a plan that start no run: schedules, renames, declarations, and the
    displayed changes."""
    # Imported here, because `plan_file` imports this module.
    from reconciler.app.plan_file import is_declared

    for schedule in plan.schedule_changes:
        if schedule not in caused.schedule_changes:
            yield (
                f"{schedule.name}: the plan {'stops' if schedule.stopped else 'starts'} a schedule, which the "
                "specs do not"
            )
    for new, old in plan.renames.items():
        if caused.renames.get(new) != old:
            yield f"{new}: the plan renames {old}, which the specs do not declare"
    recorded = after_renames(inputs.recorded, caused.renames)
    declarations: dict[str, Sequence[Any]] = {each.name: _declared(each) for each in caused.declarations}
    yield from _other_settings(plan, caused, recorded)
    for pending in (each for each in plan.declarations if each.kind != PROJECT_KIND):
        spec = inputs.specs.get(pending.name)
        if pending.name in declarations and declarations[pending.name] != _declared(pending):
            yield f"{pending.name}: the plan declares different content or a different policy"
        elif pending.name not in declarations and not is_declared(pending, recorded.spec(pending.name)):
            what = "content that is not in git" if spec is None else "content or a policy that must not be applied"
            yield f"{pending.name}: the plan declares {what}{_why_not(pending.name, caused)}"
    for change in plan.changes:
        spec = inputs.specs.get(change.name)
        if (spec.digest if spec else None) != (change.content.digest if change.content else None):
            yield f"{change.name}: the plan shows a different change ({change.change})"


def _other_settings(plan: Plan, caused: Plan, recorded: Recorded) -> Iterator[str]:
    """Yields the difference between the settings that the plan declares and the settings that it should declare."""
    asked, wanted = (
        next((each for each in made.declarations if each.kind == PROJECT_KIND), None) for made in (plan, caused)
    )
    same = wanted is not None and asked is not None and wanted.policy == asked.policy
    if asked is not None and not same and asked.after == settings_declared_at(recorded):
        yield f"{asked.name}: the plan declares settings that must not be applied"


def _declared(pending: PendingDeclaration) -> tuple[Any, ...]:
    """Returns the content of a declaration in a form that can be compared with one read from a file."""
    content = pending.content
    if content is None:
        return (pending.kind,)
    policy = canonical(dict(pending.policy))
    return pending.kind, content.digest, request_digest(content.request or {}), policy

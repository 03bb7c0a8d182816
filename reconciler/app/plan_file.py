"""Plan files: written with a seal, read back, and refused if edited, of another place, or out of date."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.core.desired import sentence
from reconciler.core.identity import canonical, client_token, digest
from reconciler.core.plan import ActionType
from reconciler.errors import PlanFileError, StalePlan
from reconciler.model.base import nests_deeper
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.spec import suspension
from reconciler.model.template import render_slot

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.app.session import Session
    from reconciler.core.identity import Place
    from reconciler.core.plan import Action, Plan
    from reconciler.core.state import Recorded
    from reconciler.model.base import JSON
    from reconciler.model.spec import Suspension

SENDS = {ActionType.SUBMIT, ActionType.REPLACE}
MOST_BYTES = 256 * 1024 * 1024  # tens of thousands of specs that all change
DEEPEST = 100  # levels; a request has at most 64
SEAL = "seal"
"""The key of a plan file with the checksum of everything else. A file without it is still checked part by part."""

CHANGED = "the plan file was changed after it was created"
AGAIN = "Nothing was sent; plan again"


def write(file: Path, plan: Plan) -> None:
    """Writes the plan file: all of it or nothing, replacing an older one. Only its owner can read it, because requests
    may contain secrets. Raises `PlanFileError`."""
    from reconciler.render.plan_json import dumps, plan_json

    form = plan_json(plan)
    content = dumps({**form, SEAL: _seal(form)}).encode()
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(number, "wb") as stream:  # mkstemp made it 0600
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanFileError(f"the plan file {file} cannot be written: {error.strerror}") from error


def read(file: Path) -> Plan:
    """Reads a plan file. Raises `PlanFileError` if it cannot be read, or is not a plan of a known version."""
    from reconciler.render.plan_json import plan_from_json

    form, seal = _parse(file)
    if isinstance(form, dict) and SEAL in form and form.pop(SEAL) != seal:
        raise PlanFileError(f"the plan file {file} was changed after it was created. {AGAIN}")
    return plan_from_json(form)


def _parse(file: Path) -> tuple[Any, str]:
    """Returns the JSON value of the file, and the seal that belongs to it."""
    try:
        form = json.loads(_content(file))
        if nests_deeper(form, DEEPEST):
            raise PlanFileError(f"the plan file {file} is not a plan: it is nested deeper than {DEEPEST} levels")
        rest = {key: value for key, value in form.items() if key != SEAL} if isinstance(form, dict) else form
        return form, _seal(rest)
    except OSError as error:
        raise PlanFileError(f"the plan file {file} cannot be read: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise PlanFileError(f"the plan file {file} is not a plan: it contains half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise PlanFileError(f"the plan file {file} is not JSON: {error}") from error


def _content(file: Path) -> bytes:
    """Reads a regular file only: a device or a pipe may never begin, or never end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PlanFileError(f"the plan file {file} is not a regular file: save the plan in one")
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise PlanFileError(f"the plan file {file} is larger than {MOST_BYTES // 1024**2} MiB")
    return content


def _seal(form: JSON) -> str:
    """Returns the checksum of a plan. It detects accidents and edits; it is not a signature."""
    return "sha256:" + sha256(canonical(form)).hexdigest()


def check(session: Session, plan: Plan) -> Recorded:
    """Checks that the plan of a file can be applied now, and returns the state of the ledger that it was checked
    against. Raises `PlanFileError`, `StalePlan`."""
    check_file(plan, session.place)
    _check_suspension(plan, suspension(session.project.spec.suspend), session.now())
    recorded = session.ledger.refresh()
    _check_heads(plan, recorded)
    _check_previous_runs(session, plan, recorded)
    return recorded


def check_file(plan: Plan, place: Place) -> None:
    """Raises `PlanFileError` for a plan of another place, or with parts that contradict each other.

    The digest and client token of every submit are computed again from its request, so an edited file is refused
    whatever the edit.
    """
    if plan.place != place:
        raise PlanFileError(f"the plan is for {_text(plan.place)}, and this is {_text(place)}: nothing was sent")
    for action in plan.actions:
        for part in _contradictions(action, place):
            raise PlanFileError(f"{CHANGED}: the {part} of {action.name} does not match its content. {AGAIN}")


def _check_heads(plan: Plan, recorded: Recorded) -> None:
    """Raises `StalePlan` with each spec of a pending action that has events since the plan was created.

    Progress of other specs does not matter.
    """
    heads = {action.name: action.ledger_head for action in plan.pending}
    changed = [(name, head, recorded.spec(name).head) for name, head in heads.items()]
    changed = [(name, head, now) for name, head, now in changed if now != head]
    if changed:
        raise StalePlan(changed)
    for action in plan.pending:
        if action.action is ActionType.REPLACE:
            _check_replaced(action, recorded)
        if action.action in SENDS:
            _check_send(action, recorded)
        elif not action.missed:
            _check_submission(action, recorded)


def _check_previous_runs(session: Session, plan: Plan, recorded: Recorded) -> None:
    """Raises `PlanFileError` if the ledger has no intent yet, and AWS has a run of a submission of the plan: a new plan
    would adopt it."""
    from reconciler.aws.observe import look_for_tokens

    sends = [action for action in plan.actions if action.action in SENDS]
    if recorded.intends or not sends:
        return
    session.aws.check()
    runs = look_for_tokens(sends, session.aws.service, session.now()).runs_by_token
    ran = [action.name for action in sends if runs.get(action.client_token or "")]
    if ran:
        raise PlanFileError(
            f"the ledger contains no submission yet, and AWS has runs of {', '.join(ran)} as planned. "
            "Nothing was sent; plan again to adopt them"
        )


def _check_suspension(plan: Plan, suspended: Suspension | None, now: datetime) -> None:
    """Raises `PlanFileError` if the project is suspended now, and the plan would submit or cancel."""
    stopped = [action.name for action in plan.actions if action.action in {*SENDS, ActionType.CANCEL}]
    if suspended is not None and stopped:
        raise PlanFileError(f"{sentence('the project', suspended, now)}: nothing was sent for {', '.join(stopped)}")


def _check_send(action: Action, recorded: Recorded) -> None:
    """Raises `PlanFileError` unless the send follows the submission's last one; before the first there is none."""
    submission = recorded.by_token.get(action.client_token or "")
    last = submission.newest_send.number if submission is not None else 0
    if action.send != last + 1:
        raise PlanFileError(f"{CHANGED}: send {action.send} of {action.name} does not follow send {last}. {AGAIN}")


def _check_replaced(action: Action, recorded: Recorded) -> None:
    """Raises `PlanFileError` unless the run to replace belongs to the same spec."""
    if not any(run.run_id == action.replaces for run in recorded.spec(action.name).submissions):
        raise PlanFileError(f"{CHANGED}: the ledger has no run {action.replaces} of {action.name} to replace. {AGAIN}")


def _check_submission(action: Action, recorded: Recorded) -> None:
    """Raises `PlanFileError` unless the submission of the action is recorded, with no other run."""
    submission = recorded.by_token.get(action.client_token or "")
    if submission is None or submission.name != action.name or submission.run_id not in {None, action.run_id}:
        raise PlanFileError(f"{CHANGED}: the ledger has no such run of {action.name}. {AGAIN}")


def _contradictions(action: Action, place: Place) -> Iterator[str]:
    """Yields the parts of a submit that contradict its request."""
    if action.action not in SENDS:
        return
    if action.kind not in MODULES:
        yield "kind"
    elif action.request is None:
        yield "request"
    elif action.send > 1:  # the ledger has its request: only the token counts
        yield from _token_contradictions(action, place)
    elif action.request != _rendered(action):
        yield "request"
    elif action.digest != digest(action.kind, action.content.revision, action.template or action.request):
        yield "digest"
    elif dict(action.content.location) != _location(action):
        yield "location"
    else:
        yield from _token_contradictions(action, place)


def _token_contradictions(action: Action, place: Place) -> Iterator[str]:
    key = action.key
    if key is None or not action.digest or action.client_token != client_token(place, action.kind, key, action.digest):
        yield "client token"


def _rendered(action: Action) -> JSON:
    """Renders the template of an action: for its slot, with the ids of the runs that it depends on."""
    request = action.template if action.template is not None else action.request or {}
    if action.template is not None and action.slot is not None:
        request = render_slot(request, action.slot, action.time_zone)
    return kind_named(action.kind).with_runs(request, action.run_ids) if action.run_ids else request


def _location(action: Action) -> dict[str, str]:
    request = action.request or {}
    return kind_named(action.kind).location(request)


def _text(place: Place) -> str:
    return f"project {place.project}, target {place.target}, account {place.account}, region {place.region}"

"""Writes plan files with a seal, reads them back, and refuses files that are damaged, outdated, or made for another
place."""

import hmac
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from reconciler.app.other_ledgers import check_no_other_runs
from reconciler.app.session import Session
from reconciler.core.declarations import PROJECT_KIND, PendingDeclaration
from reconciler.core.desired import sentence
from reconciler.core.identity import Place, canonical, client_token, digests, request_digest
from reconciler.core.plan import SENDS, Action, ActionType, Plan
from reconciler.core.renames import after_renames
from reconciler.core.settings import others_applied
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.suggestions import after_rollback
from reconciler.errors import LedgerRolledBack, PlanFileError, StalePlan
from reconciler.model.base import JSON, nests_deeper
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.spec import Suspension, suspension
from reconciler.model.template import render_slot
from reconciler.render.json_text import Each

MOST_BYTES = 256 * 1024 * 1024  # enough for tens of thousands of specs that all change
DEEPEST = 100  # levels; a request has at most 64
SEAL = "seal"
"""The key in a plan file whose value is the checksum of all other keys. It detects accidental damage, but anyone can
compute it."""
HMAC = "hmac"
"""The key in a plan file whose value is the HMAC of all other keys except the seal. It can be computed only with the
secret key."""
KEY_VARIABLE = "RECONCILER_PLAN_KEY"

CHANGED = "the plan file was changed after it was created"
AGAIN = "Nothing was sent; plan again"


def write(file: Path, plan: Plan, environ: Mapping[str, str]) -> None:
    """Writes the plan file atomically, replacing an older one. Only its owner can read it, because requests may contain
    secrets. An HMAC is added if the environment contains a key. Raises `PlanFileError`."""
    from reconciler.render.json_text import dumped
    from reconciler.render.plan_json import declarations_form, plan_form

    form = {
        **plan_form(plan),
        "settings_digest": plan.settings_digest,
        **declarations_form(plan),
    }
    if key := environ.get(KEY_VARIABLE):
        form |= {HMAC: _hmac(form, key)}
    save(file, (part.encode() for part in dumped({**form, SEAL: _seal(form)})), "plan file")


def save(file: Path, content: Iterable[bytes], what: str) -> None:
    """Writes a file atomically, part by part, replacing an older one. Only its owner can read it. `what` names the kind
    of file in messages. Raises `PlanFileError`."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(number, "wb") as stream:  # mkstemp created it with mode 0600
                stream.writelines(content)
                stream.flush()
                # After a power cut, the new name could otherwise refer to an empty file.
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanFileError(f"the {what} {file} cannot be written: {error.strerror}") from error


def read(file: Path, environ: Mapping[str, str], *, detached: bool = False) -> Plan:
    """Reads a plan file. With `detached`, the file must contain an HMAC made with the key in the environment.

    Raises `PlanFileError` if the file cannot be read, is not a plan of a known version, or has no correct seal or HMAC.
    """
    from reconciler.render.plan_json import plan_from_json

    try:
        form: Any = json.loads(_content(file))
        if nests_deeper(form, DEEPEST):
            raise PlanFileError(f"the plan file {file} is not a plan: it is nested deeper than {DEEPEST} levels")
        content = {key: part for key, part in form.items() if key != SEAL} if isinstance(form, dict) else form
        seal = _seal(content)
    except OSError as error:
        raise PlanFileError(f"the plan file {file} cannot be read: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise PlanFileError(f"the plan file {file} is not a plan: it contains an unpaired surrogate") from error
    except (ValueError, RecursionError) as error:
        raise PlanFileError(f"the plan file {file} is not JSON: {error}") from error
    # Before the seal is checked, because files of other programs, and plans of other major versions, may have none.
    plan = plan_from_json(content)
    if SEAL not in form:
        raise PlanFileError(
            f"the plan file {file} has no seal: it was not created by `plan --out`, or was changed. {AGAIN}"
        )
    if form[SEAL] != seal:
        raise PlanFileError(f"the plan file {file} was changed after it was created. {AGAIN}")
    if detached:
        _check_hmac(file, content, environ.get(KEY_VARIABLE, ""))
    return plan


def _check_hmac(file: Path, content: JSON, key: str) -> None:
    """Raises `PlanFileError` unless the file was written by someone who has the key."""
    if not key:
        raise PlanFileError(
            f"--detached needs the key that the plan was made with, in the environment variable {KEY_VARIABLE}. "
            "Nothing was sent"
        )
    if HMAC not in content:
        raise PlanFileError(
            f"the plan file {file} has no HMAC: set {KEY_VARIABLE} for `plan --out` too, with the same key. {AGAIN}"
        )
    form = {name: part for name, part in content.items() if name != HMAC}
    # `compare_digest` refuses text outside ASCII, and the file may have any JSON value here.
    if not hmac.compare_digest(str(content[HMAC]).encode(), _hmac(form, key).encode()):
        raise PlanFileError(
            f"the plan file {file} does not have the HMAC of the key in {KEY_VARIABLE}: the file was changed after it "
            f"was created, or with another key. {AGAIN}"
        )


def _content(file: Path) -> bytes:
    """Returns the content of a regular file. Refuses a device or a pipe, because reading it may block or never end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PlanFileError(f"the plan file {file} is not a regular file: save the plan to one")
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise PlanFileError(f"the plan file {file} is larger than {MOST_BYTES // 1024**2} MiB")
    return content


def _seal(form: object) -> str:
    """Returns the checksum of a plan. It detects accidental damage, but is not a signature."""
    checksum = sha256()
    for part in _canonical(form):
        checksum.update(part)
    return "sha256:" + checksum.hexdigest()


def _hmac(form: JSON, key: str) -> str:
    code = hmac.new(os.fsencode(key), digestmod="sha256")
    for part in _canonical(form):
        code.update(part)
    return "hmac-sha256:" + code.hexdigest()


def _canonical(form: object) -> Iterator[bytes]:
    """Yields the canonical bytes of a plan in parts, because its lists may be long, and some are generated while they
    are read."""
    if not isinstance(form, dict):
        yield canonical(form)
        return
    for number, key in enumerate(sorted(form)):
        value = form[key]
        yield (b"," if number else b"{") + canonical(key) + b":"
        if isinstance(value, list | Each):
            yield b"["
            yield from ((b"," if index else b"") + canonical(entry) for index, entry in enumerate(value))
            yield b"]"
        else:
            yield canonical(value)
    yield b"}" if form else b"{}"


def check(session: Session, plan: Plan, *, detached: bool = False) -> None:
    """Checks that the plan in a file can be applied now and, unless it is `detached`, that it follows from git. Raises
    `PlanFileError`, `StalePlan`."""
    from reconciler.app.plan_check import check_asked

    check_file(plan, session.place)
    _check_suspension(plan, suspension(session.project.spec.suspend), session.now())
    recorded = session.ledger.refresh()
    session.ledger.check_open()
    _check_position(plan, recorded)
    # The actions use the new names, which the ledger does not have before the plan is applied.
    recorded = after_renames(recorded, plan.renames)
    _check_heads(plan, recorded)
    _check_declarations(plan, recorded)
    for action in plan.pending:
        if objection := _objection(action, recorded):
            raise PlanFileError(f"{CHANGED}: {objection}. {AGAIN}")
    if not detached:
        check_asked(session, plan)
    check_no_other_runs(session, plan, recorded)


def check_file(plan: Plan, place: Place) -> None:
    """Raises `PlanFileError` for a plan for another place, or with parts that contradict each other.

    The digest and client token of every submit are computed again from its request. Anyone who edits a file can
    recompute them as well, so `plan_check` also compares the plan with git.
    """
    if plan.place != place:
        raise PlanFileError(f"the plan is for {plan.place}, but this is {place}. Nothing was sent")
    for action in plan.actions:
        if action.action in SENDS and (part := next(_contradictions(action, place), None)):
            raise PlanFileError(f"{CHANGED}: the {part} of {action.name} does not match its content. {AGAIN}")


def _check_suspension(plan: Plan, suspended: Suspension | None, now: datetime) -> None:
    """Raises `PlanFileError` if the project is suspended now, and the plan would submit or cancel."""
    stopped = [action.name for action in plan.actions if action.action in {*SENDS, ActionType.CANCEL}]
    if suspended is not None and stopped:
        raise PlanFileError(f"{sentence('the project', suspended, now)}: nothing was sent for {', '.join(stopped)}")


def _check_position(plan: Plan, recorded: Recorded) -> None:
    """Raises `LedgerRolledBack` if the plan was made at a later position than the ledger's last one."""
    newest = max((action.ledger_head for action in plan.actions), default=0)
    if (seen := max(newest, plan.ledger_position)) > recorded.position:
        raise LedgerRolledBack(
            f"the plan was made at position {seen} of the ledger, which ends at {recorded.position}: the ledger "
            "was rolled "
            f"back, or it is a different one. {after_rollback(plan.place.target)}"
        )


def _check_heads(plan: Plan, recorded: Recorded) -> None:
    """Raises `StalePlan` if events about a spec with a pending action were recorded since the plan was created. The
    error lists these specs.

    Events of other specs are ignored.
    """
    heads = {action.name: action.ledger_head for action in plan.pending}
    changed = [(name, head, now) for name, head in heads.items() if (now := recorded.spec(name).head) != head]
    if changed:
        raise StalePlan(changed)


def _objection(action: Action, recorded: Recorded) -> str | None:
    """Returns a description of how a pending action contradicts the ledger, or `None`."""
    name, submission = action.name, recorded.by_token.get(action.client_token or "")
    replaces = action.action is ActionType.REPLACE
    if replaces and all(run.run_id != action.replaces for run in recorded.spec(name).submissions):
        return f"the ledger has no run {action.replaces} of {name} to replace"
    if action.action in SENDS:
        last = submission.newest_send.number if submission is not None else 0
        if submission is not None and (submission.key, submission.content.digest) != (action.key, action.digest):
            return f"the client token of {name} already belongs to {submission.key}"
        return None if action.send == last + 1 else f"send {action.send} of {name} does not follow send {last}"
    ours = submission is not None and submission.name == name and submission.run_id in {None, action.run_id}
    # Missed slots have no submission.
    return None if ours or action.missed else f"the ledger has no such run of {name}"


def _check_declarations(plan: Plan, recorded: Recorded) -> None:
    """Raises `StalePlan` if the plan changes a spec whose last-applied content has changed since the plan was created.
    The error lists these specs. Raises `PlanFileError` if different settings of the project file were applied."""
    if others := others_applied(plan.settings_digest, plan.ledger_position, recorded):
        raise PlanFileError(f"{others}. Nothing was sent")
    moved = []
    changed = {change.name for change in plan.changes} | {change.name for change in plan.schedule_changes}
    for pending in (each for each in plan.declarations if each.name in changed and each.kind != PROJECT_KIND):
        record = recorded.spec(pending.name)
        now = record.declared_at
        if now != pending.after and not is_declared(pending, record):
            moved.append((pending.name, pending.after, now))
    if moved:
        raise StalePlan(moved)


def is_declared(pending: PendingDeclaration, record: SpecRecord) -> bool:
    """Returns whether the declaration is already recorded."""
    declared, content = record.declaration, pending.content
    if content is None or declared is None or record.undeclared:
        return content is None and record.undeclared
    same = (declared.kind, declared.request_digest) == (pending.kind, request_digest(content.request or {}))
    return same and dict(declared.policy) == dict(pending.policy)


def _contradictions(action: Action, place: Place) -> Iterator[str]:
    """Yields the parts of a submit that contradict its request. For a further send, the request and the token are in
    the ledger. The token was computed from the name that the spec had at the first send."""
    key = action.key
    if action.kind not in MODULES:
        yield "kind"
    if action.request is None or (action.send == 1 and action.request != _rendered(action)):
        yield "request"
    elif action.send == 1:
        if action.digest not in digests(action.kind, action.content.revision, action.template or action.request):
            yield "digest"
        if dict(action.content.location) != kind_named(action.kind).location(action.request):
            yield "location"
    if (
        key is None
        or not action.digest
        or (action.send == 1 and action.client_token != client_token(place, action.kind, key, action.digest))
    ):
        yield "client token"


def _rendered(action: Action) -> JSON:
    """Renders the template of an action for its slot, with the ids of the runs that it depends on."""
    request = action.template if action.template is not None else action.request or {}
    if action.template is not None and action.slot is not None:
        request = render_slot(request, action.slot, action.time_zone)
    return kind_named(action.kind).with_runs(request, action.run_ids) if action.run_ids else request

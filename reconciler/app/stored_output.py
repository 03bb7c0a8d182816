"""Caches the output of commands that had no pending action, so that they return at once as long as nothing changes.

An output is cached only if nothing is due, live, held, waiting, unresolved or reported. It is valid until the next slot
or the end of a suspension, as long as the stamps of all files and the head of the ledger are unchanged. The cache is
used only by commands that show state. `apply` and `reconcile` always read and plan again, so no cached output can
change what runs. A service keeps its last quiet pass in memory. The JSON of a plan contains the commit and the
time: before it is printed again, git must report the same commit, and the time is replaced with the current one.

This module imports neither the models nor the planner, because printing a cached output should cost little more than
starting Python.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import astuple, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.core.safety_checks import ENDPOINT, in_ci
from reconciler.core.times import age_text, seconds_text
from reconciler.errors import LedgerError, ReconcilerError
from reconciler.specs import PROJECT_FILE, project_folder
from reconciler.specs.private_cache import PrivateCache, code_version, digest
from reconciler.specs.stamps import StampedFolder, StampedTree, Start, is_unchanged, stamped_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.app.reconcile import Pass
    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.plan import Plan
    from reconciler.core.state import Recorded
    from reconciler.specs.project import ProjectFile

FORMAT = 1
ALWAYS = 1e18  # seconds since the epoch
NANO = 1e9
LOCAL_LEDGER = "sqlite:"
"""The scheme of ledgers whose head is compared. Only ledgers in a local file qualify, because getting the head from AWS
takes longer than a cached output saves."""

VARIABLES = ("CI", "RECONCILER_TARGET", "RECONCILER_NOTIFY_ALLOWED")


AgedLine = tuple[str, float | str, str]
"""A line of a table, in three parts: the text before the age; the time from which the age is computed (in seconds since
the epoch), or another text for this column; and the text after it, which may be empty."""


class StoredOutput:
    """The stored output of one command with its options. `details` are further values that affect the output. If `used`
    is false, nothing is found or stored."""

    def __init__(self, options: CommandOptions, command: str, *details: object, used: bool) -> None:
        self._cache, self._start, self._name = PrivateCache(os.environ), Start.now(), ""
        folder = project_folder(options.directory, Path.cwd()) if used and not options.no_cache else None
        self._root = None if folder is None else os.path.realpath(folder)
        if self._root is None:
            return
        # a CI service must not use a local ledger, unless an endpoint replaces AWS
        endpoints = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(ENDPOINT))
        environ = [*map(os.environ.get, VARIABLES), str(in_ci(os.environ)), *endpoints]
        key = [code_version(), self._root, command, *map(str, (*astuple(options), *details)), *environ]
        self._name = f"quiet-{digest(json.dumps(key))}"

    def find(self) -> str | None:
        """Returns the cached output, and prints its notes, if the command would still print the same."""
        content = self._cache.read(self._name) if self._root is not None else None
        if content is None:
            return None
        try:
            form = json.loads(content)
            if not _is_valid(self._root or "", form):
                return None
            for note in form["notes"]:
                logging.getLogger("reconciler.app.session").warning("%s", note)
            return _output_now(form)
        except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):  # not of this version
            return None

    def keep_plan(
        self,
        output: str | Sequence[AgedLine],
        session: Session,
        plan: Plan,
        specs: Mapping[str, DesiredSpec],
        *,
        asks: bool,
        as_json: bool = False,
    ) -> None:
        """Caches the output of a command that shows a plan, if the plan has no pending action. `asks` is true if the
        command queries AWS about ended runs whose report is incomplete. `as_json` is true if the output is `plan` as
        JSON."""
        if self._root is None:
            return
        until = _quiet_until(plan, session.ledger.recorded, self._start, _ends(session, specs), asks=asks)
        local = session.ledger_address.startswith(LOCAL_LEDGER)
        if until is not None and local and session.ledger.head_checksum is not None:
            head = (session.ledger_address, plan.ledger_position, session.ledger.head_checksum)
            checkout = {"created_at": plan.created_at, "checkout": [plan.commit, plan.uncommitted]}
            shown = checkout if as_json else None
            self.keep(output, session.project_file, head, until=until, notes=session.notes, plan=shown)

    def keep(
        self,
        output: str | Sequence[AgedLine],
        file: ProjectFile,
        head: tuple[str, int, str] | None = None,
        *,
        until: float = ALWAYS,
        notes: Sequence[str] = (),
        plan: Mapping[str, Any] | None = None,
    ) -> None:
        """Caches the output and the logged notes of a command that read the files of a project.

        `head` is the address of the ledger with the position and the checksum of its last batch, or `None` if the
        command reads no ledger. `plan` has the time and the checkout in the output, if the output contains them.
        """
        tree = None if self._root is None else _read_tree(self._root, file, self._start)
        if tree is None:
            return
        form = {
            "format": FORMAT,
            "since": self._start.wall / NANO,
            "until": until,
            "folders": tree.folders,
            "digest": tree.digest,
            "ledger": head,
            "notes": list(notes),
            "plan": plan,
            "output": output,
        }
        self._cache.write(self._name, json.dumps(form).encode())


def with_ages(lines: Sequence[AgedLine], now: float) -> str:
    """Returns the lines as text. The age of each line at the time `now` is in a column."""
    ages = [since if isinstance(since, str) else age_text(now - since) for _, since, _ in lines]
    width = max((len(age) for age, line in zip(ages, lines, strict=True) if line[2]), default=0)
    aged = zip(ages, lines, strict=True)
    return "\n".join(f"{before}{age:{width}}{after}" if after else before for age, (before, _, after) in aged)


def _is_valid(root: str, form: dict[str, Any]) -> bool:
    """Returns whether a stored output is still that of its command."""
    # Before `since`, the clock was set back, and a slot that was due may be due again.
    if form["format"] != FORMAT or not form["since"] <= time.time() < form["until"]:
        return False
    tree = StampedTree([_folder(*each) for each in form["folders"]], form["digest"])
    if not is_unchanged(root, tree) or not _is_at(root, form["ledger"]):
        return False
    return form["plan"] is None or _is_checked_out(root, form["plan"]["checkout"])


def _output_now(form: dict[str, Any]) -> str:
    """Returns a stored output with the ages and the time of now."""
    output, plan = form["output"], form["plan"]
    if plan is not None:
        text: str = output.replace(_created(plan["created_at"]), _created(seconds_text(datetime.now(UTC))), 1)
        return text
    return output if isinstance(output, str) else with_ages(output, int(time.time()))


def _created(at: str) -> str:
    """Returns the time of a plan as in its JSON, where it is before all values that users choose freely."""
    return f'"created_at": "{at}"'


def _is_checked_out(root: str, checkout: Sequence[Any]) -> bool:
    """Returns whether the project is still at the same commit, with or without uncommitted changes as before. Raises
    `OSError` if git cannot be started."""
    from reconciler.specs.git import checked_out

    try:
        return list(checked_out(Path(root))) == checkout
    except ReconcilerError:  # the plan reports it
        return False


def _folder(path: str, stamp: Sequence[int] | None, entries: str, names: Sequence[str]) -> StampedFolder:
    size, mtime, ctime, inode, device = stamp or (0, 0, 0, 0, 0)
    return StampedFolder(path, (size, mtime, ctime, inode, device) if stamp else None, entries, names)


def _is_at(root: str, head: Sequence[Any] | None) -> bool:
    """Returns whether a ledger in a local file still ends with the batch in `head`."""
    if head is None:
        return True
    from reconciler.ledger.sqlite import store_at

    address, position, checksum = head
    try:
        # Two batches are read, because a second one means that the ledger has grown.
        batches = list(islice(store_at(address, Path(root)).read(position - 1), 2))
    except LedgerError:
        return False
    return [(number, sha256(batch).hexdigest()) for number, batch in batches] == [(position, checksum)]


class QuietPass:
    """The last pass of a service, kept in memory if it had nothing to do. As long as nothing changes, the next pass has
    the same result."""

    def __init__(self) -> None:
        self._start = Start.now()
        self._kept: tuple[StampedTree, tuple[int, str | None], float, Pass] | None = None

    def again(self, session: Session) -> Pass | None:
        """Returns the last pass as if it had run now, or `None` if a new pass is required. Raises `LedgerError`."""
        from reconciler.core.times import seconds_text
        from reconciler.specs.git import read_head

        kept, start, last = self._kept, Start.now(), self._start
        # Dropped until the comparison has succeeded, so that after an error the next pass runs in full.
        self._kept, self._start = None, start
        if kept is None:
            return None
        tree, head, until, done = kept
        session.ledger.refresh()
        same_ledger = head == (session.ledger.recorded.position, session.ledger.head_checksum)
        if not same_ledger or not last.wall <= start.wall < until * NANO or not is_unchanged(str(session.root), tree):
            return None
        # A commit can be checked out without changing a file, and intents must name the commit that is checked out.
        if read_head(session.root) != done.plan.commit:
            return None
        self._kept = kept
        plan = replace(done.plan, created_at=seconds_text(session.now()))
        return replace(done, plan=plan, recorded=session.ledger.recorded)

    def keep(self, session: Session, done: Pass) -> None:
        """Keeps a pass if it had nothing to do."""
        until = _quiet_until(done.plan, done.recorded, self._start, _ends(session, done.specs), asks=True)
        tree = None if until is None else _read_tree(str(session.root), session.project_file, self._start)
        if until is not None and tree is not None:
            head = (done.plan.ledger_position, session.ledger.head_checksum)
            self._kept = (tree, head, until, done)


def _read_tree(root: str, file: ProjectFile, start: Start) -> StampedTree | None:
    """Returns the stamps of the files of a project that were read since `start`, as `stamped_tree` does."""
    from reconciler.specs.files import Folder

    # The project folder may be a symlink that was changed while the files were read.
    if not isinstance(file.files, Folder) or str(file.files.root) != os.path.realpath(root):
        return None
    return stamped_tree(root, file.files.searched, [PROJECT_FILE, *file.files.paths], start)


def _ends(session: Session, specs: Mapping[str, DesiredSpec]) -> set[str]:
    """Returns the times at which suspensions end. After these, they are overdue, which commands show and report with
    exit code 3."""
    suspended = (session.project.spec.suspend, *(spec.policy.suspend for spec in specs.values()))
    return {each.until for each in suspended if not isinstance(each, bool) and each.until is not None}


def _quiet_until(plan: Plan, recorded: Recorded, start: Start, ends: set[str], *, asks: bool) -> float | None:
    """Returns the time until which a plan stays the same if nothing changes, in seconds since the epoch: the next slot,
    or the first of the `ends` of suspensions. Returns `None` if something is due, live, held, waiting, unresolved or
    reported."""
    from reconciler.core.observations import incomplete
    from reconciler.core.plan import ActionType
    from reconciler.core.times import parse_time

    now = parse_time(plan.created_at)
    if asks and incomplete(recorded, now):
        return None  # AWS may still add details about the end of a run
    # `created_at` has no fraction of a second.
    if not start.wall / NANO - 1 <= now.timestamp() <= time.time():
        return None  # the plan is for another time
    reported = plan.warnings or plan.problems or plan.overdue
    pending = plan.changes or plan.schedule_changes  # a plan does not show declarations without a change of content
    acting = any(action.action is not ActionType.NONE for action in plan.actions)
    open_runs = next(recorded.live(), None) or next(recorded.unresolved(), None)
    if reported or pending or acting or open_runs or plan.ledger_position != recorded.position:
        return None
    times = ends | {action.next_slot for action in plan.actions if action.next_slot is not None}
    return min((parse_time(each).timestamp() for each in times), default=ALWAYS)

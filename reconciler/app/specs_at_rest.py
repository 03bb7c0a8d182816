"""Finds and caches which specs have no pending action, so that a plan that is only shown needs to read only the other
specs and to decide only about those.

A file is skipped if it has not changed and none of its specs may have a pending action: the earlier plan had exactly
one action for the spec, which does nothing, its next slot is in the future, and the ledger has no newer event about it.
Every other spec is read from its file. If `core.at_rest` recognizes that it has no pending action, the process that
read it neither keeps nor sends its content. The plan decides about every other spec again, together with the specs that
it refers to. Therefore, what is submitted, cancelled or shown as a difference never comes from the cache, and `apply`
and `reconcile` do not use it.

A plan that shows each spec, as JSON, skips only files of specs that `core.at_rest` recognized, because their actions
follow from the ledger. A plan that is saved in a file skips no file.

Problems between specs are still detected, because the names, kinds, targets and references of skipped specs are cached.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from reconciler.core.at_rest import action_at_rest, is_at_rest
from reconciler.core.identity import Source
from reconciler.core.lazy_mapping import where
from reconciler.core.observations import incomplete
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.times import parse_time
from reconciler.errors import LedgerError, Problem
from reconciler.specs.files import Folder
from reconciler.specs.private_cache import PrivateCache, code_version, digest
from reconciler.specs.problems import LOCATION
from reconciler.specs.project import read_all
from reconciler.specs.spec import ReadSpec, Reference
from reconciler.specs.stamps import Stamp, Start, has_unreliable_times, stamps_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.app.inputs import PassInputs
    from reconciler.app.session import Session
    from reconciler.core.state import Recorded, SpecRecord
    from reconciler.specs.files import ProjectFiles
    from reconciler.specs.spec import SpecReader

State = tuple[str, str | None]
"""The reason of a spec's action, and the spec's next slot."""

ELSEWHERE: State = ("", None)
"""The state of a spec that does not run in the target."""

AT_REST: State = ("at-rest", None)
"""The state of a spec that `core.at_rest` recognizes."""

COUNTING = {"text", "markdown"}
"""The formats that show only the number of specs without pending actions."""

At = tuple[int, int, str | None]  # the line, the column, and the text of the line
Mention = tuple[str, tuple[str | int, ...], At, str | None, str]  # the fields of a `Reference`
Spec = tuple[str, str, int, At, tuple[str, ...] | None, tuple[Mention, ...], Mention | None, str, str | None]
"""The name, kind, first line and location of a spec, its targets and references, its former name, the reason of its
action, and its next slot."""

File = tuple[Stamp, tuple[Spec, ...]]

NEVER: Stamp = (0, 0, 0, 0, 0)
"""The stamp of a file that is read each time. Its specs are in the cache so that a change of their names, kinds,
targets and references is detected."""


class _Content(NamedTuple):
    """The content of the cache: when the command that wrote it started, the position and checksum of the ledger's last
    batch at that time, the number of accepted rollbacks, and the files, of which those with a stamp can be skipped."""

    since: int
    position: int
    checksum: str
    rollbacks: int
    files: dict[str, File]


@cache
def _adapter() -> TypeAdapter[_Content]:
    return TypeAdapter(_Content)


class SpecAtRest(NamedTuple):
    """A spec that was not read, or not kept, because it has no pending action."""

    kind: str
    reason: str
    next_slot: str | None
    path: str
    line: int

    def action(self, name: str, record: SpecRecord | None) -> Action:
        """Returns the action of a spec, which is complete if its record is given."""
        if record is not None:
            return action_at_rest(record, Source(self.path, self.line))
        reason = Reason.IN_SYNC if self.reason == AT_REST[0] else Reason(self.reason)
        return Action(name, self.kind, ActionType.NONE, reason, next_slot=self.next_slot)


class SpecsAtRest:
    """The specs of one target that have no pending action.

    `counts` is true for a plan that shows only the number of these specs. If `skips` is false, all files are read, and
    the cache is not used.
    """

    def __init__(self, session: Session, *, counts: bool, skips: bool) -> None:
        self._session, self._counts, self._skips = session, counts, skips
        self._cache, self._start = PrivateCache(os.environ), Start.now()
        self._name = ""
        self._at_rest: dict[str, SpecAtRest] = {}  # the specs that were read and recognized, by name
        self._stamps: Mapping[str, Stamp] = {}
        self._cached: Mapping[str, File] = {}
        self._unchanged: dict[str, File] = {}  # the files that can also be skipped next time
        self._skipped: dict[str, File] = {}
        self._read: Sequence[ReadSpec] = ()
        self._open: set[str] = set()  # before AWS's reports about runs are added to the state

    @classmethod
    def of(cls, session: Session, output_format: str, *, at_another_time: bool, saved: bool) -> SpecsAtRest | None:
        """Returns the specs of a session for a plan in a format, or `None` if the command selects specs by labels,
        which are not in the cache."""
        counts = output_format in COUNTING and not (at_another_time or saved)
        return None if session.options.labels or session.masked else cls(session, counts=counts, skips=not saved)

    def read_all(
        self, files: ProjectFiles, paths: Sequence[str], reader: SpecReader, problems: list[Problem]
    ) -> list[ReadSpec]:
        """Returns every document of every file as a spec, as `project.read_all` does. Specs without pending actions
        have no desired state, unless other specs refer to them."""
        session, self._name, self._at_rest = self._session, "", {}
        recorded = session.ledger.recorded
        # Added to, because in a second read the state already contains AWS's reports, and ended runs look complete.
        self._open |= {submission.name for submission in (*recorded.live(), *recorded.unresolved())}
        self._open |= {run.name for runs in incomplete(recorded, session.now()).values() for run in runs}
        cached: Mapping[str, File] = {}
        use = self._skips and not session.options.no_cache
        if use and isinstance(files, Folder) and not has_unreliable_times(str(files.root)):
            text = sha256(session.project_file.view.source.text.encode()).hexdigest()
            key = [code_version(), os.path.realpath(session.root), session.place.target, text]
            self._name = f"at-rest-{digest(json.dumps(key))}"
            self._stamps = stamps_of(str(files.root), paths)
            cached = self._known()
        self._cached = cached
        unchanged = {path: file for path, file in cached.items() if file[0] == self._stamps.get(path)}
        skipped = {path: file for path, file in unchanged.items() if self._can_skip(file)}
        specs = read_all(files, [path for path in paths if path not in skipped], reader, problems, self._shortened)
        resting = {spec.name: spec.location.path for spec in specs if self._is_shortened(spec)}
        names = _referred(spec for spec in specs if spec.name not in resting)
        # A plan needs the content of a dependency, so specs at rest that others refer to are read again in full.
        again = {path for name, path in resting.items() if name in names}
        wanted = _with_specs(skipped, names)
        specs = [spec for spec in specs if spec.location.path not in again]
        specs += read_all(files, sorted(wanted | again), reader, problems)
        self._at_rest = {
            spec.name or "": SpecAtRest(spec.kind or "", *AT_REST, spec.location.path, spec.line)
            for spec in specs
            if self._is_shortened(spec)
        }
        self._read, self._skipped = specs, {path: file for path, file in skipped.items() if path not in wanted}
        self._unchanged = {path: file for path, file in unchanged.items() if path not in wanted}
        # In the order in which `read_all` returns them, so that messages come in the same order.
        return sorted((*specs, *self._partners(cached)), key=lambda spec: spec.location.path)

    def _can_skip(self, file: File) -> bool:
        """Returns whether this plan can skip an unchanged file. If it shows each spec, the actions of the specs must
        follow from the ledger."""
        if self._counts:
            return True
        states, recorded = {form[-2:] for form in file[1]}, self._session.ledger.recorded
        return states <= {AT_REST, ELSEWHERE} and all(
            form[-2:] == ELSEWHERE or recorded.spec(form[0]).submissions for form in file[1]
        )

    def _shortened(self, spec: ReadSpec) -> ReadSpec:
        """Returns a spec without its desired state if it has no pending action."""
        session, recorded = self._session, self._session.ledger.recorded
        wanted, name = spec.desired.get(session.place.target), spec.name or ""
        if wanted is None or name in self._open or session.project.spec.suspend:
            return spec
        if not (recorded.rollbacks or _named_in_request(spec)) and is_at_rest(wanted, recorded.spec(name)):
            spec.desired = {}
        return spec

    def _is_shortened(self, spec: ReadSpec) -> bool:
        runs_here = spec.targets is not None and self._session.place.target in spec.targets
        return runs_here and not spec.desired and not spec.problems

    def _partners(self, cached: Mapping[str, File]) -> Iterator[ReadSpec]:
        """Yields the skipped specs that may have a problem in combination with the specs that were read. If the specs
        in each file still have the same names, kinds, targets and references, only the specs that others refer to are
        yielded."""
        if not self._skipped:
            return
        others = cached.keys() - self._skipped.keys()
        before = {path: {_mentioned(form) for form in cached[path][1]} for path in others}
        now: dict[str, set[tuple[object, ...]]] = {}
        for spec in self._read:
            form = _form(spec)
            now.setdefault(spec.location.path, set()).add(() if form is None else _mentioned(form))
        names = _referred(self._read) if before == now else None
        for path in self._skipped if names is None else _with_specs(self._skipped, names):
            yield from (_restored(path, form) for form in cached[path][1] if names is None or form[0] in names)

    def _known(self) -> Mapping[str, File]:
        """Returns the cached files. A file whose specs may have a pending action by now has no stamp."""
        content = self._cache.read(self._name)
        recorded, now = self._session.ledger.recorded, self._session.now()
        if content is None:
            return {}
        try:
            known = _adapter().validate_json(content)
            states = {spec[-2:] for _, specs in known.files.values() for spec in specs}
            over = {slot for reason, slot in states if slot is not None and parse_time(slot) <= now}
            # A forged text that is no reason is refused here. Later it would fail in the middle of a plan.
            for reason in {reason for reason, _ in states} - {ELSEWHERE[0], AT_REST[0]}:
                Reason(reason)
        except ValueError:  # not written by this version
            return {}
        # The clock was set back, the ledger has lost runs, or this is another ledger.
        if known.since > self._start.wall or len(recorded.rollbacks) != known.rollbacks or not self._continues(known):
            return {}
        touched = _touched(recorded, known.position)
        if not touched and not over:
            return known.files
        return {
            path: (NEVER, file[1]) if any(spec[0] in touched or spec[-1] in over for spec in file[1]) else file
            for path, file in known.files.items()
        }

    def _continues(self, known: _Content) -> bool:
        """Returns whether the ledger still has the batch that was its last one when the cache was written."""
        if not 0 < known.position <= self._session.ledger.recorded.position:
            return False
        try:
            return self._session.ledger.history.checksum_at(known.position) == known.checksum
        except LedgerError:
            return False

    @property
    def skipped(self) -> dict[str, SpecAtRest]:
        """The specs of the target that were not read, or not kept."""
        unread = {
            name: SpecAtRest(kind, reason, slot, path, line)
            for path, (_, specs) in self._skipped.items()
            for name, kind, line, *_, reason, slot in specs
            if reason
        }
        return unread | self._at_rest

    def completed(self, plan: Plan, inputs: PassInputs) -> Plan:
        """Returns a plan of the specs that were read, completed with the actions of the other specs, which do
        nothing."""
        only = self._session.options.only
        others = [
            spec.action(name, None if self._counts else inputs.recorded.spec(name))
            for name, spec in inputs.skipped.items()
            if not only or name in only
        ]
        if not others:
            return plan
        return replace(plan, actions=tuple(sorted((*plan.actions, *others), key=attrgetter("name"))))

    def keep(self, inputs: PassInputs, plan: Plan) -> None:
        """Caches the files that were read, with their stamps if none of their specs has a pending action."""
        session, recorded, checksum = self._session, inputs.recorded, self._session.ledger.head_checksum
        if not self._name or checksum is None or recorded.position != plan.ledger_position:
            return
        if session.project.spec.suspend or self._start.clock_was_set:
            return
        # Without `counts`, the plan may be for another time, and its decisions say nothing about the present.
        decided = _without_action(inputs, plan, self._open) if self._counts else {}
        states = {**decided, **dict.fromkeys(self._at_rest, AT_REST)}
        files = {**dict(self._read_files(states)), **self._unchanged}
        if files != self._cached:
            content = _Content(self._start.wall, recorded.position, checksum, len(recorded.rollbacks), files)
            self._cache.write(self._name, json.dumps(content, separators=(",", ":")).encode())

    def _read_files(self, states: Mapping[str, State]) -> Iterator[tuple[str, File]]:
        """Yields the files that were read. A file has no stamp if it changed in the meantime or may not be skipped next
        time."""
        by_path: dict[str, list[Spec | None]] = {}
        pending: set[str] = set()
        for spec in self._read:
            elsewhere = spec.targets is not None and self._session.place.target not in spec.targets
            state = ELSEWHERE if elsewhere else states.get(spec.name or "")
            by_path.setdefault(spec.location.path, []).append(_form(spec, state or ELSEWHERE))
            if state is None:
                pending.add(spec.location.path)
        again = stamps_of(str(self._session.project_file.root), by_path)
        for path, forms in by_path.items():
            stamp, specs = self._stamps.get(path), tuple(form for form in forms if form is not None)
            if stamp is None or stamp != again.get(path) or not self._start.trusts(*stamp[1:3]) or path in pending:
                stamp = NEVER
            if len(specs) == len(forms):
                yield path, (stamp, specs)


def _touched(recorded: Recorded, position: int) -> set[str]:
    """Returns the specs about which the ledger has events after a position. Specs with a run that another spec took
    over count too, because its event is about the other spec."""
    return recorded.touched_since(position) | {each.name for each in where(recorded.by_token, bool, "reassigned_to")}


def _with_specs(files: Mapping[str, File], names: set[str]) -> set[str]:
    """Returns the paths of the files that have a spec with one of some names."""
    if not names:
        return set()
    return {path for path, (_, forms) in files.items() if any(form[0] in names for form in forms)}


def _referred(specs: Iterable[ReadSpec]) -> set[str]:
    """Returns the names to which specs refer."""
    return {each.name for spec in specs for each in (*spec.references, *filter(None, [spec.former]))}


def _named_in_request(spec: ReadSpec) -> bool:
    """Returns whether the request of a spec refers to other specs, which is checked with the requests of both."""
    return any(each.needs_kind is not None for each in spec.references)


def _mentioned(form: Spec) -> tuple[object, ...]:
    """Returns the parts of a spec that affect other specs."""
    name, kind, _, _, targets, references, former, _, _ = form
    return name, kind, targets, *((each[0], *each[3:]) for each in references), former and former[0]


def _without_action(inputs: PassInputs, plan: Plan, open_names: set[str]) -> dict[str, State]:
    """Returns the state of each spec that was read and has no pending action before its next slot, unless the ledger
    changes. `open_names` are the specs with runs about which AWS may still report details. Specs with a suspension or
    `renamedFrom` are left out, because what is shown for them changes with time or with other specs."""
    busy = open_names | {change.name for change in plan.changes} | {change.name for change in plan.schedule_changes}
    states: dict[str, State] = {}
    for action in plan.actions:
        name, spec = action.name, inputs.specs.get(action.name)
        if spec is None or name in states or action.action is not ActionType.NONE:  # in `states`: a second action
            busy.add(name)
        elif not (spec.doubts or spec.renamed_from or spec.policy.suspend):
            states[name] = (action.reason.value, action.next_slot)
    return {name: state for name, state in states.items() if name not in busy}


def _form(spec: ReadSpec, state: State = ELSEWHERE) -> Spec | None:
    """Returns a spec in its cached form, or `None` for a spec with a problem."""
    if spec.name is None or spec.kind is None or spec.problems:
        return None
    former = None if spec.former is None else _mention(spec.former)
    references = tuple(map(_mention, spec.references))
    return spec.name, spec.kind, spec.line, _at(spec.location), spec.targets, references, former, *state


def _restored(path: str, form: Spec) -> ReadSpec:
    name, kind, line, at, targets, references, former, _, _ = form
    return ReadSpec(
        _problem(path, at),
        line,
        name,
        claimed=name,
        is_named=True,
        kind=kind,
        targets=targets,
        references=tuple(_reference(path, each) for each in references),
        former=None if former is None else _reference(path, former),
    )


def _mention(reference: Reference) -> Mention:
    return reference.name, reference.loc, _at(reference.location), reference.needs_kind, reference.condition


def _reference(path: str, mention: Mention) -> Reference:
    name, loc, at, needs_kind, condition = mention
    return Reference(name, loc, _problem(path, at), needs_kind, condition)


def _at(location: Problem) -> At:
    return location.line, location.col, location.source_line


def _problem(path: str, at: At) -> Problem:
    return Problem(path, at[0], at[1], "", LOCATION, "error", at[2])

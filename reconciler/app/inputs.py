"""The inputs of a pass: the specs, the ledger and the checkout, read in one consistent state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from reconciler.app.options import selected_names
from reconciler.core.changes import differs
from reconciler.core.decide import changed_names
from reconciler.core.desired import Desired, newest_commit
from reconciler.core.plan import SENDS
from reconciler.core.renames import name_now
from reconciler.core.settings import (
    others_applied,
    project_settings,
    settings_change,
    settings_declared_at,
    settings_digest,
)
from reconciler.errors import CheckoutMoved, Problem, ReconcilerError, SpecErrors, UsageError
from reconciler.model.kind import kind_named
from reconciler.model.spec import suspension
from reconciler.redact.request import masked
from reconciler.specs.files import Folder, is_wanted
from reconciler.specs.git import (
    IndexState,
    checkout_at,
    index_state,
    not_checked_out,
    read_checkout,
    read_head,
    untracked,
)
from reconciler.specs.project import load_target, load_targets, read_all
from reconciler.specs.usable import UsableSpecs, load_usable
from reconciler.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from reconciler.app.session import Session
    from reconciler.app.specs_at_rest import SpecAtRest, SpecsAtRest
    from reconciler.core.desired import DesiredSpec, InvalidSpec
    from reconciler.core.plan import Plan
    from reconciler.core.state import Recorded, Submission

Made = TypeVar("Made")

MOST_READS = 3
MOST_NAMED = 5  # the maximum number of specs in one warning


@dataclass(frozen=True, slots=True)
class PassInputs:
    """The inputs that a pass reads before it calls AWS.

    `specs` are the valid specs of the target by name, selected or not. `invalid` are the specs that are invalid or
    depend on an invalid spec. `selected` are the names that the command is about, or `None` for all specs. `recorded`
    is the state folded from the ledger; observations change it in place. `unnamed` and `problems` are as in
    `UsableSpecs`. `settings_digest` is the digest of the project file's settings. All inputs belong to `commit`.
    `before` is the state before the inputs were read, or `None` if no comparison with it is needed. `skipped` are the
    specs of the target that were not read or are only counted, because they have no pending action.
    """

    specs: Mapping[str, DesiredSpec]
    selected: frozenset[str] | None
    recorded: Recorded
    invalid: Mapping[str, InvalidSpec] = field(default_factory=dict)
    unnamed: InvalidSpec | None = None
    problems: tuple[Problem, ...] = ()
    commit: str | None = None
    settings_digest: str = ""
    before: ReadState | None = None
    skipped: Mapping[str, SpecAtRest] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names of all specs of the target, valid or not."""
        invalid = (name for name, spec in self.invalid.items() if not spec.elsewhere)
        return frozenset((*self.specs, *self.skipped, *invalid))

    @property
    def chosen(self) -> dict[str, DesiredSpec]:
        """The specs that the command is about."""
        return {name: spec for name, spec in self.specs.items() if self.selected is None or name in self.selected}

    @property
    def concerned(self) -> frozenset[str] | None:
        """The current and former names of the selected specs and of their dependencies, because this pass needs to know
        whether dependencies have ended. `None` means all names."""
        if self.selected is None:
            return None
        chosen = self.chosen.values()
        gates = {dependency.name for spec in chosen for dependency in spec.policy.dependsOn}
        named = {name for spec in chosen for name in kind_named(spec.kind).spec_dependencies(spec.request)}
        names = self.selected | gates | named
        former = (spec.renamed_from for name, spec in self.specs.items() if name in names)
        return names | {self.recorded.current_name(each.name) for each in former if each is not None}


def in_one_state(attempt: Callable[[], Made]) -> Made:
    """Calls `attempt`, which reads and plans. Retries if the checkout changed meanwhile, and raises `CheckoutMoved` if
    it keeps changing."""
    for _ in range(MOST_READS - 1):
        try:
            return attempt()
        except CheckoutMoved:
            continue
    return attempt()


def read(session: Session, *, tolerant: bool = False, at_rest: SpecsAtRest | None = None) -> PassInputs:
    """Reads the specs and the ledger, and applies the selection of the command line.

    If `tolerant` is set, a spec with a problem is put on hold; otherwise the problem raises `SpecErrors`. `at_rest` may
    skip files of specs that have nothing to do. Raises `LedgerError`, `UsageError` if the selection matches nothing,
    and `CheckoutMoved` if git changed the checkout, or another pass submitted other content, while the files were read,
    because a plan from files that are already outdated could replace newer content with old.
    """
    session.reread()
    before = _state(session)
    try:
        inputs = _read(session, tolerant=tolerant, at_rest=at_rest)
    except ReconcilerError as error:
        # The error may be about a file that git was writing. If nothing moved, it is an error in the project.
        if session.is_current() and _state(session) == before:
            raise
        raise CheckoutMoved(session.root) from error
    # For `_is_overtaken`, which checks the batches that other passes appended meanwhile. Outside git, only these show
    # that the files are outdated.
    session.ledger.refresh()
    moved = not session.is_current() or index_state(session.root) != before.checkout
    if moved or _is_overtaken(inputs := replace(inputs, commit=before.commit, before=before)):
        raise CheckoutMoved(session.root)
    return inputs


class ReadState(NamedTuple):
    """The state that must not change while the files are read: the commit, git's index, and the position of the ledger
    with that of the newest settings."""

    commit: str | None
    checkout: IndexState
    settings_at: int
    position: int


def _state(session: Session) -> ReadState:
    recorded = session.ledger.refresh()
    index = index_state(session.root)
    return ReadState(read_head(session.root), index, settings_declared_at(recorded), recorded.position)


def _is_overtaken(inputs: PassInputs) -> bool:
    """Returns whether another pass has submitted or declared different content since the inputs were read."""
    before = inputs.before
    if before is None or before.position == inputs.recorded.position:
        return False
    if others_applied(inputs.settings_digest, before.settings_at, inputs.recorded) is not None:
        return True
    # Specs on hold are left out, because nothing is sent for them, whatever another pass did.
    for name in inputs.recorded.touched_since(before.position) - inputs.invalid.keys():
        spec, record = inputs.specs.get(name), inputs.recorded.spec(name)
        renamed = any(former.position > before.position for former in record.former_names)
        declared = renamed or (record.declaration is not None and record.declaration.position > before.position)
        newest = record.newest if renamed or _began_after(record.newest, before.position) else None
        if (declared or newest is not None) and (spec is None or (declared and differs(spec, record))):
            return True
        # The same content is not a conflict, because several services may use one ledger at the same time.
        if spec is not None and newest is not None and newest.digest != spec.digest:
            return True
    return False


def _began_after(submission: Submission | None, position: int) -> bool:
    return submission is not None and submission.first_position > position


def _check_complete(session: Session) -> None:
    """Raises `ReconcilerError` if a sparse checkout leaves out specs, because they would seem to be removed."""
    file = session.project_file
    if not isinstance(file.files, Folder):
        return
    missing = [path for path in not_checked_out(file.root) if is_wanted(tuple(path.split("/")), file.patterns)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ReconcilerError(
            f"the checkout is sparse and lacks {missing[0]}{more}: specs in missing files would seem to be removed. "
            "Check out the whole project, for example with git sparse-checkout disable"
        )


def _read(session: Session, *, tolerant: bool, at_rest: SpecsAtRest | None) -> PassInputs:
    _check_complete(session)
    usable = _usable(session, tolerant=tolerant, at_rest=at_rest)
    invalid, specs = usable.on_hold, usable.ready
    session.aws.name_runs(specs)  # before the first call, because the emulator starts with these names
    recorded = session.ledger.recorded
    # A service keeps this state between passes. What its last pass observed in AWS must not affect this one.
    recorded.forget_findings()
    skipped = {} if at_rest is None else at_rest.skipped
    selected = _selected(session, {**invalid, **usable.specs}, recorded, skipped)
    if skipped:
        # The plan must not decide about skipped specs, because their content was not read.
        selected = (frozenset(recorded.specs.keys() | specs.keys()) if selected is None else selected) - skipped.keys()
    problems = usable.problems if selected is None else _problems_of(selected, invalid)
    settings = settings_digest(project_settings(session.project, session.place.target))
    return PassInputs(
        specs, selected, recorded, invalid, usable.unnamed, problems, settings_digest=settings, skipped=skipped
    )


def _usable(session: Session, *, tolerant: bool, at_rest: SpecsAtRest | None) -> UsableSpecs:
    target = session.place.target
    if tolerant:
        return load_usable(session.project_file, target)
    reading = read_all if at_rest is None else at_rest.read_all
    return UsableSpecs(load_target(session.project_file, target, reading))


def _problems_of(names: Collection[str], invalid: Mapping[str, InvalidSpec]) -> tuple[Problem, ...]:
    problems = {problem for name in names if name in invalid for problem in invalid[name].problems}
    return tuple(sorted(problems, key=Problem.order))


def _selected(
    session: Session,
    specs: Mapping[str, DesiredSpec | InvalidSpec],
    recorded: Recorded,
    skipped: Collection[str],
) -> frozenset[str] | None:
    """Returns the selected names. Reads other targets only if a name is missing in this target, so that the message can
    name the target that has the spec. `skipped` are the names of specs that are not in `specs`."""
    for name in session.options.only:
        if name not in specs and name not in skipped and (current := name_now(name, specs, recorded)) != name:
            raise UsageError(f"{name} was renamed to {current}: use that name")
    try:
        return selected_names(session.options, specs, (*recorded.specs, *skipped), {})
    except UsageError:
        elsewhere: Mapping[str, Mapping[str, DesiredSpec]] = {}
        # Problems of other targets must not replace the error about the name.
        with suppress(SpecErrors):
            elsewhere = load_targets(session.project_file, list(session.project.spec.targets))
        return selected_names(session.options, specs, (*recorded.specs, *skipped), elsewhere)


def desired_state(session: Session, inputs: PassInputs, *, may_repeat: bool, from_objects: bool = False) -> Desired:
    """Returns the specs in git, and how the checkout relates to the commits that matter for this plan. `from_objects`
    is set if the specs were read from a commit other than HEAD.

    Raises `CheckoutMoved` if HEAD is no longer the commit that the files were read from, or if another pass has
    submitted or declared different content since then.
    """
    chosen, target = inputs.chosen, session.target
    settings = project_settings(session.project, session.place.target)
    desired = Desired(
        place=session.place,
        specs=chosen,
        names=inputs.names,
        selected=inputs.selected,
        others={name: spec for name, spec in inputs.specs.items() if name not in chosen},
        suspension=suspension(session.project.spec.suspend),
        limits=session.limits,
        prices=session.target.prices,
        settle_seconds=target.settleSeconds,
        on_unknown=target.onUnknown,
        allow_rollback=session.options.allow_rollback,
        applied_only=session.options.applied_only,
        may_repeat=may_repeat,
        invalid=inputs.invalid,
        unnamed=inputs.unnamed,
        invocation=session.invocation,
        # An export has masked settings, so the settings in git are compared in the same form.
        settings=masked(settings) if session.masked else settings,
        settings_digest=settings_digest(settings),
    )
    commits = {commit for each in changed_names(desired, inputs.recorded) if (commit := newest_commit(each))}
    change = settings_change(desired, inputs.recorded)
    # Old settings can undo newer ones like an old spec does, so their commit is compared with HEAD as well.
    if change is not None and change.declared_commit is not None:
        commits.add(change.declared_commit)
    if from_objects and inputs.commit is not None:
        return replace(desired, checkout=checkout_at(session.root, inputs.commit, commits))
    checkout = read_checkout(session.root, sorted(commits))
    # Another pass may have applied newer files after these were read and before AWS was observed.
    if checkout.commit != inputs.commit or _is_overtaken(inputs):
        raise CheckoutMoved(session.root)
    return replace(desired, checkout=checkout)


def untracked_warnings(session: Session, inputs: PassInputs, plan: Plan) -> Iterator[str]:
    """Yields a warning about specs that will run but are not tracked by git."""
    submits = {action.name for action in plan.actions if action.action in SENDS}
    specs = (spec for name, spec in inputs.specs.items() if name in submits and plan.commit is not None)
    missing = untracked(session.root, [spec.source.path for spec in specs if spec.source is not None])
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        yield (
            f"git does not track {', '.join(missing[:MOST_NAMED])}{more}: no commit contains them. Add and commit "
            "them, and see .gitignore if git add refuses"
        )

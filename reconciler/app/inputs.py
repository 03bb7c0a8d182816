"""The inputs of a pass: the specs, the ledger and the checkout, read in one consistent state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from reconciler.app.options import selected_names
from reconciler.core.changes import differs
from reconciler.core.decide import changed_names
from reconciler.core.desired import Desired, newest_commit
from reconciler.core.plan import ActionType
from reconciler.core.renames import name_now
from reconciler.errors import CheckoutMoved, Problem, ReconcilerError, SpecErrors, UsageError
from reconciler.model.kind import kind_named
from reconciler.model.spec import suspension
from reconciler.specs.broken import UsableSpecs, load_usable
from reconciler.specs.files import PROJECT_FILE
from reconciler.specs.git import checkout_at, checkout_state, read_checkout, untracked
from reconciler.specs.project import load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec, InvalidSpec
    from reconciler.core.plan import Plan
    from reconciler.core.state import Recorded
    from reconciler.specs.git import CheckoutState

Made = TypeVar("Made")

MOST_READS = 3
MOST_NAMED = 5  # the most specs in one warning


@dataclass(frozen=True, slots=True)
class PassInputs:
    """The inputs that a pass reads before it calls AWS.

    `specs` are the valid specs of the target by name, selected or not. `invalid` are the specs that are invalid or
    depend on an invalid spec. `selected` are the names that the command is about, `None` for all. `recorded` is the
    fold of the ledger; observations change it in place. `unnamed` and `problems` are as in `UsableSpecs`. All inputs
    belong to `commit`.
    """

    specs: Mapping[str, DesiredSpec]
    selected: frozenset[str] | None
    recorded: Recorded
    invalid: Mapping[str, InvalidSpec] = field(default_factory=dict)
    unnamed: InvalidSpec | None = None
    problems: tuple[Problem, ...] = ()
    commit: str | None = None
    submitted: Mapping[str, tuple[str, int]] | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of all specs of the target, valid or not."""
        return frozenset(self.specs) | {name for name, spec in self.invalid.items() if not spec.elsewhere}

    @property
    def chosen(self) -> dict[str, DesiredSpec]:
        """The specs that the command is about."""
        return {name: spec for name, spec in self.specs.items() if self.selected is None or name in self.selected}

    @property
    def concerned(self) -> frozenset[str] | None:
        """The selected names and their dependencies, with former names, because this pass needs to know whether
        dependencies have ended. `None` means all names."""
        if self.selected is None:
            return None
        chosen = self.chosen.values()
        gates = {dependency.name for spec in chosen for dependency in spec.policy.dependsOn}
        named = {name for spec in chosen for name in kind_named(spec.kind).spec_dependencies(spec.request)}
        names = self.selected | gates | named
        former = (spec.renamed_from for name, spec in self.specs.items() if name in names)
        return names | {self.recorded.current_name(each.name) for each in former if each is not None}


def in_one_state(attempt: Callable[[], Made]) -> Made:
    """Calls `attempt`, which reads and plans, again if the checkout changed meanwhile. Raises `CheckoutMoved` if it
    keeps changing."""
    for _ in range(MOST_READS - 1):
        try:
            return attempt()
        except CheckoutMoved:
            continue
    return attempt()


def read(session: Session, *, tolerant: bool = False) -> PassInputs:
    """Reads the specs and the ledger, and applies the selection of the command line.

    If `tolerant` is set, a spec with a problem is put on hold; otherwise the problem raises `SpecErrors`. Raises
    `LedgerError`, `UsageError` if the selection matches nothing, and `CheckoutMoved` if git changed the checkout, or
    another pass submitted other content, while the files were read. Otherwise old content could undo newer content.
    """
    before = _state(session)
    try:
        inputs = _read(session, tolerant=tolerant)
    except ReconcilerError as error:
        if _state(session) == before:
            raise
        raise CheckoutMoved(session.root) from error
    inputs = replace(inputs, commit=before[0].commit, submitted=before[1])
    session.ledger.refresh()
    same_files = _project_text(session) == session.project_file.view.source.text
    if not same_files or checkout_state(session.root) != before[0] or _is_overtaken(inputs):
        raise CheckoutMoved(session.root)
    return inputs


def _state(session: Session) -> tuple[CheckoutState, dict[str, tuple[str, int]]]:
    """Returns the state of the checkout and what was submitted: neither may change while the files are read."""
    return checkout_state(session.root), _submitted(session.ledger.refresh())


def _submitted(recorded: Recorded) -> dict[str, tuple[str, int]]:
    """Returns the newest submission and declaration of each spec, which no observation changes."""
    return {
        name: (record.newest.token if record.newest else "", record.declaration.position if record.declaration else 0)
        for name, record in recorded.specs.items()
    }


def _is_overtaken(inputs: PassInputs) -> bool:
    """Returns whether another pass has submitted or declared other content than was read, since it was read.

    The same content is no conflict, because several services may work on one ledger at the same time.
    """
    if inputs.submitted is None:
        return False
    for name, (token, declared_at) in _submitted(inputs.recorded).items():
        token_before, declared_before = inputs.submitted.get(name, ("", 0))
        if name in inputs.invalid or (token, declared_at) == (token_before, declared_before):
            continue
        spec, record = inputs.specs.get(name), inputs.recorded.spec(name)
        if spec is None or (declared_at != declared_before and differs(spec, record)):
            return True
        if token != token_before and record.newest is not None and record.newest.digest != spec.digest:
            return True
    return False


def _project_text(session: Session) -> str:
    return session.project_file.files.read(PROJECT_FILE).text


def _read(session: Session, *, tolerant: bool) -> PassInputs:
    usable = _usable(session, tolerant=tolerant)
    invalid = {**usable.dependents, **usable.invalid}
    specs = {name: spec for name, spec in usable.specs.items() if name not in invalid}
    session.aws.name_runs(run_names(specs))
    recorded = session.ledger.recorded
    recorded.forget_findings()
    selected = _selected(session, {**invalid, **usable.specs}, recorded)
    problems = usable.problems if selected is None else _problems_of(selected, invalid)
    return PassInputs(specs, selected, recorded, invalid, usable.unnamed, problems)


def _usable(session: Session, *, tolerant: bool) -> UsableSpecs:
    target = session.place.target
    if tolerant:
        return load_usable(session.project_file, target)
    return UsableSpecs(load(session.project_file, targets=[target], warn=False).specs[target])


def _problems_of(names: Collection[str], invalid: Mapping[str, InvalidSpec]) -> tuple[Problem, ...]:
    problems = {problem for name in names if name in invalid for problem in invalid[name].problems}
    return tuple(sorted(problems, key=Problem.order))


def run_names(specs: Mapping[str, DesiredSpec]) -> dict[str, str]:
    """Returns the run names of the specs, by spec name."""
    return {name: spec.request[kind_named(spec.kind).name_field] for name, spec in specs.items()}


def _selected(
    session: Session, specs: Mapping[str, DesiredSpec | InvalidSpec], recorded: Recorded
) -> frozenset[str] | None:
    """Returns the selected names. Reads other targets only if a name is missing in this target, so that the message can
    name the target that has the spec."""
    for name in session.options.only:
        if name not in specs and (current := name_now(name, specs, recorded)) != name:
            raise UsageError(f"{name} is called {current} now: use that name")
    try:
        return selected_names(session.options, specs, recorded.specs, {})
    except UsageError:
        elsewhere: Mapping[str, Mapping[str, DesiredSpec]] = {}
        with suppress(SpecErrors):
            elsewhere = load(session.project_file, warn=False).specs
        return selected_names(session.options, specs, recorded.specs, elsewhere)


def desired_state(session: Session, inputs: PassInputs, *, may_repeat: bool, from_objects: bool = False) -> Desired:
    """Returns the specs in git, with the relation of the checkout to the commits that matter for this plan.
    `from_objects` is set if the specs were read from a commit other than HEAD.

    Raises `CheckoutMoved` if HEAD is no longer the commit that the files were read from, or if another pass has
    submitted or declared other content since.
    """
    chosen, target = inputs.chosen, session.target
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
        directory=session.invocation.directory,
        local_ledger=session.invocation.local_ledger,
    )
    commits = {commit for each in changed_names(desired, inputs.recorded) if (commit := newest_commit(each))}
    if from_objects and inputs.commit is not None:
        return replace(desired, checkout=checkout_at(session.root, inputs.commit, commits))
    checkout = read_checkout(session.root, sorted(commits))
    # Another pass may have run newer files between the reading of these and the observation.
    if checkout.commit != inputs.commit or _is_overtaken(inputs):
        raise CheckoutMoved(session.root)
    return replace(desired, checkout=checkout)


def untracked_warnings(session: Session, inputs: PassInputs, made: Plan) -> Iterator[str]:
    """Yields a warning about specs that are about to run and that git does not track."""
    submits = {action.name for action in made.actions if action.action in {ActionType.SUBMIT, ActionType.REPLACE}}
    specs = (spec for name, spec in inputs.specs.items() if name in submits and made.commit is not None)
    missing = untracked(session.root, [spec.source.path for spec in specs if spec.source is not None])
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        yield (
            f"git does not track {', '.join(missing[:MOST_NAMED])}{more}: no commit has what will run. Add and commit "
            "what is to run, and see .gitignore if git add refuses"
        )

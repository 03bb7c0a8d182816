"""A run that a person wants for a spec: what AWS says of it, and whether it is to be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError
from reconciler.identity.instant import parse, seconds_text
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from reconciler.ports import RunReport
from reconciler.wiring.by_hand import Sight, which

if TYPE_CHECKING:
    from reconciler.plan.desired import DesiredSpec
    from reconciler.ports import RunFacts, Valid
    from reconciler.recorded.state import Recorded
    from reconciler.recorded.submission import Submission

CHILD_MARKS = (":", "#")
"""What stands between a Batch job's id and the index of its child, or of its node."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The run that is to be adopted, as AWS describes it."""

    facts: RunFacts
    report: RunReport
    locate: Mapping[str, str]

    @property
    def token(self) -> str | None:
        """The token that its tag holds."""
        return self.facts.tags.get(TOKEN_TAG)

    @property
    def owner(self) -> str | None:
        """The spec that its tag names, ``PROJECT/TARGET/NAME``."""
        return self.facts.tags.get(SPEC_TAG)


def check_id(run_id: str) -> None:
    """Raises `ReconcilerError` for what is not the id of a whole run."""
    for mark in CHILD_MARKS:
        parent, found, _ = run_id.partition(mark)
        if found and not run_id.startswith("arn:"):
            raise ReconcilerError(f"{run_id} is a child of job {parent}: a run is adopted whole, as {parent}")
    if run_id.startswith("arn:"):
        raise ReconcilerError(f"{run_id} is an ARN: give the run's id, its last part")


def described(sight: Sight, run_id: str, waiting: Submission | None) -> Claimed:
    """Asks AWS for the run, where its submission, the ledger or the spec says that it is."""
    known = next((s for s in sight.recorded.by_token.values() if s.run_id == run_id), None)
    at: Submission | DesiredSpec | None = waiting or known or sight.spec
    if at is None:
        raise ReconcilerError(f"{sight.name} is not in the project any more: there is no spec to adopt a run for")
    kind = sight.spec.kind if sight.spec is not None and waiting is None else at.kind
    if kind != at.kind:
        raise ReconcilerError(f"run {run_id} is a {at.kind}, and {sight.name} is a {kind}")
    facts = sight.session.access.inventory(kind).described(at.locate, [run_id]).get(run_id)
    if facts is None:
        place = sight.session.access.inventory(kind).place(at.locate)
        raise ReconcilerError(f"AWS knows no run {run_id} ({kind}, {place}): nothing was recorded")
    if not isinstance(facts.report, RunReport):
        raise ReconcilerError(f"run {run_id}: {facts.report}")
    return Claimed(facts, facts.report, at.locate)


def allowed_to(sight: Sight, run: Claimed, *, force: bool) -> Valid:
    """Whether the run may be taken: not from a spec that is in git, by its tag or by the ledger."""
    place, name, names, run_id = sight.session.place, sight.name, frozenset(sight.found.specs), run.facts.run_id
    ours, _, owner = (run.owner or "").rpartition("/")
    if ours == f"{place.project}/{place.target}":
        if owner != name and owner in names:
            return lambda _: f"run {run_id} is {owner}'s, by its tag, and {owner} is in this project: it stays its run"
    elif ours and not force:
        return lambda _: (
            f"run {run_id} is of {run.owner}, by its tag: another project or target. If nobody there follows it any "
            "more, --force takes it"
        )

    def free(recorded: Recorded) -> str | None:
        for other in recorded.by_token.values():
            mine = other.name == name or other.taken_by is not None or other.name not in names
            if other.run_id == run_id and not mine:
                return f"run {run_id} is the run of {which(other)}, which is in this project: it stays its run"
        return None

    return free


def run_facts(run: Claimed) -> tuple[tuple[str, str], ...]:
    """What AWS says of the run: label and value."""
    state = run.report.state + (f" ({run.report.detail})" if run.report.detail else "")
    return (
        ("run", run.facts.run_id),
        ("name", run.facts.name or "-"),
        ("state", state),
        ("created", seconds_text(parse(run.facts.created_at))),
        ("tagged as", run.owner or "nobody's"),
    )

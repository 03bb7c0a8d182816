"""What the ledger holds about one spec or one submission, found by whatever people have at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reconciler.core.events import Event, SpecEvent, SubmissionEvent, intent_of
from reconciler.core.identity import TOKEN_PREFIX
from reconciler.errors import ReconcilerError
from reconciler.model.kind import kind_named

if TYPE_CHECKING:
    from reconciler.core.plan import Change
    from reconciler.core.state import Recorded
    from reconciler.core.submission import Submission
    from reconciler.ledger.log import Log

SHORTEST_PREFIX = 6
"""Characters of a token that are enough to find it by, if only one begins with them."""

Placed = tuple[int, Event]
"""An event with its position in the ledger."""


@dataclass(frozen=True, slots=True)
class SubmissionHistory:
    """One submission: its events, oldest first, and what its request differs in from that of the one accepted before
    it, `previous` (`None`: there is none)."""

    events: Sequence[Placed]
    changes: Sequence[Change]
    previous: Submission | None


def history(ledger: Log, name: str) -> list[Placed]:
    """Every event about a spec, oldest first. Raises `ReconcilerError` for a name that the ledger does not know."""
    recorded = ledger.refresh()
    if name not in recorded.specs:
        raise ReconcilerError(f"nothing is recorded of {name!r}.{_hint(name, recorded)}")
    record = recorded.specs[name]
    positions = {*record.positions, *(position for s in record.submissions for position in s.positions)}
    return list(_events(ledger, positions, lambda event: event.name == name))


def tale(ledger: Log, what: str) -> SubmissionHistory:
    """The story of the submission that `what` stands for. Raises `ReconcilerError` where it stands for none, or for
    several."""
    recorded = ledger.refresh()
    submission = find(recorded, what)

    def wanted(event: SpecEvent) -> bool:
        return isinstance(event, SubmissionEvent) and event.token == submission.token

    events = list(_events(ledger, submission.positions, wanted))
    previous = _previous(recorded, submission)
    return SubmissionHistory(events, () if previous is None else _changes(ledger, previous, submission), previous)


def find(recorded: Recorded, what: str) -> Submission:
    """The submission that is meant: a spec's newest, by the spec's name; or the one with this run id, a child of an
    array or a node included; or the one whose token this is, or begins with this.

    Raises `ReconcilerError` where there is none, or several.
    """
    record = recorded.specs.get(what)
    if record is not None and record.newest is not None:
        return record.newest
    run_id = what.partition(":")[0].partition("#")[0]
    found = [s for s in recorded.by_token.values() if s.run_id == run_id and s.reassigned_to is None]
    if not found and len(what.removeprefix(TOKEN_PREFIX)) >= SHORTEST_PREFIX:
        found = [s for s in recorded.by_token.values() if s.token.removeprefix(TOKEN_PREFIX).startswith(_digits(what))]
    if len(found) > 1:
        raise ReconcilerError(f"{len(found)} tokens begin with {what!r}: give more of it")
    if not found:
        raise ReconcilerError(
            f"the ledger knows no spec, run or token {what!r}.{_hint(what, recorded)} "
            "A run that something else started is not in it."
        )
    return found[0]


def _digits(what: str) -> str:
    return what.removeprefix(TOKEN_PREFIX)


def _events(ledger: Log, positions: Iterable[int], wanted: Callable[[SpecEvent], bool]) -> Iterator[Placed]:
    for position, batch in ledger.batches(sorted(positions)):
        for event in batch:
            if isinstance(event, SpecEvent) and wanted(event):
                yield position, event


def _previous(recorded: Recorded, submission: Submission) -> Submission | None:
    """The submission of the same spec that AWS accepted last before this one."""
    submissions = recorded.specs[submission.name].submissions
    earlier = submissions[: submissions.index(submission)]
    return next((s for s in reversed(earlier) if s.accepted), None)


def _changes(ledger: Log, before: Submission, after: Submission) -> Sequence[Change]:
    from reconciler.render.diff import explain

    sent = (intent_of(ledger.batch(run.intent_position), run.name, run.token).request for run in (before, after))
    return explain(kind_named(after.kind), *sent)


def _hint(name: str, recorded: Recorded) -> str:
    close = get_close_matches(name, recorded.specs, n=1)
    return f" Did you mean {close[0]}?" if close else ""

"""Decides about specs with earlier runs that may be missing from the ledger, because the ledger is new, replaces a lost
one, or was rolled back.

Work that already has a run in AWS must not run again. These runs are found by their tags, as long as AWS keeps them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

from reconciler.core.cron import slots
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import Content, Place, SubmissionKey, client_token
from reconciler.core.plan import COUNTED, SENDS, Action, ActionType, Reason, stopped
from reconciler.core.state import Recorded
from reconciler.core.submit_actions import SpecContext, location_of, rendered, submit_action
from reconciler.core.suggestions import rebuild
from reconciler.core.times import seconds_text
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.values import dataclass

REMEMBERED = timedelta(days=7)
"""How far back AWS is searched. Batch keeps ended jobs for at least a day or, according to newer guides, for a week."""

GENERATIONS = 20
"""The number of generations of a spec's content that a search for previous runs covers."""

SLOTS = 100
"""The number of newest slots of a schedule that a search covers."""

ATTEMPTS = 5
"""The maximum number of attempts of each slot that a search covers."""

WINDOWS = (timedelta(hours=3), timedelta(days=1), REMEMBERED)
"""Periods to search for slots. The shortest one with enough slots is used, because a schedule may have one every
minute."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A submission that may exist for a spec's content: its key, its token, and the content of `spec`, which has the
    former name of the spec if the submission was sent under that name."""

    spec: DesiredSpec
    key: SubmissionKey
    token: str

    @property
    def request(self) -> JSON:
        """The request for its slot."""
        return rendered(self.spec, self.key.slot, {})

    @property
    def location(self) -> Mapping[str, str]:
        """The location of its run."""
        return location_of(self.spec, self.request)

    @property
    def run_name(self) -> str | None:
        """The name of its run."""
        name: str | None = self.request.get(kind_named(self.spec.kind).name_field)
        return name


def candidates(spec: DesiredSpec, recorded: Recorded, place: Place, now: datetime) -> Iterator[Candidate]:
    """Yields the submissions that may exist for this content and are missing from the ledger, oldest first: the next
    generations, or the newest slots in the period for which AWS keeps runs, each also under the former name of the
    spec."""
    names = (spec.renamed_from.name, spec.name) if spec.renamed_from is not None else (spec.name,)
    as_named = {name: replace(spec, content=content_as(spec, name)) for name in names}
    for key in _keys(spec, recorded.spec(spec.name).next_generation, now):
        for name in names:  # a run keeps the token of the name under which it was submitted
            token = client_token(place, spec.kind, replace(key, name=name), spec.digest)
            if token not in recorded.by_token and not _is_archived(token, key, spec.name, recorded):
                yield Candidate(as_named[name], key, token)


def _is_archived(token: str, key: SubmissionKey, name: str, recorded: Recorded) -> bool:
    archived = recorded.at_slot(name, key.slot) if key.slot is not None else ()
    return archived is None or any(submission.token == token for submission in archived)


def content_as(spec: DesiredSpec, name: str) -> Content:
    """Returns the content of a spec under a former name, which is also the name of its runs unless the spec sets
    that."""
    field = kind_named(spec.kind).name_field
    if name == spec.name or spec.request.get(field) != spec.name:
        return spec.content
    request = {**spec.request, field: name}
    return replace(spec.content, request=request, location=kind_named(spec.kind).location(request))


def _keys(spec: DesiredSpec, generation: int, now: datetime) -> Iterator[SubmissionKey]:
    if spec.policy.schedule is None:
        yield from (SubmissionKey(spec.name, generation + later) for later in range(GENERATIONS))
        return
    for slot in newest_slots(spec.policy.schedule, spec.policy.timeZone, now):
        for attempt in range(1, min(spec.policy.backoffLimit + 1, ATTEMPTS) + 1):
            yield SubmissionKey(spec.name, slot=slot, attempt=attempt)


def newest_slots(schedule: str, time_zone: str, now: datetime) -> Sequence[str]:
    """Returns the newest slots up to now, oldest first."""
    newest: deque[datetime] = deque(maxlen=SLOTS)
    for window in WINDOWS:
        newest.clear()
        newest.extend(takewhile(lambda moment: moment <= now, slots(schedule, time_zone, now - window)))
        if len(newest) == SLOTS:
            break
    return [seconds_text(moment) for moment in newest]


def may_lack_runs(recorded: Recorded, name: str, *, intends: bool) -> bool:
    """Returns whether AWS may have runs of a spec that this ledger never had or has lost, because the ledger has no
    intent yet, or because it was rolled back and has no newer record of the spec. `intends` is `recorded.intends`,
    which takes too long to compute for each spec."""
    newest = recorded.spec(name).newest
    if recorded.rollbacks and (newest is None or newest.intent_position < recorded.rollbacks[-1].position):
        return True
    return newest is None and not intends


def sends_to_look_for(actions: Iterable[Action], recorded: Recorded, *, every: bool) -> list[Action]:
    """Returns the first sends that require a search in AWS for a run that another ledger of this place has started:
    those of new content, which are rare, or, with `every`, all first sends. Specs that were already searched for are
    left out."""
    return [
        action
        for action in actions
        if action.action in SENDS
        and action.send == 1  # the ledger has every submission that was sent before
        and action.name not in recorded.runs_by_spec
        and (every or action.reason in COUNTED)
    ]


def decide_previous_runs(context: SpecContext) -> Action | None:
    """Returns the action for a spec that is missing from the ledger and has runs in AWS, or `None` if it has none.

    A run of the spec's content is adopted. Of several runs, the newest generation or slot is adopted. Runs of other
    content, which another ledger must have started, are a conflict that an operator decides.
    """
    recorded, spec = context.recorded, context.spec
    if (others := recorded.runs_by_spec.get(spec.name)) is None:
        return None
    for candidate in reversed(list(candidates(spec, recorded, context.desired.place, context.now))):
        runs = recorded.runs_by_token.get(candidate.token, ())
        if runs:
            return _adoption(context, candidate, runs)
    return _conflict(context, others) if others else None


def hold_without_look(context: SpecContext, actions: Sequence[Action]) -> Sequence[Action]:
    """Returns the actions for a spec that is missing from the ledger. Submits are put on hold if the search in AWS for
    previous runs of the spec failed."""
    spec, recorded = context.spec, context.recorded
    if not any(action.action in SENDS for action in actions):
        return actions
    sought, errors = candidates(spec, recorded, context.desired.place, context.now), recorded.look_errors
    error = next((errors[each.token] for each in sought if each.token in errors), None)
    if error is None:
        return actions
    message = (
        f"it is unknown whether AWS has runs of {spec.name} that are missing from this ledger: {error}. "
        "Nothing is submitted until AWS can be queried"
    )
    return [
        stopped(action, ActionType.HOLD, Reason.UNKNOWN, message) if action.action in SENDS else action
        for action in actions
    ]


def _adoption(context: SpecContext, candidate: Candidate, runs: tuple[str, ...]) -> Action:
    made = submit_action(replace(context, spec=candidate.spec), candidate.key, Reason.FOUND)
    action = replace(made, client_token=candidate.token, compared_with=None, backoff_limit=0)
    if len(runs) == 1:
        message = "AWS has a run of this content with its tag that is not in the ledger"
        return replace(action, action=ActionType.ADOPT, run_id=runs[0], message=message, template=None)
    message = f"several runs have its tag and are not in the ledger: {', '.join(runs)}. An operator must choose one"
    return stopped(action, ActionType.HOLD, Reason.CONFLICT, message)


def _conflict(context: SpecContext, runs: Sequence[str]) -> Action:
    spec, by = context.spec, context.desired.invocation
    message = (
        f"AWS has runs with its tag that are not in this ledger: {', '.join(runs)}. Another ledger of this project and "
        "target started them, or this ledger lost them: use only one ledger, or record these runs"
    )
    return Action(
        spec.name, spec.kind, ActionType.HOLD, Reason.CONFLICT, content=replace(spec.content, request=None),
        ledger_head=context.record.head, message=message, suggested=rebuild(spec.name, runs, by),
    )  # fmt: skip

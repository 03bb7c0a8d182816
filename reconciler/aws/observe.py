"""Reads runs from AWS: the states of live runs, the runs of unresolved submissions (by their tag), and all runs for
`fsck`.
"""

import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import datetime
from typing import TypeVar

from reconciler.core.desired import DesiredSpec
from reconciler.core.events import Observed
from reconciler.core.fsck import AwsInventory, ListedQueue, ListedRun
from reconciler.core.identity import Place
from reconciler.core.observations import completes, differs, incomplete
from reconciler.core.plan import Action
from reconciler.core.ports import Inventory, RunFacts, RunRef, RunReport, Services, Wanted
from reconciler.core.previous_runs import REMEMBERED, candidates
from reconciler.core.state import RUN_STATES, Recorded, Sighting, SpecRecord, Submission
from reconciler.core.times import parse_time, time_text
from reconciler.errors import GuardError, ReconcilerError, ServiceError
from reconciler.model.base import JSON
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG, kind_named
from reconciler.values import dataclass

Asked = TypeVar("Asked", RunRef, Wanted)
Result = TypeVar("Result")

UNKNOWN_RUN = "AWS did not return this run"


@dataclass(slots=True)
class _Questions:
    """The submissions to read from one service."""

    live: list[Submission] = field(default_factory=list)
    incomplete: list[Submission] = field(default_factory=list)
    unresolved: list[Submission] = field(default_factory=list)


@dataclass(slots=True)
class _Answers:
    """The replies of one service, keyed by token. A string is the reason why there is no reply."""

    reports: Mapping[str, RunReport | str]
    lookups: Mapping[str, Sequence[str] | str]


def observe(
    recorded: Recorded,
    services: Services,
    names: Container[str] | None,
    now: datetime,
    request_of: Callable[[Submission], JSON] = lambda _: {},
) -> tuple[tuple[Observed, ...], Sighting]:
    """Reads the live runs of the specs in `names` (`None` for all) from AWS, and looks for the run of every unresolved
    submission.

    Returns the new states, sorted by name, and the runs that were found. An ended run is read again only until AWS has
    reported its reason and usage (`core.observations`). If a service fails, nothing is raised; instead, the sighting
    contains the error for each token of the service. The sighting also contains an error for each run that does not
    exist in AWS; such a run is not considered ended. `request_of` returns the request that a submission sent, or an
    empty one if it is not available. The name in it narrows the lookup.
    """
    questions = _questions(recorded, names, now)
    sys.audit("reconciler.observing", *questions)
    with ThreadPoolExecutor(max(1, len(questions))) as pool:  # services reply independently: call in parallel
        answers = pool.map(lambda kind: _ask(kind, questions[kind], services, request_of), questions)
        by_kind = dict(zip(questions, answers, strict=True))
    sys.audit("reconciler.observed", *questions)
    return _collect(questions, by_kind, now)


def _questions(recorded: Recorded, names: Container[str] | None, now: datetime) -> dict[str, _Questions]:
    asked: dict[str, _Questions] = {}
    for submission in recorded.live():
        if names is None or submission.name in names:
            asked.setdefault(submission.kind, _Questions()).live.append(submission)
    for submission in recorded.unresolved():
        if names is None or submission.name in names:
            asked.setdefault(submission.kind, _Questions()).unresolved.append(submission)
    for kind, submissions in incomplete(recorded, now).items():
        ended = [submission for submission in submissions if names is None or submission.name in names]
        if ended:
            asked.setdefault(kind, _Questions()).incomplete += ended
    return asked


def _ask(kind: str, questions: _Questions, services: Services, request_of: Callable[[Submission], JSON]) -> _Answers:
    read = (*((s, False) for s in questions.live), *((s, True) for s in questions.incomplete))
    refs = [
        RunRef(s.token, s.run_id, s.content.location, since=s.first_intent_at, ended=ended)
        for s, ended in read
        if s.run_id is not None
    ]
    wanted = [_wanted(submission, request_of) for submission in questions.unresolved]
    try:
        service = services(kind)
    # A wrong account or clock makes every answer of AWS useless, so the pass must end.
    except GuardError:
        raise
    except Exception as error:  # noqa: BLE001 - a failing service must not stop the others
        return _Answers(_reasons(error, refs), _reasons(error, wanted))
    return _Answers(_answers(service.observe, refs), _answers(service.find, wanted))


def _wanted(submission: Submission, request_of: Callable[[Submission], JSON]) -> Wanted:
    field_of_name = kind_named(submission.kind).name_field
    located = field_of_name in submission.content.location  # the location already contains the name
    name = None if located else request_of(submission).get(field_of_name)
    return Wanted(
        submission.token,
        submission.content.location,
        submission.first_intent_at,
        name if isinstance(name, str) else None,
        submission.newest_send.not_after,
        streaming=submission.content.streaming,
    )


def runs_by_tag(kind: str, wanted: Sequence[Wanted], services: Services) -> Mapping[str, Sequence[str] | str]:
    """Returns the runs that have each token's tag, or a string with the reason why they are unknown. Raises
    `GuardError` if the service must not be used."""
    try:
        return _answers(services(kind).find, wanted)
    except GuardError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return _reasons(error, wanted)


def _answers(
    call: Callable[[Sequence[Asked]], Mapping[str, Result | str]], asked: Sequence[Asked]
) -> Mapping[str, Result | str]:
    """Returns the replies of one call, keyed by token, or for each token the reason why there is no reply."""
    try:
        return call(asked) if asked else {}
    except Exception as error:  # noqa: BLE001 - as above
        return _reasons(error, asked)


def _reasons(error: Exception, asked: Iterable[RunRef | Wanted]) -> dict[str, str]:
    reason = str(error) if isinstance(error, ReconcilerError) else f"{type(error).__name__}: {error}"
    return dict.fromkeys((each.token for each in asked), reason)


def _collect(
    questions: Mapping[str, _Questions], answers: Mapping[str, _Answers], now: datetime
) -> tuple[tuple[Observed, ...], Sighting]:
    at = time_text(now)
    events: list[Observed] = []
    lookups: dict[str, Sequence[str] | str] = {}
    observe_errors: dict[str, str] = {}
    unseen: set[str] = set()
    for kind, asked in questions.items():
        for submission in asked.live:
            report = answers[kind].reports.get(submission.token, "AWS's reply does not contain this run")
            if isinstance(problem := _problem(report), str):
                observe_errors[submission.token] = problem
                unseen.update({submission.token} if problem is UNKNOWN_RUN else ())
            elif isinstance(report, RunReport) and differs(submission, report):
                events.append(_event(submission, report, at))
        for submission in asked.incomplete:  # an error is irrelevant for a run that has ended
            report = answers[kind].reports.get(submission.token, "")
            if isinstance(report, RunReport) and completes(submission, report):
                events.append(_event(submission, report, at))
        for submission in asked.unresolved:
            answer = answers[kind].lookups.get(submission.token, "AWS's reply does not contain this submission")
            lookups[submission.token] = answer
    events.sort(key=lambda event: event.name)  # the order must not depend on which service replied first
    return tuple(events), Sighting(*_runs_and_errors(lookups), observe_errors, frozenset(unseen))


def _runs_and_errors(lookups: Mapping[str, Sequence[str] | str]) -> tuple[dict[str, Sequence[str]], dict[str, str]]:
    runs: dict[str, Sequence[str]] = {
        token: tuple(answer) for token, answer in lookups.items() if not isinstance(answer, str)
    }
    return runs, {token: answer for token, answer in lookups.items() if isinstance(answer, str)}


def _problem(report: RunReport | str) -> str | None:
    """Returns the reason why a report contains no state, or `None` if it contains one."""
    if isinstance(report, str):
        return report
    if not report.exists:
        return UNKNOWN_RUN
    return None if report.state in RUN_STATES else f"AWS reported the unknown state {report.state!r}"


def _event(submission: Submission, report: RunReport, at: str) -> Observed:
    ref = RunRef(submission.token, submission.run_id or "", submission.content.location)
    return report.event(submission.name, ref, at)


def find_previous_runs(
    specs: Iterable[DesiredSpec], recorded: Recorded, place: Place, services: Services, now: datetime
) -> Sighting:
    """Finds runs of specs that may be missing from the ledger. Runs of the current content are found by their token,
    and other runs by their spec tag.

    Raises only `GuardError`. If a service fails, the sighting contains the error for each token.
    """
    return _look(
        services, recorded, place, now,
        (
            (spec.kind, spec.name, each.token, each.location, each.run_name, spec.content.streaming)
            for spec in specs
            for each in candidates(spec, recorded, place, now)
        ),
    )  # fmt: skip


def look_before_sending(
    actions: Iterable[Action], recorded: Recorded, place: Place, services: Services, now: datetime
) -> Sighting:
    """Finds runs that may be missing from the ledger before `actions` submit: runs with the same tokens, and other runs
    with the tags of their specs.
    """
    return _look(
        services, recorded, place, now,
        (
            (
                action.kind, action.name, action.client_token or "", action.content.location, _run_name(action),
                action.content.streaming,
            )
            for action in actions
        ),
    )  # fmt: skip


def _run_name(action: Action) -> str | None:
    name: str | None = (action.request or {}).get(kind_named(action.kind).name_field)
    return name


def _look(
    services: Services,
    recorded: Recorded,
    place: Place,
    now: datetime,
    sought: Iterable[tuple[str, str, str, Mapping[str, str], str | None, bool]],
) -> Sighting:
    """Looks for runs, each given by kind, spec, token, location, run name, and whether it is a streaming run."""
    wanted, names = dict[str, list[Wanted]](), dict[str, str]()
    for kind, name, token, location, run_name, streaming in sought:
        owner, record = place.owner(name), recorded.spec(name)
        names[owner] = name
        wanted.setdefault(kind, []).append(
            Wanted(
                token, location, _since(record, now), run_name, owner=owner, recorded=recorded.by_token,
                # An earlier content of the spec may have been a streaming run, which another listing contains.
                streaming=streaming or any(s.content.streaming for s in record.submissions),
            )
        )  # fmt: skip
    lookups: dict[str, Sequence[str] | str] = {}
    for kind, of_kind in wanted.items():
        lookups |= runs_by_tag(kind, of_kind, services)
    runs, errors = _runs_and_errors(lookups)
    # If every lookup for a spec failed, it is unknown which runs have its tag.
    whole = {want.owner for wants in wanted.values() for want in wants if want.token in runs}
    ours = {submission.run_id for submission in recorded.by_token.values()}
    by_spec = {
        # An operator may have adopted a run whose own token is not in the ledger.
        name: [run_id for run_id in runs.get(owner, ()) if run_id not in ours]
        for owner, name in names.items()
        if owner in whole
    }
    return Sighting({key: ids for key, ids in runs.items() if key not in names}, errors, runs_by_spec=by_spec)


def _since(record: SpecRecord, now: datetime) -> str:
    """Returns the time from which to look for runs of a spec. Runs older than its newest submission are ignored."""
    oldest = now - REMEMBERED
    return time_text(oldest if record.newest is None else max(oldest, parse_time(record.newest.first_intent_at)))


Inventories = Callable[[str], Inventory | None]
"""Takes the name of a kind and returns its inventory, or `None` if its service does not implement `Inventory`."""

Where = tuple[str, Mapping[str, str]]
"""A kind, and the location of a run of it (`Content.location`)."""


@dataclass(slots=True)
class _Place:
    """One application or queue to list, with the run ids of the live submissions in it."""

    kind: str
    words: str
    location: Mapping[str, str]
    inventory: Inventory
    live: set[str] = field(default_factory=set)


def take_inventory(
    recorded: Recorded, specs: Iterable[Where], place: Place, inventories: Inventories, since: str | None
) -> AwsInventory:
    """Lists every application and queue of the recorded submissions and of `specs`. The error of a failed listing is
    returned, but a `GuardError` is raised."""
    recorded_ids = {s.run_id for s in recorded.by_token.values() if s.run_id is not None}
    places: list[ListedQueue] = []
    present: list[ListedRun] = []
    gone: set[str] = set()
    listed, unlisted = _places(recorded, specs, inventories)
    for each in listed:
        inventory = each.inventory
        try:
            run_ids = inventory.listed(each.location, since)
            # The tags of recorded runs are known.
            described = inventory.described(each.location, [run_id for run_id in run_ids if run_id not in recorded_ids])
            # A listing may omit a run, so only a description by id shows that AWS no longer has it.
            unseen = sorted(each.live - set(run_ids))
            gone |= set(unseen) - set(inventory.described(each.location, unseen) if unseen else ())
        except ServiceError as error:
            places.append(ListedQueue(each.kind, each.words, error=str(error)))
            continue
        ours = [run for facts in described.values() if (run := _ours(facts, each, place)) is not None]
        present += ours
        count = len(ours) + sum(run_id in recorded_ids for run_id in run_ids)
        places.append(ListedQueue(each.kind, each.words, len(run_ids), count))
    present.sort(key=lambda run: run.created_at)
    return AwsInventory(tuple(places), tuple(present), frozenset(gone), unlisted)


def _places(
    recorded: Recorded, specs: Iterable[Where], inventories: Inventories
) -> tuple[Sequence[_Place], tuple[str, ...]]:
    """Returns each application or queue once, keyed by its description, with its live runs. Also returns the kinds that
    have no inventory."""
    places: dict[tuple[str, str], _Place] = {}
    unlisted: set[str] = set()
    submissions = (
        (s.kind, s.content.location, s.run_id if s.live else None)
        for s in recorded.by_token.values()
        if s.content.location  # `accept` records a generation without a run, which is nowhere
    )
    for kind, location, live in (*submissions, *((*where, None) for where in specs)):
        inventory = inventories(kind)
        if inventory is None:
            unlisted.add(kind)
            continue
        words = inventory.place(location)
        place = places.setdefault((kind, words), _Place(kind, words, location, inventory))
        if live is not None:
            place.live.add(live)
    return [places[key] for key in sorted(places)], tuple(sorted(unlisted))


def _ours(facts: RunFacts, where: _Place, place: Place) -> ListedRun | None:
    """Returns a run that has the tag of this project and target, or `None` for any other run."""
    owner, _, name = facts.tags.get(SPEC_TAG, "").rpartition("/")
    if owner != place.owner("").removesuffix("/") or not name:
        return None
    report = facts.report
    return ListedRun(
        name=name,
        run_id=facts.run_id,
        token=facts.tags.get(TOKEN_TAG),
        kind=where.kind,
        location=_location(where, facts),
        created_at=facts.created_at,
        report=report if isinstance(report, RunReport) else RunReport(True, "unknown", detail=report),
    )


def _location(where: _Place, facts: RunFacts) -> Mapping[str, str]:
    """Returns a location with which the run can be found again. It is the location of this listing, plus the run's own
    name if locations of this kind contain a name.
    """
    field_of_name = kind_named(where.kind).name_field
    named = {field_of_name: facts.name} if field_of_name in where.location and facts.name else {}
    return {**where.location, **named}

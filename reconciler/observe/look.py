"""One look at AWS for one pass: live runs asked for their state, unresolved submissions looked for by their tag."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.errors import ReconcilerError
from reconciler.identity import instant
from reconciler.ports import RunRef, RunReport, Service, Services, Wanted
from reconciler.recorded.events import Observed
from reconciler.recorded.state import Recorded, Sighting
from reconciler.recorded.submission import RunState, Submission

UNKNOWN_RUN = "AWS does not know this run now"


@dataclass(slots=True)
class _Questions:
    """What one service is asked."""

    live: list[Submission] = field(default_factory=list)
    unresolved: list[Submission] = field(default_factory=list)


@dataclass(slots=True)
class _Answers:
    """What it said, by token; a string says why there is no answer."""

    reports: Mapping[str, RunReport | str]
    found: Mapping[str, Sequence[str] | str]


def observe(
    recorded: Recorded, services: Services, names: Container[str] | None, now: datetime
) -> tuple[tuple[Observed, ...], Sighting]:
    """Asks AWS about the live runs of the selected names (`None`: all) and looks for every unresolved submission.

    Returns the states that are new, in order of name, and what was found. Runs that have ended are never asked for
    again. A service that fails leaves a sentence for each of its tokens in the sighting; nothing is raised. A run that
    AWS does not know is such a sentence too, never an end.
    """
    questions = _questions(recorded, names)
    sys.audit("reconciler.observing", *questions)
    with ThreadPoolExecutor(max(1, len(questions))) as pool:  # the services answer independently: ask them at once
        answers = pool.map(lambda kind: _ask(kind, questions[kind], services), questions)
        said = dict(zip(questions, answers, strict=True))
    sys.audit("reconciler.observed", *questions)
    return _told(questions, said, now)


def _questions(recorded: Recorded, names: Container[str] | None) -> dict[str, _Questions]:
    asked: dict[str, _Questions] = {}
    for submission in recorded.live():
        if names is None or submission.name in names:
            asked.setdefault(submission.kind, _Questions()).live.append(submission)
    for submission in recorded.unresolved():
        if names is None or submission.name in names:
            asked.setdefault(submission.kind, _Questions()).unresolved.append(submission)
    return asked


def _ask(kind: str, questions: _Questions, services: Services) -> _Answers:
    refs = [RunRef(s.token, s.run_id, s.locate) for s in questions.live if s.run_id is not None]
    wanted = [Wanted(s.token, s.locate, s.first_intent_at) for s in questions.unresolved]
    try:
        service = services(kind)
    except Exception as error:  # noqa: BLE001 - one service's failure is told for its runs and stops no other
        return _Answers(
            dict.fromkeys((r.token for r in refs), _why(error)), dict.fromkeys((w.token for w in wanted), _why(error))
        )
    return _Answers(_observed(service, refs), _found(service, wanted))


def found_by_tag(kind: str, wanted: Sequence[Wanted], services: Services) -> Mapping[str, Sequence[str] | str]:
    """The runs that carry each token's tag; a string where that is not known, saying why. Nothing is raised."""
    try:
        return _found(services(kind), wanted)
    except Exception as error:  # noqa: BLE001 - as above
        return dict.fromkeys((want.token for want in wanted), _why(error))


def _observed(service: Service, refs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
    try:
        return service.observe(refs) if refs else {}
    except Exception as error:  # noqa: BLE001 - as above
        return dict.fromkeys((ref.token for ref in refs), _why(error))


def _found(service: Service, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
    try:
        return service.find(wanted) if wanted else {}
    except Exception as error:  # noqa: BLE001 - as above
        return dict.fromkeys((want.token for want in wanted), _why(error))


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, ReconcilerError) else f"{type(error).__name__}: {error}"


def _told(
    questions: Mapping[str, _Questions], answers: Mapping[str, _Answers], now: datetime
) -> tuple[tuple[Observed, ...], Sighting]:
    events: list[Observed] = []
    found: dict[str, Sequence[str]] = {}
    look_errors: dict[str, str] = {}
    observe_errors: dict[str, str] = {}
    unseen: set[str] = set()
    for kind, asked in questions.items():
        for submission in asked.live:
            report = answers[kind].reports.get(submission.token, "the service gave no answer for this run")
            if isinstance(why := _trouble(report), str):
                observe_errors[submission.token] = why
                unseen.update({submission.token} if why is UNKNOWN_RUN else ())
            elif isinstance(report, RunReport) and _new(submission, report):
                events.append(_event(submission, report, now))
        for submission in asked.unresolved:
            sighted = answers[kind].found.get(submission.token, "the service gave no answer for this submission")
            if isinstance(sighted, str):
                look_errors[submission.token] = sighted
            else:
                found[submission.token] = tuple(sighted)
    events.sort(key=lambda event: event.name)  # the order of the ledger's batch, whichever service answered first
    return tuple(events), Sighting(found, look_errors, observe_errors, frozenset(unseen))


def _trouble(report: RunReport | str) -> str | None:
    """Why a report tells no state; `None` where it does."""
    if isinstance(report, str):
        return report
    if not report.known:
        return UNKNOWN_RUN
    return None if report.state in set(RunState) else f"the service gave the state {report.state!r}"


def _new(submission: Submission, report: RunReport) -> bool:
    """Whether a report says more than the ledger does: another state, or that a run is known again."""
    return bool(submission.unseen) or (submission.run_state, submission.aws_state) != (report.state, report.aws_state)


def _event(submission: Submission, report: RunReport, now: datetime) -> Observed:
    ref = RunRef(submission.token, submission.run_id or "", submission.locate)
    return report.event(submission.name, ref, instant.text(now))

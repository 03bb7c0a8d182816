"""Implements `ports.Service`, `ports.Inventory`, `ports.RunSource` and `run_logs.Logs` for EMR Serverless.

A run is found again by its application and its tag. ListJobRuns returns no tags, so GetJobRun is called once per
adapter for each run that has the wanted name and was created in the wanted period. Runs in all states are included,
because the wanted run may have ended.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from reconciler.aws import emr_serverless_runs
from reconciler.aws.adapter import Described, Tagged, answers, each, merged, pages, submit
from reconciler.aws.clients import Aws, Client
from reconciler.aws.emr_serverless_logs import logs_of
from reconciler.aws.errors import translate_errors
from reconciler.aws.outcome import ReplyFields
from reconciler.core.ports import FoundRun, Instant, Outcome, RunFacts, RunRef, RunReport, Service, Verdict, Wanted
from reconciler.core.run_logs import RunLogs
from reconciler.core.state import RunState
from reconciler.core.times import parse_time
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from reconciler.model.emr_serverless.start_job_run import StartJobRunRequest
from reconciler.values import dataclass

SERVICE = "emr-serverless"

REPLY_FIELDS = ReplyFields(run_id="jobRunId", arn="arn", echo="applicationId")

Query = Mapping[str, object]
MODES: tuple[Query, ...] = ({}, {"mode": "STREAMING"})
"""The listings that together contain every run. AWS does not document whether a listing without a mode contains
streaming runs.
"""

RUN_ID = re.compile(
    r"(?:arn:[^:]+:emr-serverless:[^:]*:[^:]*:/applications/(?P<application>[0-9a-z]+)/jobruns/)?(?P<id>[0-9a-z]{1,64})"
)
"""The id or ARN of a run."""

AT_ONCE = 4
"""The number of parallel GetJobRun calls. AWS allows 10 calls per second."""
AFTER_DEADLINE = timedelta(minutes=30)
"""A lookup includes runs that AWS reports as created up to this long after the deadline of the newest send: 15 min in
which the signature is valid, 60 s of clock error, 5 min until AWS lists the run, plus a margin.
"""
SETTLED = timedelta(minutes=5)
"""The age after which a run certainly has its tags. It is the maximum delay of listings."""
MOST_KEPT = 20_000
"""The maximum number of runs whose tags an adapter caches."""


def connect(aws: Aws) -> Service:
    """Returns the adapter with these credentials and endpoints. Makes no call to AWS."""
    return EmrServerless(aws)


class EmrServerless:
    """The adapter for EMR Serverless job runs. `location` contains ``applicationId``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._kept: dict[tuple[str, str], Tagged] = {}  # runs by application and id; their tags do not change

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Calls StartJobRun. The request is transmitted at most once."""
        return submit(
            self._aws,
            SERVICE,
            "start_job_run",
            request,
            model=StartJobRunRequest,
            reply_fields=REPLY_FIELDS,
            deadline=deadline,
        )

    def observe(self, runs: Sequence[RunRef]) -> Mapping[str, RunReport | str]:
        """Reports the state of each run. If an application has few runs, calls GetJobRun for each of them. Otherwise
        lists runs, and calls GetJobRun only for runs that are not in a listing, and for details of few ended runs.
        """
        try:
            client = self._aws.reader(SERVICE)
        except ServiceError as error:
            return {run.token: str(error) for run in runs}
        now = datetime.fromtimestamp(self._aws.clock.now(), UTC)
        applications: dict[str, list[RunRef]] = defaultdict(list)
        for run in runs:
            if not run.ended:
                applications[run.location["applicationId"]].append(run)
        listed: dict[str, RunReport] = {}
        for application, mine in applications.items():
            reports = emr_serverless_runs.listed_reports(client, application, mine, now)
            listed |= {run.token: reports[run.run_id] for run in mine if run.run_id in reports}
        ends = {token for token, report in listed.items() if not RunState(report.state).live}
        read = [
            run
            for run in runs
            if run.token not in listed or (run.token in ends and len(ends) <= emr_serverless_runs.FEW_ENDS)
        ]
        answers = each(read, lambda run: emr_serverless_runs.report_or_error(client, run), AT_ONCE)
        whole = {run.token: answer for run, answer in zip(read, answers, strict=True)}
        # If the details of an ended run cannot be read, its end is still known from the listing.
        proven = {token for token in ends if not isinstance(report := whole.get(token), RunReport) or not report.exists}
        return whole | {token: report for token, report in listed.items() if token not in whole or token in proven}

    def find(self, wanted: Sequence[Wanted]) -> Mapping[str, Sequence[str] | str]:
        """Finds runs by their tag, in any state, among the application's runs that were created in the period in which
        the submission could have started a run.
        """
        applications: dict[str, list[Wanted]] = defaultdict(list)
        for want in wanted:
            applications[want.location["applicationId"]].append(want)
        lookups: list[Mapping[str, Sequence[str] | str]] = []
        for application, mine in applications.items():
            for window in _windows(mine):
                try:
                    answered = answers(window.wanted, self._tags(application, window))
                except ServiceError as error:
                    answered = {want.token: str(error) for want in window.wanted}
                lookups.append(answered)
        return merged(lookups)

    def cancel(self, run: RunRef, reason: str) -> None:
        """Calls CancelJobRun, which has no field for a reason. Does nothing to a run that has ended or is being
        cancelled.

        https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-cancellation-grace-period.html
        """
        client = self._aws.reader(SERVICE)
        grace = {} if run.grace_seconds is None else {"shutdownGracePeriodInSeconds": run.grace_seconds}
        try:
            with translate_errors("CancelJobRun"):
                client.cancel_job_run(applicationId=run.location["applicationId"], jobRunId=run.run_id, **grace)
        except ServiceError:
            report = emr_serverless_runs.report_or_error(client, run)
            if isinstance(report, str) or not report.exists or not _ends(report):
                raise

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Checks in AWS the resources that the requests name. Yields the verdicts."""
        from reconciler.aws.verify_emr_serverless import EmrServerlessVerifier  # noqa: PLC0415 - only `verify` needs it

        yield from EmrServerlessVerifier(self._aws).verify(requests)

    def place(self, location: Mapping[str, str]) -> str:
        """Returns the application as text for messages."""
        return f"application {location['applicationId']}"

    def listed(self, location: Mapping[str, str], since: str | None) -> Sequence[str]:
        """Lists every run of the application, in any state. Raises `ServiceError`."""
        after = {} if since is None else {"createdAtAfter": parse_time(since)}
        return list(_all_runs(self._aws.reader(SERVICE), MODES, applicationId=location["applicationId"], **after))

    def described(self, location: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """Describes runs of one application by GetJobRun. Raises `ServiceError`."""
        client, application = self._aws.reader(SERVICE), location["applicationId"]
        runs = each(run_ids, lambda run_id: emr_serverless_runs.run_or_none(client, application, run_id), AT_ONCE)
        return {
            run_id: emr_serverless_runs.facts_of(run)
            for run_id, run in zip(run_ids, runs, strict=True)
            if run is not None
        }

    def whole(self, run_ids: Sequence[str], locations: Sequence[Mapping[str, str]]) -> Mapping[str, FoundRun]:
        """Reads runs with GetJobRun. An id does not contain the application, so the known applications are tried first,
        then those that ListApplications returns. Raises `ServiceError`."""
        client = self._aws.reader(SERVICE)
        wanted = {text: match for text in run_ids if (match := RUN_ID.fullmatch(text))}
        named = [match["application"] for match in wanted.values()] + [at.get("applicationId") for at in locations]
        likely = dict.fromkeys(application for application in named if application is not None)
        runs = _search(client, likely, wanted)
        rest = {text: match for text, match in wanted.items() if text not in runs and match["application"] is None}
        if rest:
            runs |= _search(client, [each for each in _applications(client) if each not in likely], rest)
        return runs

    def logs(self, run: RunRef, attempt: int | None) -> RunLogs:
        """Finds the logs of a job run with GetJobRun and the monitoring settings of the run and its application."""
        client, application = self._aws.reader(SERVICE), run.location["applicationId"]
        described = emr_serverless_runs.run_or_none(client, application, run.run_id, attempt)
        if described is None:
            return RunLogs(missing=f"AWS has no job run {run.run_id} any more")
        return logs_of(self._aws, client, described, attempt)

    def live_page(self, run: RunRef, attempt: int | None) -> str | None:
        """Returns the address of the Spark UI, which AWS keeps for 30 days, by GetDashboardForJobRun."""
        of_attempt = {} if attempt is None else {"attempt": attempt}
        with translate_errors("GetDashboardForJobRun"):
            answer = self._aws.reader(SERVICE).get_dashboard_for_job_run(
                applicationId=run.location["applicationId"], jobRunId=run.run_id, **of_attempt
            )
            return str(answer["url"]) if answer.get("url") else None

    def _tags(self, application: str, window: _Window) -> dict[str, Tagged]:
        """Returns the tags of the runs that were created in a window and have one of its names, keyed by id. Raises
        `ServiceError` if any of the runs could not be read."""
        client, names = self._aws.reader(SERVICE), _names(window.wanted)
        now = datetime.fromtimestamp(self._aws.clock.now(), UTC)
        before = {"createdAtBefore": window.end} if window.end is not None and window.end < now else {}
        modes = _modes(window.wanted)
        listed = _all_runs(client, modes, applicationId=application, createdAtAfter=window.start, **before)
        candidates = [run_id for run_id, run in listed.items() if names is None or run.get("name", "") in names]
        kept = self._kept
        unread = [run_id for run_id in candidates if (application, run_id) not in kept]
        runs = each(unread, lambda run_id: emr_serverless_runs.read_run(client, application, run_id), AT_ONCE)
        read = {
            run_id: Tagged(run.get("tags", {}), run.get("createdAt")) for run_id, run in zip(unread, runs, strict=True)
        }
        self._keep(application, {run_id: tags for run_id, tags in read.items() if _is_settled(listed[run_id], now)})
        return {run_id: read[run_id] if run_id in read else kept[application, run_id] for run_id in candidates}

    def _keep(self, application: str, runs: Mapping[str, Tagged]) -> None:
        kept = self._kept if len(self._kept) < MOST_KEPT else {}
        self._kept = {**kept, **{(application, run_id): run for run_id, run in runs.items()}}


@dataclass(frozen=True, slots=True)
class _Window:
    """A period in which runs of a group of submissions may have been created. `end` is `None` if it has no end yet."""

    start: datetime
    end: datetime | None
    wanted: tuple[Wanted, ...]


def _windows(wanted: Iterable[Wanted]) -> list[_Window]:
    """Returns the windows of these submissions, sorted by time. Overlapping windows are merged."""
    windows: list[_Window] = []
    for want in sorted(wanted, key=lambda want: parse_time(want.since)):
        start = parse_time(want.since) - emr_serverless_runs.BEFORE_INTENT
        end = None if want.until is None else parse_time(want.until) + AFTER_DEADLINE
        last = windows[-1] if windows else None
        # Windows that do not overlap stay apart, so that an old submission does not extend the lookup for a new one.
        if last is not None and (last.end is None or start <= last.end):
            joined = None if last.end is None or end is None else max(last.end, end)
            windows[-1] = _Window(last.start, joined, (*last.wanted, want))
        else:
            windows.append(_Window(start, end, (want,)))
    return windows


def _is_settled(run: Described, now: datetime) -> bool:
    created = run.get("createdAt")
    return isinstance(created, datetime) and now - created > SETTLED


def _names(wanted: Sequence[Wanted]) -> frozenset[str] | None:
    """Returns the names that the lookup is limited to, or `None` if one of the wanted runs may have any name. The names
    include an empty one, for runs that a listing returns without a name."""
    names = frozenset(want.name for want in wanted if want.name is not None)
    return None if any(want.name is None for want in wanted) else names | {""}


def _ends(report: RunReport) -> bool:
    return report.aws_state == "CANCELLING" or not RunState(report.state).live


def _search(client: Client, applications: Iterable[str], wanted: Mapping[str, re.Match[str]]) -> dict[str, FoundRun]:
    """Returns the wanted runs in some applications. Raises `ServiceError`."""
    runs: dict[str, FoundRun] = {}
    for application in applications:
        texts = [t for t, match in wanted.items() if t not in runs and match["application"] in {None, application}]
        read = partial(emr_serverless_runs.run_or_none, client, application)
        described = each((wanted[text]["id"] for text in texts), read, AT_ONCE)
        present = {text: run for text, run in zip(texts, described, strict=True) if run is not None}
        runs |= {text: FoundRun(emr_serverless_runs.facts_of(run), dict(run)) for text, run in present.items()}
    return runs


def _applications(client: Client) -> list[str]:
    """Returns the ids of all applications. Raises `ServiceError`."""
    listing = pages("ListApplications", client.list_applications, "applications", "id")
    return [application for page in listing for application in page]


def _modes(wanted: Sequence[Wanted]) -> tuple[Query, ...]:
    """Returns the modes of runs to list: all modes that a wanted run may have, so that the listings prove the absence
    of a wanted run that they do not contain."""
    batch = any(want.streaming is not True or want.owner is not None for want in wanted)
    streaming = any(want.streaming is not False for want in wanted)
    return tuple(mode for mode, needed in zip(MODES, (batch, streaming), strict=True) if needed)


def _all_runs(client: Client, modes: Iterable[Query], **query: object) -> dict[str, Described]:
    """Returns the runs that a query lists in each of the modes, in any state, keyed by id."""
    listings = (emr_serverless_runs.run_pages(client, **query, **mode) for mode in modes)
    return {run_id: run for listing in listings for page in listing for run_id, run in page.items()}

"""The content of the page: the escaped and masked text of plans, statuses and runs that its templates show."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import quote

from reconciler.core.desired import DesiredSpec
from reconciler.core.durations import Usual
from reconciler.core.plan import Change, Plan, SpecChange
from reconciler.core.times import age_text, parse_time, seconds_text
from reconciler.redact.escape import escape
from reconciler.redact.request import masked
from reconciler.render.diff_lines import added_lines, change_lines
from reconciler.render.graph import Edge, edges
from reconciler.render.plan_phrases import Block, blocks_of, change_words, effect_line, fields_of, suggested_lines
from reconciler.render.runs import UNSUCCESSFUL, RunRow, aws_words, cost_text, duration_text, usual_text, which_text
from reconciler.render.status import StatusRow
from reconciler.render.text import plain, sentence
from reconciler.values import dataclass

RECENT = timedelta(days=7)
"""The period of the numbers of failed runs and of costs."""
NEWEST_RUNS = 50
"""The number of runs in the table of one spec."""
OLDER_FAILURES = 50
"""The number of older runs that did not succeed in the table of one spec."""
MOST_RUNS = 200
"""The maximum number of runs in each table of the page of all runs."""
ATTENTION = frozenset({"failed", "unknown", "lost"})
LIVE = frozenset({"submitted", "running"})
STATES = (
    "submitted", "running", "succeeded", "failed", "cancelled", "lost", "unknown", "intended", "none",
)  # fmt: skip
"""The states, in the order of the legends."""


@dataclass(frozen=True, slots=True)
class PageContent:
    """The values that the page shows, as of `plan.created_at`. `runs` are newest first, and `since` is the time from
    which they are complete. `usual` contains the usual durations and costs of each spec. `missed` contains, for each
    spec, the first and the last slot of each range of missed slots."""

    plan: Plan
    rows: Sequence[StatusRow]
    runs: Sequence[RunRow]
    specs: Mapping[str, DesiredSpec]
    since: datetime
    usual: Mapping[str, Usual] = field(default_factory=dict)
    currency: str | None = None
    missed: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as a row of a table. `name` and `href` belong to its spec."""

    name: str
    href: str | None
    which: str
    state: str
    when: str
    waited: str
    ran: str
    cost: str
    commit: str
    run_id: str
    url: str | None
    words: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change in git that is not applied yet: the spec's name and link, the kind of change, its effect, and the lines
    of its fields. Each line has the class ``add``, ``remove`` or none."""

    name: str
    href: str | None
    words: str
    effect: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SpecView:
    """A spec as a row of a list. `attention` is true if an operator must act or a run failed. `labels` are its labels
    in git, such as ``team=growth``. `remedy` is the sentence above the suggested commands."""

    name: str
    href: str
    kind: str
    state: str
    which: str
    age: str
    reason: str
    words: str
    next_slot: str
    url: str | None
    run_id: str
    stuck: str
    in_sync: bool
    attention: bool
    remedy: str
    commands: tuple[str, ...]
    labels: tuple[str, ...]


def href(name: str) -> str:
    """Returns the path of a spec's file, relative to the root of the page. A name that is not a valid spec name is
    percent-encoded."""
    return f"specs/{quote(name, safe='')}.html"


class Views:
    """The views of one `PageContent`, as templates show them."""

    def __init__(self, content: PageContent) -> None:
        self.content, self.plan = content, content.plan
        self.now = parse_time(content.plan.created_at)
        self.runs: dict[str, list[RunRow]] = defaultdict(list)
        for run in content.runs:
            self.runs[run.name].append(run)
        self.edges: Sequence[Edge] = edges(content.specs)
        self._before: dict[str, list[Edge]] = defaultdict(list)
        self._after: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            self._before[edge.name].append(edge)
            self._after[edge.needs].append(edge)
        self._held = {action.name for action in self.plan.held}
        self.specs = [self._spec(row) for row in content.rows]
        self.by_name = {row.name: view for row, view in zip(content.rows, self.specs, strict=True)}
        blocks = blocks_of(self.plan)
        self.changes = [self._change(block.change, list(_lines(block))) for block in blocks if block.change]

    def attention(self) -> list[SpecView]:
        """Returns the specs that need an operator or whose run failed. Specs on hold come first."""
        return sorted((view for view in self.specs if view.attention), key=lambda view: (view.in_sync, view.name))

    def numbers(self) -> list[tuple[str, str, str, str]]:
        """Returns the numbers at the top of the first page. Each has a label, a value, the class of its colour, and the
        link to what it counts."""
        recent = [run for run in self.content.runs if _moment(run) >= self.now - RECENT]
        failed = sum(run.state in UNSUCCESSFUL for run in recent)
        numbers = [
            ("specs", f"{len(self.specs):,}", "", "specs.html"),
            ("in sync", f"{sum(view.in_sync for view in self.specs):,}", "", "specs.html"),
            ("need attention", f"{sum(view.attention for view in self.specs):,}", "failed", "#attention"),
            ("changes not applied", f"{len(self.changes):,}", "", "#changes"),
            ("live runs", f"{sum(run.state in LIVE for run in self.content.runs):,}", "running", "runs.html#live"),
            ("not successful in 7 days", f"{failed:,}", "failed", "runs.html#failed"),
        ]
        costs = [run.cost for run in recent if run.cost is not None]
        if self.content.currency is not None:
            total = sum(costs)
            cost = f"{total:,.0f}" if total >= 100 else f"{total:.2f}"
            numbers.append(("cost in 7 days", f"{cost} {plain(self.content.currency)}", "", "runs.html"))
        return numbers

    def states(self) -> list[tuple[str, int]]:
        """Returns each state that a spec has, with the number of specs in it."""
        numbers = Counter(view.state for view in self.specs)
        return [(state, numbers[state]) for state in STATES if numbers[state]]

    def live_runs(self) -> list[RunView]:
        """Returns the runs that wait or run, newest first."""
        return self._some(run for run in self.content.runs if run.state in LIVE)

    def failures(self) -> list[RunView]:
        """Returns the newest runs of the recent period that did not succeed."""
        since = self.now - RECENT
        return self._some(run for run in self.content.runs if run.state in UNSUCCESSFUL and _moment(run) >= since)

    def newest_runs(self) -> list[RunView]:
        """Returns the newest runs."""
        return self._some(self.content.runs)

    def _some(self, runs: Iterable[RunRow]) -> list[RunView]:
        return [self._run(run) for run in islice(runs, MOST_RUNS)]

    def runs_of(self, name: str) -> list[RunView]:
        """Returns the newest runs of a spec, and older ones that did not succeed, newest first."""
        runs = self.runs.get(name, ())
        older = (run for run in islice(runs, NEWEST_RUNS, None) if run.state in UNSUCCESSFUL)
        return [self._run(run) for run in (*runs[:NEWEST_RUNS], *islice(older, OLDER_FAILURES))]

    def usual_of(self, name: str) -> str:
        """Returns a sentence about the usual durations and costs of a spec, or an empty string if they are unknown."""
        typical = self.content.usual.get(name)
        return usual_text(typical) if typical is not None else ""

    def schedule_of(self, name: str) -> str:
        """Returns the schedule of a spec and its time zone, or an empty string without a schedule."""
        spec = self.content.specs.get(name)
        if spec is None or spec.policy.schedule is None:
            return ""
        return plain(f"{spec.policy.schedule} ({spec.policy.timeZone})")

    def request_of(self, name: str) -> str:
        """Returns the request in git as indented, masked JSON, or an empty string for a spec that was removed from
        git."""
        spec = self.content.specs.get(name)
        if spec is None:
            return ""
        return escape(json.dumps(masked(spec.request), indent=2, ensure_ascii=False), single_line=False)

    def source_of(self, name: str) -> str:
        """Returns the file and line of a spec, or an empty string for a spec that was removed from git."""
        spec = self.content.specs.get(name)
        return plain(str(spec.source)) if spec is not None and spec.source is not None else ""

    def neighbours(self, name: str) -> list[tuple[str, str, str, str]]:
        """Returns the dependencies and dependents of a spec. Each entry contains ``after`` or ``before``, a name, a
        link, and the condition. A spec that the page does not contain has no link."""
        pairs = [("after", edge.needs, edge.how) for edge in self._before.get(name, ())]
        pairs += [("before", edge.name, edge.how) for edge in self._after.get(name, ())]
        return [
            (word, plain(other), href(other) if other in self.by_name else "", plain(how)) for word, other, how in pairs
        ]

    def _spec(self, row: StatusRow) -> SpecView:
        since = row.finished_at or row.submitted_at
        attention = row.state in ATTENTION or row.stuck is not None or row.name in self._held
        repeats = row.state == "succeeded" or bool(row.detail and row.detail in row.reason)
        words = "" if repeats else ": ".join(text for text in (row.aws_state, row.detail) if text)
        remedy, *commands = suggested_lines(row.suggested) if row.suggested is not None else ("",)
        spec = self.content.specs.get(row.name)
        return SpecView(
            name=plain(row.name),
            href=href(row.name),
            kind=plain(row.kind),
            state=row.state,
            which=which_text(row.generation, row.slot, row.attempt),
            age=age_text((self.now - parse_time(since)).total_seconds()) if since else "",
            reason=sentence(row.reason),
            words=sentence(words),
            next_slot=row.next_slot or "",
            url=_link(row.console_url),
            run_id=plain(row.run_id or ""),
            stuck=row.stuck or "",
            in_sync=row.in_sync,
            attention=attention,
            remedy=remedy,
            commands=tuple(command.strip() for command in commands),
            labels=tuple(plain(f"{key}={value}") for key, value in spec.labels.items()) if spec is not None else (),
        )

    def _run(self, run: RunRow) -> RunView:
        return RunView(
            name=plain(run.name),
            href=href(run.name) if run.name in self.by_name else None,
            which=which_text(run.generation, run.slot, run.attempt),
            state=run.state,
            when=seconds_text(parse_time(run.submitted_at)) if run.submitted_at else "",
            waited=duration_text(run.waited_seconds),
            ran=duration_text(run.ran_seconds),
            cost=cost_text(run.cost, self.content.currency),
            commit=plain((run.commit or "")[:7]),
            run_id=plain(run.run_id or ""),
            url=_link(run.console_url),
            words=aws_words(run, self.now) if run.state != "succeeded" else "",
        )

    def _change(self, change: SpecChange, lines: Sequence[str]) -> ChangeView:
        classes = {"+": "add", "-": "remove"}
        return ChangeView(
            name=plain(change.name),
            href=href(change.name) if change.name in self.by_name else None,
            words=plain(change_words(change)),
            effect=sentence(effect_line(change)),
            lines=tuple((classes.get(line[:1], ""), line) for line in lines),
        )


def _lines(block: Block) -> Iterator[str]:
    """Yields the lines of a block's fields, as in the comment on a pull request."""
    for each in fields_of(block):
        yield from change_lines(each) if isinstance(each, Change) else added_lines(*each)


def _link(url: str | None) -> str | None:
    """Returns the address of a link that may be followed, or `None` for one that could run a script."""
    return url if url is not None and url.startswith("https://") else None


def _moment(run: RunRow) -> datetime:
    return parse_time(run.submitted_at or run.created_at or "1970-01-01T00:00:00Z")

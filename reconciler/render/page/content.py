"""The content of the page: the escaped and masked text of plans, statuses and runs that its templates show."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from urllib.parse import quote

from reconciler.core.desired import DesiredSpec
from reconciler.core.durations import Usual
from reconciler.core.plan import Change, Plan, SpecChange
from reconciler.core.times import age_text, parse_time, seconds_text
from reconciler.redact.escape import escape
from reconciler.redact.request import masked
from reconciler.render.diff_lines import added_lines, change_lines
from reconciler.render.graph import Edge, edges
from reconciler.render.plan_phrases import Shown, change_words, effect_line, fields_of, shown, suggested_lines
from reconciler.render.runs import RunRow, aws_words, cost_text, duration_text, usual_text, which_text
from reconciler.render.status import StatusRow
from reconciler.render.text import plain, sentence
from reconciler.values import dataclass

RECENT = timedelta(days=7)
"""The period for which the first page shows the number of failed runs and the costs."""
MOST_SHOWN = 50
"""The maximum number of specs that need attention, and of changes, on the first page."""
MOST_RUNS = 200
"""The maximum number of runs in the table of one spec."""
ATTENTION = frozenset({"failed", "unknown", "lost"})


@dataclass(frozen=True, slots=True)
class PageContent:
    """The values that the page shows, as of `plan.created_at`. `runs` are newest first, and `since` is the time from
    which they are complete. `usual` has the usual durations and costs of each spec. `missed` has, for each spec, the
    first and the last slot of each range of slots that never ran."""

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
    """A run as a row of a table."""

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
    """A change in git that is not applied: the spec's name and link, the kind of change, its effect, and the lines of
    its fields. Each line has the class ``add``, ``remove`` or none."""

    name: str
    href: str | None
    words: str
    effect: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SpecView:
    """A spec as a row of a list. `attention` is true if an operator must act or a run failed."""

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
    commands: tuple[str, ...]


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
        self._held = {action.name for action in self.plan.held}
        self.specs = [self._spec(row) for row in content.rows]
        self.by_name = {row.name: view for row, view in zip(content.rows, self.specs, strict=True)}
        self.changes = [self._change(block.change, list(_lines(block))) for block in shown(self.plan) if block.change]

    def attention(self) -> list[SpecView]:
        """Returns the specs that need an operator or whose run failed. Specs on hold come first."""
        return sorted((view for view in self.specs if view.attention), key=lambda view: (view.in_sync, view.name))

    def numbers(self) -> list[tuple[str, str, str]]:
        """Returns the numbers at the top of the page: a label, a value, and the class that sets the colour of each."""
        recent = [run for run in self.content.runs if _moment(run) >= self.now - RECENT]
        failed = sum(run.state in {"failed", "lost"} for run in recent)
        live = sum(run.state in {"submitted", "running"} for run in self.content.runs)
        numbers = [
            ("specs", f"{len(self.specs):,}", ""),
            ("in sync", f"{sum(view.in_sync for view in self.specs):,}", ""),
            ("need attention", f"{sum(view.attention for view in self.specs):,}", "failed"),
            ("changes not applied", f"{len(self.changes):,}", ""),
            ("live runs", f"{live:,}", "running"),
            ("failed in 7 days", f"{failed:,}", "failed"),
        ]
        costs = [run.cost for run in recent if run.cost is not None]
        if self.content.currency is not None:
            numbers.append(("cost in 7 days", cost_text(sum(costs), self.content.currency), ""))
        return numbers

    def runs_of(self, name: str) -> list[RunView]:
        """Returns the newest runs of a spec."""
        return [self._run(run) for run in self.runs.get(name, ())[:MOST_RUNS]]

    def usual_of(self, name: str) -> str:
        """Returns a sentence about the usual durations and costs of a spec, or an empty string if they are unknown."""
        typical = self.content.usual.get(name)
        return usual_text(typical) if typical is not None else ""

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
        """Returns the dependencies and dependents of a spec. Each has ``after`` or ``before``, a name, a link, and the
        condition."""
        pairs = [("after", edge.needs, edge.how) for edge in self.edges if edge.name == name]
        pairs += [("before", edge.name, edge.how) for edge in self.edges if edge.needs == name]
        return [(word, plain(other), href(other), plain(how)) for word, other, how in pairs]

    def _spec(self, row: StatusRow) -> SpecView:
        since = row.finished_at or row.submitted_at
        attention = row.state in ATTENTION or row.stuck is not None or row.name in self._held
        return SpecView(
            name=plain(row.name),
            href=href(row.name),
            kind=plain(row.kind),
            state=row.state,
            which=which_text(row.generation, row.slot, row.attempt),
            age=age_text((self.now - parse_time(since)).total_seconds()) if since else "",
            reason=sentence(row.reason),
            words="" if row.state == "succeeded" else sentence(": ".join(t for t in (row.aws_state, row.detail) if t)),
            next_slot=row.next_slot or "",
            url=row.console_url,
            run_id=plain(row.run_id or ""),
            stuck=row.stuck or "",
            in_sync=row.in_sync,
            attention=attention,
            commands=tuple(suggested_lines(row.suggested)) if row.suggested is not None else (),
        )

    def _run(self, run: RunRow) -> RunView:
        return RunView(
            which=which_text(run.generation, run.slot, run.attempt),
            state=run.state,
            when=seconds_text(parse_time(run.submitted_at)) if run.submitted_at else "",
            waited=duration_text(run.waited_seconds),
            ran=duration_text(run.ran_seconds),
            cost=cost_text(run.cost, self.content.currency),
            commit=plain((run.commit or "")[:7]),
            run_id=plain(run.run_id or ""),
            url=run.console_url,
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


def _lines(block: Shown) -> Iterator[str]:
    """Yields the lines of a block's fields, as in the comment on a pull request."""
    for each in fields_of(block):
        yield from change_lines(each) if isinstance(each, Change) else added_lines(*each)


def _moment(run: RunRow) -> datetime:
    return parse_time(run.submitted_at or run.created_at or "1970-01-01T00:00:00Z")

"""The content of the page: what its templates show of plans, statuses and runs, as escaped and masked text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from reconciler.render.phrases import Shown, change_words, effect_line, fields_of, shown, suggested_lines
from reconciler.render.runs import RunRow, aws_words, cost_text, duration_text, usual_text, which_text
from reconciler.render.status import StatusRow
from reconciler.render.text import plain, sentence

RECENT = timedelta(days=7)
"""The period of the numbers of failed runs and of costs on the first page."""
MOST_SHOWN = 50
"""The most specs in the list of those that need attention, and the most changes, on the first page."""
MOST_RUNS = 200
"""The most runs in the table of one spec."""
ATTENTION = frozenset({"failed", "unknown", "lost"})


@dataclass(frozen=True, slots=True)
class PageContent:
    """The values that the page shows, as of `plan.created_at`. `runs` are newest first, and `since` is the time from
    which they are complete. `usual` is what is usual for each spec, `missed` the first and the last of each range of
    slots that never ran, by spec."""

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
    """A change in git that is not applied: its name, its link, what it is, its effect, and the lines of its fields,
    each with ``add``, ``remove`` or nothing as its class."""

    name: str
    href: str | None
    words: str
    effect: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SpecView:
    """A spec as a row of a list. `attention` is whether an operator has to do something, or a run failed."""

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
    """Returns the file of a spec below the root of the page. Every other name than a spec's is quoted."""
    return f"specs/{quote(name, safe='')}.html"


class Views:
    """The views of one `PageContent`."""

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
        """Returns the specs that need an operator, or whose run failed, those on hold first."""
        return sorted((view for view in self.specs if view.attention), key=lambda view: (view.in_sync, view.name))

    def numbers(self) -> list[tuple[str, str, str]]:
        """Returns the numbers at the top: a label, a value, and the class of its colour."""
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
        """Returns what is usual for a spec, in one sentence; empty if nothing is."""
        typical = self.content.usual.get(name)
        return usual_text(typical) if typical is not None else ""

    def request_of(self, name: str) -> str:
        """Returns the request in git as indented JSON, masked; empty for a spec that left git."""
        spec = self.content.specs.get(name)
        if spec is None:
            return ""
        return escape(json.dumps(masked(spec.request), indent=2, ensure_ascii=False), single_line=False)

    def source_of(self, name: str) -> str:
        """Returns the file and line of a spec; empty for a spec that left git."""
        spec = self.content.specs.get(name)
        return plain(str(spec.source)) if spec is not None and spec.source is not None else ""

    def neighbours(self, name: str) -> list[tuple[str, str, str, str]]:
        """Returns the dependencies of a spec: ``after`` or ``before``, a name, its link, and the condition."""
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
    """Yields the lines of the fields of a block, as in the comment on a pull request."""
    for each in fields_of(block):
        yield from change_lines(each) if isinstance(each, Change) else added_lines(*each)


def _moment(run: RunRow) -> datetime:
    return parse_time(run.submitted_at or run.created_at or "1970-01-01T00:00:00Z")

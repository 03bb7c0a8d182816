"""The timeline of runs: a lane for each spec with a bar for each run, as positions in a drawing that is 1000 units
wide.

A period consists of equal cells, so that the style sheet can draw the grid. It ends with the cell that contains the
current time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.core.times import parse_time
from reconciler.render.page.content import LIVE, STATES, SpecView, Views
from reconciler.render.runs import RunRow, duration_text, which_text
from reconciler.render.text import count, plain
from reconciler.values import dataclass

WIDTH = 1000
NARROWEST = 4
"""The width of the shortest bar. Runs that would overlap share a bar, so that the number of bars in a lane is
limited."""
MOST_TITLED = 40
"""The maximum number of bars in a lane that each have a text. In a lane with more bars, and in a drawing of many lanes,
successful runs have no text, so that they can share one shape."""
CALM = "succeeded"
"""The state whose bars need no text of their own."""
Position = Callable[[float], int]
"""Returns the horizontal position of a time, in seconds since the epoch."""
ENDED_WELL = frozenset({CALM, *LIVE})


@dataclass(frozen=True, slots=True)
class Bar:
    """One run, or several runs that are too close together to be drawn separately."""

    x: int
    width: int
    state: str
    title: str = ""

    @property
    def path(self) -> str:
        """The shape of the bar, as SVG path data."""
        return f"M{self.x} 2h{self.width}v14h-{self.width}z"


@dataclass(frozen=True, slots=True)
class Lane:
    """The runs of one spec. `calm` are the bars that share one shape without a text. `missed` are the shapes of slots
    that never ran, with their texts. `held` is the reason if the spec is on hold. `label` describes the runs to users
    who cannot see the drawing, and `runs` is their number."""

    spec: SpecView
    bars: tuple[Bar, ...]
    calm: tuple[Bar, ...]
    missed: tuple[tuple[str, str], ...]
    held: str
    label: str
    runs: int

    @property
    def calm_path(self) -> str:
        """The shape of the calm bars, as SVG path data."""
        return "".join(bar.path for bar in self.calm)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing of a period. `id` identifies its zoom level, `ticks` are the labels of its cells, `now` is the position
    of the current time."""

    id: str
    label: str
    lanes: tuple[Lane, ...]
    ticks: tuple[str, ...]
    now: int

    @property
    def missed(self) -> bool:
        """Returns whether a slot was missed in the period."""
        return any(lane.missed for lane in self.lanes)


@dataclass(frozen=True, slots=True)
class Zoom:
    """A zoom level: the length and number of its cells, and the format of their labels. The period ends at a multiple
    of `end`."""

    id: str
    label: str
    cell: timedelta
    cells: int
    end: timedelta
    form: str

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """Returns the start and the end of the period that contains `now`."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        end = epoch + ((now - epoch) // self.end + 1) * self.end
        return end - self.cells * self.cell, end


DAY = timedelta(days=1)
ZOOMS = (
    Zoom("day", "Day", timedelta(hours=3), 9, timedelta(hours=3), "%H:%M"),
    Zoom("week", "Week", DAY, 8, DAY, "%a %d"),
    Zoom("month", "Month", 5 * DAY, 6, DAY, "%d %b"),
)
"""The zoom levels. Each shows at least the whole period before the current time, because its last cell is still in
progress; the month has 30 days."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The time in which a run was live, in seconds since the epoch."""

    begin: float
    end: float
    run: RunRow


def timelines(views: Views, specs: Sequence[SpecView], *, titled: bool = True) -> list[Timeline]:
    """Returns the timeline of some specs for each zoom level. If `titled` is false, successful runs have no texts."""
    spans = [_spans(views.runs.get(view.name, ()), views.now.timestamp()) for view in specs]
    return [_timeline(views, specs, spans, zoom, titled=titled) for zoom in ZOOMS]


def first_shown(drawn: Sequence[Timeline]) -> str:
    """Returns the zoom level to show first: the week, or the day if there is nothing older, or the month if there is
    nothing newer."""
    day, week, month = (sum(lane.runs + len(lane.missed) for lane in each.lanes) for each in drawn)
    if week == 0 and month > 0:
        return "month"
    return "day" if month == day > 0 else "week"


def states_of(drawn: Sequence[Timeline]) -> list[str]:
    """Returns the states of the bars of some timelines, in the order of the legend."""
    seen = {bar.state for each in drawn for lane in each.lanes for bar in (*lane.bars, *lane.calm)}
    return [state for state in STATES if state in seen]


def _spans(runs: Iterable[RunRow], now: float) -> list[_Span]:
    """Returns when the runs were live, oldest first."""
    spans = []
    for run in runs:
        created = run.created_at or run.submitted_at
        if created is not None:
            begin = parse_time(created).timestamp()
            end = parse_time(run.finished_at).timestamp() if run.finished_at else now if run.state in LIVE else begin
            spans.append(_Span(begin, end, run))
    return sorted(spans, key=lambda span: span.begin)


def _timeline(
    views: Views, specs: Sequence[SpecView], spans: Sequence[Sequence[_Span]], zoom: Zoom, *, titled: bool
) -> Timeline:
    start, end = (moment.timestamp() for moment in zoom.period(views.now))

    def x(moment: float) -> int:
        return round(min(max((moment - start) / (end - start), 0.0), 1.0) * WIDTH)

    lanes = tuple(
        _lane(view, [span for span in own if span.end >= start], views, x, start, titled=titled)
        for view, own in zip(specs, spans, strict=True)
    )
    return Timeline(zoom.id, zoom.label, lanes, tuple(_ticks(zoom, views.now)), x(views.now.timestamp()))


def _lane(view: SpecView, spans: Sequence[_Span], views: Views, x: Position, start: float, *, titled: bool) -> Lane:
    bars = [(_bar(group, x), group) for group in _groups(spans, x)]
    separate = titled and len(bars) <= MOST_TITLED
    missed = tuple(_missed(views.content.missed.get(view.name, ()), start, x))
    bad = sum(span.run.state not in ENDED_WELL for span in spans)
    label = count(len(spans), "run") + (f", {bad} not successful" if bad else "")
    return Lane(
        view,
        tuple(replace(bar, title=_title(group)) for bar, group in bars if separate or bar.state != CALM),
        () if separate else tuple(bar for bar, _ in bars if bar.state == CALM),
        missed,
        view.reason if view.attention and not view.in_sync else "",
        label + (f", {count(len(missed), 'range')} of missed slots" if missed else ""),
        len(spans),
    )


def _groups(spans: Sequence[_Span], x: Position) -> list[list[_Span]]:
    """Returns the runs of each bar, oldest first. Runs share a bar if they begin too close together to be drawn
    separately, and are all short or all in the same state."""
    groups: list[list[_Span]] = []
    left, short, state = -NARROWEST, True, ""
    for span in spans:
        begin = x(span.begin)
        is_short = x(span.end) - begin <= NARROWEST * 2
        if begin < left + NARROWEST and is_short is short and (short or span.run.state == state):
            groups[-1].append(span)
        else:
            groups.append([span])
            left, short, state = begin, is_short, span.run.state
    return groups


def _bar(group: Sequence[_Span], x: Position) -> Bar:
    """Returns the bar of a group, without a text. It has the worst of their states, so that no failure is hidden."""
    left = x(group[0].begin)
    width = max(x(span.end) for span in group) - left
    if len(group) > 1 and width <= NARROWEST * 3:
        width = NARROWEST  # so that it does not cover the next bar
    return Bar(min(left, WIDTH - NARROWEST), max(width, NARROWEST), _worst(group).state)


def _worst(group: Sequence[_Span]) -> RunRow:
    return min((span.run for span in group), key=lambda run: (run.state in ENDED_WELL, run.state))


def _title(group: Sequence[_Span]) -> str:
    run = _worst(group)
    parts = [which_text(run.generation, run.slot, run.attempt), run.state]
    if run.waited_seconds:
        parts.append(f"waited {duration_text(run.waited_seconds)}")
    if run.ran_seconds is not None:
        parts.append(f"ran {duration_text(run.ran_seconds)}")
    title = plain(", ".join(parts))
    if len(group) == 1:
        return title
    bad = sum(span.run.state not in ENDED_WELL for span in group)
    return f"{count(len(group), 'run')}" + (f", {bad} not successful" if bad else "") + f"; one: {title}"


def _missed(ranges: Iterable[tuple[str, str]], start: float, x: Position) -> Iterable[tuple[str, str]]:
    for first, last in ranges:
        begin, end = (parse_time(slot).timestamp() for slot in (first, last))
        if end >= start:
            left, right = x(begin), x(end)
            more = f"M{left} 9H{right}M{right} 0v18" if right > left else ""
            yield f"M{left} 0v18{more}", plain(f"missed: {first}" + (f" to {last}" if last != first else ""))


def _ticks(zoom: Zoom, now: datetime) -> Iterable[str]:
    """Yields the label of each cell: its start. A cell that starts a day is labelled with the date."""
    start, _ = zoom.period(now)
    for number in range(zoom.cells):
        moment = start + number * zoom.cell
        yield moment.strftime("%a %d" if zoom.cell < DAY and moment.hour == 0 else zoom.form)

"""The timeline of runs: a lane for each spec with a bar for each run, as positions in a drawing that is 1000 units
wide."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from reconciler.core.times import parse_time
from reconciler.render.page.content import SpecView, Views
from reconciler.render.runs import RunRow, duration_text, which_text
from reconciler.render.text import count, plain
from reconciler.values import dataclass

LABELS = 220
"""The width of the column with the lanes' names."""
WIDTH = 1000
LANE = 22
TOP = 24
"""The height of the axis."""
NARROWEST = 3.0
"""The width of the shortest bar. Runs that would overlap share a bar, so that the number of bars in a lane is
limited."""
Position = Callable[[datetime], float]
"""Returns the horizontal position of a time."""
ENDED_WELL = frozenset({"succeeded", "running", "submitted"})


@dataclass(frozen=True, slots=True)
class Bar:
    """One run, or several runs that are too close together to be drawn separately."""

    x: float
    width: float
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The runs of one spec at height `y`. `missed` are the positions of slots that never ran, with their texts."""

    name: str
    href: str
    y: int
    bars: tuple[Bar, ...]
    missed: tuple[tuple[float, str], ...]
    held: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing of a period that ends now. `id` identifies its zoom level, and `ticks` are the positions and labels on
    the axis."""

    id: str
    label: str
    height: int
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Zoom:
    """A zoom level: its period, the distance between the ticks on the axis, and the format of their labels."""

    id: str
    label: str
    period: timedelta
    tick: timedelta
    form: str


ZOOMS = (
    Zoom("day", "Day", timedelta(days=1), timedelta(hours=3), "%H:%M"),
    Zoom("week", "Week", timedelta(days=7), timedelta(days=1), "%a %d"),
    Zoom("month", "Month", timedelta(days=30), timedelta(days=5), "%d %b"),
)


def timelines(views: Views, specs: Sequence[SpecView]) -> list[Timeline]:
    """Returns the timeline of some specs for each zoom level."""
    return [_timeline(views, specs, zoom) for zoom in ZOOMS]


def _timeline(views: Views, specs: Sequence[SpecView], zoom: Zoom) -> Timeline:
    start = views.now - zoom.period

    def x(moment: datetime) -> float:
        part = (moment - start) / zoom.period
        return round(LABELS + min(max(part, 0.0), 1.0) * (WIDTH - LABELS), 1)

    lanes = tuple(
        Lane(
            view.name,
            view.href,
            TOP + number * LANE,
            tuple(_joined(_bars(views.runs.get(view.name, ()), start, views.now, x))),
            tuple(_missed(views.content.missed.get(view.name, ()), start, x)),
            view.reason if view.attention and not view.in_sync else "",
        )
        for number, view in enumerate(specs)
    )
    return Timeline(zoom.id, zoom.label, TOP + len(lanes) * LANE + 4, lanes, tuple(_ticks(zoom, start, views.now, x)))


def _bars(runs: Iterable[RunRow], start: datetime, now: datetime, x: Position) -> list[Bar]:
    """Returns the bars of the runs that were live at some time in the period, oldest first."""
    bars = []
    for run in runs:
        begin = run.created_at or run.submitted_at
        if begin is None:
            continue
        end = parse_time(run.finished_at) if run.finished_at else now if run.state in {"submitted", "running"} else None
        last = end or parse_time(begin)
        if last >= start:
            left = x(parse_time(begin))
            bars.append(Bar(left, max(x(last) - left, NARROWEST), run.state, _title(run)))
    return sorted(bars, key=lambda bar: bar.x)


def _title(run: RunRow) -> str:
    parts = [which_text(run.generation, run.slot, run.attempt), run.state]
    if run.waited_seconds:
        parts.append(f"waited {duration_text(run.waited_seconds)}")
    if run.ran_seconds is not None:
        parts.append(f"ran {duration_text(run.ran_seconds)}")
    return plain(", ".join(parts))


def _joined(bars: Sequence[Bar]) -> list[Bar]:
    """Merges bars that overlap. A bar for several runs has the worst of their states, so that no failure is hidden."""
    groups: list[list[Bar]] = []
    for bar in bars:
        if groups and bar.x < max(each.x + each.width for each in groups[-1]) and bar.width <= NARROWEST * 2:
            groups[-1].append(bar)
        else:
            groups.append([bar])
    return [_one_bar(group) for group in groups]


def _one_bar(group: Sequence[Bar]) -> Bar:
    if len(group) == 1:
        return group[0]
    left, right = group[0].x, max(bar.x + bar.width for bar in group)
    worst = min(group, key=lambda bar: (bar.state in ENDED_WELL, bar.state))
    bad = sum(bar.state not in ENDED_WELL for bar in group)
    title = f"{count(len(group), 'run')}" + (f", {bad} not successful" if bad else "") + f"; one: {worst.title}"
    return Bar(left, round(right - left, 1), worst.state, title)


def _missed(ranges: Iterable[tuple[str, str]], start: datetime, x: Position) -> list[tuple[float, str]]:
    return [
        (x(parse_time(last)), plain(f"missed: {first}" + (f" to {last}" if last != first else "")))
        for first, last in ranges
        if parse_time(last) >= start
    ]


def _ticks(zoom: Zoom, start: datetime, now: datetime, x: Position) -> list[tuple[float, str]]:
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = []
    moment = midnight
    while moment < now:
        moment += zoom.tick
        if start < moment < now:
            moments.append(moment)
    return [(x(moment), moment.strftime(zoom.form)) for moment in moments]

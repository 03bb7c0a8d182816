"""The drawing of the dependency graph: the positions of boxes, in columns by depth, and of the lines between them.

Specs that are connected are drawn together, one group below the other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reconciler.render.graph import Edge
from reconciler.render.page.content import STATES, SpecView, Views
from reconciler.values import dataclass

BOX_WIDTH, BOX_HEIGHT = 190, 28
COLUMN, ROW = 250, 40
MARGIN = 10
GROUP_GAP = 12
"""The vertical space between groups of specs that are not connected."""
MOST_BOXES = 400
"""The maximum number of specs in the drawing. The page of each spec shows its neighbours."""
LONGEST_LABEL = 24


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a spec, with its position."""

    view: SpecView
    label: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Line:
    """A dependency as a curve that starts at the spec that runs first; `title` describes it."""

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing. `left_out` is the number of specs with dependencies that the drawing does not show."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    left_out: int

    @property
    def states(self) -> list[str]:
        """Returns the states of the boxes, in the order of the legend."""
        seen = {box.view.state for box in self.boxes}
        return [state for state in STATES if state in seen]


def drawing(views: Views) -> Drawing:
    """Returns the drawing of the specs with dependencies. If not all of them fit, specs that need attention and their
    neighbours come first."""
    between_shown = [edge for edge in views.edges if edge.name in views.by_name and edge.needs in views.by_name]
    names = list(
        dict.fromkeys(name for edge in _urgent_first(between_shown, views) for name in (edge.needs, edge.name))
    )
    kept = set(names[:MOST_BOXES])
    edges = [edge for edge in between_shown if edge.name in kept and edge.needs in kept]
    boxes: dict[str, Box] = {}
    bottom = MARGIN
    for group in _groups([name for name in names if name in kept], edges):
        places = _places(group, edges)
        for name, (column, row) in places.items():
            boxes[name] = Box(views.by_name[name], _label(name), MARGIN + column * COLUMN, bottom + row * ROW)
        bottom += (max(row for _, row in places.values()) + 1) * ROW + GROUP_GAP
    width = max((box.x for box in boxes.values()), default=0) + BOX_WIDTH + MARGIN
    lines = tuple(_line(edge, boxes) for edge in edges)
    return Drawing(width, bottom, tuple(boxes.values()), lines, len(names) - len(kept))


def _groups(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Returns the groups of specs that are connected, in the order of their first names."""
    near: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        near[edge.name].append(edge.needs)
        near[edge.needs].append(edge.name)
    groups, seen = [], set[str]()
    for start in names:
        group, pending = [], [start]
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                group.append(name)
                pending += near[name]
        if group:
            groups.append(group)
    return groups


def _places(group: Sequence[str], edges: Sequence[Edge]) -> dict[str, tuple[int, int]]:
    """Returns the column and the row of each spec of a group. The column is its depth. In each column, specs are sorted
    like the specs that they run after, so that few lines cross."""
    members = set(group)
    inside = [edge for edge in edges if edge.name in members]
    depth = _depths(members, inside)
    needs: dict[str, list[str]] = defaultdict(list)
    for edge in inside:
        needs[edge.name].append(edge.needs)
    places: dict[str, tuple[int, int]] = {}
    for column in range(max(depth.values()) + 1):
        rows = {
            name: sum(places[other][1] for other in needs[name]) / max(len(needs[name]), 1)
            for name in members
            if depth[name] == column
        }
        for row, name in enumerate(sorted(rows, key=lambda name: (rows[name], name))):
            places[name] = (column, row)
    return places


def _urgent_first(edges: Sequence[Edge], views: Views) -> list[Edge]:
    return sorted(
        edges, key=lambda edge: not (views.by_name[edge.name].attention or views.by_name[edge.needs].attention)
    )


def _depths(names: set[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Returns the length of the longest chain of dependencies before each spec. Dependencies have no cycles."""
    needs: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        needs[edge.name].append(edge.needs)
    depth: dict[str, int] = {}
    for start in sorted(names):
        # Not recursive, because a chain of specs may be longer than Python's limit of recursion.
        pending = [start]
        while pending:
            name = pending[-1]
            missing = [other for other in needs[name] if other not in depth]
            if missing:
                pending += missing
                continue
            depth[name] = max((depth[other] + 1 for other in needs[name]), default=0)
            pending.pop()
    return depth


def _line(edge: Edge, boxes: Mapping[str, Box]) -> Line:
    begin, end = boxes[edge.needs], boxes[edge.name]
    x1, y1 = begin.x + BOX_WIDTH, begin.y + BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    title = f"{end.view.name} after {begin.view.name} ({edge.how})"
    return Line(f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}", title)


def _label(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"

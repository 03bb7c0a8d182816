"""Renders a plan, or the error that prevented the plan, as Markdown for a comment of limited size on a pull request.

No text from users or AWS becomes markup, a mention, a reference or a link.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import accumulate

from reconciler import __version__
from reconciler.core.declarations import PROJECT_KIND
from reconciler.core.identity import Place, Source
from reconciler.core.plan import Action, ActionType, ChangeType, Origin, Plan, SpecChange
from reconciler.core.times import parse_time
from reconciler.errors import Problem
from reconciler.redact.text import mask_sentence, masked_lines
from reconciler.render import markdown
from reconciler.render import plan_phrases as phrases
from reconciler.render.plan_rows import Entry, action_entry, change_entry, section_of
from reconciler.render.problems import message_of, problem_lines
from reconciler.render.text import count
from reconciler.values import dataclass

MAX_BYTES = 60_000
"""The default maximum size. A comment on GitHub can have 65,536 characters; the difference is left for text that the
posting job adds."""

SMALLEST = 2_000  # bytes: enough for the heading, the summary, the note about omissions and the footer
NOTE_ROOM = 400  # bytes, besides the command in it
OLD = timedelta(days=1)
"""The period during which a hold is shown as new."""


TABLE = ["| | spec | why | details |", "|---|---|---|---|"]
FIRST = (ChangeType.REMOVED, ChangeType.RENAMED, ChangeType.CHANGED, ChangeType.ADDED)
"""The order of changes of specs. Changes that stop a run or a schedule come first. Changes that reviewers see
completely in the git diff come last. The project file comes before all specs."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """The options of a page besides the plan.

    `command` is the command that shows the whole plan. `repository` is the web location of the specs; if it is `None`,
    names are not links. `refusal` is the reason why an apply would refuse the plan.
    """

    command: str = "reconciler plan"
    repository: markdown.Repository | None = None
    refusal: str | None = None
    max_bytes: int = MAX_BYTES


DEFAULT_OPTIONS = PageOptions()


def plan_markdown(plan: Plan, options: PageOptions = DEFAULT_OPTIONS) -> str:
    """Returns the plan as Markdown of at most `options.max_bytes` UTF-8 bytes, including the final line break.

    It starts with a hidden marker, with which the comment is recognized later. It is followed by the summary, the
    changes in git with their fields, runs for other reasons, waiting specs and specs on hold; old holds are collapsed.
    If not everything fits, links are omitted first, then rows from the last to the first, and fields, the longest
    first. All omissions are counted. Secrets are masked. Raises `ValueError` if `max_bytes` is under 2,000.
    """
    counts = ", ".join(f"{number} {kind}" for kind, number in plan.summary().items() if number) or "no actions"
    bottom = footer(plan, counts, f"ledger position {plan.ledger_position}", f"planned {plan.created_at}")
    top = _top(plan)
    room = _room(options, [*top, *bottom])
    # Many warnings must not displace the changes.
    warnings = [line for line in _warnings(plan) if room.take([line], at_least=options.max_bytes // 2)]
    parts = _parts(plan)
    sections = _sections(plan, parts, options.repository)
    sizes = accumulate(markdown.size_of(row.head) for part in sections for row in part.rows)
    if options.repository and any(size > room.left // 2 for size in sizes):
        sections = _sections(plan, parts, None)
    _place(sections, room)
    rows = [row for section in sections for row in section.shown]
    body = [line for section in sections for line in section.text()]
    left_out = len(plan.warnings) - len(warnings)
    note = _note(sections, rows, left_out, options.command)
    return "\n".join([*top, *note, *_refused(options), *warnings, *([""] if warnings else []), *body, *bottom])


def _place(sections: Sequence[markdown.Section], room: markdown.Room) -> None:
    """Fills the page in order of importance: changes and runs, the fields of changed specs, waiting specs and specs on
    hold, the fields of new specs, old holds and next slots."""
    *leading, waiting, stale, held, _old, _slots = sections
    _admit(leading, room)
    rows = [row for section in leading for row in section.shown]
    _fill([row for row in rows if not row.folded], room)
    _admit((*leading, waiting, stale, held), room)
    _fill([*stale.shown, *(row for row in rows if row.folded)], room)
    _admit(sections, room)


def _admit(sections: Iterable[markdown.Section], room: markdown.Room) -> None:
    """Adds the sections' rows in order, until a row does not fit."""
    for section in sections:
        section.admit(room)
        if section.missing:
            return


def _fill(rows: Iterable[markdown.Row], room: markdown.Room) -> None:
    """Adds the fields of as many rows as possible."""
    for row in sorted(rows, key=lambda row: sum(map(markdown.size_of, row.fields))):
        row.fill(room)


def failure_markdown(
    place: Place | None,
    error: str,
    problems: Sequence[Problem] = (),
    options: PageOptions = DEFAULT_OPTIONS,
) -> str:
    """Returns the comment to post if no plan could be made: the error, or the problems in files with their lines.
    `place` is `None` if the project cannot be read. The size limit and masking are as in `plan_markdown`."""
    what = count(len(problems), "error") if problems else "an error"
    name = f"{place.project}/{place.target}" if place else ""
    heading = f"### No plan for {markdown.prose(name)}" if name else "### No plan"
    top = [marker(place), heading, "", f"**Planning failed with {what}. Nothing was planned, nothing was sent.**", ""]
    bottom = ["---", f"reconciler {__version__}"]
    room = _room(options, [*top, *bottom])
    if problems:
        rows = [_problem_row(problem, options.repository) for problem in problems]
    else:
        rows = [markdown.Row([], [[line] for line in masked_lines(error).split("\n")], language="text")]
    section = markdown.Section("errors", [], rows, len(rows))
    section.admit(room)
    for row in section.shown:
        row.fill(room)
    note = _note([section], section.shown, 0, options.command, "lines")
    return "\n".join([*top, *note, *section.text(), *bottom])


def _problem_row(problem: Problem, repository: markdown.Repository | None) -> markdown.Row:
    location = markdown.code(f"{problem.path}:{problem.line}:{problem.col}")
    source = Source(problem.path, problem.line)
    head = f"{markdown.linked(location, source, repository)} {markdown.prose(message_of(problem))}"
    _, *excerpt = problem_lines(problem)
    return markdown.Row([head, ""], [excerpt] if excerpt else [], language="text")


def _room(options: PageOptions, fixed: Iterable[str]) -> markdown.Room:
    if options.max_bytes < SMALLEST:
        raise ValueError(f"max_bytes is {options.max_bytes}; a plan needs at least {SMALLEST}")
    return markdown.Room(
        options.max_bytes - markdown.size_of([*fixed, *_refused(options), options.command]) - NOTE_ROOM
    )


def _top(plan: Plan) -> list[str]:
    name = f"{plan.place.project}/{plan.place.target}"
    return [
        marker(plan.place),
        f"### Plan for {markdown.prose(name)}",
        "",
        f"**{phrases.summary_line(plan)}**",
        "",
    ]


def marker(place: Place | None, what: str = "plan") -> str:
    """Returns the first line: a hidden comment that is the same for every plan of a project and target. `what` is the
    kind of page."""
    name = f"{place.project}/{place.target}" if place else "unknown"
    # Nothing in a name may end the hidden comment.
    safe = "".join(char if char.isascii() and (char.isalnum() or char in "/._-") else "-" for char in name)
    return f"<!-- reconciler:{what} {safe} -->"


def footer(plan: Plan, *facts: str) -> list[str]:
    """Returns the last lines of a page: some facts, the id and the commit of the plan, and the version."""
    own = f"plan id {plan.plan_id}" if plan.changes and plan.plan_id else ""
    parts = filter(None, [*facts, own, f"commit {plan.commit[:12]}" if plan.commit else ""])
    return ["---", f"{' · '.join(map(markdown.prose, parts))} · reconciler {__version__}"]


def _refused(options: PageOptions) -> list[str]:
    if options.refusal is None:
        return []
    return [f"**An apply refuses this plan:** {markdown.prose(markdown.shortened(mask_sentence(options.refusal)))}", ""]


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings:
        yield f"- Warning: {markdown.prose(markdown.shortened(mask_sentence(warning)))}"


def _note(
    sections: Iterable[markdown.Section],
    rows: Sequence[markdown.Row],
    warnings: int,
    command: str,
    parts_of_rows: str = "fields",
) -> list[str]:
    """Returns a note about how much is omitted and how to see it, or nothing if everything is shown."""
    parts = [f"{part.missing:,} of {part.number:,} {part.what}" for part in sections if part.missing]
    fields, filled = sum(len(row.fields) for row in rows), sum(row.filled for row in rows)
    if fields > filled:
        parts.append(f"{fields - filled:,} of {'their ' if parts else ''}{fields:,} {parts_of_rows}")
    if warnings:
        parts.append(count(warnings, "warning"))
    return [f"**Not shown here: {', '.join(parts)}.** To see all, run {markdown.code(command)}", ""] if parts else []


@dataclass(frozen=True, slots=True)
class _Parts:
    """A plan, sorted into the parts of its page."""

    changes: list[Entry]
    on_base: list[Entry]
    doing: list[Entry]
    waiting: list[Action]
    stale: list[Entry]
    new: list[Action]
    old: list[Action]


def _parts(plan: Plan) -> _Parts:
    blocks = phrases.blocks_of(plan)
    changed = [(block.change, block) for block in blocks if block.change is not None]
    changed.sort(key=lambda pair: (pair[0].kind != PROJECT_KIND, FIRST.index(pair[0].change)))
    rest = [block.action for block in blocks if block.change is None and block.action is not None]
    holds = {id(action) for action in plan.held}
    stopped = {id(block.action) for change, block in changed if change.stale}
    held = [action for action in plan.held if id(action) not in stopped]
    return _Parts(
        changes=[change_entry(*pair) for pair in changed if not pair[0].stale and not _on_base(pair[0])],
        on_base=[change_entry(*pair) for pair in changed if not pair[0].stale and _on_base(pair[0])],
        doing=[action_entry(a) for a in rest if a.effective],
        waiting=[a for a in rest if a.action is ActionType.WAIT and id(a) not in holds],
        stale=[change_entry(*pair) for pair in changed if pair[0].stale],
        new=[a for a in held if not _is_old(a, plan)],
        old=[a for a in held if _is_old(a, plan)],
    )


def _sections(plan: Plan, parts: _Parts, repository: markdown.Repository | None) -> list[markdown.Section]:
    """Returns the sections in the order of the page. The last two are the least important: old holds, and the next
    slots."""
    old = f"{len(parts.old)} on hold for more than a day"
    own = "#### Changes" if plan.base is None else "#### Changes of this pull request"
    return [
        section_of("changes", [own], parts.changes, repository),
        section_of("changes on the base", ["#### Changes that are already on the base"], parts.on_base, repository),
        section_of("other actions", ["#### Runs for other reasons"], parts.doing, repository),
        _table("waiting specs", ["#### Waiting", ""], parts.waiting, plan.place, repository),
        section_of("changes on hold", ["#### Changes on hold"], parts.stale, repository),
        _table("holds", ["#### On hold, or outcome unknown", ""], parts.new, plan.place, repository),
        _table("old holds", [], parts.old, plan.place, repository, title=old),
        _next_slots(plan),
    ]


def _on_base(change: SpecChange) -> bool:
    return change.origin is Origin.ALREADY_ON_BASE


def _is_old(action: Action, plan: Plan) -> bool:
    return action.since is not None and parse_time(plan.created_at) - parse_time(action.since) > OLD


def _table(
    what: str,
    heading: Sequence[str],
    actions: Iterable[Action],
    place: Place,
    repository: markdown.Repository | None,
    *,
    title: str = "",
) -> markdown.Section:
    """Returns a table of actions that do nothing now, the most recent first."""
    # "~" sorts after every time, so that actions without one come first.
    newest = sorted(actions, key=lambda action: action.since or "~", reverse=True)
    rows = (markdown.Row([_cells(action, place, repository)]) for action in newest)
    return markdown.Section(what, [*heading, *TABLE], markdown.Made(rows), len(newest), title)


def _next_slots(plan: Plan) -> markdown.Section:
    """Returns a collapsed section with the next slots of specs."""
    slots = phrases.next_slots(plan)
    rows = (
        markdown.Row([f"| {markdown.cell_code(name)} | {markdown.cell_prose(slot)} |"]) for name, slot in slots.items()
    )
    title = count(len(slots), "next slot")
    return markdown.Section("next slots", ["| spec | due |", "|---|---|"], markdown.Made(rows), len(slots), title)


def _cells(action: Action, place: Place, repository: markdown.Repository | None) -> str:
    """Returns the row of an action in a table."""
    why, message = mask_sentence(phrases.what_happens(action)), markdown.shortened(mask_sentence(action.message))
    commands = action.suggested.commands if action.suggested else ()
    url = place.console_url(action.kind, action.content.location, action.run_id)
    link = [markdown.web_link("AWS console", url)] if url else []
    details = "<br>".join(
        [*([markdown.cell_prose(message)] if message else []), *link, *map(markdown.cell_code, commands)]
    )
    name = markdown.linked(markdown.cell_code(action.name), action.source, repository)
    since = f" since {action.since}" if action.since else ""
    return f"| {markdown.cell_code(phrases.symbol(action))} | {name} | {markdown.cell_prose(why + since)} | {details} |"

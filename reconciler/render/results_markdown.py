"""Renders the results of an apply or a pass as Markdown of limited size, for a comment or the summary of a CI job.

No text from users or AWS becomes markup, a mention, a reference or a link.
"""

from collections.abc import Iterator, Sequence

from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan
from reconciler.core.state import Recorded
from reconciler.core.times import parse_time
from reconciler.redact.text import mask_sentence
from reconciler.render.markdown import (
    Made,
    Room,
    Row,
    Section,
    cell_code,
    cell_prose,
    code,
    linked,
    prose,
    shortened,
    size_of,
    web_link,
)
from reconciler.render.plan_markdown import NOTE_ROOM, PageOptions, footer, marker
from reconciler.render.plan_phrases import what_happens, which_run
from reconciler.render.results import done_actions, outcome_counts
from reconciler.render.status import state

TABLE = ["| spec | outcome | run | state | details |", "|---|---|---|---|---|"]
REST_TABLE = ["| spec | why | details |", "|---|---|---|"]


def results_markdown(plan: Plan, results: Sequence[ActionResult], recorded: Recorded, options: PageOptions) -> str:
    """Returns the outcome of each action as Markdown of at most `options.max_bytes` UTF-8 bytes. It contains run ids,
    states and errors, and below them the waiting specs and the specs on hold.

    `results` are in the order of the plan's actions, and `recorded` is the state after them. Rows that do not fit are
    omitted and counted. Secrets are masked.
    """
    done = done_actions(plan, results)
    summary = f"{counts}." if (counts := outcome_counts(done)) else "Nothing to do."
    name = f"{plan.place.project}/{plan.place.target}"
    top = [
        marker(plan.place, "apply"),
        f"### Applied to {prose(name)}",
        "",
        f"**{summary}**",
        "",
    ]
    bottom = footer(plan, f"ledger position {recorded.position}", f"applied {plan.created_at}")
    room = Room(options.max_bytes - size_of([*top, *bottom, options.command]) - NOTE_ROOM)
    holds = {id(action) for action in plan.held}
    waiting = [a for a in plan.actions if a.action is ActionType.WAIT and id(a) not in holds]
    sections = [
        Section("actions", TABLE, Made(Row([_cells(*pair, plan, recorded, options)]) for pair in done), len(done)),
        _without_outcome("waiting specs", "#### Waiting", waiting, options),
        _without_outcome("holds", "#### On hold, or outcome unknown", plan.held, options),
    ]
    for section in sections:
        section.admit(room)
    missing = [f"{part.missing:,} of {part.number:,} {part.what}" for part in sections if part.missing]
    note = [f"**Not shown here: {', '.join(missing)}.** To see all, run {code(options.command)}", ""] if missing else []
    body = [line for section in sections for line in section.text()]
    return "\n".join([*top, *note, *body, *bottom])


def _cells(action: Action, result: ActionResult, plan: Plan, recorded: Recorded, options: PageOptions) -> str:
    submission = recorded.by_token.get(action.client_token or "")
    run = " ".join(_run_parts(action, result, plan.place))
    status = state(submission, parse_time(plan.created_at))
    name = linked(cell_code(action.name), action.source, options.repository)
    error = cell_prose(shortened(mask_sentence(result.error))) if result.error else ""
    return f"| {name} | {result.outcome} | {run} | {status} | {error} |"


def _run_parts(action: Action, result: ActionResult, place: Place) -> Iterator[str]:
    if result.run_id:
        url = place.console_url(action.kind, action.content.location, result.run_id)
        yield web_link(cell_code(result.run_id), url)
    if which := which_run(action):
        yield cell_prose(f"({which})")
    if action.action is ActionType.REPLACE and result.outcome == ActionOutcome.CANCELLED:
        yield "the next pass after its end submits the new run"


def _without_outcome(what: str, heading: str, actions: Sequence[Action], options: PageOptions) -> Section:
    """Returns a table of actions that do nothing now."""
    rows = Made(Row([_rest_cells(action, options)]) for action in actions)
    return Section(what, [heading, "", *REST_TABLE], rows, len(actions))


def _rest_cells(action: Action, options: PageOptions) -> str:
    commands = action.suggested.commands if action.suggested else ()
    message = [cell_prose(shortened(mask_sentence(action.message)))] if action.message else []
    name = linked(cell_code(action.name), action.source, options.repository)
    why = cell_prose(mask_sentence(what_happens(action)))
    return f"| {name} | {why} | {'<br>'.join([*message, *map(cell_code, commands)])} |"

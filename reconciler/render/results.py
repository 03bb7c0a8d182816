"""Renders the effects of a command: the results of an apply, the runs that it waits for, the line about a pass, and an
operator's decision.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, field

from reconciler.core.awaited import Awaited, Progress
from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Plan
from reconciler.core.state import Submission
from reconciler.model.base import JSON
from reconciler.redact.escape import lines_text
from reconciler.render.plan_phrases import suggested_lines, what_happens, which_run
from reconciler.render.runs import COLOURS, which_text
from reconciler.render.text import Layout, Line, Style, columns, fitted, place_line, plain, sentence
from reconciler.values import dataclass

OUTCOME_COLOURS = {
    ActionOutcome.SUBMITTED: "green",
    ActionOutcome.ADOPTED: "cyan",
    ActionOutcome.CANCELLED: "yellow",
    ActionOutcome.RECORDED: "dim",
    ActionOutcome.UNKNOWN: "yellow",
    ActionOutcome.REJECTED: "red",
    ActionOutcome.UNSENT: "red",
    ActionOutcome.NONE: "dim",
}


def results_text(plan: Plan, results: Sequence[ActionResult], color: bool = False) -> str:
    """Returns one line for each action that had an effect or should have had an effect, its error below it, and ``Apply
    complete: …`` with the number of actions by outcome. `results` are in the order of the plan's actions. There is no
    final line break."""
    style, done = Style(color), done_actions(plan, results)
    heads = columns([_cells(action, result, style) for action, result in done])
    blocks = [[head, *_details(*pair, plan.place, style)] for head, pair in zip(heads, done, strict=True)]
    lines = [line for block in blocks for line in block]
    complete = f"Apply complete: {outcome_counts(done) or 'nothing to do'}."
    return lines_text([*lines, *([""] if lines else []), style.bold(complete)])


def done_actions(plan: Plan, results: Sequence[ActionResult]) -> list[tuple[Action, ActionResult]]:
    """Returns the actions that had an effect or should have had one, with their results."""
    pairs = zip(plan.actions, results, strict=True)
    return [pair for pair in pairs if pair[0].effective or pair[1].outcome != ActionOutcome.NONE]


def _cells(action: Action, result: ActionResult, style: Style) -> tuple[str, str, str]:
    outcome, which = ActionOutcome(result.outcome), which_run(action)
    if action.action is ActionType.REPLACE and outcome is ActionOutcome.CANCELLED and action.replaces_label:
        which = f"{action.replaces_label}; the next pass after its end submits {which}"
    run = "  ".join(part for part in (plain(result.run_id or ""), f"({plain(which)})" if which else "") if part)
    return plain(action.name), style.paint(outcome, OUTCOME_COLOURS[outcome]), run


def _details(action: Action, result: ActionResult, place: Place, style: Style) -> Iterator[str]:
    """Yields the page of the run in AWS's console, the error of an action, and the commands that resolve it."""
    if url := place.console_url(action.kind, action.content.location, result.run_id):
        yield f"    {style.dim(plain(url))}"
    if result.error:
        yield f"    {style.paint('error:', 'red')} {sentence(result.error)}"
    if action.suggested:
        yield from (f"    {line}" for line in suggested_lines(action.suggested))


def outcome_counts(done: Sequence[tuple[Action, ActionResult]]) -> str:
    """Returns ``2 submitted, 1 not done``, or an empty text if there are no actions."""
    counts = Counter(str(result.outcome) for _, result in done)
    parts = [f"{counts[outcome]} {outcome}" for outcome in ActionOutcome if outcome != "none" and counts[outcome]]
    return ", ".join([*parts, *([f"{counts['none']} not done"] if counts["none"] else [])])


def pass_line(name: str, plan: Plan, results: Sequence[ActionResult], position: int) -> str:
    """Returns ``2026-11-22T02:00:03Z reconcile analytics/prod: 2 submitted, 1 held, 57 in sync; ledger position
    61``."""
    counts = ", ".join(f"{count} {word}" for word, count in _counts(plan, results).items()) or "no specs"
    place = f"{plan.place.project}/{plan.place.target}"
    return f"{plan.created_at} {name} {place}: {counts}; ledger position {position}"


def pass_json(plan: Plan, results: Sequence[ActionResult], position: int) -> JSON:
    """Returns the content of `pass_line` as JSON fields: ``{"project", "target", "commit", "counts", "held",
    "ledger_position"}``.
    """
    return {
        "project": plan.place.project,
        "target": plan.place.target,
        "commit": plan.commit,
        "counts": dict(_counts(plan, results)),
        "held": sorted({action.name for action in plan.held}),
        "ledger_position": position,
    }


def action_line(action: Action, result: ActionResult) -> str:
    """Returns ``orders-daily: submit (spec-changed): submitted 00f1abc``."""
    run = f" {result.run_id}" if result.run_id else ""
    error = f": {result.error}" if result.error else ""
    return f"{action.name}: {action.action} ({action.reason}): {result.outcome}{run}{error}"


def _counts(plan: Plan, results: Sequence[ActionResult]) -> Counter[str]:
    return Counter(_word(action, result) for action, result in zip(plan.actions, results, strict=True))


def _word(action: Action, result: ActionResult) -> str:
    """Returns, in one or two words, the outcome of an action or, if the action does nothing, the state of its spec."""
    if result.outcome != ActionOutcome.NONE:
        return str(result.outcome)
    if action.effective:
        return "not done"
    return {ActionType.WAIT: "waiting", ActionType.HOLD: "held"}.get(action.action, "in sync")


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """The record that a command such as `cancel` or `adopt` would make, and the operator's reason.

    `about` contains the names of the spec and its run. `facts` are labels and values read from the ledger and AWS.
    `does` is a sentence about the record and its effect. `warnings` are shown before the confirmation. `form` contains
    the JSON fields of this command only.
    """

    command: str
    place: Place
    name: str
    about: str
    facts: tuple[tuple[str, str], ...]
    does: str
    actor: str
    reason: str | None
    warnings: tuple[str, ...] = ()
    form: Mapping[str, object] = field(default_factory=dict)


def decision_text(decision: DecisionSummary, color: bool = False) -> str:
    """Returns the decision and its facts, which are shown before the confirmation, without a final line break."""
    style = Style(color)
    return lines_text(
        [
            place_line(decision.place),
            "",
            style.bold(plain(decision.about)),
            *(f"  {line}" for line in columns([(label, sentence(value)) for label, value in decision.facts])),
            "",
            sentence(decision.does),
            *(style.paint("Warning: ", "yellow") + sentence(warning) for warning in decision.warnings),
        ]
    )


def done_text(decision: DecisionSummary, results: Sequence[ActionResult], following: Iterable[Action]) -> str:
    """Returns what was recorded, by whom and why, and what the next pass will do, without a final line break."""
    why = f": {decision.reason}" if decision.reason else ", no reason given"
    outcomes = ", ".join(dict.fromkeys(str(result.outcome) for result in results)) or "nothing to do"
    lines = [sentence(f"{decision.command} {decision.name}: {outcomes} (by {decision.actor}{why}).")]
    errors = [sentence(f"  {result.run_id}: {result.error}") for result in results if result.error is not None]
    return lines_text([*lines, *errors, *_next_lines(following)])


def _next_lines(following: Iterable[Action]) -> Iterator[str]:
    for action in following:
        message = f"; {action.message}" if action.message else ""
        yield f"Next pass: {sentence(f'{action.name} {what_happens(action)}{message}')}"


def decision_json(decision: DecisionSummary, results: Sequence[ActionResult], following: Iterable[Action]) -> JSON:
    """Returns the decision, its results, and what the next pass will do."""
    return {
        "command": decision.command,
        **asdict(decision.place),
        "name": decision.name,
        "actor": decision.actor,
        "reason": decision.reason,
        "saw": [{"what": what, "value": value} for what, value in decision.facts],
        "warnings": list(decision.warnings),
        **decision.form,
        "results": [{"outcome": str(r.outcome), "run_id": r.run_id, "error": r.error} for r in results],
        "next": [
            {
                "action": str(action.action),
                "reason": str(action.reason),
                "generation": action.generation,
                "slot": action.slot,
                "attempt": action.attempt,
                "run_id": action.run_id,
                "message": action.message,
            }
            for action in following
        ],
    }


ORDER = ("NAME", "RUN OF", "STATE", "RUN ID")
LAYOUT = Layout(always=("NAME", "STATE"), if_they_fit=("RUN OF", "RUN ID"))


def awaited_text(runs: Sequence[Awaited], *, color: bool = False, width: int | None = None) -> str:
    """Returns a table of the runs, with AWS's reason or the reason why a run waits, and a summary. There is no final
    line break. `width` is the width of the terminal, or `None` without a terminal."""
    style = Style(color)
    if not runs:
        return "Nothing to wait for."
    lines = [
        Line(
            {
                "NAME": plain(each.key.name),
                "RUN OF": _which(each),
                "STATE": style.paint(_state(each), COLOURS.get(each.state, "")),
                "RUN ID": plain(_run_id(each) or "-"),
            },
            (sentence(each.message),) if each.message else (),
        )
        for each in runs
    ]
    return lines_text([*fitted(lines, ORDER, LAYOUT, style, width), "", style.bold(_progress_counts(runs))])


def awaited_line(each: Awaited) -> str:
    """Returns one line about a run whose state has changed, such as ``orders running 00f… (generation 2)``."""
    words = (each.key.name, _state(each), _run_id(each) or "", f"({_which(each)})")
    return "  ".join([*(plain(word) for word in words if word), *([sentence(each.message)] if each.message else [])])


def awaited_json(runs: Sequence[Awaited], place: Place) -> list[JSON]:
    """Returns the runs as JSON. `outcome` is ``moving``, ``succeeded``, ``failed`` or ``held``."""
    return [
        {
            "name": each.key.name,
            "generation": each.key.generation,
            "slot": each.key.slot,
            "attempt": each.submission.attempt if each.submission is not None else None,
            "run_id": _run_id(each),
            **_where(each.submission, place),
            "state": each.state,
            "outcome": str(each.progress),
            "message": each.message,
        }
        for each in runs
    ]


def _where(submission: Submission | None, place: Place) -> JSON:
    """Returns the location of a submission's run in AWS, and its page in AWS's console."""
    if submission is None or submission.run_id is None:
        return {"location": {}, "console_url": None}
    location = submission.content.location
    return {
        "location": dict(location),
        "console_url": place.console_url(submission.kind, location, submission.run_id),
    }


def _state(each: Awaited) -> str:
    """Returns the state for text output. A run that is not submitted while the command waits is shown as held."""
    return str(each.progress) if each.submission is None and each.progress is Progress.HELD else each.state


def _progress_counts(runs: Sequence[Awaited]) -> str:
    counts = Counter(each.progress for each in runs)
    return ", ".join(f"{counts[progress]} {progress}" for progress in Progress if counts[progress]) + "."


def _which(each: Awaited) -> str:
    attempt = each.submission.attempt if each.submission is not None else 1
    return which_text(each.key.generation, each.key.slot, attempt)


def _run_id(each: Awaited) -> str | None:
    return each.submission.run_id if each.submission is not None else None

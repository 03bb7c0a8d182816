"""Renders an operator's decision, before and after it is recorded, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionResult
from reconciler.model.base import JSON
from reconciler.render.phrases import what_happens
from reconciler.render.text import Style, columns, lines_text, place_line, plain, sentence


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """What a command such as `cancel` or `adopt` would record, and why.

    `about` names the spec and its run; `facts` are labels and values read from the ledger and AWS; `does` is a sentence
    on what is recorded and what follows; `warnings` are what to read before confirming. `form` has the command's own
    fields of the JSON form.
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
    """The decision and its facts, to be shown before the question. Without a line end."""
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
    """What was recorded, by whom and why, and what the next pass will do. Without a line end."""
    why = f": {decision.reason}" if decision.reason else ", no reason given"
    outcomes = ", ".join(dict.fromkeys(str(result.outcome) for result in results)) or "nothing to do"
    lines = [sentence(f"{decision.command} {decision.name}: {outcomes} (by {decision.actor}{why}).")]
    errors = [sentence(f"  {result.run_id}: {result.error}") for result in results if result.error is not None]
    return lines_text([*lines, *errors, *_next(following)])


def _next(following: Iterable[Action]) -> Iterator[str]:
    for action in following:
        message = f"; {action.message}" if action.message else ""
        yield f"Next pass: {sentence(f'{action.name} {what_happens(action)}{message}')}"


def decision_json(decision: DecisionSummary, results: Sequence[ActionResult], following: Iterable[Action]) -> JSON:
    """The decision, its results, and what the next pass will do."""
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

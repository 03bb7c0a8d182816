"""A decision that a person is about to make, and what became of it: as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionResult
from reconciler.model.base import JSON
from reconciler.render.plan_text import place_line
from reconciler.render.text import YELLOW, Style, lines_text, plain, sentence, what_happens


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """What a command by hand would write down, and what it rests on.

    `about` is the spec with the run that is meant, in words; `facts` what was seen, as label and value; `does` one
    sentence on what is recorded and what follows; `warnings` what a person should know before saying yes. `form` holds
    the command's own fields of the JSON form.
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
    """What is decided and what was seen, to be shown before the question. Without a line end."""
    style = Style(color)
    width = max((len(label) for label, _ in decision.facts), default=0)
    return lines_text(
        [
            place_line(decision.place),
            "",
            style.bold(plain(decision.about)),
            *(f"  {label:<{width}}  {sentence(value)}" for label, value in decision.facts),
            "",
            sentence(decision.does),
            *(style.paint("Warning: ", YELLOW) + sentence(warning) for warning in decision.warnings),
        ]
    )


def done_text(decision: DecisionSummary, results: Sequence[ActionResult], following: Iterable[Action]) -> str:
    """What was recorded, by whom and why, and what the next pass does. Without a line end."""
    why = f": {decision.reason}" if decision.reason else ", without a reason"
    outcomes = ", ".join(dict.fromkeys(str(result.outcome) for result in results)) or "nothing to do"
    lines = [sentence(f"{decision.command} {decision.name}: {outcomes} (by {decision.actor}{why}).")]
    wrong = [sentence(f"  {result.run_id}: {result.error}") for result in results if result.error is not None]
    return lines_text([*lines, *wrong, *_next(following)])


def _next(following: Iterable[Action]) -> Iterator[str]:
    for action in following:
        told = f"{action.name} {what_happens(action)}" + (f"; {action.message}" if action.message else "")
        yield f"Next pass: {sentence(told)}"


def decision_json(decision: DecisionSummary, results: Sequence[ActionResult], following: Iterable[Action]) -> JSON:
    """One value: what was decided, by whom and why, what became of it, and what the next pass does."""
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

"""Runs of a project whose ledger holds nothing: it is new, or it was lost.

A token is the same on every machine and at every time, so a run that an earlier ledger knew is found by the tag it
carries: what git asks for now may have run before, as any of the first generations.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.identity.digest import Place, client_token
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.desired import Desired, DesiredSpec
from reconciler.recorded.state import Recorded

GENERATIONS = 20
"""How many generations of a spec's content are looked for."""


def tokens(spec: DesiredSpec, place: Place) -> Iterator[tuple[int, str]]:
    """The tokens that this content has as each of the first generations. A slot that is due is never older than the
    ledger, so scheduled specs have none."""
    if spec.policy.schedule is not None:
        return
    for generation in range(1, GENERATIONS + 1):
        yield generation, client_token(place, spec.kind, spec.name, generation, None, 1, spec.digest)


def decide_unknown(spec: DesiredSpec, recorded: Recorded, desired: Desired) -> Action | None:
    """The action for a spec of which nothing is recorded and whose run AWS has all the same: adopted, as the newest
    generation that has one. `None` where there is none."""
    if not any(recorded.found.values()):
        return None
    for generation, token in reversed(list(tokens(spec, desired.place))):
        runs = recorded.found.get(token, ())
        if runs:
            return _action(spec, generation, token, runs)
    return None


def _action(spec: DesiredSpec, generation: int, token: str, runs: tuple[str, ...]) -> Action:
    one = len(runs) == 1
    message = (
        "nothing is recorded of it, and AWS has a run of this very content with its tag"
        if one
        else f"nothing is recorded of it, and several runs carry its tag: {', '.join(runs)}. Which one counts is for a "
        "person to say"
    )
    return Action(
        name=spec.name,
        kind=spec.kind,
        action=ActionType.ADOPT if one else ActionType.HOLD,
        reason=Reason.FOUND if one else Reason.CONFLICT,
        generation=generation,
        digest=spec.digest,
        client_token=token,
        run_id=runs[0] if one else None,
        source=spec.source,
        request=spec.request if one else None,
        message=message,
        revision=spec.policy.revision,
        deletion_policy=spec.policy.deletionPolicy,
        streaming=spec.streaming,
        locate=spec.locate,
    )

"""A look for runs that an earlier ledger knew, before the first intent of one that holds none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from reconciler.identity.digest import Place
from reconciler.identity.instant import text
from reconciler.model.kinds import kind_named
from reconciler.model.strict import JSON
from reconciler.observe.look import found_by_tag
from reconciler.plan.action import Action
from reconciler.plan.desired import DesiredSpec
from reconciler.plan.unknown_ledger import tokens
from reconciler.ports import Services, Wanted
from reconciler.recorded.state import Sighting

REMEMBERED = timedelta(days=7)
"""How far back AWS is asked: Batch keeps ended jobs for a day at least, and for a week as newer guides say."""


def look_for_earlier(specs: Iterable[DesiredSpec], place: Place, services: Services, now: datetime) -> Sighting:
    """The runs that carry a token which one of the specs has, as any of its first generations. Nothing is raised: a
    service that fails leaves a sentence for each token."""
    return _look(
        now,
        services,
        ((spec.kind, token, spec.locate, spec.request) for spec in specs for _, token in tokens(spec, place)),
    )


def look_for_tokens(actions: Iterable[Action], services: Services, now: datetime) -> Sighting:
    """The runs that carry the tokens of these submits. Nothing is raised, as above."""
    return _look(now, services, ((a.kind, a.client_token or "", a.locate, a.request or {}) for a in actions))


def _look(now: datetime, services: Services, runs: Iterable[tuple[str, str, Mapping[str, str], JSON]]) -> Sighting:
    """One look for runs given as kind, token, place and request."""
    since = text(now - REMEMBERED)
    wanted: dict[str, list[Wanted]] = {}
    for kind, token, locate, request in runs:
        name = request.get(kind_named(kind).name_field)
        wanted.setdefault(kind, []).append(Wanted(token, locate, since, name))
    found: dict[str, tuple[str, ...]] = {}
    errors: dict[str, str] = {}
    for kind, looked_for in wanted.items():
        for token, answer in found_by_tag(kind, looked_for, services).items():
            if isinstance(answer, str):
                errors[token] = answer
            else:
                found[token] = tuple(answer)
    return Sighting(found, errors)

"""Everything that AWS has in the places of a project and target: for `fsck`, which holds the ledger against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import ServiceError
from reconciler.identity.digest import Place
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from reconciler.model.kinds import kind_named
from reconciler.plan.inspection import Listed, Present, Stock
from reconciler.ports import Inventory, RunFacts, RunReport
from reconciler.recorded.state import Recorded

Inventories = Callable[[str], Inventory]
"""The inventory of a kind, by the kind's name."""

Where = tuple[str, Mapping[str, str]]
"""A kind, and where a run of it is (`Submission.locate`)."""


@dataclass(slots=True)
class _Place:
    """One place to list, with the submissions that are in it."""

    kind: str
    words: str
    locate: Mapping[str, str]
    live: set[str] = field(default_factory=set)


def take_stock(
    recorded: Recorded, specs: Iterable[Where], place: Place, inventories: Inventories, since: str | None
) -> Stock:
    """Lists every place of the recorded submissions and of `specs`. Runs whose id the ledger knows are not described:
    their tags are known. A place that cannot be read is told in words; a guard that refuses raises."""
    known = {s.run_id for s in recorded.by_token.values() if s.run_id is not None}
    places: list[Listed] = []
    present: list[Present] = []
    gone: set[str] = set()
    for each in _places(recorded, specs, inventories):
        inventory = inventories(each.kind)
        try:
            run_ids = inventory.listed(each.locate, since)
            described = inventory.described(each.locate, [run_id for run_id in run_ids if run_id not in known])
            unseen = sorted(each.live - set(run_ids))
            gone |= set(unseen) - set(inventory.described(each.locate, unseen) if unseen else ())
        except ServiceError as error:
            places.append(Listed(each.kind, each.words, error=str(error)))
            continue
        ours = [run for facts in described.values() if (run := _ours(facts, each, place)) is not None]
        present += ours
        places.append(Listed(each.kind, each.words, len(run_ids), len(ours) + sum(i in known for i in run_ids)))
    return Stock(tuple(places), tuple(sorted(present, key=lambda run: run.created_at)), frozenset(gone))


def _places(recorded: Recorded, specs: Iterable[Where], inventories: Inventories) -> Sequence[_Place]:
    """Each place once, by its words, with the live runs that should be in it."""
    found: dict[tuple[str, str], _Place] = {}
    submissions = list(recorded.by_token.values())
    wheres = [*((s.kind, s.locate, s.run_id if s.live else None) for s in submissions), *((*w, None) for w in specs)]
    for kind, locate, live in wheres:
        words = inventories(kind).place(locate)
        place = found.setdefault((kind, words), _Place(kind, words, locate))
        if live is not None:
            place.live.add(live)
    return [found[key] for key in sorted(found)]


def _ours(facts: RunFacts, where: _Place, place: Place) -> Present | None:
    """A run that our tag says is this project's and target's; `None` for any other."""
    owner, _, name = facts.tags.get(SPEC_TAG, "").rpartition("/")
    if owner != place.owner("").removesuffix("/") or not name:
        return None
    report = facts.report
    told = report if isinstance(report, RunReport) else RunReport(known=True, state="unknown", detail=report)
    return Present(
        name=name,
        run_id=facts.run_id,
        token=facts.tags.get(TOKEN_TAG),
        kind=where.kind,
        locate=_locate(where, facts),
        created_at=facts.created_at,
        state=told.state,
        aws_state=told.aws_state,
        detail=told.detail,
        started_at=told.started_at,
        finished_at=told.finished_at,
    )


def _locate(where: _Place, facts: RunFacts) -> Mapping[str, str]:
    """Where the run is found again: in this place, and under its own name where that is a part of it."""
    field_of_name = kind_named(where.kind).name_field
    named = field_of_name in where.locate and facts.name is not None
    return {**where.locate, **({field_of_name: facts.name} if named and facts.name else {})}

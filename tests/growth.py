"""Creates projects and ledgers of any size, each for one step of the program that processes many specs or submissions
at once.

A scenario takes a number of specs and returns a call. The work of the call must grow with this number and not with its
square: `tests/core/test_growth.py` counts operations, and `tests/bench/growth.py` measures CPU time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from types import FrameType

from reconciler.core.awaited import keys_of_plan, progress
from reconciler.core.checkout import Checkout
from reconciler.core.decide import plan
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.notifications import new_notifications
from reconciler.core.plan import Plan
from reconciler.core.state import Recorded
from reconciler.render.json_text import dumped
from reconciler.render.plan_json import plan_form
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_phrases import blocks_of
from reconciler.render.plan_text import plan_text
from tests.builders import NOW, desired, intended, ran, recorded, spec, taken

Call = Callable[[], object]


def names(number: int) -> list[str]:
    """Returns the names of the specs."""
    return [f"job-{n:06}" for n in range(number)]


def new_specs(number: int) -> Call:
    """Plans new specs with an empty ledger."""
    wanted, state = desired(*(spec("A", name) for name in names(number))), Recorded()
    return lambda: plan(wanted, state, NOW)


def in_sync(number: int) -> Call:
    """Plans specs that have all run and have not changed."""
    wanted = desired(*(spec("A", name) for name in names(number)))
    state = recorded(*chain.from_iterable(ran("A", 1, name=name) for name in names(number)))
    return lambda: plan(wanted, state, NOW)


def live(number: int) -> Call:
    """Plans specs with a live run and different content in git."""
    wanted = desired(*(spec("B", name) for name in names(number)))
    state = recorded(*chain.from_iterable(ran("A", 1, None, name) for name in names(number)))
    return lambda: plan(wanted, state, NOW)


def unresolved(number: int) -> Call:
    """Plans specs with a submission whose outcome is unknown and for which no run was found."""
    wanted = desired(*(spec("A", name) for name in names(number)))
    state = recorded(*(intended("A", 1, name) for name in names(number)))
    state.runs_by_token = dict.fromkeys(state.by_token, ())
    return lambda: plan(wanted, state, NOW)


def searched_in_vain(number: int) -> Call:
    """Plans new specs with a new ledger, after AWS was searched for previous runs and has none."""
    wanted, state = desired(*(spec("A", name) for name in names(number))), Recorded()
    state.runs_by_spec = dict.fromkeys(names(number), ())
    state.runs_by_token = {f"r1-{name}": () for name in names(number)}
    return lambda: plan(wanted, state, NOW)


def adopted(number: int) -> Call:
    """Plans specs, half of which have a run that an operator adopted and therefore no intent. The other half are
    new."""
    wanted = desired(*(spec("A", name) for name in names(number)))
    state = Recorded()
    for name in names(number // 2):
        single = recorded(taken("A", 1, name))
        state.specs.update(single.specs)
        state.by_token.update(single.by_token)
    return lambda: plan(wanted, state, NOW)


def renamed(number: int) -> Call:
    """Plans specs that all have a new name and take over the record of the former one."""
    wanted = desired(
        *(replace(spec("A", f"new-{name}"), renamed_from=RenamedFrom(name, "x.yaml:1:1")) for name in names(number))
    )
    state = recorded(*chain.from_iterable(ran("A", 1, name=name) for name in names(number)))
    return lambda: plan(wanted, state, NOW)


def removed(number: int) -> Call:
    """Plans a project from which all specs but one were removed."""
    wanted = desired(spec("A", "other"))
    state = recorded(*chain.from_iterable(ran("A", 1, name=name) for name in names(number)))
    return lambda: plan(wanted, state, NOW)


def dependencies(number: int) -> Call:
    """Plans specs that each wait for the one before."""
    wanted = desired(*_chain(number))
    return lambda: plan(wanted, Recorded(), NOW)


def _chain(number: int) -> list[DesiredSpec]:
    gates = [{"dependsOn": [{"name": before}]} for before in names(number - 1)]
    return [spec("A", name, policy=gate) for name, gate in zip(names(number), [{}, *gates], strict=True)]


def fan_out(number: int) -> Call:
    """Plans specs that all wait for the same spec."""
    gate = {"dependsOn": [{"name": "job-000000"}]}
    wanted = desired(*(spec("A", name, policy=gate if index else {}) for index, name in enumerate(names(number))))
    return lambda: plan(wanted, Recorded(), NOW)


def awaited(number: int) -> Call:
    """Computes the progress of specs that each wait for the one before, while a command waits for all of them."""
    wanted, state = desired(*_chain(number)), Recorded()
    made = plan(wanted, state, NOW)
    keys = keys_of_plan(made)
    assert len(keys) == number
    return lambda: progress(keys, made, state, wanted.specs)


def failures(number: int) -> Call:
    """Computes the notifications for runs that all failed an hour ago."""
    wanted = desired(*(spec("A", name) for name in names(number)))
    state = recorded(*chain.from_iterable(ran("A", 1, "failed", name) for name in names(number)))
    made = plan(wanted, state, NOW)
    return lambda: new_notifications(made, state, NOW)


def _made(number: int) -> Plan:
    return plan(desired(*(spec(name, name) for name in names(number))), Recorded(), NOW)


def as_text(number: int) -> Call:
    """Renders a plan of new specs as text."""
    made = _made(number)
    return lambda: plan_text(made, color=False)


def as_json(number: int) -> Call:
    """Renders a plan of new specs as JSON."""
    made = _made(number)
    return lambda: "".join(dumped(plan_form(made)))


def as_markdown(number: int) -> Call:
    """Renders a plan of new specs as Markdown, which has room for only a part of it."""
    made = _made(number)
    return lambda: plan_markdown(made)


def stale(number: int) -> Call:
    """Renders a plan from a checkout that is too old to change any of its specs."""
    wanted = desired(*(spec("B", name) for name in names(number)), checkout=Checkout(commit="old"))
    events = chain.from_iterable(ran("A", 1, name=name, commit="new") for name in names(number))
    made = plan(wanted, recorded(*events), NOW)
    assert made.changes
    assert all(change.stale for change in made.changes)
    return lambda: blocks_of(made)


SCENARIOS: dict[str, Callable[[int], Call]] = {
    scenario.__name__: scenario
    for scenario in (
        new_specs, in_sync, live, unresolved, searched_in_vain, adopted, renamed, removed, dependencies, fan_out,
        awaited, failures, as_text, as_json, as_markdown, stale,
    )
}  # fmt: skip


def operations(call: Call) -> int:
    """Returns the number of Python and built-in functions that a call calls. It is the same each time."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        call()
    finally:
        sys.setprofile(before)
    return count

"""Reads the order of states in a state machine of Step Functions (Amazon States Language).

A state is ordered after another one only if the machine has no other way to reach it. An order after a Choice, a Map or
a Catch depends on data, so it is reported and not imported.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from reconciler.model.base import JSON, entries, part
from reconciler.values import dataclass

WAITS_FOR_END = (".sync", ".sync:2")
"""The suffixes of resources whose state waits until its job has ended successfully. Other states only start the job."""

ORDERLY = ("Pass", "Succeed", "Fail", "Parallel")
"""States without a job that need no note: they do nothing, or are imported themselves."""

UNORDERED = "its order is not imported, because {}: write spec.dependsOn"


@dataclass(frozen=True, slots=True)
class Order:
    """The order of one state that starts a job. `after` are the paths of the states whose jobs have succeeded before;
    `notes` are sentences about parts that are not imported, with paths in the machine."""

    after: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Jobs = tuple[str, ...] | str
"""The paths of the job states that come directly before, or the reason why they are not known."""


def is_machine(value: JSON) -> bool:
    """Returns whether an object is a state machine, or a branch of one."""
    states = value.get("States")
    return isinstance(states, dict) and all(isinstance(each, dict) for each in states.values())


def orders(machine: JSON, path: str, starts_job: Callable[[JSON], bool]) -> dict[str, Order]:
    """Returns the order of each state that starts a job, by its path below `path`."""
    reader = _Reader(starts_job)
    reader.level(machine, path, ())
    if reader.orders and reader.notes:
        # Notes about states without a job have no request of their own to be shown with.
        first = next(iter(reader.orders))
        order = reader.orders[first]
        reader.orders[first] = Order(order.after, (*order.notes, *reader.notes))
    return reader.orders


@dataclass
class _Reader:
    """Reads a machine and its branches. `notes` are about states without a job."""

    starts_job: Callable[[JSON], bool]
    orders: dict[str, Order] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def level(self, machine: JSON, path: str, before: Jobs) -> Jobs:
        """Reads the states of one level, and returns the jobs with which it ends."""
        states: Mapping[str, JSON] = part(machine, "States")
        ways = _ways(machine)
        done: dict[str, Jobs] = {}
        for name in states:
            for each in _to_read(name, ways, done):
                done[each] = self._state(
                    states[each], f"{_below(path)}States.{each}", _before(each, ways, done, before)
                )
        last = [name for name, state in states.items() if _is_last(state)]
        if len(last) != 1:
            return f"{path or 'the machine'} has several end states"
        return done[last[0]]

    def _state(self, state: JSON, path: str, before: Jobs) -> Jobs:
        """Reads one state, and returns the jobs after which the next state starts."""
        kind = state.get("Type")
        handled = [f"{path}.{each} is not imported" for each in ("Retry", "Catch") if state.get(each)]
        if self.starts_job(state):
            after = () if isinstance(before, str) else before
            notes = [UNORDERED.format(before)] if isinstance(before, str) else []
            waits = str(state.get("Resource")).endswith(WAITS_FOR_END)
            if not waits and "Next" in state:
                notes.append(f"{path} does not wait for the end of its job (no .sync), so no state depends on it")
            self.orders[path] = Order(after, (*notes, *_remedies(handled)))
            return (path,) if waits else before
        self.notes += handled
        if kind == "Parallel":
            return self._parallel(state, path, before)
        if kind == "Map":
            self.notes.append(f"{path} (Map) is not imported: its states run once for each item")
            reason = f"it belongs to or follows the Map {path}"
            for processor in ("ItemProcessor", "Iterator"):
                self.level(part(state, processor), f"{path}.{processor}", reason)
            return reason
        if kind not in ORDERLY:
            self.notes.append(f"{path} ({kind or 'no Type'}) is not imported{': it starts no job' * (kind == 'Task')}")
        return before

    def _parallel(self, state: JSON, path: str, before: Jobs) -> Jobs:
        ends: dict[str, None] = {}
        for loc, branch in entries(state, "Branches"):
            last = self.level(branch, f"{path}.Branches[{loc[-1]}]", before)
            if isinstance(last, str):
                return last
            # A branch without a job ends with the jobs that it started with.
            if last != before:
                ends.update(dict.fromkeys(last))
        return tuple(ends) or before


def _ways(machine: JSON) -> dict[str, list[tuple[str, str]]]:
    """Returns how each state is reached: the field, and the state that contains it (empty for the start)."""
    states = part(machine, "States")
    ways: dict[str, list[tuple[str, str]]] = {name: [] for name in states}
    for source, kind, name in ((str(machine.get("StartAt")), "StartAt", ""), *_transitions(states)):
        if source in ways and (kind, name) not in ways[source]:
            ways[source].append((kind, name))
    return ways


def _transitions(states: JSON) -> Iterator[tuple[str, str, str]]:
    """Yields each transition: the next state, the field, and the state that contains it."""
    for name, state in states.items():
        is_choice = state.get("Type") == "Choice"
        yield str(state.get("Next")), "Next", name
        for key in ("Choices", "Catch"):
            yield from ((str(each.get("Next")), key, name) for _, each in entries(state, key))
        if is_choice:
            yield str(state.get("Default")), "Choices", name


def _to_read(name: str, ways: Mapping[str, list[tuple[str, str]]], done: Mapping[str, Any]) -> list[str]:
    """Returns a state and the states before it that are not read yet, from the first to this one."""
    chain: list[str] = []
    while name and name not in done and name not in chain:
        chain.append(name)
        name = ways[name][0][1] if len(ways[name]) == 1 else ""
    return chain[::-1]


def _before(name: str, ways: Mapping[str, list[tuple[str, str]]], done: Mapping[str, Jobs], outside: Jobs) -> Jobs:
    """Returns the jobs before a state."""
    mine = ways[name]
    if len(mine) > 1:
        return f"several ways lead to it ({', '.join(f'{kind} of {state}' if state else kind for kind, state in mine)})"
    if not mine:
        return "no state leads to it"
    kind, state = mine[0]
    if kind == "StartAt":
        return outside
    if kind != "Next":
        return f"only {'a Choice' if kind == 'Choices' else 'a Catch'} in {state} leads to it"
    return done.get(state, "its states form a circle")


def _is_last(state: JSON) -> bool:
    return bool(state.get("End")) or state.get("Type") == "Succeed"


def _remedies(handled: list[str]) -> Iterator[str]:
    """Yields the sentences about a state's own error handling, with the fields of a spec that replace it."""
    for each in handled:
        yield f"{each}: write spec.backoffLimit" if each.endswith("Retry is not imported") else each


def _below(path: str) -> str:
    return f"{path}." if path else ""

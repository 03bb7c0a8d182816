"""Tests the order of states in Step Functions state machines."""

from __future__ import annotations

from typing import Any

from reconciler.model.import_payloads import find
from tests.campaigns import in_one_test

JOB = "arn:aws:states:::batch:submitJob"


def job(resource: str = f"{JOB}.sync", **fields: Any) -> dict[str, Any]:
    """Returns a state that starts a job, and that ends its level unless it has a `Next`."""
    given = {"JobName": "x", "JobQueue": "q", "JobDefinition": "d"}
    return {
        "Type": "Task",
        "Resource": resource,
        "Parameters": given,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def level(start: str, **states: Any) -> dict[str, Any]:
    """Returns a state machine, or a branch of one."""
    return {"StartAt": start, "States": states}


def order(machine: Any) -> dict[str, list[str]]:
    """Returns the names of the states before each state that starts a job."""
    payloads = list(find(machine))
    names = {each.path: each.name for each in payloads}
    return {each.name: [names[path] for path in each.after] for each in payloads}


def notes(machine: Any) -> list[str]:
    """Returns the notes about a machine."""
    return [note for each in find(machine) for note in each.notes]


WAIT = {"Type": "Wait", "Seconds": 5, "Next": "B"}
LAMBDA = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "B"}
CHOICE = {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "B"}], "Default": "C"}
PARALLEL = {
    "Type": "Parallel",
    "Branches": [
        level("L", L=job(Next="L2"), L2=job()),
        level("R", R=job()),
        level("P", P={"Type": "Pass", "End": True}),
    ],
    "Next": "Z",
}

ORDERS: dict[str, tuple[Any, dict[str, list[str]]]] = {
    "a chain": (level("A", A=job(Next="B"), B=job(Next="C"), C=job()), {"A": [], "B": ["A"], "C": ["B"]}),
    "a chain in another order of the file": (level("A", B=job(), A=job(Next="B")), {"B": ["A"], "A": []}),
    "branches": (
        level("A", A=job(Next="Fan"), Fan=PARALLEL, Z=job()),
        {"A": [], "L": ["A"], "L2": ["L"], "R": ["A"], "Z": ["L2", "R"]},
    ),
    "branches at the start": (level("Fan", Fan=PARALLEL, Z=job()), {"L": [], "L2": ["L"], "R": [], "Z": ["L2", "R"]}),
    "states without a job": (
        level("A", A=job(Next="W"), W={**WAIT, "Next": "F"}, F=LAMBDA, B=job()),
        {"A": [], "B": ["A"]},
    ),
    "a choice": (
        level("A", A=job(Next="If"), If=CHOICE, B=job(Next="D"), C=job(Next="E"), D=job(), E=job(Next="D")),
        {"A": [], "B": [], "C": [], "D": [], "E": ["C"]},
    ),
    "a map": (
        level("A", A=job(Next="M"), M={"Type": "Map", "ItemProcessor": level("I", I=job()), "Next": "Z"}, Z=job()),
        {"A": [], "I": [], "Z": []},
    ),
    "a catch": (
        level("A", A=job(Next="B", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Fix"}]), B=job(), Fix=job()),
        {"A": [], "B": ["A"], "Fix": []},
    ),
    "a state that does not wait": (
        level("A", A=job(Next="B"), B=job(JOB, Next="C"), C=job()),
        {"A": [], "B": ["A"], "C": ["A"]},
    ),
    "a branch with two ends": (
        level(
            "Fan",
            Fan={"Type": "Parallel", "Branches": [level("If", If=CHOICE, B=job(), C=job())], "Next": "Z"},
            Z=job(),
        ),
        {"B": [], "C": [], "Z": []},
    ),
    "a circle": (level("A", A=job(Next="B"), B=job(Next="A")), {"A": [], "B": ["A"]}),
    "a circle without a start": (level("A", A=job(), B=job(Next="C"), C=job(Next="B")), {"A": [], "B": ["C"], "C": []}),
    "states that do not exist": (level("Nowhere", A=job(Next="Missing")), {"A": []}),
    "two machines with the same names": (
        [level("A", A=job(Next="B"), B=job()), level("B", A=job(), B=job(Next="A"))],
        {"A": ["B"], "B": []},  # of the second machine; the first one is the chain above
    ),
}


@in_one_test("case", ORDERS)
def test_a_state_depends_only_on_what_the_machine_certainly_runs_before(case: str) -> None:
    """Chains and branches become dependencies; an order that depends on data does not."""
    machine, expected = ORDERS[case]
    assert expected == order(machine)


def test_what_is_not_imported_has_its_place_in_the_machine() -> None:
    """Each state and field without an equivalent is listed with its path, and each undetermined order with its
    reason."""
    retries: dict[str, Any] = {"Retry": [{"ErrorEquals": ["States.ALL"]}], "Catch": [{"Next": "C"}]}
    inner = level("I", I=job())
    machine = level(
        "A",
        A=job(Next="W", **retries),
        W={**WAIT, "Next": "If"},
        If=CHOICE,
        B=job(JOB, Next="M"),
        M={"Type": "Map", "Iterator": inner, "Next": "F", **retries},
        F={**LAMBDA, "Next": "S"},
        S={"Type": "Succeed"},
        C=job(),
    )
    assert [
        "States.A.Retry is not imported: write spec.backoffLimit",
        "States.A.Catch is not imported",
        "States.W (Wait) is not imported",
        "States.If (Choice) is not imported",
        "States.M.Retry is not imported",
        "States.M.Catch is not imported",
        "States.M (Map) is not imported: its states run once for each item",
        "States.F (Task) is not imported: it starts no job",
        "its order is not imported, because only a Choice in If leads to it: write spec.dependsOn",
        "States.B does not wait for the end of its job (no .sync), so no state depends on it",
        "its order is not imported, because it belongs to or follows the Map States.M: write spec.dependsOn",
        "its order is not imported, because several ways lead to it (Catch of A, Choices of If, Catch of M): "
        "write spec.dependsOn",
    ] == notes(machine)


def test_places_start_at_the_document() -> None:
    """The paths of states contain the enclosing objects and branches."""
    machine = level("Fan", Fan={"Type": "Parallel", "Branches": [level("W", W=WAIT, B=job())], "End": True})
    (payload,) = find({"definition": machine})
    assert "definition.States.Fan.Branches[0].States.B" == payload.path
    assert ("definition.States.Fan.Branches[0].States.W (Wait) is not imported",) == payload.notes

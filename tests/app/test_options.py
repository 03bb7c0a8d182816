"""Tests the target, the selection and the limits of a command as pure functions."""

from __future__ import annotations

import pytest

from reconciler.app.options import CommandOptions, selected_names, target_name
from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import Content, Source
from reconciler.errors import UsageError
from reconciler.model.project import Limits
from reconciler.model.spec import Policy
from tests.campaigns import in_one_test


def _spec(name: str, **labels: str) -> DesiredSpec:
    return DesiredSpec(
        name=name,
        kind="BatchJob",
        content=Content("sha256:0", request={}, source=Source(f"{name}.yaml", 1)),
        policy=Policy(),
        labels=labels,
    )


SPECS = {
    "orders": _spec("orders", team="growth", tier="gold"),
    "clicks": _spec("clicks", team="growth"),
    "bills": _spec("bills", team="finance"),
}


def _selected(choice: CommandOptions, recorded: tuple[str, ...] = ()) -> frozenset[str] | None:
    return selected_names(choice, SPECS, recorded, {"prod": ["rates"]})


@in_one_test(
    ("choice", "names"),
    [
        (CommandOptions(), None),
        (CommandOptions(only=("orders",)), {"orders"}),
        (CommandOptions(only=("orders", "bills")), {"orders", "bills"}),
        (CommandOptions(only=("gone",)), {"gone"}),
        (CommandOptions(labels=("team=growth",)), {"orders", "clicks"}),
        (CommandOptions(labels=("team=growth,tier=gold",)), {"orders"}),
        (CommandOptions(labels=("team=growth", "tier=gold")), {"orders"}),
        (CommandOptions(only=("orders", "bills"), labels=("team=growth",)), {"orders"}),
    ],
)
def test_selection(choice: CommandOptions, names: set[str] | None):
    """Several `--only` options select several specs, and labels narrow the selection. A spec must match both the name
    and the label. Without names and labels, everything is selected."""
    assert names == _selected(choice, recorded=("gone",))


@in_one_test(
    ("choice", "says"),
    [
        (CommandOptions(only=("order",)), "Did you mean orders"),
        (CommandOptions(only=("orders,bills",)), "--only takes one name: write --only orders --only bills"),
        (CommandOptions(only=("rates",)), "It exists in: prod"),
        (CommandOptions(labels=("team=sales",)), "Labels in use: team=finance, team=growth, tier=gold"),
        (CommandOptions(only=("bills",), labels=("team=growth",)), "no spec of this target has the label"),
        (CommandOptions(labels=("team",)), "LABEL=VALUE"),
        (CommandOptions(labels=("=x",)), "LABEL=VALUE"),
    ],
)
def test_a_selection_of_nothing_is_wrong_usage(choice: CommandOptions, says: str):
    """A selection without a match is an error, so that a typo does not look like "nothing to do"."""
    with pytest.raises(UsageError, match=says):
        _selected(choice)


def test_a_label_that_no_spec_has():
    """The message says that no spec has labels."""
    with pytest.raises(UsageError, match="No spec has a label"):
        selected_names(CommandOptions(labels=("a=b",)), {"orders": _spec("orders")}, (), {})


@pytest.mark.parametrize(
    ("given", "environ", "default", "expected"),
    [
        ("prod", {"RECONCILER_TARGET": "staging"}, "local", "prod"),
        (None, {"RECONCILER_TARGET": "staging"}, "local", "staging"),
        (None, {"RECONCILER_TARGET": ""}, "local", "local"),
        (None, {}, "local", "local"),
    ],
)
def test_target(given: str | None, environ: dict[str, str], default: str | None, expected: str):
    """`--target` takes precedence over RECONCILER_TARGET, which takes precedence over the project's default."""
    assert expected == target_name(CommandOptions(target=given), environ, default, ["prod", "staging", "local"])


def test_a_missing_and_an_unknown_target():
    """The error message lists the targets."""
    with pytest.raises(UsageError, match="Targets of this project: prod, staging"):
        target_name(CommandOptions(), {}, None, ["staging", "prod"])
    with pytest.raises(UsageError, match="Did you mean staging"):
        target_name(CommandOptions(target="stagging"), {}, None, ["staging", "prod"])


def test_limits():
    """A limit on the command line replaces that limit of the target and leaves the other one unchanged. Zero is a valid
    limit."""
    target = Limits(maxSubmissions=5, maxCancellations=6)

    assert target == CommandOptions().limits(target)
    assert Limits(maxSubmissions=0, maxCancellations=6) == CommandOptions(max_submissions=0).limits(target)
    assert Limits(maxSubmissions=5, maxCancellations=1) == CommandOptions(max_cancellations=1).limits(target)

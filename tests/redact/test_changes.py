"""Tests how field changes are masked."""

from __future__ import annotations

from reconciler.core.plan import Change
from reconciler.redact.request import masked_change, path_keys
from tests.campaigns import in_one_test

BOTH = ("(sensitive, changed)", "(sensitive, changed)")


@in_one_test(
    ("path", "keys"),
    [
        ("name", ("name",)),
        ("jobDriver.sparkSubmit.entryPointArguments[1]", ("jobDriver", "sparkSubmit", "entryPointArguments", 1)),
        ('a.conf["spark.x"]', ("a", "conf", "spark.x")),
        ('environment["A \\"b\\"].c"].value', ("environment", 'A "b"].c', "value")),
        ("not a path", ("not a path",)),
        ('x["\\q"]', ("x", '"\\q"')),
        ("", ()),
    ],
)
def test_paths_are_read_back(path, keys):
    """The path of a change is parsed into its keys; any other text is a single key."""
    assert path_keys(path) == keys


@in_one_test(
    ("change", "expected"),
    [
        (Change("a.memory", "change", "4g", "8g"), ("4g", "8g")),
        (Change("a.password", "change", "x", "y"), BOTH),
        (Change("a.password", "change", "Ref::p", "y"), BOTH),
        (Change("args[3]", "change", "x", "y", sensitive=True), BOTH),
        (Change("args[3]", "add", None, "y", sensitive=True), (None, "(sensitive)")),
        (Change("args[3]", "remove", "x", None, sensitive=True), ("(sensitive)", None)),
        (Change("a.password", "add", None, "x"), (None, "(sensitive)")),
        (Change("a.password", "remove", "x", None), ("(sensitive)", None)),
        (Change("a.x", "add", None, None), (None, None)),
        (Change("u", "change", "x://u:a@h", "x://u:b@h"), BOTH),
        (Change("u", "change", "x://u:a@h", "x://u:a@i"), ("x://u:(sensitive)@h", "x://u:(sensitive)@i")),
        (Change("n", "change", "2", 2), ("2", 2)),
        (
            Change("environment", "reorder", ["A", "B"], ["B", "A"]),
            (["A", "B"], ["B", "A"]),
        ),
    ],
)
def test_changes_are_masked(change, expected):
    """A secret is masked in the old and in the new value. If only a part of a value is secret, the rest is shown to
    reviewers."""
    assert masked_change(change) == expected

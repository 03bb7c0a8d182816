"""Tests the paths of fields in a request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.redact.request import path_keys
from reconciler.render.diff import EntryName, entry_names, fields, path_text


def test_paths_use_the_field_names_of_aws():
    """Plain names are joined by dots; indexes, names of entries and other keys are in brackets."""
    assert (
        path_text(("jobDriver", "sparkSubmit", "entryPointArguments", 1))
        == "jobDriver.sparkSubmit.entryPointArguments[1]"
    )
    assert path_text(("conf", "spark.executor.memory")) == 'conf["spark.executor.memory"]'
    assert path_text(("environment", EntryName("STAGE"), "value")) == 'environment["STAGE"].value'
    assert path_text(('say "hi"\n',)) == '["say \\"hi\\"\\n"]'


@given(st.lists(st.one_of(st.text(), st.integers(0, 10_000)), min_size=1))
def test_paths_can_be_read_back(keys):
    """For masking, a path is parsed into the same keys that the comparison wrote, whatever the keys are."""
    assert path_keys(path_text(keys)) == tuple(keys)


def test_entries_are_named_if_every_name_is_unique():
    """Names are used only if every entry has a name and all names are different."""
    assert entry_names([{"name": "A"}, {"name": "B"}]) == ["A", "B"]
    assert entry_names([{"name": "A"}, {"name": "A"}]) is None
    assert entry_names([{"name": "A"}, {"value": "B"}]) is None
    assert entry_names([{"name": "A"}, "B"]) is None


def test_every_field_of_a_request_is_listed():
    """A list of plain values counts as one field. The path of a named entry contains its name; the path of any other
    entry contains its index."""
    request = {
        "a": {"b": 1, "empty": {}, "none": []},
        "command": ["x", "y"],
        "environment": [{"name": "A", "value": "1"}],
        "rules": [{"action": "EXIT"}, {"action": "RETRY"}],
    }
    assert [(path_text(path), value) for path, value in fields(request)] == [
        ("a.b", 1),
        ("a.empty", {}),
        ("a.none", []),
        ("command", ["x", "y"]),
        ('environment["A"].value', "1"),
        ("rules[0].action", "EXIT"),
        ("rules[1].action", "RETRY"),
    ]

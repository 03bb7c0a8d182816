"""Tests how plans are written as JSON and read back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.plan import ActionOutcome, ActionResult, ActionType, Change, Reason
from reconciler.errors import PlanFileError
from reconciler.model.base import JSON
from reconciler.render.json_text import Each, dumped, dumps
from reconciler.render.plan_json import plan_form, plan_from_json, status_json
from reconciler.render.status import rows
from tests.builders import plan_json, recorded, result_json
from tests.campaigns import in_one_test
from tests.render.golden_files import check
from tests.render.samples import action, changed, every_kind_of_action, held_and_waiting, intended, plan

DOCUMENTED = [
    "name", "kind", "action", "reason", "generation", "slot", "attempt", "digest", "client_token", "ledger_head",
    "run_id", "replaces", "source", "changes", "request", "message",
]  # fmt: skip


def test_every_kind_of_action_in_json():
    """The JSON of a plan with actions of every type equals the golden file."""
    check("plan.json", "".join(dumped(plan_form(every_kind_of_action()))))


def test_the_documented_keys_come_first_and_in_order():
    """The documented keys come first, in the documented order. Later additions follow."""
    form = plan_json(plan(changed()))
    assert list(form)[:8] == [
        "format_version", "tool_version", "project", "target", "account", "region", "created_at", "ledger_position",
    ]  # fmt: skip
    assert list(form)[-2:] == ["actions", "summary"]
    assert list(form["actions"][0])[: len(DOCUMENTED)] == DOCUMENTED
    assert list(form["actions"][0]["changes"][0]) == ["path", "op", "before", "after"]
    assert list(form["summary"]) == [str(kind) for kind in ActionType]


def test_the_json_is_complete():
    """Requests and changes are not masked."""
    form = dumps(plan_json(every_kind_of_action()))
    assert all(secret in form for secret in ("hunter2", "hunter3", "verysecret", "othersecret"))


def test_a_plan_survives_its_file():
    """A plan that was written and read equals the original."""
    made = every_kind_of_action()
    assert plan_from_json(json.loads(dumps(plan_json(made)))) == made


def test_additions_of_a_newer_minor_version_are_ignored():
    """Plan files of a newer minor version can be read."""
    form = plan_json(every_kind_of_action())
    form["format_version"] = "1.7"
    form["new"] = form["actions"][0]["new"] = form["actions"][-3]["source"]["new"] = 1
    assert plan_from_json(form) == every_kind_of_action()


def _changed(path: list[Any], value: Any) -> JSON:
    """Returns a plan's JSON with one value replaced, or removed if `value` is `...`."""
    form = copy.deepcopy(plan_json(plan(changed())))
    *outer, last = path
    target: Any = form
    for key in outer:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return form


@in_one_test(
    ("path", "value", "words"),
    [
        (["format_version"], "2.0", "format_version 2.0, this version reads 1.x"),
        (["format_version"], 1.0, "the plan file: format_version must be a string"),
        (["format_version"], ..., "the plan file lacks format_version"),
        (["actions"], ..., "the plan file lacks actions"),
        (["actions"], {}, "actions must be a list"),
        (["actions", 0], 1, "the plan file, actions[0] must be an object"),
        (["actions", 0, "client_token"], ..., "the plan file, actions[0] lacks client_token"),
        (["actions", 0, "name"], None, "actions[0]: name must be a string"),
        (["actions", 0, "action"], "explode", "actions[0]: action must be 'submit', 'replace', 'adopt'"),
        (["actions", 0, "reason"], "why-not", "actions[0]: reason must be 'new', 'spec-changed'"),
        (["actions", 0, "attempt"], True, "attempt must be a whole number"),
        (["actions", 0, "attempt"], "1", "attempt must be a whole number"),
        (["actions", 0, "streaming"], 0, "streaming must be true or false"),
        (["actions", 0, "request"], [], "request must be an object"),
        (["actions", 0, "source"], "x:1", "source must be an object"),
        (["actions", 0, "source", "line"], ..., "actions[0], source lacks line"),
        (["actions", 0, "changes", 0, "op"], "swap", "changes[0]: op must be 'add', 'remove', 'change' or 'reorder'"),
        (["actions", 0, "changes", 0, "after"], ..., "actions[0], changes[0] lacks after"),
        (["actions", 0, "locate"], {"applicationId": 1}, "actions[0], locate: applicationId must be a string"),
        (["warnings"], [1], "the plan file, warnings[0] must be a string"),
        (["actions", 0, "locate"], [], "actions[0]: locate must be an object"),
        (["actions", 0, "slot"], "2026-11-22T02:00:00Z", "actions[0]: a submission has a generation or a slot"),
        (["account"], ..., "the plan file lacks account"),
        (["account"], 1, "the plan file: account must be a string"),
        (["schedules"], [{"name": "a"}], "the plan file, schedules[0] lacks kind"),
        (["ledger_position"], None, "ledger_position must be a whole number"),
        (["summary"], {"submit": 9}, "summary does not match its actions"),
    ],
)
def test_an_invalid_plan_file_is_refused_with_the_place(path, value, words):
    """A plan file with a missing or wrong value is refused, and the error contains its path."""
    with pytest.raises(PlanFileError) as raised:
        plan_from_json(_changed(path, value))
    assert words in str(raised.value)


@in_one_test(
    ("key", "value", "words"),
    [
        ("changes", {}, "the plan file: changes must be a list"),
        ("changes", [1], "the plan file, changes[0] must be an object"),
        ("changes", [{}], "the plan file, changes[0] lacks name"),
        ("project_declaration", [], "the plan file, project_declaration lacks after"),
        ("declarations", [{"name": "a", "kind": "BatchJob"}], "the plan file, declarations[0] lacks after"),
        (
            "declarations",
            [{"name": "a", "kind": "BatchJob", "after": "1", "undeclared": True}],
            "the plan file, declarations[0]: after must be a whole number",
        ),
        (
            "declarations",
            [{"name": "a", "kind": "BatchJob", "after": 1}],
            "the plan file, declarations[0] lacks digest",
        ),
    ],
)
def test_an_invalid_change_or_declaration_is_refused_with_the_place(key, value, words):
    """The changes and the declarations of a plan file are checked like its actions."""
    with pytest.raises(PlanFileError) as raised:
        plan_from_json({**plan_json(plan(changed())), key: value})
    assert words in str(raised.value)


@pytest.mark.parametrize("data", [None, [], "plan", 1])
def test_other_json_is_no_plan(data):
    """A file with any other JSON is refused."""
    with pytest.raises(PlanFileError, match="not a JSON object"):
        plan_from_json(data)


def test_a_sensitive_change_stays_sensitive():
    """A change that is secret only because of a neighbouring value is still marked in a saved plan."""
    made = plan(changed(changes=(Change("args[1]", "change", "x", "y", sensitive=True),)))
    form = plan_json(made)
    assert form["actions"][0]["changes"][0]["sensitive"] is True
    assert plan_from_json(form) == made


def test_results_are_added_to_the_plan():
    """The JSON of an apply contains the plan, with an outcome, a run id and an error for each action."""
    adopted = action("found", action=ActionType.ADOPT, reason=Reason.FOUND, run_id="00found")
    made = plan(action("a"), action("b"), adopted)
    results = [
        ActionResult(ActionOutcome.SUBMITTED, "00new"),
        ActionResult(ActionOutcome.REJECTED, error="ValidationException: no"),
        ActionResult(ActionOutcome.ADOPTED),
    ]
    form = result_json(made, results)
    assert [(a["outcome"], a["run_id"], a["error"]) for a in form["actions"]] == [
        ("submitted", "00new", None),
        ("rejected", None, "ValidationException: no"),
        ("adopted", "00found", None),
    ]
    assert form["summary"] == made.summary()


def test_results_that_do_not_fit_their_plan_are_refused():
    """If the numbers of results and actions differ, this is a bug of the caller and raises an error."""
    with pytest.raises(ValueError, match="shorter"):
        result_json(plan(action()), [])


def test_the_status_in_json():
    """The JSON contains one object for each spec, with the documented fields."""
    made = plan(action(action=ActionType.NONE, reason=Reason.IN_SYNC))
    form = status_json(rows(made, recorded(intended())))
    assert list(form["specs"][0]) == [
        "name", "kind", "generation", "slot", "attempt", "state", "run_id", "client_token", "digest", "submitted_at",
        "finished_at", "in_sync", "reason", "next_slot", "aws_state", "detail", "console_url", "location",
        "definition", "runs", "stuck", "commit",
    ]  # fmt: skip


def test_unknowns_have_suggested_commands_in_json():
    """Plan and status contain the commands and times for an unknown outcome. For other specs, the key is missing."""
    made = plan(*held_and_waiting())
    suggested = {entry["name"]: entry["remedy"] for entry in plan_json(made)["actions"] if "remedy" in entry}
    in_status = {entry["name"] for entry in status_json(rows(made, recorded()))["specs"] if "remedy" in entry}

    assert set(suggested) == in_status == {"doubt", "failed", "settling", "twice"}
    assert suggested["doubt"]["since"] == "2026-11-21T02:00:03Z"
    assert suggested["doubt"]["settles_at"] == "2026-11-21T02:25:03Z"
    assert suggested["doubt"]["commands"][1] == 'reconciler resolve doubt --submit -t prod --reason "..."'


TEXTS = st.text(alphabet=st.characters(exclude_categories=[]))
PLAIN = st.text('az09 "\\é') | st.integers() | st.floats() | st.none() | st.booleans() | st.sampled_from(Reason)
KEYS = st.text('az "') | st.integers() | st.booleans() | st.none()


@given(st.dictionaries(KEYS, st.recursive(PLAIN, lambda v: st.lists(v) | st.tuples(v) | st.dictionaries(KEYS, v))))
def test_json_has_the_layout_of_the_standard_library(form):
    """The text of an object, as a whole or in parts, equals that of ``json.dumps`` with an indent of two."""
    expected = json.dumps(form, indent=2, ensure_ascii=False)
    assert dumps(form) == expected
    in_parts = {key: Each(copy.deepcopy, part) if isinstance(part, list) else part for key, part in form.items()}
    assert "".join(dumped(in_parts)) == "".join(dumped(form)) == expected


def test_no_more_than_one_change_of_a_plan_is_converted_before_it_is_written():
    """The JSON of a plan of many specs is never in memory as a whole."""
    converted: list[int] = []

    def convert(number: int) -> JSON:
        converted.append(number)
        return {"number": number}

    parts = dumped({"changes": Each(convert, range(3)), "rest": []})
    assert [len(converted) for _ in parts][:4] == [0, 1, 2, 3]


@given(
    st.recursive(TEXTS | st.integers() | st.none() | st.booleans(), lambda v: st.lists(v) | st.dictionaries(TEXTS, v))
)
def test_dumped_json_is_safe_and_the_same(value):
    """Any value, even with lone surrogates or control characters, is written as printable UTF-8 and is unchanged when
    it is read back."""
    text = dumps(value)
    text.encode()
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == value or json.dumps(json.loads(text)) == json.dumps(value)


def test_blank_letters_are_visible_in_json():
    """Invisible letters are escaped."""
    assert dumps("a\u3164\x7f") == '"a\\u3164\\u007f"'


def test_the_documentation_names_every_key():
    """docs/plan-format.md lists each key of a plan, an action and a change, each reason and each outcome."""
    text = (Path(__file__).parents[2] / "docs" / "plan-format.md").read_text()
    form = result_json(plan(changed()), [ActionResult(ActionOutcome.NONE)])
    change = {**form["actions"][0]["changes"][0], "sensitive": True}
    words = [*form, *form["actions"][0], *change, *ActionType, *Reason, *ActionOutcome]
    assert [word for word in words if f"`{word}`" not in text] == []

"""Tests fault plans in files, through the control endpoint, and in Python. Checks are strict, and one error contains
every problem."""

from __future__ import annotations

import dataclasses
import json
import re
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.emulator import Emulator, Plan, Rule
from reconciler.emulator.fault_plan import MAX_BYTES, read_plan
from reconciler.emulator.fault_rules import MADE_FROM_AWS, Answer, FaultProblems, Request
from tests.campaigns import in_one_test
from tests.emulator.conftest import ROLE, Clock, ask_control
from tests.waiting import PATIENCE_SECONDS

LOSSY = {"request": "processed", "answer": "closed", "operation": "SubmitJob", "nth": [1, 3]}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "request must be one of processed, lost, late, twice"),
    ({"request": "maybe"}, "request must be one of processed, lost, late, twice"),
    ({**LOSSY, "request": None}, "request must be one of"),
    ({**LOSSY, "answer": "gone"}, "answer must be one of given, closed, reset"),
    ({**LOSSY, "answer": None}, "answer must be one of"),
    ({**LOSSY, "service": "s3"}, "service must be one of emr-serverless, batch, sts"),
    ({**LOSSY, "operation": "SubmitJobs"}, "there is no operation SubmitJobs; did you mean SubmitJob?"),
    ({**LOSSY, "service": "sts"}, "there is no operation SubmitJob of sts; expected one of GetCallerIdentity"),
    ({**LOSSY, "operation": []}, "operation must be the name of an operation"),
    ({**LOSSY, "operation": [1]}, "operation must be the name of an operation"),
    ({**LOSSY, "name": ""}, "name must be a pattern"),
    ({**LOSSY, "nth": 0}, "nth must be a number from 1"),
    ({**LOSSY, "nth": True}, "nth must be a number from 1"),
    ({**LOSSY, "nth": None, "every": "2"}, "every must be a number from 1"),
    ({**LOSSY, "every": 2}, "nth and every cannot be combined"),
    ({**LOSSY, "nth": None, "probability": 1.5}, "probability must be a number from 0 to 1"),
    ({**LOSSY, "seed": 3}, "seed needs probability"),
    ({**LOSSY, "count": -1}, "count must be a number from 1"),
    ({**LOSSY, "request": "late"}, "request: late and late_seconds need each other"),
    ({**LOSSY, "late_seconds": 3}, "request: late and late_seconds need each other"),
    ({**LOSSY, "request": "late", "late_seconds": -3}, "late_seconds must be seconds"),
    ({**LOSSY, "delay_seconds": None}, "delay_seconds must be seconds"),
    ({**LOSSY, "delay_seconds": float("inf")}, "delay_seconds must be seconds"),
    ({**LOSSY, "code": "Throttling"}, "code needs answer: error"),
    ({**LOSSY, "status": 500}, "status and request_id need one of the answers error, html, empty"),
    ({**LOSSY, "answer": "html", "status": 99}, "status must be a number from 200 to 599"),
    ({**LOSSY, "answer": "html", "request_id": "no"}, "request_id must be true or false"),
    ({**LOSSY, "answer": "error"}, "answer: error needs code, or a status that has a usual one"),
    ({**LOSSY, "answer": "error", "status": 418}, "answer: error needs code"),
    ({**LOSSY, "answer": "error", "code": "Odd"}, "code Odd has no usual status; set status too"),
    ({**LOSSY, "answer": "error", "code": "Odd", "status": 200}, "status of an error must be from 300 to 599"),
    ({**LOSSY, "answer": "html", "status": 204}, "an answer with status 204 has no body; use answer: empty"),
    ({"request": "lost"}, "a lost request has no answer of AWS to be given"),
    ({"request": "lost", "answer": "truncated"}, "a lost request has no answer of AWS to be truncated"),
    ({"request": "processed"}, "the rule has no effect"),
]


@in_one_test(("rule", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_an_invalid_rule_is_refused(rule: dict[str, Any], problem: str) -> None:
    """A rule in Python and a rule in a plan cause the same message, which contains the allowed values."""
    with pytest.raises(FaultProblems) as caught:
        Plan.from_json({"rules": [LOSSY, rule]})
    assert [problem] == [each.removeprefix("rules[1]: ")[: len(problem)] for each in caught.value.problems]
    with pytest.raises(FaultProblems, match="fault rule: "):
        Rule(**{"request": None, **rule})


def test_one_error_has_every_problem_of_a_plan() -> None:
    """Each problem has a location and is on its own line."""
    plan = {
        "rule": [],
        "rules": [{"request": "lots", "nht": 1}, 5, {"request": "lost"}],
        "settings": {"token_second": 5, "account": "1", "listing_lag_seconds": -1, "token_mismatch": "second"},
    }

    with pytest.raises(FaultProblems) as caught:
        Plan.from_json(plan)

    assert str(caught.value).splitlines() == [
        "fault plan:",
        "  unknown field 'rule'; did you mean rules?",
        "  rules[0]: unknown field 'nht'; did you mean nth?",
        "  rules[0]: request must be one of processed, lost, late, twice",
        "  rules[1]: must be a mapping",
        "  rules[2]: a lost request has no answer of AWS to be given; set another answer, such as closed",
        "  settings: unknown field 'token_second'; did you mean token_seconds?",
        "  settings: unknown field 'account'; expected one of listing_lag_seconds, describe_lag_seconds, "
        "listing_retention_seconds, describe_retention_seconds, token_seconds, token_mismatch, signature_seconds, "
        "clock_offset_seconds",
        "  settings: listing_lag_seconds must be seconds, 0 or more",
        "  settings: token_mismatch must be one of conflict, first",
    ]


@in_one_test(
    "form",
    [None, [], "rules", {"rules": {}}, {"rules": "lost"}, {"rules": None}, {"settings": None}, {"settings": [1]}],
)
def test_a_form_that_is_not_a_plan_is_refused(form: object) -> None:
    """The message contains the required type."""
    with pytest.raises(FaultProblems, match="must be a"):
        Plan.from_json(form)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["SubmitJob", "late"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [field.name for field in dataclasses.fields(Rule)]
RULES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8) | JSON
FORMS = st.fixed_dictionaries({}, optional={"rules": st.lists(RULES, max_size=3) | JSON, "settings": JSON}) | JSON


@given(form=FORMS)
def test_any_form_is_a_plan_or_gives_problems(form: object) -> None:
    """No other exception is raised, and writing a plan as JSON and reading it again gives the same plan."""
    result = plan_or_problems(form)

    if isinstance(result, Plan):
        again = {"rules": [rule.to_json() for rule in result.rules], "settings": dict(result.settings)}
        assert result == plan_or_problems(json.loads(json.dumps(again)))
    else:
        assert result
        assert all(problem and "\n" not in problem for problem in result)


def plan_or_problems(form: object) -> Plan | tuple[str, ...]:
    """Returns the plan, or the problems if it is invalid."""
    try:
        return Plan.from_json(form)
    except FaultProblems as error:
        return error.problems


@in_one_test("answer", get_args(Answer))
@in_one_test("request_", get_args(Request))
def test_each_request_goes_with_each_answer(request_: str, answer: str) -> None:
    """A lost request gets no reply, so this rule is an exception."""
    late = {"late_seconds": 5} if request_ == "late" else {}
    status = {"status": 500} if answer == "error" else {}
    form = {"rules": [{"request": request_, "answer": answer, "delay_seconds": 1, **late, **status}]}

    if request_ == "lost" and answer in MADE_FROM_AWS:
        with pytest.raises(FaultProblems, match="no answer of AWS"):
            Plan.from_json(form)
    else:
        assert [(request_, answer)] == [(rule.request, rule.answer) for rule in Plan.from_json(form).rules]


YAML = """\
settings: {token_seconds: 60}
rules:
  # the second submission is accepted, and its reply is lost
  - operation: SubmitJob
    nth: 2
    request: processed
    answer: closed
"""
EXPECTED = Plan([Rule("processed", "closed", operation="SubmitJob", nth=2)], {"token_seconds": 60})


def test_a_plan_is_read_from_yaml_and_json(tmp_path: Path) -> None:
    """Both files contain the same plan."""
    (tmp_path / "plan.yaml").write_text(YAML)
    form = {"settings": {"token_seconds": 60}, "rules": [EXPECTED.rules[0].to_json()]}
    (tmp_path / "plan.json").write_text(json.dumps(form, indent="\t").replace("\t", "  "))

    assert EXPECTED == read_plan(tmp_path / "plan.yaml")
    assert EXPECTED == read_plan(tmp_path / "plan.json")


@in_one_test(
    ("text", "problem"),
    [
        (b"", "it must be a mapping"),
        (b"rules: [", "line 1, column 9: "),
        (b"rules: []\nrules: []\n", "line 2, column 1: rules occurs twice"),
        (b"rules: [&a {request: twice}, *a]", "line 1, column 30: aliases are not supported here"),
        (b"<<: {rules: []}", "line 1, column 1: a key must be a name"),
        (b"? [1]\n: 2", "line 1, column 3: a key must be a name"),
        (b"rules: !!python/object:os.system x", "line 1, column 8: could not determine a constructor"),
        (b"rules: []\n---\nrules: []\n", "line 2, column 1: but found another document"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"rules: \x00", "unacceptable character"),
        (b"[" * 50, "line 1, column 7: it is nested too deep for a plan"),
        (b"#" * (MAX_BYTES + 1), f"it is larger than {MAX_BYTES} bytes"),
        (b"rules: [{request: lost, answer: closed, nth: 1.5}]", "rules[0]: nth must be a number from 1"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(text: bytes, problem: str, tmp_path: Path) -> None:
    """The error contains the name of the file, and the line if it is known."""
    path = tmp_path / "plan.yaml"
    path.write_bytes(text)

    with pytest.raises(FaultProblems) as caught:
        read_plan(path)

    assert str(caught.value).startswith(f"fault plan {path}: ")
    assert problem in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A folder is also refused."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(FaultProblems, match="it cannot be read: "):
            read_plan(path)


def test_the_control_endpoint_sets_shows_and_ends_a_plan(emulator: Emulator) -> None:
    """A new plan replaces the old plan and resets its counts. Settings that are not in the new plan get their
    defaults."""
    _, before = ask_control(emulator, "GET", "faults")
    status, put = ask_control(emulator, "PUT", "faults", {"rules": [LOSSY], "settings": {"token_seconds": 60}})
    _, shown = ask_control(emulator, "GET", "faults")
    _, replaced = ask_control(emulator, "PUT", "faults", {"settings": {"listing_lag_seconds": 5}})
    _, ended = ask_control(emulator, "DELETE", "faults")

    assert (before["rules"], before["on_the_way"]) == ([], 0)
    assert (status, put["rules"]) == (200, [{**LOSSY, "matched": 0, "fired": 0}])
    assert put["settings"] == {**before["settings"], "token_seconds": 60}
    assert shown == put
    assert replaced["settings"] == {**before["settings"], "listing_lag_seconds": 5}
    assert ended == before


def test_an_invalid_plan_changes_nothing(emulator: Emulator) -> None:
    """The control endpoint replies with the problems, and the current plan is kept."""
    emulator.inject(EXPECTED)

    status, reply = ask_control(emulator, "PUT", "faults", {"rules": [{"request": "lost"}]})

    assert (status, reply["error"].startswith("fault plan: rules[0]: a lost request")) == (400, True)
    assert [rule["nth"] for rule in emulator.faults()["rules"]] == [2]


def test_the_control_endpoint_has_no_faults(emulator: Emulator) -> None:
    """A plan that fails every call can be removed again."""
    emulator.inject(Plan([Rule("lost", "closed")]))

    assert ask_control(emulator, "GET", "runs") == (200, {"runs": []})
    assert ask_control(emulator, "DELETE", "faults")[1]["rules"] == []


CONVERSATION: list[tuple[str, str, object]] = [
    ("POST", "/v1/submitjob", {"jobName": "a", "jobQueue": "q", "jobDefinition": "d"}),
    ("POST", "/v1/submitjob", {"jobName": "a"}),
    ("POST", "/v1/listjobs", {"jobQueue": "q", "jobStatus": "SUBMITTED"}),
    ("POST", "/v1/describejobs", {"jobs": ["nothing"]}),
    ("POST", "/applications/00abc/jobruns", {"clientToken": "t", "executionRoleArn": ROLE}),
    ("GET", "/applications/00abc/jobruns/00nothing", None),
    ("GET", "/no/such/path", None),
    ("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15"),
    ("GET", "/_emulator/settings", None),
]
_SOME_ID = re.compile(r"[0-9a-f]+(-[0-9a-f]+){4}|\b00[0-9a-z]{14}\b")
NEVER = Rule("lost", "closed", operation="CancelJob"), Rule("lost", "closed", operation="SubmitJob", nth=1000)


@pytest.mark.parametrize("plan", [Plan(), Plan(NEVER)], ids=["empty", "of calls that are not made"])
def test_rules_that_do_not_apply_change_nothing(plan: Plan, clock: Clock) -> None:
    """Every kind of call gets the same reply, with the same headers, with and without the plan."""
    with Emulator(None) as plain, Emulator(None, faults=plan) as planned:
        expected, answers = answered(plain), answered(planned)

    assert [answer[0] for answer in expected] == [200, 400, 200, 200, 200, 404, 404, 200, 200]
    assert expected == answers


def answered(emulator: Emulator) -> list[tuple[int, str, str]]:
    """Returns the replies to the conversation, with placeholders for ids."""
    connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    answers = []
    for method, path, body in CONVERSATION:
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body) if body else None)
        reply = connection.getresponse()
        headers, text = (_SOME_ID.sub("ID", part) for part in (str(reply.headers), reply.read().decode()))
        answers.append((reply.status, headers, text))
    connection.close()
    return answers


def test_an_emulator_can_start_with_a_plan(tmp_path: Path) -> None:
    """The plan's settings apply to every emulator that uses the file. Its rules apply only to this emulator."""
    with Emulator(tmp_path / "aws.sqlite", faults=EXPECTED) as emulator, Emulator(tmp_path / "aws.sqlite") as other:
        assert emulator.settings == other.settings
        assert emulator.settings.token_seconds == 60
        assert (len(emulator.faults()["rules"]), len(other.faults()["rules"])) == (1, 0)

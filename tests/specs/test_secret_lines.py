"""Tests that secrets are masked in the displayed lines of problems."""

import pytest

from reconciler.errors import SpecErrors
from reconciler.render.problems import problems_text
from reconciler.specs.secret_lines import hidden_message
from tests.campaigns import in_one_test
from tests.specs.builders import batch, load, write

ENVIRONMENT = "containerOverrides:\n  environment:\n    - "
JSON_SPEC = (
    '{"apiVersion": "reconciler/v1", "kind": "BatchJob", "metadata": {"name": "job"},\n'
    ' "spec": {"request": {"jobQueue": "q", "jobDefinition": "d", "password": "S3CR", "x": 1}}}'
)


def shown(tmp_path, text, name="a.yaml"):
    """Returns the output of `validate` about a file: its problems or, if there are none, its warnings."""
    root = write(tmp_path, {name: text})
    try:
        return problems_text(load(root).warnings)
    except SpecErrors as error:
        return problems_text(error.problems)


@in_one_test(
    ("request_", "line"),
    [
        (ENVIRONMENT + '{value: "S3CR", name: GITHUB_TOKEN}', "- {value: (sensitive), name: GITHUB_TOKEN}"),
        (ENVIRONMENT + '{value: "S3CR", nam: GITHUB_TOKEN}', "- {value: ******, nam: GITHUB_TOKEN}"),
        (ENVIRONMENT + "{name: API_TOKEN, valu: S3CR}", "- {name: API_TOKEN, valu: (sensitive)}"),
        (ENVIRONMENT + "{valu: S3CR, name: API_TOKEN}", "- {valu: (sensitive), name: API_TOKEN}"),
        (ENVIRONMENT + "name: API_TOKEN\n      valu: S3CR}]", "valu: (sensitive)"),
        (ENVIRONMENT + "{name: PIN_TOKEN, value: 9183}", "- {name: PIN_TOKEN, value: (sensitive)}"),
        ("password: S3CR", "password: (sensitive)"),
        ("password: {a: [S3CR], b: S3CR}", "password: (sensitive)"),
        ("secret: |\n  S3CR\n  S3CR", "secret: (sensitive)"),
        ('containerOverrides:\n  command:\n    - "Authorization: Bearer S3CR"', "- (sensitive)"),
        ("containerOverrides: {command: ['X-Api-Key:S3CR', b]}", "containerOverrides: {command: [(sensitive), b]}"),
        ("containerOverrides: {command: [--token, S3CR, 1.5]}", "command: [--token, ****, 1.5]}"),
    ],
)
def test_a_secret_is_not_in_the_line_of_a_problem(tmp_path, request_, line):
    """The secret is masked in every problem on its line, and the rest of the line is shown."""
    output = shown(tmp_path, batch(request=request_))
    assert "S3CR" not in output
    assert "9183" not in output
    assert line in output


def test_a_secret_in_json_is_hidden(tmp_path):
    """Secrets in a line of JSON are masked too, and the caret still points at the key."""
    output = shown(tmp_path, JSON_SPEC, "a.json")
    assert "S3CR" not in output
    assert '"password": (sensitive), "x"' in output
    unknown_x = output.split("field spec.request.x")[1].splitlines()
    assert unknown_x[1].index('"x"') == unknown_x[2].index("^")


def test_a_hidden_number_gets_advice_without_the_mask(tmp_path):
    """The advice for an unquoted secret does not suggest the mask as its value."""
    with pytest.raises(SpecErrors) as caught:
        load(write(tmp_path, {"a.yaml": batch(request=ENVIRONMENT + "{name: PIN_TOKEN, value: 9183}")}))
    (problem,) = caught.value.problems
    assert problem.message.endswith("write it in quotes")


def test_a_message_does_not_repeat_a_hidden_value():
    """A value that is masked in a line is also masked in the message, with and without quotes."""
    line = 'a: "S3CR", b: 1'
    assert hidden_message("not S3CR here", line, 100, [(103, 109)]) == "not (sensitive) here"


PROJECT = """apiVersion: reconciler/v1
kind: Project
metadata: {name: shop}
spec:
  targets:
    local:
      emulator: true
      notify: NOTIFY
"""


@in_one_test(
    "webhooks",
    [
        '[{urlEnv: "https://a.example.com/S3CR"}]',
        "[{url: a.example.com/S3CR?x=S3CR}]",
        '[{url: "https://me:S3CR@a.example.com/S3CR"}]',
        '[{url: "https://a.example.com/S3CR", evnts: [held]}]',
        "[{url: https://a.example.com/S3CR, urlEnv: HOOK}]",
        "[{uri: https://a.example.com/S3CR}]",
        "https://a.example.com/S3CR",
        "[https://a.example.com/S3CR]",
        "[{urlEnv: HOOK, headersEnv: {X: S3CR=}}]",
    ],
)
def test_no_address_of_a_webhook_is_shown(tmp_path, webhooks):
    """A problem in a webhook of the project file shows neither its address nor a header, in whatever form they were
    written."""
    root = write(tmp_path, {"reconciler.yaml": PROJECT.replace("NOTIFY", webhooks)})
    with pytest.raises(SpecErrors) as refused:
        load(root)
    text = problems_text(refused.value.problems)
    assert "S3CR" not in text
    assert "(sensitive)" in text


def test_the_line_of_a_spec_on_one_line_is_masked(tmp_path):
    """A problem between specs shows the line of the name, which may contain the whole request."""
    line = (
        "{apiVersion: reconciler/v1, kind: BatchJob, spec: {request: {jobQueue: q, jobDefinition: d, "
        "containerOverrides: {environment: [{value: S3CR, name: API_TOKEN}]}}}, metadata: {name: job}}\n"
    )
    output = shown(tmp_path, f"{line}---\n{line}")
    assert "is also the name of the spec" in output
    assert "S3CR" not in output

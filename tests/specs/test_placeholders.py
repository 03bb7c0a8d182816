"""Filling in placeholders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.template import PlaceholderProblem, render_slot
from reconciler.specs.requests import Scope, escape, keys, render, strings
from tests.campaigns import in_one_test

VALUES = {"var.bucket": "acme", "var.dollar": "$", "var.open": "${run.slot}", "target.name": "prod"}
ONE_OFF = Scope("prod", VALUES, slots=False, elsewhere={"var.bucket": "prod", "var.other": "local"})
SCHEDULED = Scope("prod", VALUES, slots=True)
SLOT = "2026-11-22T02:00:00Z"


def refused(text: str, scope: Scope = ONE_OFF) -> str:
    """Returns the position of the problem in a string that cannot be rendered, and the message."""
    with pytest.raises(PlaceholderProblem) as caught:
        render(text, scope)
    return f"{caught.value.offset}: {caught.value.message}"


@in_one_test(
    ("text", "expected"),
    [
        ("s3://${var.bucket}/${target.name}", "s3://acme/prod"),
        ("$${var.bucket}", "${var.bucket}"),
        ("$$${var.bucket}", "$${var.bucket}"),
        ("$ $$ {} $x", "$ $$ {} $x"),
        ("${var.dollar}${var.bucket}", "$acme"),
        ("${var.open}", "${run.slot}"),
        ("", ""),
    ],
)
def test_a_one_off_is_rendered_whole(text, expected):
    """Placeholders are replaced with their values, and escapes with ``${``. The values themselves are not searched for
    placeholders."""
    assert expected == render(text, ONE_OFF)


@in_one_test(
    ("text", "template", "slot_text"),
    [
        ("${run.slot}", "${run.slot}", SLOT),
        ("d=${run.slot:%Y-%m-%d}/${var.bucket}", "d=${run.slot:%Y-%m-%d}/acme", "d=2026-11-22/acme"),
        ("$${run.slot}", "$${run.slot}", "${run.slot}"),
        ("${var.open}", "$${run.slot}", "${run.slot}"),
        ("${var.dollar}{run.slot}", "$${run.slot}", "${run.slot}"),
        ("$$${run.slot}", "$$${run.slot}", "$${run.slot}"),
    ],
)
def test_a_scheduled_spec_keeps_a_template(text, template, slot_text):
    """In a scheduled spec, the slot and escapes remain, and rendering a slot completes the string."""
    assert template == render(text, SCHEDULED)
    assert {"a": [slot_text], "n": 1} == render_slot({"a": [template], "n": 1}, SLOT, "UTC")


@given(st.text(alphabet="${}a:run.slot", max_size=20))
def test_escaped_text_is_itself_again(text):
    """Any escaped text is rendered unchanged, directly and through a template."""
    # Doubling cannot express a single $ before a placeholder, because it would look like an escape.
    assert text == render(escape(text), ONE_OFF)
    assert {"a": text} == render_slot({"a": render(escape(text), SCHEDULED)}, SLOT, "UTC")


@in_one_test(
    ("slot_format", "expected"),
    [
        ("%Y/%m/%d %H%M%S", "2026/12/31 003000"),
        ("%y %j %G-W%V-%u %w", "26 365 2026-W53-4 4"),
        ("%s", "1798673400"),
        ("100%%", "100%"),
        ("plain", "plain"),
    ],
)
def test_formats_are_in_the_time_zone_of_the_spec(slot_format, expected):
    """A format renders the slot's time in the spec's zone, independent of the locale."""
    rendered = render_slot({"a": f"${{run.slot:{slot_format}}}"}, "2026-12-30T23:30:00Z", "Europe/Madrid")
    assert {"a": expected} == rendered


@in_one_test(
    ("text", "expected"),
    [
        ("ab${var.bucket", "2: missing } of a placeholder; a literal ${ is written $${"),
        ("${var.bukket}", "0: unknown placeholder ${var.bukket}; did you mean ${var.bucket}?"),
        ("${HOME}", "0: unknown placeholder ${HOME}; expected one of target.name, var.bucket, var.dollar"),
        ("${}", "0: unknown placeholder ${}; expected one of"),
        ("${ var.bucket }", "0: unknown placeholder ${ var.bucket }; did you mean ${var.bucket}?"),
        ("x ${var.other}", "2: var.other is defined in target local, but not in target prod"),
        ("${run.slot}", "0: ${run.slot} is allowed only in specs with a schedule"),
        ("${run.slot:%B}", "0: %B is not a numeric date directive; expected one of %Y %y"),
        ("${run.slot:%}", "0: % is not a numeric date directive"),
        ("${run.slot:}", "0: empty format: write ${run.slot}, or ${run.slot:%Y-%m-%d}"),
        ("${var.bucket:%Y}", "0: only ${run.slot} takes a format: ${var.bucket:%Y}"),
    ],
)
def test_what_cannot_be_rendered_says_where_and_why(text, expected):
    """Unknown and malformed placeholders are errors at their ``${``, with what is expected."""
    assert refused(text).startswith(expected)


FORMATS = {
    "YYYY-MM-DD": "no directive in the format YYYY-MM-DD; did you mean %Y-%m-%d?",
    "yyyyMMdd": "no directive in the format yyyyMMdd; did you mean %Y%m%d?",
    "yyyy-MM-dd'T'HH:mm:ss": "did you mean %Y-%m-%dT%H:%M:%S?",
    "YYYY/MM/DD HH:MM": "did you mean %Y/%m/%d %H:%M?",
    "dt=DD.MM.YY": "did you mean dt=%d.%m.%y?",
    "Y-m-d": "did you mean %Y-%m-%d?",
    "date": "did you mean %Y-%m-%d?",
    "unix": "did you mean %s?",
    "anything": "no directive in the format anything; did you mean %Y-%m-%d?",
    "100%%": "no directive in the format 100%%",
    "%Y-%m-DD": "DD is text, not a directive; did you mean %Y-%m-%d?",
    "%F": "%F is not a numeric date directive; did you mean %Y-%m-%d? Expected one of %Y",
    "%-d": "%- is not a numeric date directive; did you mean %d? Expected one of %Y",
}


@in_one_test(("slot_format", "expected"), FORMATS.items())
def test_a_format_of_another_notation_names_the_directives(slot_format, expected):
    """A format without directives, or with letters of another notation, is an error that suggests the intended
    format."""
    assert expected in refused(f"${{run.slot:{slot_format}}}", SCHEDULED)


@in_one_test("slot_format", ["%Y", "year=%Y/month=%m", "%Hh%Mm", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d", "W%V", "100%% %d"])
def test_a_format_with_directives_is_accepted(slot_format):
    """Other letters in a format are kept as text."""
    assert f"${{run.slot:{slot_format}}}" == render(f"${{run.slot:{slot_format}}}", SCHEDULED)


def test_a_recorded_template_without_directives_still_renders():
    """A template that an earlier version accepted and recorded is rendered as it was then."""
    assert {"a": "YYYY"} == render_slot({"a": "${run.slot:YYYY}"}, SLOT, "UTC")


def test_a_dollar_before_the_slot_is_refused():
    """A value that would turn the slot into an escape is an error."""
    assert "15: a $ directly before" in refused("x ${var.dollar}${run.slot}", SCHEDULED)


def test_only_strings_with_an_opening_are_looked_at():
    """Every string value with a ``${`` is listed with its path; keys and other scalars are not."""
    request = {"a": "${x}", "b": ["c", {"d": "$${y}", "${e}": 1}], "n": 1.5}
    assert [(("a",), "${x}"), (("b", 1, "d"), "$${y}")] == strings(request)
    assert [("b", 1, "${e}")] == keys(request)

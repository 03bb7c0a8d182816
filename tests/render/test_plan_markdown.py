"""Rendering of plans as Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.identity import Source
from reconciler.core.plan import ActionType, Change, Plan, Reason
from reconciler.render.plan_markdown import cell_code, code, fenced, plan_markdown, prose
from tests.render.golden_files import check
from tests.render.samples import action, changed, every_kind_of_action, plan


def many(number: int, fields: int = 1, size: int = 10) -> Plan:
    """A plan of many changed specs, each with some fields of some size."""
    changes = tuple(Change(f"field[{i}]", "change", "a" * size, "b" * size) for i in range(fields))
    return plan(*(changed(f"job-{i:04}", changes=changes) for i in range(number)))


def size(text: str) -> int:
    """The number of bytes of a text."""
    return len(text.encode())


def test_every_kind_of_action_on_a_pull_request():
    """The comment for a plan with every kind of action is pinned."""
    check("plan.md", plan_markdown(every_kind_of_action(), title="Plan for prod"))


def test_a_small_plan_on_a_pull_request():
    """A plan in sync has a marker, the summary and a footer."""
    same = [action(f"same-{number}", action=ActionType.NONE, reason=Reason.IN_SYNC) for number in range(57)]
    check("plan-in-sync.md", plan_markdown(plan(*same)))


def test_a_plan_that_is_too_large():
    """Rows and fields that do not fit are left out as a whole, and counted."""
    check("plan-cut.md", plan_markdown(many(40, fields=3), max_bytes=2_600))


def test_the_marker_is_first_and_the_same_for_every_plan():
    """The comment can be found again by its first line, whatever is in the plan."""
    first = "<!-- reconciler:plan analytics/prod -->"
    assert plan_markdown(plan()).splitlines()[0] == first
    assert plan_markdown(every_kind_of_action(), title="x").splitlines()[0] == first


def test_the_order_of_sections():
    """The summary comes first, then changes, actions, waiting specs and holds, and the footer last."""
    text = plan_markdown(every_kind_of_action())
    places = [
        text.index(part) for part in ("**Plan: ", "#### Actions", "#### Waiting", "#### Action required", "---\n3 ")
    ]
    assert places == sorted(places)


def test_long_diffs_are_folded_and_short_ones_are_not():
    """A diff of up to twelve lines is open, a longer one is folded."""
    assert "<details>" not in plan_markdown(many(1, fields=12))
    assert "<details><summary>13 fields</summary>" in plan_markdown(many(1, fields=13))


@pytest.mark.parametrize("max_bytes", [2_000, 2_001, 5_000, 60_000])
@pytest.mark.parametrize(
    ("number", "fields", "length"), [(0, 0, 0), (120, 1, 10), (3, 500, 100), (2, 1, 90_000), (900, 2, 4)]
)
def test_the_limit_holds_and_the_count_is_exact(number, fields, length, max_bytes):
    """The comment never exceeds the limit, and the note counts exactly what is missing."""
    text = plan_markdown(many(number, fields, length), max_bytes=max_bytes)
    assert size(text) <= max_bytes
    shown = len(re.findall(r"^`\+` `job-\d+`", text, re.MULTILINE))
    lines = len(re.findall(r"^~ field", text, re.MULTILINE))
    left, missing = number - shown, shown * fields - lines
    counts = [(left, f"{left} of {number} actions"), (missing, f"{missing} of their {shown * fields} field")]
    note = next((line for line in text.splitlines() if line.endswith("not shown here.**")), "")
    assert [bool(count) for count, _ in counts] == [words in note for _, words in counts]
    assert note.count("not shown here.") == sum(bool(count) for count, _ in counts)


def test_effective_actions_are_kept_before_waiting_ones():
    """With little room, submissions stay and waiting specs are left out."""
    waits = [
        action(f"wait-{i:03}", action=ActionType.WAIT, reason=Reason.CONCURRENCY, message="x" * 100) for i in range(60)
    ]
    text = plan_markdown(plan(*waits, changed("zz-last")), max_bytes=2_500)
    assert "`zz-last` will be submitted" in text
    assert "are not shown here.**" in text


def test_a_limit_that_is_too_small_is_refused():
    """A limit under the smallest comment is a mistake of the caller; the error has both numbers."""
    with pytest.raises(ValueError, match="1999; a plan needs at least 2000"):
        plan_markdown(plan(), max_bytes=1999)


def test_warnings_beyond_their_share_are_counted():
    """Many warnings do not displace the plan."""
    text = plan_markdown(plan(changed(), warnings=("w" * 300,) * 30), max_bytes=4_000)
    assert "`orders-daily` will be submitted" in text
    assert re.search(r"\d+ warnings are not shown here\.\*\*", text)


EVIL = [
    "@everyone", "#1", "org/repo#12", "https://evil.example/", "www.evil.example", "<script>x</script>", "<!-- x -->",
    "-->", "a | b", "`code`", "``` \n# big", "**bold**", "[x](y)", ":smile:", "x\ny", "\u202ex", "a\\|b", "a\\\\|`b",
    "GH-12", "- item", "1. item", "", " ", "##[error]x", "::error::x", "|", "`", "\x1b[2J",
]  # fmt: skip
MENTION = re.compile(r"@everyone|#1\b|https://evil|www\.evil|<script|GH-12|:smile:|\*\*bold|\]\(y\)")


def without_code(text: str) -> str:
    """Markdown without its code spans and blocks, in which a host sees markup, mentions and links."""
    text = re.sub(r"^(`{3,})diff\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)|<code>[^<]*</code>", "", text)


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("place", ["name", "message", "value", "path", "source", "warning", "title", "run", "held"])
def test_no_text_of_users_is_markup(place, evil):
    """No text of users or AWS becomes markup, a mention, a reference, a link, a table cell or a runner command."""
    held = action(evil or "x", action=ActionType.HOLD, reason=Reason.LOST, message=evil)
    given = {
        "name": lambda: plan_markdown(plan(action(evil))),
        "message": lambda: plan_markdown(plan(action(message=evil))),
        "value": lambda: plan_markdown(plan(changed(changes=(Change("a", "change", evil, [evil]),)))),
        "path": lambda: plan_markdown(plan(changed(changes=(Change(evil, "add", None, 1),)))),
        "source": lambda: plan_markdown(plan(action(source=Source(evil, 1)))),
        "warning": lambda: plan_markdown(plan(warnings=(evil,))),
        "title": lambda: plan_markdown(plan(), title=evil),
        "run": lambda: plan_markdown(plan(action(action=ActionType.CANCEL, reason=Reason.ASKED, run_id=evil))),
        "held": lambda: plan_markdown(plan(held)),
    }
    text = given[place]()
    assert not MENTION.search(without_code(text))
    assert text.replace("\n", "").isprintable()
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert all(len(re.findall(r"\|", row)) == 5 for row in rows)


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_code_spans_and_blocks_cannot_be_closed_early(text):
    """The fence is longer than any run of backticks inside."""
    for span in (code(text), prose(text)):
        if span.startswith("`"):
            fence = span[: len(span) - len(span.lstrip("`"))]
            assert span.endswith(fence)
            assert fence not in re.findall(r"`+", span[len(fence) : -len(fence)])
    assert "|" not in cell_code(text)
    block = fenced([code(text)])
    assert not block[1].startswith(block[-1])


def test_plain_phrases_stay_plain():
    """A phrase without a meaning to Markdown is unchanged; any other is code."""
    assert prose("will be submitted: new (generation 1)") == "will be submitted: new (generation 1)"
    assert prose("by @ops") == "`by @ops`"
    assert prose("a_b_c") == "`a_b_c`"
    assert code("a `b` c") == "``a `b` c``"
    assert code("`b`") == "`` `b` ``"
    assert cell_code("a|b") == "<code>a&#124;b</code>"

"""Tests how plans are rendered as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.core.identity import Source
from reconciler.core.plan import ActionType, Change, ChangeType, Origin, Plan, Reason
from reconciler.errors import Problem
from reconciler.render import plan_phrases as phrases
from reconciler.render.markdown import Repository, cell_code, code, fenced, prose
from reconciler.render.plan_markdown import PageOptions, failure_markdown, plan_markdown
from tests.campaigns import in_one_test, pairs
from tests.render.golden_files import check
from tests.render.samples import (
    PLACE,
    action,
    changed,
    emr_request,
    every_kind_of_action,
    plan,
    pull_request,
    spec_change,
)


def many(number: int, fields: int = 1, size: int = 10) -> Plan:
    """Returns a plan of many changed specs. Each has `fields` fields of `size` characters, with unique values."""
    actions = []
    for at in range(number):
        values = [f"{at}-{field}".rjust(size, "b") for field in range(fields)]
        changes = tuple(Change(f"field[{i}]", "change", "a" * size, value) for i, value in enumerate(values))
        actions.append(changed(f"job-{at:04}", changes=changes))
    return plan(*actions, changes=tuple(spec_change(each) for each in actions))


def size(text: str) -> int:
    """Returns the number of bytes in a text."""
    return len(text.encode())


def test_every_kind_of_action_on_a_pull_request():
    """The comment for a plan with actions of every type equals the golden file."""
    check("plan.md", plan_markdown(every_kind_of_action()))


def test_a_small_plan_on_a_pull_request():
    """The comment for a plan in sync has a marker, the summary and a footer."""
    same = [action(f"same-{number}", action=ActionType.NONE, reason=Reason.IN_SYNC) for number in range(57)]
    check("plan-in-sync.md", plan_markdown(plan(*same)))


def test_a_plan_that_is_too_large():
    """Rows and fields that do not fit are left out completely, and the number of omitted ones is shown."""
    check("plan-cut.md", plan_markdown(many(40, fields=3), options=PageOptions(max_bytes=2_600)))


def test_the_marker_is_first_and_the_same_for_every_plan():
    """The first line of the comment is the same for every plan, so that the comment can be recognized later."""
    first = "<!-- reconciler:plan analytics/prod -->"
    assert plan_markdown(plan()).splitlines()[0] == first
    assert plan_markdown(every_kind_of_action()).splitlines()[0] == first


def test_the_order_of_sections():
    """The summary is followed by changes, other actions, waiting specs and holds. Old holds come last and are
    collapsed."""
    made = every_kind_of_action()
    old = action("old-hold", action=ActionType.HOLD, reason=Reason.LOST, since="2026-11-20T00:00:00Z")
    edited = changed("edited")
    whole = plan(*made.actions, old, edited, changes=(spec_change(edited),))
    text = plan_markdown(whole)
    parts = (
        "**Plan: ", "#### Changes", "`edited`", "#### Runs for other reasons", "#### Waiting", "#### On hold",
        "`vanished`", "<details><summary>1 on hold for more than a day", "`old-hold`", "---\n4 ",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_new_holds_come_before_older_ones():
    """Holds are sorted by age, the newest first. A hold without an age is new in this plan."""
    ages = {"b": "2026-11-22T01:00:00Z", "c": "2026-11-21T12:00:00Z", "a": None}
    held = [action(name, action=ActionType.HOLD, reason=Reason.LOST, since=since) for name, since in ages.items()]
    text = plan_markdown(plan(*held))
    assert re.findall(r"^\| `\?` \| `(\w)`", text, re.MULTILINE) == ["a", "b", "c"]
    assert "since 2026-11-21T12:00:00Z" in text
    assert "<details>" not in text


def test_removals_come_before_changes_and_new_specs():
    """Changes that stop a run or a schedule come first."""
    gone = action("z", action=ActionType.NONE, reason=Reason.RETIRED)
    edited, new = changed("y"), action("x")
    changes = (
        spec_change(new, ChangeType.ADDED),
        spec_change(edited),
        spec_change(gone, ChangeType.REMOVED, message="run 00f7 keeps running (deletionPolicy Orphan)"),
    )
    text = plan_markdown(plan(gone, edited, new, changes=changes))
    assert re.findall(r"^`(.)` `(\w)`", text, re.MULTILINE) == [("-", "z"), ("+", "y"), ("+", "x")]
    assert "`z` is removed · run 00f7 keeps running (deletionPolicy Orphan)" in text


def test_changes_of_the_pull_request_come_before_those_of_its_base():
    """Each change is shown with its origin, whatever its type is."""
    theirs, ours = changed("a"), changed("b")
    origins = {"a": Origin.ALREADY_ON_BASE, "b": Origin.THIS_CHANGE}
    changes = tuple(spec_change(each, origin=origins[each.name]) for each in (theirs, ours))
    text = plan_markdown(plan(theirs, ours, changes=changes, base="ab" * 20))
    parts = (
        "#### Changes of this pull request", "`b`", "origin: this-change",
        "#### Changes that are already on the base", "`a`", "origin: already-on-base",
    )  # fmt: skip
    assert sorted(parts, key=text.index) == list(parts)


def test_changes_that_this_checkout_may_not_make_are_shown_with_their_fields():
    """The changes are on hold, but reviewers still see their fields."""
    edited = changed("edited")
    hold = action("edited", action=ActionType.HOLD, reason=Reason.STALE_CHECKOUT, message="older")
    text = plan_markdown(plan(hold, changes=(spec_change(edited, stale=True),)))
    parts = ("#### Changes on hold", "`edited` is on hold: stale checkout", "```diff")
    assert sorted(parts, key=text.index) == list(parts)
    assert "#### On hold" not in text


def test_long_diffs_are_folded_and_short_ones_are_not():
    """A diff of up to twelve lines is expanded; a longer diff and every new spec are collapsed."""
    new = action("new")
    assert "<details>" not in plan_markdown(many(1, fields=6))
    assert "<details><summary>7 fields</summary>" in plan_markdown(many(1, fields=7))
    assert "8 fields</summary>" in plan_markdown(plan(new, changes=(spec_change(new, ChangeType.ADDED),)))


def test_specs_with_the_same_content_share_a_row():
    """If many specs have the same change, it is shown once, with the name of each spec."""
    actions = [changed(f"job-{at}") for at in range(5)]
    text = plan_markdown(plan(*actions, changes=tuple(map(spec_change, actions))))
    assert "`+` **5 specs** · will be submitted: spec changed (generation 3)<br>`job-0`, `job-1`, " in text
    assert text.count("```diff") == 1


def test_specs_that_differ_only_in_a_secret_share_a_row():
    """Specs with the same rendered lines share a row, in the order of the plan, even if their masked values differ."""
    same = emr_request(entryPointArguments=["--password", "one"])
    given = [
        action("a", request=same),
        action("b", request=emr_request(entryPointArguments=["--password", "two"])),
        action("c", request=emr_request(entryPointArguments=["--day", "1"])),
        action("d", request=same),
    ]
    text = plan_markdown(plan(*given))
    assert "**3 specs** · will be submitted: new (generation 1)<br>`a`, `b`, `d`" in text
    assert text.index("`d`") < text.index("`c`")


def test_only_rows_on_the_page_are_made(monkeypatch):
    """The fields of a spec that is not shown are neither masked nor rendered."""
    made: list[str] = []
    fields_of = phrases.fields_of

    def noted(block: phrases.Block) -> Iterator[Change | tuple[str, object]]:
        assert block.action is not None
        made.append(block.action.name)
        return fields_of(block)

    monkeypatch.setattr(phrases, "fields_of", noted)
    clean = [emr_request(entryPointArguments=[str(n)], sparkSubmitParameters="--class a.B") for n in range(500)]
    large = plan(*(action(f"job-{n:03}", request=each) for n, each in enumerate(clean)))
    text = plan_markdown(large, PageOptions(max_bytes=20_000))
    shown = sum(f"`job-{n:03}`" in text for n in range(500))
    assert made == [f"job-{n:03}" for n in range(shown + 1)]
    assert shown < 400


@pytest.mark.parametrize(
    ("number", "fields", "length", "max_bytes"),
    pairs([(0, 0, 0), (120, 1, 10), (3, 500, 100), (2, 1, 90_000), (900, 2, 8)], [2_000, 2_001, 5_000, 60_000]),
)
def test_the_limit_holds_and_the_count_is_exact(number, fields, length, max_bytes):
    """The comment never exceeds the limit; rows are left out starting with the last one, and a note counts them."""
    text = plan_markdown(many(number, fields, length), PageOptions("reconciler plan -t prod", max_bytes=max_bytes))
    assert size(text) < max_bytes
    shown = re.findall(r"^`\+` `(job-\d+)`", text, re.MULTILINE)
    assert shown == [f"job-{at:04}" for at in range(len(shown))]
    lines = len(re.findall(r"^(?:\+ field|  field)", text, re.MULTILINE))
    left, missing = number - len(shown), len(shown) * fields - lines
    parts = [f"{left} of {number} changes"] if left else []
    if missing:
        parts.append(f"{missing:,} of {'their ' if parts else ''}{len(shown) * fields:,} fields")
    note = f"**Not shown here: {', '.join(parts)}.** To see all, run `reconciler plan -t prod`"
    assert [line for line in text.splitlines() if "Not shown" in line] == ([note] if parts else [])


@given(st.integers(2_000, 9_000), st.text(max_size=30), st.integers(0, 40))
def test_the_limit_counts_bytes_of_any_text(max_bytes, text, number):
    """Multi-byte characters count as several bytes, whatever is left out."""
    lost: dict[str, Any] = {"action": ActionType.HOLD, "reason": Reason.LOST, "message": text * 3}
    held = [action(f"h{at}{text}", **lost) for at in range(number)]
    edited = [changed(f"e{at}{text}", changes=(Change(text, "change", text, text * at),)) for at in range(number)]
    whole = plan(*held, *edited, warnings=(text,) * 3, changes=tuple(map(spec_change, edited)))
    page = plan_markdown(whole, PageOptions(max_bytes=max_bytes, refusal=text))
    assert size(page) < max_bytes
    parsed = MarkdownIt("commonmark").enable("table").parse(page)
    assert parsed[0].content.startswith("<!-- reconciler:plan ")
    assert page.count("<details>") == page.count("</details>")


def test_changes_are_kept_before_waiting_specs():
    """If there is little room, changes are kept and waiting specs are left out."""
    waits = [
        action(f"wait-{i:03}", action=ActionType.WAIT, reason=Reason.CONCURRENCY, message="x" * 100) for i in range(60)
    ]
    edited = changed("zz-last")
    text = plan_markdown(plan(*waits, edited, changes=(spec_change(edited),)), PageOptions(max_bytes=5_000))
    assert "`zz-last` will be submitted" in text
    assert '+ jobDriver.sparkSubmit.conf["spark.executor.memory"]: "8g"' in text
    assert re.search(r"Not shown here: \d+ of 60 waiting specs\.", text)


def test_a_limit_that_is_too_small_is_refused():
    """A limit that is too small for the smallest comment is a bug of the caller, and the error contains both
    numbers."""
    with pytest.raises(ValueError, match="1999; a plan needs at least 2000"):
        plan_markdown(plan(), options=PageOptions(max_bytes=1999))


def test_warnings_beyond_their_share_are_counted():
    """Even with many warnings, the plan is shown."""
    text = plan_markdown(plan(changed(), warnings=("w" * 300,) * 30), options=PageOptions(max_bytes=4_000))
    assert "`orders-daily` will be submitted" in text
    assert re.search(r"Not shown here: \d+ warnings\.\*\*", text)


REPOSITORY = Repository("https://github.com/acme/jobs/blob/3f2a9c1d3f2a/", "specs/")


def test_names_link_to_the_file_and_line_of_their_spec():
    """A removed spec has no file and no link. A path with any characters is quoted correctly in a link."""
    edited, new = changed("a"), action("b", source=Source("päth/(x) y|z.yaml", 7))
    gone = action("c", action=ActionType.CANCEL, reason=Reason.ASKED, source=None)
    held = action("d", action=ActionType.HOLD, reason=Reason.LOST)
    text = plan_markdown(plan(edited, new, gone, held), PageOptions(repository=REPOSITORY))
    address = "https://github.com/acme/jobs/blob/3f2a9c1d3f2a/specs"
    assert f"`+` [`a`]({address}/a.yaml#L1) will be submitted" in text
    assert f"[`b`]({address}/p%C3%A4th/%28x%29%20y%7Cz.yaml#L7)" in text
    assert "`-` `c` will be cancelled" in text
    assert f"| [`d`]({address}/d.yaml#L1) |" in text


def test_a_pull_request_of_five_hundred_specs():
    """The plan fits into a comment, its markup is complete, every spec has a row, and omissions are counted."""
    whole = pull_request(500)
    text = plan_markdown(whole, PageOptions(repository=REPOSITORY))
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    fences = [token for token in tokens if token.type == "fence"]
    html = "".join(token.content for token in tokens if token.type == "html_block")
    names = {name for change in whole.changes for name in re.findall(f"`{change.name}`", text)}
    assert size(text) < 60_000
    assert {f"`{change.name}`" for change in whole.changes} == names
    assert {token.info for token in fences} == {"diff"}
    assert {line[0] for token in fences for line in token.content.splitlines()} <= {"+", "-", " "}
    assert html.count("<details>") == html.count("</details>") > 0
    note = r"\*\*Not shown here: 16 of 16 old holds, 20 of 20 next slots, [\d,]+ of their [\d,]+ fields\.\*\*"
    assert re.search(note, text)
    assert text.count("**100 specs**") == 1


def test_a_small_pull_request_shows_everything():
    """Nothing is left out, and the names of specs are links."""
    text = plan_markdown(pull_request(20), PageOptions(repository=REPOSITORY))
    assert "Not shown" not in text
    assert "[`team-1-job-0001`](https://github.com/acme/jobs/blob/3f2a9c1d3f2a/specs/team-1-job-0001.yaml#L1)" in text


def test_a_plan_that_an_apply_refuses_says_so():
    """If the plan is refused, the refusal is shown above the plan."""
    text = plan_markdown(plan(action()), PageOptions(refusal="maxSubmissions is 1, and this plan has 2"))
    assert "**An apply refuses this plan:** maxSubmissions is 1, and this plan has 2" in text


def test_problems_of_files_take_the_place_of_the_plan():
    """Each problem is shown with its location as a link, its masked message, and its line."""
    problem = Problem("a.yaml", 3, 5, "unknown field pasword; @you", source_line="    password: hunter2\n")
    text = failure_markdown(PLACE, "", [problem], PageOptions(repository=REPOSITORY))
    assert text.startswith("<!-- reconciler:plan analytics/prod -->\n### No plan for analytics/prod\n")
    assert "**Planning failed with 1 error. Nothing was planned, nothing was sent.**" in text
    link = "https://github.com/acme/jobs/blob/3f2a9c1d3f2a/specs/a.yaml#L3"
    assert f"[`a.yaml:3:5`]({link}) unknown field pasword; `@you`" in text
    assert "3 |     password: (sensitive)" in text


def test_an_error_takes_the_place_of_the_plan():
    """The error is shown as code, with secrets masked. A long error is truncated at a line break."""
    error = "AccessDenied: @you\n" + "password=hunter2 ```\n" * 500
    text = failure_markdown(None, error, options=PageOptions(max_bytes=2_000))
    assert text.startswith("<!-- reconciler:plan unknown -->\n### No plan\n")
    assert "````text\nAccessDenied: @you\npassword=(sensitive)" in text
    assert "hunter2" not in text
    assert re.search(r"Not shown here: \d+ of 502 lines", text)
    assert size(text) < 2_000


EVIL = [
    "@everyone", "#1", "org/repo#12", "https://evil.example/", "www.evil.example", "<script>x</script>", "<!-- x -->",
    "-->", "a | b", "`code`", "``` \n# big", "**bold**", "[x](y)", ":smile:", "x\ny", "\u202ex", "a\\|b", "a\\\\|`b",
    "GH-12", "- item", "1. item", "", " ", "##[error]x", "::error::x", "|", "`", "\x1b[2J",
]  # fmt: skip
MENTION = re.compile(r"@everyone|#1\b|https://evil|www\.evil|<script|GH-12|:smile:|\*\*bold|\]\(y\)")


def without_blocks(text: str) -> str:
    """Returns Markdown without its code blocks."""
    return re.sub(r"^(`{3,})(?:diff|text)\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """Returns Markdown without code spans and code blocks, which is the text in which GitHub looks for markup, mentions
    and links."""
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)|<code>[^<]*</code>", "", without_blocks(text))


@in_one_test("evil", EVIL)
@in_one_test(
    "place",
    [
        "name",
        "message",
        "value",
        "path",
        "source",
        "warning",
        "refusal",
        "run",
        "held",
        "error",
        "problem",
        "together",
        "effect",
    ],
)
def test_no_text_of_users_is_markup(place, evil):
    """No text from users or AWS becomes markup, a mention, a reference, a link, a table cell or a runner command."""
    held = action(evil or "x", action=ActionType.HOLD, reason=Reason.LOST, message=evil)
    given = {
        "name": lambda: plan_markdown(plan(action(evil))),
        "message": lambda: plan_markdown(plan(action(message=evil))),
        "value": lambda: plan_markdown(plan(changed(changes=(Change("a", "change", evil, [evil]),)))),
        "path": lambda: plan_markdown(plan(changed(changes=(Change(evil, "add", None, 1),)))),
        "source": lambda: plan_markdown(plan(action(source=Source(evil, 1)))),
        "warning": lambda: plan_markdown(plan(warnings=(evil,))),
        "refusal": lambda: plan_markdown(plan(), PageOptions(refusal=evil)),
        "run": lambda: plan_markdown(plan(action(action=ActionType.CANCEL, reason=Reason.ASKED, run_id=evil))),
        "held": lambda: plan_markdown(plan(held)),
        "error": lambda: failure_markdown(PLACE, evil),
        "problem": lambda: failure_markdown(PLACE, "", [Problem(evil, 1, 1, evil, source_line=evil)]),
        "together": lambda: plan_markdown(plan(*(action(f"{at}{evil}", request=None) for at in range(4)))),
        "effect": lambda: plan_markdown(plan(changes=(spec_change(action(evil), message=evil),))),
    }
    text = given[place]()
    assert not MENTION.search(without_code(text))
    assert text.replace("\n", "").isprintable()
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
    rows = [line for line in without_blocks(text).split("\n") if line.startswith("|")]
    assert all(len(re.findall(r"\|", row)) == 5 for row in rows)


@given(st.text(max_size=40))
def test_code_spans_and_blocks_cannot_be_closed_early(text):
    """The fence is longer than any sequence of backticks in the text."""
    for span in (code(text), *map(prose, text.split(" "))):
        if span.startswith("`"):
            fence = span[: len(span) - len(span.lstrip("`"))]
            assert span.endswith(fence)
            assert fence not in re.findall(r"`+", span[len(fence) : -len(fence)])
    assert "|" not in cell_code(text)
    block = fenced([code(text)])
    assert not block[1].startswith(block[-1])


def test_plain_phrases_stay_plain():
    """Words without a special meaning in Markdown are unchanged. All other words are written as code."""
    assert prose("will be submitted: new (generation 1)") == "will be submitted: new (generation 1)"
    assert prose("by @ops and by #1 now") == "by `@ops` and by `#1` now"
    assert prose("a_b_c") == "`a_b_c`"
    assert prose("schedule stops: 0 2 * * 1") == "schedule stops: `0 2 * * 1`"
    assert prose("a  b*") == "`a  b*`"
    assert code("a `b` c") == "``a `b` c``"
    assert code("`b`") == "`` `b` ``"
    assert cell_code("a|b") == "<code>a&#124;b</code>"

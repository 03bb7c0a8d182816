"""Tests how results are rendered as Markdown."""

from __future__ import annotations

from dataclasses import replace

from markdown_it import MarkdownIt

from reconciler.core.identity import Source
from reconciler.core.plan import ActionOutcome, ActionResult, ActionType, Plan, Reason
from reconciler.core.state import Recorded
from reconciler.render.markdown import Repository
from reconciler.render.plan_markdown import PageOptions
from reconciler.render.results_markdown import results_markdown
from tests.render.golden_files import check
from tests.render.samples import action, every_kind_of_action, plan

PAGE = PageOptions("reconciler status -t prod", Repository("https://git.example/shop/blob/c0ffee/"))
HOSTILE = "<img src=x> @team #1 | [x](javascript:0) `code` ](x) --> <!-- reconciler plan: prod -->\n::error::x"


def result_of(made: Plan) -> tuple[ActionResult, ...]:
    """Returns a result for each action. The submissions have a run, except one that is rejected, and the other actions
    have no effect."""
    refused = {"export-new": ActionResult(ActionOutcome.REJECTED, error="ClientException: no such queue")}
    nothing = ActionResult(ActionOutcome.NONE)
    return tuple(
        refused.get(each.name, ActionResult(ActionOutcome.SUBMITTED, f"00f9{each.name}"))
        if each.action in {ActionType.SUBMIT, ActionType.REPLACE}
        else nothing
        for each in made.actions
    )


def test_the_results_of_every_kind_of_action():
    """The page with run ids, states, errors, waits and holds equals the golden file."""
    made = every_kind_of_action()

    check("results.md", results_markdown(made, result_of(made), Recorded(), PAGE))


def test_text_of_others_is_no_markup():
    """An error and a message that contain a lot of markup remain plain text, and none of their lines starts a
    comment."""
    hold = action("held", action=ActionType.HOLD, reason=Reason.REJECTED, message=HOSTILE, source=Source("a b.yaml", 1))
    made = plan(action("orders"), hold)
    results = (ActionResult(ActionOutcome.NONE), ActionResult(ActionOutcome.REJECTED, error=HOSTILE))

    page = results_markdown(made, results, Recorded(), PAGE)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)

    assert page.count("<!--") - page.count("`<!--") == 1
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_a_page_that_is_too_large_counts_what_is_left_out():
    """Rows that do not fit are counted, and the page keeps within its size limit."""
    made = plan(*(action(f"job-{at:04}") for at in range(500)))
    results = [ActionResult(ActionOutcome.SUBMITTED, f"00f9{at:012}") for at in range(500)]

    page = results_markdown(made, results, Recorded(), replace(PAGE, max_bytes=4_000))

    assert len(page.encode()) <= 4_000
    assert "of 500 actions.** To see all, run `reconciler status -t prod`" in page
    assert "**500 submitted.**" in page

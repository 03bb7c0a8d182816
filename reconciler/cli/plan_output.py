"""Prints the output of `reconciler plan` in each format, or the error if no plan could be made, and the results of
`apply`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.output import (
    annotate,
    coloured,
    inert_text,
    out,
    out_json,
    out_parts,
    project_folder,
    shows_annotations,
)
from reconciler.errors import LimitExceeded, ReconcilerError, SpecErrors
from reconciler.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import Session
    from reconciler.core.awaited import Awaited
    from reconciler.core.plan import ActionResult, Plan
    from reconciler.render.plan_markdown import PageOptions


@dataclass(frozen=True, slots=True)
class PlanOutput:
    """The output of one `plan` command: its format and, for Markdown, the size of the page."""

    options: CommandOptions
    format: str
    max_bytes: int

    def show(self, plan: Plan, refusal: LimitExceeded | None) -> str:
        """Prints a plan, and annotations for its holds. Returns the printed text if the plan has no changes. Otherwise
        the text may be long, and an empty text is returned. `refusal` is the reason why an apply would refuse the
        plan."""
        parts = self._parts(plan, refusal)
        kept = [] if plan.changes else [*parts]
        out_parts(kept or parts)
        annotate_holds(plan, self.options)
        return "".join(kept)

    def _parts(self, plan: Plan, refusal: LimitExceeded | None) -> Iterator[str]:
        if self.format == "json":
            from reconciler.render.json_text import dumped
            from reconciler.render.plan_json import plan_form

            return dumped(plan_form(plan))
        if self.format == "markdown":
            from reconciler.render.plan_markdown import plan_markdown

            page = self._page(plan.place.target, str(refusal) if refusal else None)
            return iter((inert_text(plan_markdown(plan, page)),))
        if self.format == "junit":
            from reconciler.render.junit import plan_junit

            return iter((inert_text(plan_junit(plan, project_folder(self.options))),))
        from reconciler.render.plan_text import plan_text_parts

        return plan_text_parts(plan, color=coloured())

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Context manager: if the block raises an error, prints the error instead of the plan in the formats that CI
        displays, and raises it again."""
        try:
            yield
        except ReconcilerError as error:
            self._fail(error)
            raise

    def _fail(self, error: ReconcilerError) -> None:
        problems = error.problems if isinstance(error, SpecErrors) else ()
        message = self.options.invocation.completed(str(error))
        if self.format == "markdown":
            from reconciler.app.session import place_if_known
            from reconciler.render.plan_markdown import failure_markdown

            out(failure_markdown(place_if_known(self.options), message, problems, self._page(self.options.target)))
        elif self.format == "junit":
            from reconciler.render.junit import failure_junit

            out(failure_junit("plan", message))

    def _page(self, target: str | None, refusal: str | None = None) -> PageOptions:
        from dataclasses import replace

        return replace(page_options(self.options, target, "plan"), refusal=refusal, max_bytes=self.max_bytes)


def page_options(options: CommandOptions, target: str | None, command: str) -> PageOptions:
    """Returns the options for a Markdown page whose note about omitted parts suggests `command`."""
    from dataclasses import replace

    from reconciler.app.ci import repository
    from reconciler.render.plan_markdown import PageOptions
    from reconciler.specs.project import find_root

    try:
        links = repository(find_root(options.directory, Path.cwd()), os.environ)
    except ReconcilerError:  # without a project, there is no spec to link to
        links = None
    return PageOptions(replace(options.invocation, target=target).command(command), links)


def annotate_holds(plan: Plan, options: CommandOptions) -> None:
    """Prints an annotation for each spec that is on hold, if the CI runner shows annotations."""
    if shows_annotations():
        from reconciler.render.problems import held_problems

        annotate(held_problems(plan), options)


def annotate_results(plan: Plan, results: Sequence[ActionResult], options: CommandOptions) -> None:
    """Prints an annotation for each action that did not succeed, if the CI runner shows annotations."""
    if shows_annotations():
        from reconciler.render.problems import unsuccessful_problems

        annotate(unsuccessful_problems(plan, results), options)


def print_recorded(plan: Plan, *, shown: bool) -> None:
    """Prints that the changes of a plan were recorded, if that was its only effect and text is `shown`."""
    recorded = {change.name for change in plan.changes if not change.stale}
    recorded |= {change.name for change in plan.schedule_changes}
    if shown and recorded and not plan.pending:
        from reconciler.render.text import count

        out(f"\nApply complete: {count(len(recorded), 'change')} recorded, nothing to run.")


def print_results(
    session: Session,
    plan: Plan,
    results: Sequence[ActionResult],
    output_format: str,
    waited: Sequence[Awaited] | None = None,
) -> None:
    """Prints the results. JSON also contains the runs that the command `waited` for, or `None` if it did not wait."""
    from reconciler.render.plan_json import result_form
    from reconciler.render.results import results_text

    if output_format == "json":
        from reconciler.render.results import awaited_json

        more = {"runs": awaited_json(waited, plan.place)} if waited is not None else {}
        out_json({**result_form(plan, results), **more})
    elif output_format == "markdown":
        from reconciler.render.results_markdown import results_markdown

        page = page_options(session.options, plan.place.target, "status")
        out(results_markdown(plan, results, session.ledger.recorded, page))
    elif plan.pending:
        out("\n" + results_text(plan, results, color=coloured()))

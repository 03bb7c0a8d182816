"""What people see while a plan is carried out: a bar and a line for each job, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.core.plan import Action, ActionResult

Progress = Callable[["Action", "ActionResult"], None]


@contextmanager
def progress(total: int) -> Iterator[Progress | None]:
    """Something to call as each action ends; `None` where standard error is no terminal, and nothing is drawn."""
    if not sys.stderr.isatty() or total == 0:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    from reconciler.redact.escape import escape

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Applying", total=total)

        def ended(action: Action, result: ActionResult) -> None:
            run = f" {result.run_id}" if result.run_id else ""
            bar.console.print(Text(escape(f"{action.name}: {result.outcome}{run}")))
            bar.advance(task)

        yield ended

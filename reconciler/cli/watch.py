"""`reconciler status --watch`: the table again and again, in place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reconciler.cli.status import text_of
from reconciler.cli.terminal import coloured, harmless
from reconciler.errors import ReconcilerError, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import ReusableSession

PAUSE_SECONDS = 5.0


def watch_status(choice: CommandOptions, *, refresh: bool) -> int:
    """Shows the table until it is interrupted, which is how it ends: with 0. What goes wrong meanwhile stands above the
    last table. Raises `UsageError` where there is no terminal, `ReconcilerError` for what is wrong from the start."""
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; for a script use status --format json")
    import time

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from reconciler.app.session import ReusableSession

    kept = ReusableSession(choice)
    try:
        shown = table = _table(kept, refresh=refresh)
        with Live(shown, console=Console(), auto_refresh=False, screen=True) as live:
            while True:
                live.update(shown, refresh=True)
                time.sleep(PAUSE_SECONDS)
                try:
                    shown = table = _table(kept, refresh=refresh)
                except ReconcilerError as error:
                    kept.close()
                    shown = Text.assemble((f"Error: {harmless(str(error))}\n\n", "red"), table)
    except KeyboardInterrupt:
        return 0
    finally:
        kept.close()


def _table(kept: ReusableSession, *, refresh: bool) -> Text:
    """The table now, with the time it is of."""
    from rich.text import Text

    from reconciler.app.reconcile import preview
    from reconciler.render.status import rows

    inputs, plan = preview(kept.session(), refresh=refresh)
    told = text_of(plan, rows(plan, inputs.recorded), color=coloured(sys.stdout))
    return Text.from_ansi(f"{plan.created_at}  (Ctrl-C ends)\n\n{told}")

"""Makes the screenshots of the page in docs/images: `make screenshots`. It needs chromium.

The runs are invented by a fixed rule, so that the pictures change only if the page does.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from reconciler.app.page import write
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.core.times import time_text
from reconciler.render.page.content import PageContent
from reconciler.render.page.site import Site
from reconciler.render.runs import RunRow
from tests.builders import NOW, spec
from tests.render.test_page import after, content, row, run

IMAGES = Path(__file__).parents[2] / "docs" / "images"
NAMES = (
    "clicks-hourly", "orders-extract", "orders-rollup", "orders-report", "stock-import", "stock-alerts", "users-daily",
    "users-segments", "prices-sync", "weekly-invoices",
)  # fmt: skip
AFTER = {"orders-rollup": "orders-extract", "orders-report": "orders-rollup", "stock-alerts": "stock-import",
         "users-segments": "users-daily"}  # fmt: skip


def invented() -> PageContent:
    """Returns a week of ten specs: one on hold, one failed, one running."""
    chance = random.Random(7)
    runs: list[RunRow] = []
    for name in NAMES:
        every = 1 if name == "clicks-hourly" else chance.choice((6, 12, 24))
        for hours in range(every, 24 * 7, every):
            state = "failed" if chance.random() < 0.04 else "succeeded"
            runs.append(run(name, hours - 0.4, chance.uniform(6, 50 if every == 1 else 200), state, cost=1.25))
    runs.append(run("users-daily", 0.3, state="running"))
    commands = ("reconciler resolve stock-import --submit -t prod", "reconciler resolve stock-import --abandon -t prod")
    held = row(
        "stock-import",
        in_sync=False,
        state="unknown",
        reason="hold: unknown: the connection broke 2h ago, and AWS lists no run with the tag of this submission",
        suggested=SuggestedCommands(commands),
    )
    failed = row(
        "orders-report",
        in_sync=False,
        reason="hold: retries-exhausted: run-1 failed",
        state="failed",
        aws_state="FAILED",
        detail="Essential container in task exited: 137",
    )
    special = {"stock-import": held, "orders-report": failed, "users-daily": row("users-daily", state="running")}
    rows = [special.get(name, row(name)) for name in NAMES]
    specs = {name: after(name, AFTER[name]) if name in AFTER else spec(name=name) for name in NAMES}
    ordered = tuple(sorted(runs, key=lambda each: each.submitted_at or "", reverse=True))
    missed = {"users-segments": [(time_text(NOW - timedelta(days=2)), time_text(NOW - timedelta(days=2)))]}
    made = content(*rows, runs=ordered, held=("stock-import",), specs=specs, missed=missed)
    return replace(made, currency="USD")


def main() -> int:
    """Writes the pictures, and returns 1 without a browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("there is no chromium: install Debian's package of this name\n")
        return 1
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write(Site(invented()), Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        pictures: tuple[tuple[str, str, Literal["light", "dark"], int], ...] = (
            ("page", "index.html", "light", 1000),
            ("page-dark", "specs.html", "dark", 900),
        )
        for name, file, scheme, height in pictures:
            page = browser.new_page(viewport={"width": 1100, "height": height}, color_scheme=scheme)
            page.goto(f"{Path(folder).as_uri()}/{file}")
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Tests `page`: the site of a project after an apply."""

from __future__ import annotations

from tests.cli.world import World


def test_the_page_of_a_project(world: World):
    """The page contains the specs, runs, pending changes and dependencies, with secrets masked."""
    world.batch("clicks", "--password=hunter2hunter2")
    world.spark("orders", dependsOn="[{name: clicks}]")
    world.run("apply", "--yes")
    world.batch("clicks", "B")
    done = world.run("page", "--out", "site")
    assert done.code == 0, done.err
    pages = {
        path.relative_to(world.folder).as_posix(): path.read_text() for path in world.folder.glob("site/**/*.html")
    }
    lists = {name for name in pages if name.startswith("site/specs-")}  # a list for each state
    assert "site/specs-none.html" in lists
    assert set(pages) - lists == {
        "site/index.html", "site/specs.html",
        "site/timeline.html", "site/runs.html", "site/graph.html", "site/plan.html",
        "site/specs/clicks.html", "site/specs/orders.html",
    }  # fmt: skip
    (run,) = world.runs()
    assert run.id in pages["site/specs/clicks.html"]
    assert "containerOverrides.command" in pages["site/index.html"]
    assert "orders" in pages["site/graph.html"]
    assert not any("hunter2" in text for text in pages.values())
    assert world.run("plan", "--detailed-exitcode").code == 2  # nothing was written

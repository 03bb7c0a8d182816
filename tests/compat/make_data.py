"""Creates the folder `data`. It was run only once, with release 0.1.0. Its output is never regenerated.

    python -m tests.compat.make_data

It cannot be reproduced, because ids, nonces and milliseconds differ each time. If a later release must stay readable
too, it needs its own files.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.compat import cases
from tests.compat.golden import DATA
from tests.compat.sandbox import COMMAND, Sandbox
from tests.compat.story import PROD_LEDGER, STAGING_LEDGER, STATE, begun, play


def make(folder: Path) -> None:
    """Plays the story in an empty folder, keeps the result, and runs the cases on it."""
    project = folder / "project"
    shutil.copytree(DATA / "project", project, ignore=_all_but_rich)
    with begun(project, folder / STATE) as story:
        play(story)
        _keep_dumps(story.box)
    for name in (STAGING_LEDGER, PROD_LEDGER):
        assert not (project / f"{name}-wal").exists()
        shutil.copyfile(project / name, DATA / name)
    (DATA / f"{STATE}.gz").write_bytes(gzip.compress((folder / STATE).read_bytes(), mtime=0))
    for file in (path for path in project.iterdir() if path.suffix == ".yaml"):
        shutil.copyfile(file, DATA / "project" / file.name)
    _keep_plan(folder / "plan")
    _keep_goldens(folder)


def _all_but_rich(_: str, names: list[str]) -> list[str]:
    """Returns the specs that the story itself writes, which are not copied, so that the story starts only with the
    others."""
    return [name for name in names if not name.startswith("rich-")]


def _keep_dumps(box: Sandbox) -> None:
    for target, name in (("staging", STAGING_LEDGER), ("prod", PROD_LEDGER)):
        done = box.run("ledger", "export", "-t", target)
        assert done.code == 0, done
        (DATA / name).with_suffix(".jsonl").write_text(done.out)


def _keep_plan(folder: Path) -> None:
    with cases.sandbox(folder, aws=True, edited=True) as box:
        done = box.run("plan", "--out", cases.PLAN_FILE)
        assert done.code == 0, done


def _keep_goldens(folder: Path) -> None:
    shutil.rmtree(DATA / "golden", ignore_errors=True)
    (DATA / "golden").mkdir()
    rows: list[dict[str, Any]] = []
    for case in (*cases.READING, *cases.WRITING):
        played = cases.played(case, folder / "cases" / case.name)
        if not case.like:
            case.file.write_text(json.dumps({"printed": played.printed, "events": played.events}) + "\n")
        if case.name in cases.TOKENS:
            rows += cases.token_rows(case.name, played.printed)
    (DATA / "tokens-0.1.0.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    version = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    if version != "0.1.0":
        sys.exit(f"this is {version}: the data is that of 0.1.0")
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))

"""Worlds for stopping reconcilers in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import _own_logs
from tests.cli.world import aws_environment, standin
from tests.crash.world import CrashWorld

__all__ = ["_own_logs", "world"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CrashWorld]:
    """A project without specs over SQLite, behind a stand-in whose runs end at once."""
    with standin(run_seconds=0) as aws:
        made = CrashWorld(tmp_path / "project", aws, env=aws_environment(aws.url))
        made.prepare()
        yield made

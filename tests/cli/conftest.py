"""Projects for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.world import World, aws_environment, project_text, standin


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project without specs whose target is an account behind a stand-in; runs go on until they are stopped."""
    folder = tmp_path / "project"
    with standin() as aws:
        made = World(folder, aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.write(".gitignore", "ledger.sqlite*\n.reconciler/\n")
        yield made

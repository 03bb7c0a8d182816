"""Projects for the tests of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.logs import LIBRARIES
from tests.cli.world import World, aws_environment, project_text, standin


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Every test leaves the loggers as it found them: a command within this process sets them up."""
    loggers = [logging.getLogger(name) for name in ("reconciler", *LIBRARIES)]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project without specs whose target is an account behind a stand-in; runs go on until they are stopped."""
    folder = tmp_path / "project"
    with standin() as aws:
        made = World(folder, aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.write(".gitignore", "ledger.sqlite*\n.reconciler/\n")
        yield made

"""Projects for the tests of the command line."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.app.session import _relative_note, _warn_once
from reconciler.cli.output import LIBRARIES
from tests.cli.clients import running_aws
from tests.cli.world import SQLITE, World, aws_environment, project_text


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Restores the loggers after each test, because a command in this process configures them."""
    loggers = [logging.getLogger(name) for name in ("reconciler", *LIBRARIES)]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    last, raises = logging.lastResort, logging.raiseExceptions
    yield
    logging.lastResort, logging.raiseExceptions = last, raises
    logging.captureWarnings(False)
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        if logger.level != level:
            logger.setLevel(level)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates the ledger that each project starts with. Copying it is faster than creating one for each test."""
    with running_aws() as aws:
        made = World(tmp_path_factory.mktemp("empty"), aws)
        made.init()
    return made.folder / "ledger.sqlite"


@pytest.fixture
def world(tmp_path: Path, empty_ledger: Path) -> Iterator[World]:
    """A project without specs, whose target is an account on the emulator. Runs continue until a test stops them."""
    folder = tmp_path / "project"
    with running_aws() as aws:
        made = World(folder, aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.write(".gitignore", "ledger.sqlite*\n.reconciler/\n")
        shutil.copy(empty_ledger, made.folder)
        _warn_once(_relative_note(SQLITE, made.target))  # otherwise the first command of the process prints it
        yield made

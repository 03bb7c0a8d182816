"""Projects for the tests of the command line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader, Loader

from reconciler.cli.output import LIBRARIES
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


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """botocore reads its service models once for all tests, not once for each command that a test runs in-process."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((JSONFileLoader, "load_file"), (Loader, "list_available_services")):
            patch.setattr(owner, name, _remembering(getattr(owner, name)))
        yield


def _remembering(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose answers are kept, by its arguments, for every instance."""
    kept: dict[Any, Any] = {}

    def remembered(self: Any, *arguments: Any, **more: Any) -> Any:
        key = (arguments, tuple(sorted(more.items())))
        if key not in kept:
            kept[key] = method(self, *arguments, **more)
        return kept[key]

    return remembered


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project without specs whose target is an account behind a stand-in; runs go on until they are stopped."""
    folder = tmp_path / "project"
    with standin() as aws:
        made = World(folder, aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.write(".gitignore", "ledger.sqlite*\n.reconciler/\n")
        yield made

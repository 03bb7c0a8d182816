"""Projects for the tests of the command line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.hooks import BaseEventHooks, EventAliaser
from botocore.loaders import JSONFileLoader, Loader

from reconciler.cli.log_lines import LIBRARIES
from tests.cli.clients import kept_clients
from tests.cli.world import World, aws_environment, project_text, standin


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
        logger.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _botocore_prepared_once() -> Iterator[None]:
    """Reads botocore's service models and checks its event handlers once for all commands in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((JSONFileLoader, "load_file"), (Loader, "list_available_services")):
            patch.setattr(owner, name, _remembering(getattr(owner, name)))
        patch.setattr(EventAliaser, "_alias_event_name", _remembering(EventAliaser._alias_event_name))
        patch.setattr(BaseEventHooks, "_verify_accept_kwargs", _verified_once(BaseEventHooks._verify_accept_kwargs))
        yield


def _remembering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method that caches its results by arguments, for all instances together."""
    results: dict[Any, Any] = {}

    def remembered(self: Any, *arguments: Any, **more: Any) -> Any:
        key = (arguments, tuple(sorted(more.items())))
        if key not in results:
            results[key] = method(self, *arguments, **more)
        return results[key]

    return remembered


def _verified_once(verify: Callable[..., None]) -> Callable[..., None]:
    """Returns a method that checks the signature of each handler only once, because the result depends only on the
    code."""
    verified: set[Any] = set()

    def once(self: Any, handler: Callable[..., Any]) -> None:
        code = getattr(handler, "__code__", None)
        if code is None or code not in verified:
            verify(self, handler)
            verified.add(code)

    return once


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project without specs, whose target is an account on the emulator. Runs continue until they are stopped."""
    folder = tmp_path / "project"
    with standin() as aws, kept_clients():
        made = World(folder, aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.write(".gitignore", "ledger.sqlite*\n.reconciler/\n")
        made.init()
        yield made

"""Provides projects in which reconciler processes are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.clients import kept_clients
from tests.cli.conftest import _own_logs
from tests.cli.world import aws_environment, standin
from tests.crash.world import Ahead, CrashWorld
from tests.ledger.server import Server

__all__ = ["_own_logs", "over", "world"]


@pytest.fixture
def over(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], CrashWorld]]:
    """Makes a project without specs, with a new ledger of this scheme and a fake AWS whose runs end at once."""
    with kept_clients(), ExitStack() as opened:

        def make(scheme: str) -> CrashWorld:
            aws = opened.enter_context(standin(run_seconds=0))
            made = CrashWorld(tmp_path / "project", aws, env=aws_environment(aws.url), ahead=Ahead(monkeypatch))
            if scheme != "sqlite":
                server: Server = request.getfixturevalue("server")
                made.ledger = server.address(scheme)
                for name, value in server.environment.items():
                    monkeypatch.setenv(name, value)
            made.prepare()
            return made

        yield make


@pytest.fixture
def world(over: Callable[[str], CrashWorld]) -> CrashWorld:
    """A project without specs, with a SQLite ledger and a fake AWS whose runs end at once."""
    return over("sqlite")

"""Keeps the developer's credentials, profiles and proxies out of the tests, and says how many examples they try."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.campaigns import EXAMPLES, pytest_terminal_summary  # noqa: F401 - a hook
from tests.ledger.server import aws, server  # noqa: F401 - fixtures

_BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.register_profile("project", _BUSY, max_examples=EXAMPLES)
settings.register_profile("soak", _BUSY, max_examples=25 * EXAMPLES)  # `make soak` chooses it
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test starts without AWS settings, so that nothing of the developer's account can be met."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "RECONCILER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("CI", raising=False)
    nowhere = tmp_path_factory.getbasetemp() / "no-aws-files"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "caches"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

"""What all tests share: no credentials, no profile, no proxy, no colour of the developer's own machine."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.campaigns import pytest_terminal_summary  # noqa: F401 - a hook
from tests.ledger.server import aws, server  # noqa: F401 - fixtures

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are busy
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
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

"""Fixes the version in the golden pages, whatever version is built."""

from __future__ import annotations

import pytest

from reconciler.render import plan_json, plan_markdown


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the version that every page shows."""
    for module in (plan_json, plan_markdown):
        monkeypatch.setattr(module, "__version__", "0.1.0")

"""The fixtures of the command line's tests that are used here too."""

from __future__ import annotations

from tests.cli.conftest import empty_ledger, world

__all__ = ["empty_ledger", "world"]

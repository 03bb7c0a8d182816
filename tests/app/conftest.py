"""Provides to these tests the fixtures that the tests of the command line use."""

from __future__ import annotations

from tests.cli.conftest import empty_ledger, world

__all__ = ["empty_ledger", "world"]

"""The fixtures of the command line's tests that are used here too."""

from __future__ import annotations

from tests.cli.conftest import world

__all__ = ["world"]

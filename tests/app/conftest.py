"""The project of the command line's tests, here too."""

from __future__ import annotations

from tests.cli.conftest import world

__all__ = ["world"]

"""Provides stores for tests and closes them at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.identity import Place
from reconciler.ledger.open import open_store
from tests.ledger.builders import PLACE

Opening = Callable[..., Any]


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Opening]:
    """Yields a function that opens the store at an address, for PLACE or another place."""
    with ExitStack() as stack:

        def opened(url: str, place: Place = PLACE) -> Any:
            return stack.enter_context(closing(open_store(url, tmp_path, place)))  # type: ignore[type-var]

        yield opened

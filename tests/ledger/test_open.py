"""From an address to a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import LedgerError
from reconciler.ledger.open import open_ledger
from tests.ledger.builders import PLACE, StandingClock, always, intended


def test_three_slashes_are_relative_to_the_project(tmp_path: Path):
    """The file is where the project is, not where the command was started."""
    log = open_ledger("sqlite:///.reconciler/l.sqlite", tmp_path, PLACE, "0.1.0", StandingClock())
    assert log.address == "sqlite:///.reconciler/l.sqlite"
    assert not log.exists
    log.append([intended()], always)
    assert (tmp_path / ".reconciler" / "l.sqlite").is_file()


def test_four_slashes_are_absolute(tmp_path: Path):
    """The path after the third slash is taken as it is."""
    log = open_ledger(f"sqlite:///{tmp_path}/l.sqlite", Path("/nowhere"), PLACE, "0.1.0", StandingClock())
    log.append([intended()], always)
    assert (tmp_path / "l.sqlite").is_file()


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "dynamodb://table"])
def test_stores_that_are_not_there_yet_say_so(url: str, tmp_path: Path):
    """An address that the design knows and this release does not is told apart from a wrong one."""
    with pytest.raises(LedgerError, match="not in this release"):
        open_ledger(url, tmp_path, PLACE, "0.1.0", StandingClock())


@pytest.mark.parametrize("url", ["postgres://x", "ledger.sqlite", "", "://", "SQLITE:///x"])
def test_an_unknown_scheme_names_the_known_ones(url: str, tmp_path: Path):
    """A wrong address is told what would be right."""
    with pytest.raises(LedgerError, match="sqlite://"):
        open_ledger(url, tmp_path, PLACE, "0.1.0", StandingClock())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://ledger", "sqlite:////"])
def test_a_sqlite_address_needs_a_path(url: str, tmp_path: Path):
    """An address without a file is refused."""
    with pytest.raises(LedgerError, match="names no file"):
        open_ledger(url, tmp_path, PLACE, "0.1.0", StandingClock())

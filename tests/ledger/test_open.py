"""Tests opening a log by its address."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import LedgerError, LedgerMissing
from reconciler.ledger.open import open_ledger, open_store
from tests.campaigns import in_one_test
from tests.ledger.builders import PLACE, StandingClock, always, intended
from tests.ledger.conftest import Opening
from tests.ledger.server import Server


def test_three_slashes_are_relative_to_the_project(tmp_path: Path):
    """The file is relative to the project folder, not to the current folder."""
    log = open_ledger("sqlite:///.reconciler/l.sqlite", tmp_path, PLACE, "0.1.0", StandingClock(), founds=True)
    assert log.address == "sqlite:///.reconciler/l.sqlite"
    assert not log.exists
    log.append([intended()], always)
    assert (tmp_path / ".reconciler" / "l.sqlite").is_file()


def test_four_slashes_are_absolute(tmp_path: Path):
    """The path after the third slash is absolute."""
    log = open_ledger(f"sqlite:///{tmp_path}/l.sqlite", Path("/nowhere"), PLACE, "0.1.0", StandingClock(), founds=True)
    log.append([intended()], always)
    assert (tmp_path / "l.sqlite").is_file()


@pytest.mark.parametrize("scheme", ["s3", "dynamodb"])
def test_projects_and_targets_share_a_bucket_or_table_and_nothing_else(scheme: str, aws: Server, tmp_path: Path):
    """With the same address, each project and target has its own ledger."""
    url = aws.address(scheme)
    places = [replace(PLACE, project=project, target=target) for project in ("a", "a-b") for target in ("b", "b-c")]
    logs = [open_ledger(url, tmp_path, place, "0.1.0", StandingClock(), founds=True) for place in places]
    for number, log in enumerate(logs):
        log.append([intended(f"job-{number}", f"r1-{number}")], always)
    assert [[f"r1-{number}"] for number in range(4)] == [list(log.refresh().by_token) for log in logs]
    assert [1, 1, 1, 1] == [log.recorded.position for log in logs]
    for log in logs:
        log.close()


def test_a_prefix_inside_anothers_ledger_is_another_ledger(aws: Server, opening: Opening):
    """A ledger in a subfolder of another ledger shares no objects with it."""
    bucket = aws.bucket()
    outer = opening(f"s3://{bucket}/x", replace(PLACE, project="p", target="t"))
    inner = opening(f"s3://{bucket}/x/p/t", replace(PLACE, project="log", target="u"))
    inner.append(1, b"inner")
    with pytest.raises(LedgerMissing):
        outer.read(0)
    outer.append(1, b"outer")
    assert [(1, b"outer")] == list(outer.read(0))
    assert [(1, b"inner")] == list(inner.read(0))


@pytest.mark.parametrize("prefix", ["/x", "a/../b", "./b", "x" * 1000], ids=lambda prefix: prefix[:6])
def test_a_prefix_that_no_key_can_have(prefix: str, tmp_path: Path):
    """A prefix is refused if some servers would change it, or if it is too long for a key."""
    with pytest.raises(LedgerError, match="the ledger s3://bucket/"):
        open_store(f"s3://bucket/{prefix}", tmp_path, PLACE)


def test_a_directory_bucket_is_refused(tmp_path: Path):
    """S3 Express does not list keys in order."""
    with pytest.raises(LedgerError, match="directory bucket"):
        open_store("s3://acme--euw1-az1--x-s3/x", tmp_path, PLACE)


def test_a_slash_at_the_end_of_a_prefix_changes_nothing(aws: Server, opening: Opening):
    """A prefix with and without a slash at the end gives the same ledger."""
    url = aws.address("s3")
    opening(url).append(1, b"batch")
    assert [(1, b"batch")] == list(opening(url + "/").read(0))


@in_one_test("url", ["postgres://x", "ledger.sqlite", "", "://", "SQLITE:///x"])
def test_an_unknown_scheme_names_the_known_ones(url: str, tmp_path: Path):
    """The error for an unknown scheme lists the supported schemes."""
    with pytest.raises(LedgerError, match="sqlite://"):
        open_ledger(url, tmp_path, PLACE, "0.1.0", StandingClock())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://ledger", "sqlite:////"])
def test_a_sqlite_address_needs_a_path(url: str, tmp_path: Path):
    """A SQLite address without a file is refused."""
    with pytest.raises(LedgerError, match="names no file"):
        open_ledger(url, tmp_path, PLACE, "0.1.0", StandingClock())

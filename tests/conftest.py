"""Keeps the developer's credentials, profiles and proxies out of the tests, sets how many examples they try, and keeps
what all tests share cheap."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.campaigns import EXAMPLES, pytest_terminal_summary  # noqa: F401 - a hook
from tests.compat.at_time import prepare_botocore
from tests.ledger.server import aws, server  # noqa: F401 - fixtures

TESTS = Path(__file__).parent
_BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.register_profile("project", _BUSY, max_examples=EXAMPLES)
settings.register_profile("soak", _BUSY, max_examples=40 * EXAMPLES)  # `make soak` chooses it
settings.load_profile("project")
prepare_botocore()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Runs one worker more than there are processors, because many tests wait for processes and for time to pass."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collects without the garbage collector, which later leaves out the modules and tests that are loaded."""
    gc.disable()
    try:
        if not session.config.option.file_or_dir:
            _import_a_share()
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_a_share() -> None:
    """Imports each n-th module of tests first if this is one of n workers, so that in a new checkout each module is
    prepared by one of them and not by all."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for path in sorted(TESTS.rglob("test_*.py"))[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]:
        with suppress(Exception, pytest.skip.Exception):  # the collection reports it
            import_module(".".join(("tests", *path.relative_to(TESTS).with_suffix("").parts)))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Leaves out the functions of campaigns that would be deselected, because some have thousands of cases."""
    soak = any(mark.name == "soak" for mark in getattr(obj, "pytestmark", ()))
    return [] if soak and collector.config.option.markexpr.startswith("not soak") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves campaigns out of the measurement of coverage, which would take most of their time."""
    for item in items:
        if item.get_closest_marker("campaign"):
            item.add_marker("no_cover")


def _memory_folder() -> str | None:
    """Returns a folder in memory that has room for the files of the tests, if there is one."""
    try:
        system = os.statvfs("/dev/shm")
    except OSError:
        return None
    room = system.f_bavail * system.f_frsize >= 4 << 30
    return "/dev/shm" if room and not system.f_flag & os.ST_NOEXEC and os.access("/dev/shm", os.W_OK) else None


if folder := _memory_folder():  # ledgers wait for the disk at every write
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run without AWS settings, so that nothing of the developer's account can be met."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", "RECONCILER_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.delenv("CI", raising=False)
        nowhere = tmp_path_factory.getbasetemp() / "no-aws-files"
        patch.setenv("AWS_CONFIG_FILE", str(nowhere))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "caches"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("GIT_AUTHOR_EMAIL", "team@example.com")  # else every decision runs a git to find the operator
        yield

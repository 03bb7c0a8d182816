"""Keeps the developer's credentials, profiles and proxies out of the tests, sets how many examples they try, and shares
what is expensive to create."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from tests.campaigns import EXAMPLES, pytest_terminal_summary  # noqa: F401 - a hook
from tests.compat.at_time import prepare_botocore
from tests.ledger.server import aws, server  # noqa: F401 - fixtures

TESTS = Path(__file__).parent
_BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is slow
settings.register_profile("project", _BUSY, max_examples=EXAMPLES)
settings.register_profile("soak", _BUSY, max_examples=40 * EXAMPLES)  # `make soak` selects it
settings.load_profile("project")
prepare_botocore()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Runs one worker more than there are processors, because many tests spend time waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Disables the garbage collector during collection, and then excludes the loaded modules and tests from it."""
    gc.disable()
    try:
        if not session.config.option.file_or_dir and session.config.getoption("dist", "no") == "no":  # or workers do it
            _import_a_share()
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_a_share() -> None:
    """With n workers, imports every n-th test module before the collection, so that in a new checkout each module is
    compiled by one worker and not by all."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for path in sorted(TESTS.rglob("test_*.py"))[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]:
        with suppress(Exception, pytest.skip.Exception):  # the collection reports the error
            import_module(".".join(("tests", *path.relative_to(TESTS).with_suffix("").parts)))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Deselects campaigns before their cases are generated, because some have thousands of cases."""
    soak = any(mark.name == "soak" for mark in getattr(obj, "pytestmark", ()))
    return [] if soak and collector.config.option.markexpr.startswith("not soak") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Excludes campaigns from the measurement of coverage, which would take most of their time."""
    for item in items:
        if item.get_closest_marker("campaign"):
            item.add_marker("no_cover")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs a test as pytest does. A worker reports only the result to the main process, because messages about each
    start, set-up and tear-down take longer than many tests."""
    options = item.config.option
    if "PYTEST_XDIST_WORKER" not in os.environ or options.durations is not None or options.xmlpath:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _memory_folder() -> str | None:
    """Returns a folder in memory with enough room for the files of the tests, or `None`."""
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
    """Runs the tests without AWS settings, so that they cannot reach the developer's account."""
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
        # Without this, every decision calls git to determine the operator.
        patch.setenv("GIT_AUTHOR_EMAIL", "team@example.com")
        yield

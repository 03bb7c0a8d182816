"""Tests that a machine with a wrong clock sends nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest

from reconciler.app.connections import AwsConnections
from reconciler.core.events import Absent
from reconciler.core.identity import Place
from reconciler.core.safety_checks import check_clock
from reconciler.core.times import time_text
from reconciler.errors import AccountMismatch, ClockSkew
from reconciler.model.project import Target
from tests.aws.stub import REQUEST_ID, Stub, http, reply
from tests.aws.test_clients import IDENTITY
from tests.builders import intended
from tests.cli.world import ACCOUNT, REGION, World, aws_environment
from tests.ledger.builders import StandingClock, always


@pytest.mark.parametrize("ahead", [None, 0.0, 60.0, -60.0])
def test_a_clock_within_a_minute_passes(ahead: float | None):
    """The settling time allows for a clock difference of one minute. If AWS sends no date, nothing is refused."""
    check_clock(ahead)


@pytest.mark.parametrize(("ahead", "message"), [(61.0, "61 s ahead of AWS's"), (-3600.0, "3600 s behind AWS's")])
def test_a_clock_that_is_off_is_refused(ahead: float, message: str):
    """The message contains the difference and its direction."""
    with pytest.raises(ClockSkew, match=message):
        check_clock(ahead)


def test_nothing_is_sent_by_a_machine_whose_clock_is_off(world: World):
    """If the clock differs from AWS's by an hour, the exit code is 1, and there is neither a run nor an intent."""
    world.batch("a")
    an_hour_ago = formatdate(time.time() - 3600, usegmt=True)
    body = IDENTITY.replace(b"123456789012", ACCOUNT.encode())
    with Stub(reply(http(200, body, REQUEST_ID | {"Date": an_hour_ago}))) as sts:
        world.env["AWS_ENDPOINT_URL_STS"] = sts.url
        done = world.run("apply", "--yes")
    assert done.code == 1
    assert "s ahead of AWS's, and at most 60 s are allowed: nothing was sent" in done.err
    assert (world.runs(), [event.type for event in world.events()]) == ([], ["opened"])


def _unresolved(world: World) -> None:
    """Records an intent that is an hour old, without an outcome or a run."""
    an_hour_ago = time_text(datetime.now(UTC) - timedelta(hours=1))
    log = world.log()
    where = {"jobQueue": "nightly", "jobName": "a"}
    log.append((intended(name="a", at=an_hour_ago, not_after=an_hour_ago, location=where),), always)
    log.close()


@pytest.mark.parametrize(("behind", "code", "looks"), [(0, 3, 1), (3600, 1, 0)])
def test_a_clock_that_is_off_proves_no_absence(world: World, behind: int, code: int, looks: int):
    """The recorded time of a lookup must be correct, because a wrong time would let other passes send too early."""
    world.batch("a")
    _unresolved(world)
    body = IDENTITY.replace(b"123456789012", ACCOUNT.encode())
    date = formatdate(time.time() - behind, usegmt=True)
    with Stub(reply(http(200, body, REQUEST_ID | {"Date": date}))) as sts:
        world.env["AWS_ENDPOINT_URL_STS"] = sts.url
        done = world.run("reconcile")
    assert code == done.code, done.err
    assert looks == sum(isinstance(event, Absent) for event in world.events())


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Date": formatdate(time.time() - 2 * 86400, usegmt=True)}, "s ahead of AWS's"),
        ({}, "AWS's reply has no time"),
    ],
)
def test_a_clock_that_is_off_records_nothing_of_schedules(world: World, headers: dict[str, str], message: str):
    """AWS's clock is checked even if nothing is sent. With a clock that is two days ahead or cannot be compared,
    neither the start of a schedule nor missed slots are recorded."""
    world.batch("hourly", schedule='"0 * * * *"')
    body = IDENTITY.replace(b"123456789012", ACCOUNT.encode())
    own = world.env["AWS_ENDPOINT_URL_STS"]
    with Stub(reply(http(200, body, REQUEST_ID | headers))) as sts:
        world.env["AWS_ENDPOINT_URL_STS"] = sts.url
        wrong = world.run("reconcile")
    assert (wrong.code, [event.type for event in world.events()]) == (1, ["opened"])
    assert message in wrong.err
    world.env["AWS_ENDPOINT_URL_STS"] = own
    assert world.run("reconcile").code == 0
    assert len(world.events()) > 1


def test_a_service_checks_the_time_and_the_account_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The passes of a service are far apart, so the check of an earlier pass is not reused."""
    clock = StandingClock(time.time())
    target = Target(account=ACCOUNT, region=REGION, ledger="sqlite:///ledger.sqlite")
    ours, other = (IDENTITY.replace(b"123456789012", account) for account in (ACCOUNT.encode(), b"999999999999"))
    with Stub(
        reply(http(200, ours, REQUEST_ID | {"Date": formatdate(clock.now(), usegmt=True)})),
        reply(http(200, ours, REQUEST_ID | {"Date": formatdate(clock.now() - 3600, usegmt=True)})),
        reply(http(200, other, REQUEST_ID)),
    ) as sts:
        for name, value in aws_environment(sts.url).items():
            monkeypatch.setenv(name, value)
        access = AwsConnections(tmp_path, Place("shop", "staging", ACCOUNT, REGION), target, clock)
        access.check_clock()
        access.check_clock()
        clock.sleep(61)
        with pytest.raises(ClockSkew):
            access.check_clock()
        clock.sleep(61)
        with pytest.raises(AccountMismatch):
            access.check_account()
        access.close()

"""Tests that each call is transmitted at most once, and never after its deadline."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.outcome import DeadlinePassed, Transmission, TransmissionRefused, once
from reconciler.core.ports import Accepted, Ambiguous, Instant, NotSent
from tests.aws.conftest import Connect, Wired
from tests.aws.requests import BATCH, EMR, Submit, in_a_minute
from tests.aws.stub import Stub, answer, close_after_reading, error, http, reply

BOTH = pytest.mark.parametrize("submit", [EMR, BATCH], ids=["emr", "batch"])
FAR = 1e12


class SetClock:
    """A clock that shows the time it is set to."""

    def __init__(self, wall: float, boot: float) -> None:
        self.wall, self.booted = wall, boot

    def now(self) -> float:
        """Returns the time of the wall clock."""
        return self.wall

    def boot(self) -> float:
        """Returns the time of the boot-time clock."""
        return self.booted

    def sleep(self, seconds: float) -> None:
        """Never called."""
        raise AssertionError(seconds)


@BOTH
@pytest.mark.parametrize(
    ("now", "boot", "sent"),
    [(100, 50, 1), (99, 49, 1), (100.001, 0, 0), (0, 50.001, 0), (101, 51, 0)],
)
def test_the_later_of_two_clocks_counts(
    now: float, boot: float, sent: int, submit: Submit, wired: Wired, monkeypatch: pytest.MonkeyPatch
):
    """A request is sent only if neither clock has passed its deadline."""
    monkeypatch.setattr(wired.aws, "clock", SetClock(now, boot))
    wired.stub.play(answer(200, submit.accepted))
    outcome = submit.connect(wired.aws).submit(submit.request, Instant(100, 50))
    assert sent == wired.stub.transmissions
    assert (Accepted if sent else NotSent) is type(outcome)
    if isinstance(outcome, NotSent):
        assert outcome.code == "DeadlinePassed"


@BOTH
def test_time_is_checked_after_signing(submit: Submit, aws: Connect):
    """A process that is suspended while it signs sends nothing when it resumes."""
    clock = SetClock(0, 0)
    with Stub(answer(200, submit.accepted)) as stub:
        connected = aws(stub.url, clock=clock)
        events = connected.submitter(submit.service).meta.events

        def freeze(**_: object) -> None:
            clock.wall = 101

        events.register_last("before-sign", freeze)
        outcome = submit.connect(connected).submit(submit.request, Instant(100, FAR))
        assert stub.transmissions == 0
    assert NotSent("DeadlinePassed", "the deadline of this send passed before it went out: nothing was sent") == outcome


def test_time_is_checked_after_every_other_hook(aws: Connect):
    """Hooks that wait right before the transmission run before the time is checked."""
    clock = SetClock(0, 0)
    with Stub(answer(200, BATCH.accepted)) as stub:
        connected = aws(stub.url, clock=clock)

        def wait(**_: object) -> None:
            clock.wall = 101

        connected.submitter("batch").meta.events.register("before-send", wait)
        assert isinstance(BATCH.connect(connected).submit(BATCH.request, Instant(100, FAR)), NotSent)
        assert stub.transmissions == 0


@pytest.mark.parametrize(
    ("submit", "mode", "by"),
    [
        (BATCH, "legacy", "environment"),
        (BATCH, "standard", "environment"),
        (BATCH, "adaptive", "environment"),
        (BATCH, "legacy", "profile"),
        (EMR, "legacy", "environment"),
        (EMR, "adaptive", "profile"),
    ],
)
def test_no_setting_brings_retries_back(
    mode: str, by: str, submit: Submit, aws: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """No setting in the environment or profile causes a second transmission, whatever the result of the first one
    is."""
    if by == "environment":
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
        monkeypatch.setenv("AWS_RETRY_MODE", mode)
    else:
        (tmp_path / "config").write_text(f"[default]\nmax_attempts = 5\nretry_mode = {mode}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    acts = {
        "closed": close_after_reading,
        "500": error(500, "InternalServerException"),
        "429": error(429, "TooManyRequestsException"),
        "503": reply(http(503, b"", {"Retry-After": "0"})),
    }
    with Stub(close_after_reading) as stub:
        service = submit.connect(aws(stub.url))
        for act in acts.values():
            stub.play(act)
            outcome = service.submit(submit.request, in_a_minute())
            assert stub.transmissions == 1
            assert not isinstance(outcome, Accepted)
            assert outcome.code != "TransmissionRefused"  # botocore did not even retry


def test_a_retry_that_is_forced_is_stopped_by_the_guard(aws: Connect):
    """Even if botocore retried, nothing would be sent, and the outcome would remain ambiguous."""

    def again(attempts: int, **_: object) -> float | None:
        return 0.0001 if attempts < 4 else None

    with Stub(error(500, "ServerException")) as stub:
        connected = aws(stub.url)
        connected.submitter("batch").meta.events.register_first("needs-retry", again)
        outcome = BATCH.connect(connected).submit(BATCH.request, in_a_minute())
        assert stub.transmissions == 1
    assert isinstance(outcome, Ambiguous)


def test_a_call_outside_the_guard_is_not_transmitted(aws: Connect):
    """A client for submissions cannot be used by accident."""
    with Stub(answer(200, BATCH.accepted)) as stub:
        client = aws(stub.url).submitter("batch")
        with pytest.raises(TransmissionRefused):
            client.submit_job(**BATCH.request)
        assert stub.transmissions == 0


def test_each_call_has_its_own_permission(aws: Connect):
    """Many threads share one client, and each of their calls is transmitted once."""
    together = Barrier(8)
    with Stub(answer(200, BATCH.accepted)) as stub:
        service = BATCH.connect(aws(stub.url))

        def work(_: int) -> list[object]:
            together.wait()
            return [service.submit(BATCH.request, in_a_minute()) for _ in range(3)]

        with ThreadPoolExecutor(8) as pool:
            outcomes = [outcome for some in pool.map(work, range(8)) for outcome in some]
        assert {Accepted} == {type(outcome) for outcome in outcomes}
        assert stub.transmissions == 24


def test_a_permission_ends_with_its_block():
    """Inside the block, one transmission is allowed. A second one, or one after the deadline, is refused."""
    clock = SetClock(0, 0)
    with once(Instant(10, 10), clock) as transmission:
        transmission.pass_on()
        with pytest.raises(TransmissionRefused):
            transmission.pass_on()
        assert transmission.sent == 1
    late = Transmission(Instant(-1, 10), clock)
    with pytest.raises(DeadlinePassed):
        late.pass_on()
    assert late.sent == 0


def test_the_clock_is_the_machine_s(monkeypatch: pytest.MonkeyPatch):
    """The real clock returns the time. Its boot-time clock includes the time of a suspension; without such a clock, a
    fallback is used."""
    clock = SystemClock()
    assert time.time() <= clock.now() <= time.time()
    assert time.clock_gettime(time.CLOCK_BOOTTIME) <= clock.boot() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    clock.sleep(-1)
    clock.sleep(0.001)
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert time.monotonic() <= clock.boot() <= time.monotonic()

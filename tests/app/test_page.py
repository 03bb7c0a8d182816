"""The page on a port is read-only, and is served only under a host name of this machine."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from http.client import HTTPConnection
from typing import cast

import pytest

from reconciler.app.http_server import Endpoint
from reconciler.app.page import LivePage, MissedSlots, allowed_hosts, write
from reconciler.core.events import Event, Missed
from reconciler.core.state import FormerName, Recorded, SpecRecord
from reconciler.core.times import Schedule
from reconciler.errors import ReconcilerError
from reconciler.ledger.history import History
from reconciler.render.page.site import Site
from tests.render.test_page import content, row
from tests.waiting import PATIENCE_SECONDS


def asked(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str, dict[str, str]]:
    """Returns the status, the text and the headers of a response."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers={"Host": f"{host}:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def test_the_page_is_served_for_reading():
    """Every page has a content security policy. Requests for other paths, or with other methods, are refused."""
    page = LivePage(allowed_hosts("127.0.0.1"))
    served = Endpoint(page.respond, "127.0.0.1", 0, "the page")
    try:
        assert asked(served.port, "/")[0] == 503
        given = content(row("job"))
        page.show(given)
        status, text, headers = asked(served.port, "/")
        assert (status, "<h1>" in text) == (200, True)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert asked(served.port, "/specs/job.html")[0] == 200
        assert asked(served.port, "/page.js")[2]["Content-Type"] == "text/javascript; charset=utf-8"
        assert asked(served.port, "/version")[1] == given.plan.created_at
        assert asked(served.port, "/specs/../../etc/passwd")[0] == 404
        assert asked(served.port, "/", "POST")[0] == 405
        assert asked(served.port, "/", host="evil.example")[0] == 403
    finally:
        served.close()


@pytest.mark.parametrize(("address", "any_name"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])
def test_the_names_of_a_page_that_others_may_read(address: str, any_name: bool):
    """If the service listens on all addresses, any host name is allowed, because the operator controls who can
    connect."""
    assert (allowed_hosts(address) is None) is any_name


def test_a_folder_that_cannot_be_written(tmp_path):
    """The error message contains the path of the folder. Other files in a folder are not removed."""
    (tmp_path / "kept.txt").write_text("mine")
    assert write(Site(content(row("job"))), tmp_path) == len(list(tmp_path.rglob("*.*"))) - 1
    assert (tmp_path / "kept.txt").read_text() == "mine"
    with pytest.raises(ReconcilerError, match="cannot be written"):
        write(Site(content()), tmp_path / "kept.txt")


class Batches:
    """A fake ledger history that contains a range of missed slots at each position. It counts the batches that are
    read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def batches(self, positions: Sequence[int], names: Container[str]) -> Iterator[tuple[int, Sequence[Event]]]:
        """Yields the events at some positions."""
        for position in positions:
            self.read.append(position)
            slot = f"2026-11-{position:02}T02:00:00Z"
            yield (
                position,
                [
                    Missed(at=slot, name=name, first=slot, last=slot, reason="passed-over")
                    for name in ("old-name", "other")
                    if name in names
                ],
            )


def test_missed_slots_are_read_once():
    """The page shows the missed slots of the last month, for scheduled specs only. Later passes read only new batches,
    and a different ledger is read from its start."""
    schedule = Schedule("2026-11-01T00:00:00Z", "0 2 * * *", "UTC", "BatchJob")
    former = FormerName("old-name", "job", 1)
    record = SpecRecord("job", schedule=schedule, positions=[3, 20], former_names=[former])
    recorded = Recorded(
        specs={"job": record, "other": SpecRecord("other", positions=[4])},
        position=20,
        former_names={"old-name": former},
    )
    missed, history = MissedSlots(), Batches()

    def shown(since: str) -> list[str]:
        ranges = missed.update(cast(History, history), recorded, since)
        return [first for first, _ in ranges["job"]]

    assert shown("2026-11-01T00:00:00Z") == ["2026-11-03T02:00:00Z", "2026-11-20T02:00:00Z"]
    record.positions.append(25)
    recorded.position = 25
    assert shown("2026-11-10T00:00:00Z") == ["2026-11-20T02:00:00Z", "2026-11-25T02:00:00Z"]
    assert history.read == [3, 20, 25]
    record.positions, recorded.position = [2], 2
    assert shown("2026-11-01T00:00:00Z") == ["2026-11-02T02:00:00Z"]

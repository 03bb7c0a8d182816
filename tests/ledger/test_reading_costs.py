"""Tests how many requests it takes to read a ledger in AWS. A long ledger takes only a few, because it has a
snapshot."""

from __future__ import annotations

import pytest

from reconciler.ledger.log import Log
from tests.ledger.builders import PLACE, StandingClock, always, intended
from tests.ledger.conftest import Opening
from tests.ledger.server import Server

POSITIONS = 40


@pytest.mark.parametrize(("scheme", "most"), [("s3", 5), ("dynamodb", 5)])
def test_a_snapshot_stands_for_what_came_before_it(scheme: str, most: int, aws: Server, opening: Opening):
    """A reader of a long ledger requests only the snapshot, the batch at the snapshot's position and the batches after
    it."""
    url = aws.address(scheme)
    writer = Log(opening(url), PLACE, "0.1.0", StandingClock())
    for number in range(POSITIONS):
        writer.append([intended(f"job-{number}", f"r1-{number}")], always)
    writer.close()

    store = opening(url)
    asked = counted(store, scheme)
    recorded = Log(store, PLACE, "0.1.0", StandingClock()).refresh()

    assert recorded.position == POSITIONS
    assert len(asked) <= most, asked


def counted(store, scheme: str) -> list[str]:
    """Returns the requests that a store sends from now on, by operation."""
    clients, sent = store if scheme == "s3" else store.table, list[str]()
    clients.reader.meta.events.register(
        f"before-send.{scheme}", lambda request, event_name, **_: sent.append(event_name.rsplit(".", 1)[-1])
    )
    return sent

"""Tests that `fsck` recognizes listed runs by the tokens of the current content."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.app.fsck import _keys
from reconciler.core.fsck import ListedRun
from reconciler.core.identity import SubmissionKey, client_token
from reconciler.core.ports import RunReport
from tests.builders import PLACE, spec

SESSION: Any = SimpleNamespace(place=PLACE)


@pytest.mark.parametrize("key", [SubmissionKey("orders", 3, attempt=2), SubmissionKey("orders", 7)], ids=str)
@pytest.mark.parametrize("tagged", ["orders", "former"])
def test_a_run_is_recognized_by_its_token(key: SubmissionKey, tagged: str):
    """The token identifies the generation and the attempt, even if the run was started under the spec's former name."""
    wanted = spec(policy={"backoffLimit": 1})
    started = SubmissionKey(tagged, key.generation, attempt=key.attempt)
    token = client_token(PLACE, wanted.kind, started, wanted.digest)
    report = RunReport(True, "succeeded", "SUCCEEDED")
    run = ListedRun("orders", "run-1", token, wanted.kind, {}, "2026-11-22T02:00:00Z", report, tagged)

    assert _keys(wanted, "orders", SESSION, [run]) == {token: key}

"""Tests client tokens, listings and tags of EMR Serverless."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError

from tests.aws_proof.account import TAG, Account, seconds_until, token
from tests.aws_proof.conftest import Find

pytestmark = pytest.mark.aws

REMEMBERED_SECONDS = 17 * 60.0
"""The time for which rule R6 needs AWS to store a token: 60 s + 30 s + the 15 min of a signature, rounded up."""

LISTED_SECONDS = 300.0
"""The part of the settling time that is reserved for late listings."""


def _error_of(account: Account, first: str, argument: str) -> tuple[str, int]:
    """Returns AWS's reply to a used token with another body: its code and status, or "accepted" and the status."""
    try:
        again = account.start_run(first, argument)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return f"accepted as {again}", 200


def test_the_same_token_and_body_give_the_same_run(account: Account, find: Find):
    """Rule R6 sends the same request again within a minute and relies on a reply with the same run."""
    mine = token()
    first, second = account.start_run(mine), account.start_run(mine)
    find("the same run" if first == second else f"two runs, {first} and {second}")

    assert second == first


def test_the_same_token_with_another_body(account: Account, find: Find):
    """Our token is used with only one body, so this case never happens, but it must not start a second run."""
    mine = token()
    first = account.start_run(mine, "A")
    code, status = _error_of(account, mine, "B")
    find(f"{code}, HTTP {status}")

    assert status >= 400 or code == f"accepted as {first}"


def test_a_token_is_remembered_for_seventeen_minutes(account: Account, find: Find):
    """The reply is the same even after the run was cancelled. The token is sent again at growing intervals, up to the
    one that R6 needs."""
    longest = account.seconds("TOKEN_SECONDS", REMEMBERED_SECONDS)
    mine = token()
    first, began = account.start_run(mine), time.monotonic()
    account.stop_run(first)
    remembered = 0.0
    for after in (longest / 4, longest / 2, longest):
        time.sleep(max(0.0, began + after - time.monotonic()))
        if account.start_run(mine) != first:
            break
        remembered = after
    find(f"still the same run after {remembered:.0f} s" if remembered else f"another run within {longest / 4:.0f} s")

    assert remembered == longest


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_is_listed_within_five_minutes(account: Account, find: Find, number: int):
    """The settling time depends on it. This is tested with three runs."""
    run_id = account.start_run(token())
    application = account.setting("APPLICATION")

    def listed() -> bool:
        pages = account.emr.get_paginator("list_job_runs").paginate(applicationId=application)
        return any(run["id"] == run_id for page in pages for run in page["jobRuns"])

    took = seconds_until(listed, account.seconds("LISTING_SECONDS", LISTED_SECONDS), step=1.5)
    account.stop_run(run_id)
    find(f"not in {LISTED_SECONDS:.0f} s" if took is None else f"run {number} after {took:.1f} s")

    assert took is not None


def test_tags_are_there_at_once(account: Account, find: Find):
    """A lookup treats a run without our tag as another user's, so the tag must appear together with the run."""
    mine = token()
    run_id = account.start_run(mine)
    run = account.emr.get_job_run(applicationId=account.setting("APPLICATION"), jobRunId=run_id)["jobRun"]
    tag = run.get("tags", {}).get(TAG)
    find(f"tag {'there' if tag == mine else 'missing'} in the first GetJobRun")

    assert tag == mine


def test_a_listing_without_mode_holds_streaming_runs(account: Account, find: Find):
    """The reconciler reads two listings, because AWS does not document whether a listing without a mode contains
    streaming runs. Both results are fine, but if it does, the second listing is unnecessary."""
    run_id = account.start_run(token(), mode="STREAMING")
    application = account.setting("APPLICATION")
    listings = {}
    for said, mode in (("without mode", {}), ("with mode STREAMING", {"mode": "STREAMING"})):
        found = seconds_until(
            lambda mode=mode: any(  # type: ignore[misc]
                run["id"] == run_id for run in account.emr.list_job_runs(applicationId=application, **mode)["jobRuns"]
            ),
            account.seconds("STREAMING_SECONDS", 60.0),
            step=1.5,
        )
        listings[said] = found is not None
    account.stop_run(run_id)
    find(", ".join(f"{said}: {'listed' if listed else 'not listed'}" for said, listed in listings.items()))

    assert any(listings.values())

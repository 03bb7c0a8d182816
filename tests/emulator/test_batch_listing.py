"""Tests ListJobs of AWS Batch for a queue: its filters and its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator.conftest import NOON, Clock

Submit = Callable[..., str]


def names(batch: Any, filter_name: str, value: str, **more: Any) -> list[str]:
    """Returns the names of the jobs that a filter selects."""
    reply = batch.list_jobs(jobQueue="main", filters=[{"name": filter_name, "values": [value]}], **more)
    return [summary["jobName"] for summary in reply["jobSummaryList"]]


def test_without_a_status_only_running_jobs_are_listed(submit: Submit, batch: Any, clock: Clock) -> None:
    """With a status, only the jobs with that status are listed."""
    ended = submit()
    clock.tick(20)
    running = submit()
    clock.tick(5)

    def listed(**more: Any) -> list[str]:
        return [summary["jobId"] for summary in batch.list_jobs(jobQueue="main", **more)["jobSummaryList"]]

    assert [running] == listed()
    assert [ended] == listed(jobStatus="SUCCEEDED")
    assert listed(jobStatus="FAILED") == []


def test_names_ignore_case_and_may_end_in_a_star(submit: Submit, batch: Any, clock: Clock) -> None:
    """With this filter, jobs of every status are listed, newest first, and jobStatus is ignored."""
    for name in ("Orders", "orders-eu", "ORDERS", "other"):
        submit(jobName=name)
        clock.tick(100)

    assert names(batch, "JOB_NAME", "orders") == ["ORDERS", "Orders"]
    assert names(batch, "JOB_NAME", "oRDers*", jobStatus="RUNNING") == ["ORDERS", "orders-eu", "Orders"]
    assert names(batch, "JOB_NAME", "order") == []


def test_jobs_can_be_filtered_by_definition_time_and_share(submit: Submit, batch: Any, clock: Clock) -> None:
    """The filter may omit the revision of a definition, times are in milliseconds, and SHARE_IDENTIFIER respects
    jobStatus."""
    submit(jobName="a", jobDefinition="etl", shareIdentifier="x")
    clock.tick(10)
    submit(jobName="b", jobDefinition="etl:2")
    middle = str(round((NOON + 5) * 1000))

    assert names(batch, "JOB_DEFINITION", "etl") == ["b", "a"]
    assert names(batch, "JOB_DEFINITION", "etl:2") == ["b"]
    assert names(batch, "JOB_DEFINITION", "arn:aws:batch:us-east-1:000000000000:job-definition/etl:1") == ["a"]
    assert (
        names(batch, "BEFORE_CREATED_AT", middle),
        names(batch, "AFTER_CREATED_AT", middle),
    ) == (["a"], ["b"])
    assert names(batch, "SHARE_IDENTIFIER", "x") == ["a"]
    assert names(batch, "SHARE_IDENTIFIER", "x", jobStatus="FAILED") == []


def test_a_filtered_page_has_at_most_a_hundred_jobs(submit: Submit, batch: Any) -> None:
    """All pages together contain every job exactly once. Summaries have no tags."""
    ids = [submit(tags={"reconciler:token": "t"}) for _ in range(101)]

    pages = list(
        batch.get_paginator("list_jobs").paginate(
            jobQueue="main", filters=[{"name": "JOB_NAME", "values": ["orders"]}], PaginationConfig={"PageSize": 1000}
        )
    )

    assert [len(page["jobSummaryList"]) for page in pages] == [100, 1]
    assert ids[::-1] == [summary["jobId"] for page in pages for summary in page["jobSummaryList"]]
    assert "tags" not in pages[0]["jobSummaryList"][0]
    assert len(batch.list_jobs(jobQueue="main", jobStatus="SUBMITTED")["jobSummaryList"]) == 101


def test_a_listing_is_of_one_queue(submit: Submit, batch: Any) -> None:
    """A queue can be identified by its ARN or its name."""
    submit(jobQueue="arn:aws:batch:us-east-1:000000000000:job-queue/main")

    assert names(batch, "JOB_NAME", "orders") == ["orders"]
    assert batch.list_jobs(jobQueue="other", jobStatus="SUBMITTED")["jobSummaryList"] == []


def test_ended_jobs_have_an_exit_code_in_the_listing(submit: Submit, batch: Any, clock: Clock) -> None:
    """A job that never started has no exit code."""
    submit()
    never = submit()
    batch.cancel_job(jobId=never, reason="x")
    clock.tick(30)

    (succeeded,) = batch.list_jobs(jobQueue="main", jobStatus="SUCCEEDED")["jobSummaryList"]
    (failed,) = batch.list_jobs(jobQueue="main", jobStatus="FAILED")["jobSummaryList"]

    assert succeeded["container"]["exitCode"] == 0
    assert (never, True, False) == (failed["jobId"], failed["isCancelled"], "container" in failed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "exactly one"),
        ({"jobQueue": "main", "arrayJobId": "x"}, "exactly one"),
        ({"jobQueue": "main", "maxResults": 0}, "maxResults"),
        ({"jobQueue": "main", "nextToken": "x"}, "nextToken"),
        ({"jobQueue": "main", "filters": [{"name": "JOB_NAME", "values": ["a"]}] * 2}, "only one filter"),
        ({"jobQueue": "main", "filters": [{"name": "STATUS", "values": ["a"]}]}, "filters"),
        ({"jobQueue": "main", "filters": [{"name": "JOB_NAME", "values": []}]}, "one value"),
        ({"jobQueue": "main", "filters": [{"name": "AFTER_CREATED_AT", "values": ["noon"]}]}, "milliseconds"),
        ({"arrayJobId": "x", "filters": [{"name": "JOB_NAME", "values": ["a"]}]}, "need jobQueue"),
        ({"jobQueue": "main", "jobStatus": "DONE"}, "jobStatus"),
    ],
)
def test_invalid_listings_are_refused(batch: Any, wrong: dict[str, Any], message: str) -> None:
    """The error is a ClientException that describes the problem."""
    with pytest.raises(batch.exceptions.ClientException, match=message):
        batch.list_jobs(**wrong)

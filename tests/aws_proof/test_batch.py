"""Tests listings and tags of AWS Batch."""

from __future__ import annotations

import pytest

from tests.aws_proof.account import TAG, Account, seconds_until, token
from tests.aws_proof.conftest import Find

pytestmark = pytest.mark.aws

LISTED_SECONDS = 300.0
"""The part of the settling time that is reserved for runs that appear late in listings."""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_job_is_listed_within_five_minutes(account: Account, find: Find, number: int):
    """This listing filters by name, as the reconciler's search does. This is tested with three jobs."""
    mine = token()
    name = f"reconciler-aws-proof-{mine[-8:]}"
    job_id = account.submit_job(mine, name)
    filters = [{"name": "JOB_NAME", "values": [name]}]

    def listed() -> bool:
        answer = account.batch.list_jobs(jobQueue=account.setting("QUEUE"), filters=filters)
        return any(job["jobId"] == job_id for job in answer["jobSummaryList"])

    took = seconds_until(listed, account.seconds("LISTING_SECONDS", LISTED_SECONDS), step=1.0)
    account.stop_job(job_id)
    find(f"not in {LISTED_SECONDS:.0f} s" if took is None else f"job {number} after {took:.1f} s")

    assert took is not None


def test_tags_are_there_with_the_description(account: Account, find: Find):
    """DescribeJobs may not return a job right after it was submitted. As soon as it returns the job, it must return the
    tags."""
    mine = token()
    job_id = account.submit_job(mine, f"reconciler-aws-proof-{mine[-8:]}")
    described: list[dict[str, object]] = []

    def known() -> bool:
        described[:] = account.batch.describe_jobs(jobs=[job_id])["jobs"]
        return bool(described)

    took = seconds_until(known, account.seconds("LISTING_SECONDS", LISTED_SECONDS), step=0.5)
    account.stop_job(job_id)
    tags = described[0].get("tags") if described else None
    tag = tags.get(TAG) if isinstance(tags, dict) else None
    find(f"described after {took or 0:.1f} s, tag {'there' if tag == mine else 'missing'}")

    assert tag == mine


def test_a_name_finds_jobs_of_every_status(account: Account, find: Find):
    """The reconciler lists jobs without a status, because a filter by name is documented to ignore it, so ended jobs
    are found too."""
    mine = token()
    name = f"reconciler-aws-proof-{mine[-8:]}"
    job_id = account.submit_job(mine, name)
    account.stop_job(job_id)
    filters = [{"name": "JOB_NAME", "values": [name]}]

    def ended() -> bool:
        jobs = account.batch.describe_jobs(jobs=[job_id])["jobs"]
        return bool(jobs) and jobs[0]["status"] == "FAILED"

    took = seconds_until(ended, account.seconds("LISTING_SECONDS", LISTED_SECONDS), step=1.0)
    answer = account.batch.list_jobs(jobQueue=account.setting("QUEUE"), filters=filters)
    listed = any(job["jobId"] == job_id for job in answer["jobSummaryList"])
    find(f"ended {'in time' if took is not None else 'not in time'}, {'listed' if listed else 'not listed'}")

    assert listed

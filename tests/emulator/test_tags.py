"""Tests the tag operations of both services, and GetCallerIdentity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from reconciler.emulator import Emulator
from tests.emulator.conftest import APPLICATION, client, run_request, send

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_a_job_run_can_be_tagged(emr: Any, run: Get) -> None:
    """GetJobRun also returns tags that were added or replaced later, and does not return removed tags."""
    reply = emr.start_job_run(**run_request(tags={"a": "1", "b": "2"}))
    arn = reply["arn"]

    emr.tag_resource(resourceArn=arn, tags={"b": "3", "c": "4"})
    emr.untag_resource(resourceArn=arn, tagKeys=["a", "missing"])

    assert emr.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "3", "c": "4"}
    assert run(reply["jobRunId"])["tags"] == {"b": "3", "c": "4"}


def test_a_batch_job_can_be_tagged(batch: Any, submit: Submit, job: Get) -> None:
    """DescribeJobs also returns tags that were added later, and does not return removed tags."""
    job_id = submit(tags={"a": "1"})
    arn = job(job_id)["jobArn"]

    batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    batch.untag_resource(resourceArn=arn, tagKeys=["a"])

    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert job(job_id)["tags"] == {"b": "2"}


def test_other_resources_can_be_tagged(emr: Any, batch: Any) -> None:
    """Descriptions of applications and queues contain their tags."""
    application = emr.get_application(applicationId=APPLICATION)["application"]["arn"]
    queue = batch.describe_job_queues(jobQueues=["main"])["jobQueues"][0]["jobQueueArn"]

    emr.tag_resource(resourceArn=application, tags={"a": "1"})
    batch.tag_resource(resourceArn=queue, tags={"b": "2"})

    assert emr.get_application(applicationId=APPLICATION)["application"]["tags"] == {"a": "1"}
    assert batch.describe_job_queues(jobQueues=["main"])["jobQueues"][0]["tags"] == {"b": "2"}


def test_a_resource_has_at_most_fifty_tags(emr: Any, batch: Any, submit: Submit, job: Get) -> None:
    """One tag above the limit is refused, whether tags are added in one call or in several. Tags with AWS's reserved
    prefix are refused too."""
    arn = emr.start_job_run(**run_request(tags={str(number): "" for number in range(50)}))["arn"]
    with pytest.raises(emr.exceptions.ValidationException, match="50"):
        emr.tag_resource(resourceArn=arn, tags={"one-more": ""})
    plain = emr.start_job_run(**run_request())["arn"]
    with pytest.raises(emr.exceptions.ValidationException, match="aws:"):
        emr.tag_resource(resourceArn=plain, tags={"AWS:x": ""})
    with pytest.raises(batch.exceptions.ClientException, match="50"):
        batch.tag_resource(resourceArn=job(submit())["jobArn"], tags={str(number): "" for number in range(51)})


def test_tags_of_an_unknown_run_are_an_error(emr: Any, batch: Any) -> None:
    """Each service has its own error code."""
    prefix = "us-east-1:000000000000"
    with pytest.raises(emr.exceptions.ResourceNotFoundException):
        emr.list_tags_for_resource(
            resourceArn=f"arn:aws:emr-serverless:{prefix}:/applications/{APPLICATION}/jobruns/00no"
        )
    with pytest.raises(batch.exceptions.ClientException):
        batch.list_tags_for_resource(resourceArn=f"arn:aws:batch:{prefix}:job/no")


def test_the_caller_belongs_to_the_account_in_the_settings(emulator: Emulator) -> None:
    """The default account id is twelve zeros. The ARN has the partition of the region."""
    sts = client("sts", emulator.url)
    before = sts.get_caller_identity()
    emulator.configure(account="111122223333", region="cn-north-1")
    after = sts.get_caller_identity()
    sts.close()

    assert (before["Account"], before["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:user/emulator")
    assert (after["Account"], after["Arn"]) == ("111122223333", "arn:aws-cn:iam::111122223333:user/emulator")
    assert before["ResponseMetadata"]["RequestId"]


def test_govcloud_arns_have_their_own_partition(emulator: Emulator, submit: Submit, job: Get) -> None:
    """ARNs in a GovCloud region start with arn:aws-us-gov."""
    emulator.configure(region="us-gov-west-1")

    assert job(submit())["jobArn"].startswith("arn:aws-us-gov:batch:us-gov-west-1:")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"Action": "GetSessionToken", "Version": "2011-06-15"}, 501, "NotImplemented"),
        ({"Action": "Nothing", "Version": "2011-06-15"}, 400, "InvalidAction"),
        ({"Action": "GetCallerIdentity", "Version": "1999-01-01"}, 400, "InvalidAction"),
    ],
)
def test_sts_provides_one_operation(emulator: Emulator, form: dict[str, str], status: int, code: str) -> None:
    """Errors for other operations are XML, as in the query protocol."""
    response, body = send(emulator, "POST", "/", urlencode(form))

    assert (status, True) == (response.status, f"<Code>{code}</Code>" in body.decode())


def test_a_client_can_parse_an_sts_error(emulator: Emulator) -> None:
    """botocore reads the code from the XML."""
    sts = client("sts", emulator.url)
    with pytest.raises(sts.exceptions.ClientError) as caught:
        sts.get_session_token()
    sts.close()

    assert caught.value.response["Error"]["Code"] == "NotImplemented"

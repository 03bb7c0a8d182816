"""Checks in AWS the resources that requests of several services name: IAM roles, S3 files and folders, log groups,
subnets and security groups."""

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.core.ports import Answer
from reconciler.errors import ServiceError
from reconciler.model.base import JSON
from reconciler.model.resources_and_permissions import Need, Resource

MISSING = frozenset(
    {"404", "NoSuchBucket", "NoSuchKey", "NotFound", "NoSuchEntity", "ResourceNotFoundException"}
    | {"InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"}
)
SERVICES = {
    Resource.ROLE: "iam",
    Resource.OBJECT: "s3",
    Resource.PREFIX: "s3",
    Resource.LOG_GROUP: "logs",
    Resource.SUBNET: "ec2",
    Resource.SECURITY_GROUP: "ec2",
}
"""Maps each type of resource to boto3's name of its service."""

Result = tuple[Answer, str]
"""The result of a check, and the sentence that explains it to the user."""

INVENTED = Answer.NOT_ASKED, "settings of the resources: not checked, because resources in the emulator have none"


NETWORK_UNASKED = "routes and endpoints of the subnets of {}: not checked, because jobs may need none"


def is_invented(reply: Mapping[str, Any]) -> bool:
    """Returns whether the reply is from the emulator. In the emulator, every resource that a request names exists, and
    resources have no settings."""
    return "x-reconciler-emulator" in reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})


class SharedResources:
    """Checks resources in AWS, each of them once. `service` is boto3's name of the service that uses the resources, and
    `principal` is the service principal that must be allowed to assume roles."""

    def __init__(self, aws: Aws, service: str, principal: str) -> None:
        self._aws, self._service, self._principal = aws, service, principal
        self._answers: dict[tuple[str, str], Result] = {}
        self._described: dict[tuple[str, str], tuple[Result, JSON]] = {}
        self._asks: Mapping[str, Callable[[str], Result]] = {
            Resource.ROLE: self._role,
            Resource.OBJECT: self._object,
            Resource.PREFIX: self._bucket,
            Resource.LOG_GROUP: self._log_group,
            Resource.SUBNET: self._subnet,
            Resource.SECURITY_GROUP: self._security_group,
        }

    def answer(self, need: Need) -> Result:
        """Returns the result of the check of a resource that a request names."""
        if need.type not in SERVICES:
            return Answer.NOT_ASKED, f"{need.type} {need.name}: not checked"
        return self.of(Resource(need.type), need.name)

    def of(self, resource: Resource, name: str) -> Result:
        """Returns the result of the check of a resource whose type is used by several kinds."""
        key = (resource, name)
        if key not in self._answers:
            self._answers[key] = self.asked(f"{resource} {name}", SERVICES[resource], self._asks[resource], name)
        return self._answers[key]

    def asked(self, what: str, service: str, ask: Callable[[str], Result], name: str = "") -> Result:
        """Calls `ask` and returns its answer. If `service` is not available, or returns an error, the answer contains
        the reason."""
        if self._aws.embedded and service != self._service:
            return Answer.NOT_ASKED, f"{what}: not checked, because the emulator has no {service}"
        try:
            if self._aws.overridden(self._service) and not self._aws.overridden(service):
                return (
                    Answer.NOT_ASKED,
                    f"{what}: not checked, because only the endpoint of {self._service} is overridden",
                )
            return ask(name)
        except ServiceError as error:
            if error.code in MISSING:
                return Answer.ERROR, f"{what} does not exist"
            return Answer.NOT_ASKED, f"{what}: not known, because AWS did not answer: {error}"

    def described(self, what: str, name: str, ask: Callable[[str], tuple[Result, JSON]]) -> tuple[Result, JSON]:
        """Returns the answer and the description that `ask` returns for a resource of the service, which is asked about
        once. The description is empty if there is none."""
        key = (what, name)
        if key not in self._described:
            description: JSON = {}

            def asked(name: str) -> Result:
                result, reply = ask(name)
                description.update(reply)
                return result

            self._described[key] = self.asked(f"{what} {name}", self._service, asked, name), description
        return self._described[key]

    def _role(self, arn: str) -> Result:
        with translate_errors("GetRole"):
            role = self._aws.reader("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
        if role.get("Arn", arn) != arn:
            return Answer.ERROR, f"role {arn} does not exist; the role of this name is {role['Arn']}"
        if not _trusts(role.get("AssumeRolePolicyDocument"), self._principal):
            return (
                Answer.ERROR,
                f"role {arn} does not trust {self._principal}: its trust policy must allow sts:AssumeRole",
            )
        return Answer.OK, f"role {arn} exists and trusts {self._principal}"

    def _object(self, address: str) -> Result:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        with translate_errors("HeadObject"):
            self._aws.reader("s3").head_object(Bucket=bucket, Key=key)
        return Answer.OK, f"{address} exists"

    def _bucket(self, address: str) -> Result:
        bucket = address.removeprefix("s3://").partition("/")[0]
        with translate_errors("ListObjectsV2"):
            self._aws.reader("s3").list_objects_v2(Bucket=bucket, MaxKeys=1)
        return Answer.OK, f"bucket {bucket} exists"

    def _log_group(self, name: str) -> Result:
        with translate_errors("DescribeLogGroups"):
            groups = self._aws.reader("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if any(group.get("logGroupName") == name for group in groups):
            return Answer.OK, f"log group {name} exists"
        return Answer.WARNING, f"log group {name} does not exist yet: the job's role must be allowed to create it"

    def _subnet(self, name: str) -> Result:
        with translate_errors("DescribeSubnets"):
            subnets = self._aws.reader("ec2").describe_subnets(SubnetIds=[name])["Subnets"]
        if not subnets:
            return Answer.ERROR, f"subnet {name} does not exist"
        free = subnets[0].get("AvailableIpAddressCount")
        if free == 0:
            return Answer.WARNING, f"subnet {name} has no free IP address"
        return Answer.OK, f"subnet {name} exists"

    def _security_group(self, name: str) -> Result:
        with translate_errors("DescribeSecurityGroups"):
            groups = self._aws.reader("ec2").describe_security_groups(GroupIds=[name])["SecurityGroups"]
        return (
            (Answer.OK, f"security group {name} exists")
            if groups
            else (
                Answer.ERROR,
                f"security group {name} does not exist",
            )
        )

    def quota(self, service: str, name: str) -> float | None:
        """Returns the account's quota with this name, or AWS's default if the account has no other value, or `None` if
        AWS lists neither. Raises `ServiceError`."""
        for listing, operation in (
            ("list_service_quotas", "ListServiceQuotas"),
            ("list_aws_default_service_quotas", "ListAWSDefaultServiceQuotas"),
        ):
            with translate_errors(operation):
                for page in self._aws.reader("service-quotas").get_paginator(listing).paginate(ServiceCode=service):
                    for each in page["Quotas"]:
                        if each.get("QuotaName") == name and isinstance(each.get("Value"), int | float):
                            return float(each["Value"])
        return None


def _trusts(document: Any, principal: str) -> bool:  # noqa: ANN401 - a policy document
    """Returns whether a trust policy allows a service to assume the role."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in [statements] if isinstance(statements, dict) else statements:
        principals = statement.get("Principal", {})
        services = principals.get("Service", []) if isinstance(principals, dict) else principals
        allowed = {services} if isinstance(services, str) else set(services)
        if statement.get("Effect") == "Allow" and allowed & {principal, "*"}:
            return True
    return False

"""Explains refused permissions: which action on which resource is missing, and which policy to change.

Most services name the action, the resource and the type of the policy in the message. S3 and older services may return
only "Access Denied". The message then names the permission that the call needs.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

import re
from collections.abc import Mapping

from reconciler.values import dataclass

CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
"""AWS's codes for a call that the policies do not allow. A reply to HeadObject has no body, so its code is 403."""

_REFUSED = re.compile(
    r"not authorized to perform: (?P<action>[a-z0-9-]+:\w+)"
    r"(?: on(?: the)? resource: [\"']?(?P<resource>arn:[^\s\"']+|\*)[\"']?)?"
    r"(?: because no (?P<allowing>[\w -]+?) allows"
    r"| with an explicit deny in an? (?P<denying>[\w -]*(?:policy|boundary)))?"
)

GET_OBJECT = "s3:GetObject"
IN_S3 = (
    "S3 replies the same if the object is encrypted with a KMS key and these credentials lack kms:Decrypt on the key, "
    "and if the object does not exist and they lack s3:ListBucket on the bucket."
)


@dataclass(frozen=True, slots=True)
class Access:
    """A permission that a call needs: the action, and the ARN of the resource as it would be in a policy. `resource` is
    ``*`` if IAM cannot limit the action to a resource, and `None` if it is not known."""

    action: str
    resource: str | None = None

    def __str__(self) -> str:
        return self.action if self.resource is None else f"{self.action} on {self.resource}"


_ANYWHERE = ("DescribeJobs", "ListJobs", "DescribeJobQueues", "DescribeJobDefinitions", "DescribeComputeEnvironments")
_RUNS = ("GetJobRun", "ListJobRuns", "CancelJobRun", "GetApplication", "GetDashboardForJobRun")
_APPLICATIONS = "arn:aws:emr-serverless:*:*:/applications/*"

NEEDED: Mapping[str, Access] = {
    **{operation: Access(f"batch:{operation}", "*") for operation in _ANYWHERE},
    **{operation: Access(f"emr-serverless:{operation}", _APPLICATIONS) for operation in _RUNS},
    "TerminateJob": Access("batch:TerminateJob", "arn:aws:batch:*:*:job/*"),
    "ListApplications": Access("emr-serverless:ListApplications", "*"),
    "ListObjectsV2": Access("s3:ListBucket"),
    "HeadObject": Access(GET_OBJECT),
}
"""The permissions of calls for which the caller does not give one, by operation. Actions and resource types: "Actions,
resources, and condition keys" of each service in the Service Authorization Reference."""


def advice(text: str, needed: Access | None) -> str | None:
    """Returns what to allow, from AWS's message and the permission that the call needs, or `None` if both name nothing.

    AWS may refuse an action other than the call itself, such as ``kms:Decrypt``. If it refuses the same action, the
    resource of `needed` is preferred, because it covers other logs too, unless it has no account.
    """
    match = _REFUSED.search(text)
    if match is None:
        hint = f" {IN_S3}" if needed is not None and needed.action == GET_OBJECT else ""
        return None if needed is None else f"access denied: these credentials need {needed}.{hint}"
    refused = Access(match["action"], match["resource"])
    if needed is not None and needed.action == refused.action and ":*:" not in (needed.resource or ":*:"):
        refused = needed
    if match["denying"]:
        denied = f"access denied: a {match['denying']} denies {refused}."
        return f"{denied} Remove that there; no other policy can override it."
    if match["allowing"] and match["allowing"] != "identity-based policy":
        return f"access denied: no {match['allowing']} allows {refused}. Allow it there."
    return f"access denied: these credentials need {refused}. Allow it in the policy of their role or user."

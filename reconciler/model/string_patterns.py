"""The patterns of strings in requests, each with a hint for values that do not match.

Every pattern is anchored if AWS's pattern matches the whole string, and uses only syntax that Python, Rust and
JavaScript read alike, because pydantic, the tests and (through the JSON Schema) editors check it.
"""

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from reconciler.values import regex

# EMR Serverless
APPLICATION_ID = r"^[0-9a-z]+$"
CLIENT_TOKEN = r"^[A-Za-z0-9._-]+$"
ROLE_ARN = r"^arn:(aws[a-zA-Z0-9-]*):iam::([0-9]{12}):role(/|/[\x21-\x7F]+/)[A-Za-z0-9_+=,.@-]+$"
POLICY_ARN = r"^arn:[!-~]+$"
POLICY_DOCUMENT = r"^[ -\u00FF]+$"
VISIBLE = r"[^ \t\n\x0B\f\r]"
KMS_KEY_ARN = r"^arn:(aws[a-zA-Z0-9-]*):kms:[a-zA-Z0-9-]*:([0-9]{12}):key/[a-zA-Z0-9-]+$"
LOG_URI = r"^[^\n\r\u0085\u2028\u2029]+$"
LOG_GROUP = r"^[._/#A-Za-z0-9-]+$"
LOG_STREAM_PREFIX = r"^[^:*]*$"
WORD = r"^[a-zA-Z]+[-_]*[a-zA-Z]+$"
REMOTE_WRITE_URL = (
    r"^https://aps-workspaces\.([a-z]{2}-[a-z-]{1,20}-[1-9])\.amazonaws(\.[0-9A-Za-z]{2,4})+"
    r"/workspaces/[-_.0-9A-Za-z]{1,100}/api/v1/remote_write$"
)
TAG_KEY = r"^[A-Za-z0-9 /_.:=+@-]+$"
TAG_VALUE = r"^[A-Za-z0-9 /_.:=+@-]*$"

# Batch
JOB_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"
JOB_QUEUE = r"^([A-Za-z0-9_-]{1,128}|arn:aws[a-z-]*:batch:[^:\s]*:[^:\s]*:job-queue/\S+)$"
JOB_DEFINITION = r"^([A-Za-z0-9_-]{1,128}|arn:aws[a-z-]*:batch:[^:\s]*:[^:\s]*:job-definition/[^:\s]+)(:[1-9][0-9]*)?$"
SHARE_IDENTIFIER = r"^[^\s*]+\*?$"
REASON_GLOB = r"^[A-Za-z0-9.:\s]*\*?$"
EXIT_CODE_GLOB = r"^[0-9]*\*?$"
NODE_RANGE = r"^([0-9]+|[0-9]*:([0-9]+|n)?|[0-9]+,([0-9]+|n))$"
NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

PATTERN_HINTS: dict[str, str] = {
    APPLICATION_ID: "an application id is lower-case letters and digits, such as 00f1k2sd0vgq8u09",
    CLIENT_TOKEN: "a client token is letters, digits, '.', '_' and '-'",
    ROLE_ARN: "must be an ARN, arn:aws:iam::ACCOUNT:role/NAME, with an account of 12 digits",
    POLICY_ARN: "must be an ARN, arn:aws:iam::ACCOUNT:policy/NAME",
    POLICY_DOCUMENT: "an inline policy is JSON on one line, without line breaks or tabs",
    VISIBLE: "must not be only white space",
    KMS_KEY_ARN: "must be an ARN of a key, not of an alias, such as "
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    LOG_URI: "must be an S3 location on one line, such as s3://my-bucket/logs/",
    LOG_GROUP: "a log group name is letters, digits, '.', '-', '_', '/' and '#', such as /aws/emr-serverless",
    LOG_STREAM_PREFIX: "a log stream prefix contains neither ':' nor '*'",
    WORD: "must be letters with '-' or '_' between them, such as SPARK_DRIVER",
    REMOTE_WRITE_URL: "must be the remote write URL of an Amazon Managed Service for Prometheus workspace, such as "
    "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234/api/v1/remote_write",
    TAG_KEY: "a tag key is letters, digits, spaces and '/ _ . : = + @ -'",
    TAG_VALUE: "a tag value is letters, digits, spaces and '/ _ . : = + @ -'",
    JOB_NAME: "a job name starts with a letter or digit, followed by up to 127 letters, digits, '-' and '_', "
    "such as orders-daily",
    JOB_QUEUE: "must be the name or the ARN of a job queue, such as high-priority",
    JOB_DEFINITION: "must be the name of a job definition, its name:revision or its ARN, such as etl or etl:7",
    SHARE_IDENTIFIER: "a share identifier is letters and digits, with '*' only at the end, such as growth or growth*",
    REASON_GLOB: "a reason is letters, digits, '.', ':' and white space, with '*' only at the end, "
    'such as "Host EC2*"',
    EXIT_CODE_GLOB: "an exit code is digits, with '*' only at the end, such as 137 or 1*",
    NODE_RANGE: 'must be a range of node indexes, such as "0:3", ":3" or "4:"',
    NAMESPACE: "a namespace is lower-case letters, digits and '-', with a letter or digit at both ends",
}
"""The description of valid values, by pattern. Every pattern of a request model has an entry."""


def pattern_first(pattern: str) -> BeforeValidator:
    """Checks a pattern before the length limits, so that a role's name is reported as "not an ARN" and not as "too
    short"."""
    compiled = regex(pattern)

    def check(value: object) -> object:
        if isinstance(value, str) and not compiled.search(value):
            raise PydanticCustomError("string_pattern_mismatch", "must match {pattern}", {"pattern": pattern})
        return value

    return BeforeValidator(check)

"""The AWS resources that a request needs. `verify` checks them, and `iam` grants access to them.

Each kind has a module ``resources_and_permissions``, which implements `Needs`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from reconciler.model.arns import Arns
from reconciler.model.base import JSON, Loc, texts
from reconciler.model.kind import MODULES
from reconciler.values import dataclass


class Resource(StrEnum):
    """The types of resources that kinds share."""

    ROLE = "role"
    OBJECT = "object"  # a file in S3 that is read
    PREFIX = "prefix"  # a folder in S3 that is written
    LOG_GROUP = "log group"
    SUBNET = "subnet"
    SECURITY_GROUP = "security group"


@dataclass(frozen=True, slots=True)
class Need:
    """One resource: its type, its name, ARN or address, and the path of the field in the request that names it."""

    type: str
    name: str
    loc: Loc


class Role(StrEnum):
    """Who calls AWS: a pull request's plan, the passes that apply, or an operator."""

    PLAN = "plan"
    APPLY = "apply"
    OPERATE = "operate"


EVERY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Grant:
    """A statement of an IAM policy: the actions that some roles may perform, and the resources. `condition` is as in a
    policy."""

    sid: str
    roles: frozenset[Role]
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    condition: Mapping[str, Mapping[str, str]] | None = None


class Needs(Protocol):
    """Lists what the requests of a kind need in AWS."""

    def needs(self, request: JSON) -> Iterator[Need]:
        """Yields the resources that a request names."""
        ...

    def grants(self, requests: Sequence[JSON], arns: Arns) -> Iterator[Grant]:
        """Yields the permissions that these requests require, except those for roles, objects, prefixes and log
        groups."""
        ...


@cache
def needs_of(kind: str) -> Needs | None:
    """Returns the module that lists the needs of a kind, or `None` if the kind has none."""
    try:
        return cast("Needs", import_module(f"{MODULES[kind]}.resources_and_permissions"))
    except ModuleNotFoundError:
        return None


def objects(value: object, loc: Loc) -> Iterator[Need]:
    """Yields the S3 files that a value names. A text may name several files, separated by commas. File names inside
    longer text are ignored."""
    for place, text in texts(value, loc):
        for address in text.split(","):
            if address.startswith("s3://") and not set(address) & set(" *{"):
                yield Need(Resource.OBJECT, address, place)


def shared_grants(needs: Iterable[Need], arns: Arns) -> Iterator[Grant]:
    """Yields the grants for roles, objects, prefixes and log groups."""
    by_type: dict[str, list[str]] = {}
    for need in needs:
        by_type.setdefault(need.type, []).append(need.name)
    quotas = ("servicequotas:ListAWSDefaultServiceQuotas", "servicequotas:ListServiceQuotas")
    yield Grant("QuotasAreRead", frozenset({Role.PLAN}), quotas)
    networks = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets")
    yield Grant("NetworksAreRead", frozenset({Role.PLAN}), networks)
    roles = tuple(sorted(set(by_type.get(Resource.ROLE, ()))))
    if roles:
        yield Grant("RolesAreRead", frozenset({Role.PLAN}), ("iam:GetRole",), roles)
    files = [name.removeprefix("s3://") for name in by_type.get(Resource.OBJECT, ())]
    folders = [name.removeprefix("s3://").rstrip("/") for name in by_type.get(Resource.PREFIX, ())]
    if files:
        yield Grant("FilesAreRead", frozenset({Role.PLAN}), ("s3:GetObject",), _in_s3(arns, files))
    if folders:
        logs = _in_s3(arns, [f"{folder}/*" for folder in folders])
        yield Grant("LogFilesAreRead", frozenset({Role.OPERATE}), ("s3:GetObject",), logs)
    for sid, role, names in (("Files", Role.PLAN, files + folders), ("LogFiles", Role.OPERATE, folders)):
        if names:
            buckets = _in_s3(arns, [name.partition("/")[0] for name in names])
            yield Grant(f"{sid}AreListed", frozenset({role}), ("s3:ListBucket",), buckets)
    if groups := sorted(set(by_type.get(Resource.LOG_GROUP, ()))):
        yield Grant("LogGroupsAreListed", frozenset({Role.PLAN}), ("logs:DescribeLogGroups",))
        read = ("logs:DescribeLogStreams", "logs:GetLogEvents")
        resources = tuple(arns.of("logs", f"log-group:{name}:*") for name in groups)
        yield Grant("LogsAreRead", frozenset({Role.OPERATE}), read, resources)


def _in_s3(arns: Arns, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(arns.in_s3(name) for name in sorted(set(names)))

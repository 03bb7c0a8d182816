"""Builds ARNs, and checks whether ARNs and regions can exist and fit the account and region of a target."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from reconciler.model.base import JSON, Loc, Remark
from reconciler.values import dataclass, regex

REGIONS: dict[str, tuple[str, ...]] = {
    "aws": (
        "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
        "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
        "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
        "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
        "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
    ),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
    "aws-iso": ("us-iso-east-1", "us-iso-west-1"),
    "aws-iso-b": ("us-isob-east-1", "us-isob-west-1"),
    "aws-iso-e": ("eu-isoe-west-1",),
    "aws-iso-f": ("us-isof-east-1", "us-isof-south-1"),
    "aws-eusc": ("eusc-de-east-1",),
}  # fmt: skip
"""AWS's regions by partition, as botocore lists them; a test compares them with the installed botocore. An unknown
region is only a warning, because AWS adds regions."""

PARTITIONS = {region: partition for partition, regions in REGIONS.items() for region in regions}

ARN = regex(
    r"arn:(?P<partition>[^:\s]*):(?P<service>[^:\s]+):(?P<region>[^:\s]*):(?P<account>[^:\s]*):(?P<resource>\S+)"
)


@dataclass(frozen=True, slots=True)
class Arns:
    """Builds ARNs in one account and region."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The partition of the region, or ``aws`` if the region is unknown."""
        return PARTITIONS.get(self.region, "aws")

    def of(self, service: str, resource: str, name: str = "") -> str:
        """Returns the ARN of a resource. If `name` is an ARN, returns it unchanged."""
        if name.startswith("arn:"):
            return name
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}{name}"

    def in_s3(self, name: str) -> str:
        """Returns the ARN of a bucket, or of an object as ``BUCKET/KEY``."""
        return f"arn:{self.partition}:s3:::{name}"


class Arn(NamedTuple):
    """The parts of an ARN."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @property
    def noun(self) -> str:
        """The type of the ARN's resource, in words: ``role``, ``job queue``."""
        return re.split("[/:]", self.resource)[0].replace("-", " ")


def parsed(text: str) -> Arn | None:
    """Parses an ARN. Returns `None` for any other text."""
    match = ARN.fullmatch(text) if text.startswith("arn:") else None
    return Arn(*match.groups()) if match else None


def region_problem(region: str) -> str | None:
    """Returns a message if this version has no region with that name, with a suggestion if there is a similar name."""
    if region in PARTITIONS:
        return None
    name = region.lower().replace("_", "-")
    close = [name] if name in PARTITIONS else get_close_matches(name, PARTITIONS, n=3, cutoff=0.85)
    close = close or get_close_matches(name, PARTITIONS, n=1)
    return f"there is no AWS region {region}" + (f"; did you mean {' or '.join(sorted(close))}?" if close else "")


def arn_remarks(loc: Loc, text: str) -> Iterator[Remark]:
    """Yields remarks about the partition and the region of an ARN, separately and in combination."""
    arn = parsed(text)
    if arn is None:
        return
    if arn.partition not in REGIONS:
        close = get_close_matches(arn.partition, REGIONS, n=1)
        meant = f"; did you mean arn:{close[0] if close else 'aws'}?"
        yield Remark(loc, f"there is no AWS partition {arn.partition}{meant}", "arn-partition")
    elif arn.region and (problem := region_problem(arn.region)):
        yield Remark(loc, problem, "region")
    elif arn.region and PARTITIONS[arn.region] != arn.partition:
        message = f"{arn.region} is in the partition {PARTITIONS[arn.region]}: write arn:{PARTITIONS[arn.region]}:…"
        yield Remark(loc, message, "arn-partition")


def place_remarks(request: JSON, paths: Iterable[Loc], account: str, region: str) -> Iterator[Remark]:
    """Yields remarks about the ARNs at `paths` whose account or region differs from the target's."""
    for path in paths:
        for loc, text in _texts_at(request, path):
            if (arn := parsed(text)) is not None:
                yield from (Remark(loc, message, "arn-place") for message in _misplaced(arn, account, region))


def _misplaced(arn: Arn, account: str, region: str) -> Sequence[str]:
    messages = []
    if arn.account.isdigit() and arn.account != account:
        messages.append(
            f"the {arn.noun} is of account {arn.account}, the target is {account}: write ${{target.account}}, or the "
            "ARN of this target in a variable"
        )
    if arn.region in PARTITIONS and arn.region != region:
        messages.append(f"the {arn.noun} is in {arn.region}, the target is in {region}: write ${{target.region}}")
    partition = PARTITIONS.get(region)
    if not arn.region and partition is not None and arn.partition in REGIONS and arn.partition != partition:
        messages.append(f"the target is in {region}, whose ARNs start with arn:{partition}:")
    return messages


def _texts_at(request: JSON, path: Loc) -> Iterator[tuple[Loc, str]]:
    """Yields the text at a path, or each text of the list there."""
    value: object = request
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        yield from (((*path, index), member) for index, member in enumerate(value) if isinstance(member, str))

"""Tags of a request: AWS's limits with our two tags added, and the reserved names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from reconciler.model import patterns
from reconciler.model.base import JSON, Remark, part
from reconciler.model.kind import RESERVED_TAG_PREFIX

TAGS_MAX = 50  # AWS's own limit for a resource of either service
OUR_TAGS = 2  # the token and the owner, added to every request as it is sent
YOUR_TAGS_MAX = TAGS_MAX - OUR_TAGS
AWS_PREFIX = "aws:"  # reserved in keys and values, in any case of letters


def _limited(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        raise PydanticCustomError(
            "too_many_tags",
            "{count} tags with the {ours} of the reconciler: AWS allows {limit}, so at most {yours} can be yours",
            {"count": len(tags), "ours": OUR_TAGS, "limit": TAGS_MAX, "yours": YOUR_TAGS_MAX},
        )
    return tags


TAG_LIMIT = (AfterValidator(_limited), Field(json_schema_extra={"maxProperties": YOUR_TAGS_MAX}))
"""`TAGS_MAX` tags on the request as sent; the JSON Schema, which is for specs, allows `YOUR_TAGS_MAX`."""

EmrTags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=128, pattern=patterns.TAG_KEY)],
        Annotated[str, Field(max_length=256, pattern=patterns.TAG_VALUE)],
    ],
    *TAG_LIMIT,
]
BatchTags = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=128)], Annotated[str, Field(max_length=256)]],
    Field(min_length=1),
    *TAG_LIMIT,
]


def user_tag_problems(request: JSON) -> Sequence[Remark]:
    """The reserved keys among a user's own tags. `request` is as in the spec, before our tags are added."""
    return [
        Remark(
            ("tags", key),
            f"keys that start with {RESERVED_TAG_PREFIX} are reserved for the reconciler: choose another key",
            "reserved-tag",
        )
        for key in part(request, "tags")
        if key.startswith(RESERVED_TAG_PREFIX)
    ]


def aws_tag_problems(request: JSON) -> list[Remark]:
    """Tags whose key or value starts with AWS's own prefix, which AWS refuses."""
    return [
        Remark(("tags", key), "keys and values of tags must not start with aws:, which AWS reserves", "aws-tag")
        for key, value in part(request, "tags").items()
        if _is_aws(key) or _is_aws(value)
    ]


def _is_aws(value: object) -> bool:
    return isinstance(value, str) and value[:4].lower() == AWS_PREFIX

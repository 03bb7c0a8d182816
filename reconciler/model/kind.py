"""What the rest of the program needs to know about one kind of spec, and nothing about how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, cast

from reconciler.model.base import JSON, Remark, Strict

TOKEN_TAG = "reconciler:token"
SPEC_TAG = "reconciler:spec"
RESERVED_TAG_PREFIX = "reconciler:"


class Rate(NamedTuple):
    """An AWS quota: calls a second, and how many may come at once after a pause."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of spec: its request model and what differs between the APIs.

    `name`            as in `kind:` of a spec, ``BatchJob``.
    `operation`       the AWS operation a spec stands for, ``SubmitJob``.
    `service`         dotted path of the adapter's module below ``reconciler.aws``, imported only when it is used.
    `model`           the pydantic model of the operation's input, validated on the request *as sent*.
    `name_field`      the request's own name: ``name`` or ``jobName``; defaults to ``metadata.name``.
    `token_field`     where AWS takes an idempotency token, ``None`` where it takes none.
    `locate_fields`   the fields of a request that say where its run is found again (application, queue and name).
    `from_spec`       turns what a spec may write more comfortably into AWS's form (a mapping of Spark parameters into
                      the string); raises `RequestProblems`. Takes and returns plain data, and never changes its input.
    `for_display`     turns a request into what people compare: single settings instead of one long string.
    `check`           AWS's documented rules that no single field can state; run after `model`, on the request as sent.
    `warn`            rules that AWS documents and that real, accepted requests break.
    `is_streaming`    whether a request runs until it is stopped.
    `rates`           AWS's default quotas of the operations its service is asked for, by operation.
    `spec_dependencies` names of other specs that the request itself refers to (Batch ``dependsOn: [{spec: …}]``).
    `with_runs`       the request with the run ids of these specs, by name, in the place of their names.
    """

    name: str
    operation: str
    service: str
    model: type[Strict]
    name_field: str
    token_field: str | None
    locate_fields: tuple[str, ...]
    from_spec: Callable[[JSON], JSON]
    for_display: Callable[[JSON], JSON]
    check: Callable[[JSON], Sequence[Remark]]
    warn: Callable[[JSON], Sequence[Remark]]
    is_streaming: Callable[[JSON], bool]
    spec_dependencies: Callable[[JSON], Sequence[str]]
    rates: Mapping[str, Rate] = field(hash=False)
    with_runs: Callable[[JSON, Mapping[str, str]], JSON]

    def as_sent(self, request: Mapping[str, Any], token: str, owner: str) -> JSON:
        """The request that goes to AWS: with the client token and the two tags by which its run is found again.

        `owner` is ``PROJECT/TARGET/NAME``. Everything else is as given, empty values included.
        """
        sent = dict(request)
        if self.token_field:
            sent[self.token_field] = token
        sent["tags"] = {**request.get("tags", {}), TOKEN_TAG: token, SPEC_TAG: owner}
        return sent


class RequestProblems(ValueError):
    """What `Kind.from_spec` found wrong, each with its place in the request as the spec wrote it."""

    def __init__(self, remarks: Sequence[Remark]) -> None:
        self.remarks = tuple(remarks)
        super().__init__("; ".join(remark.message for remark in self.remarks))


MODULES = {
    "EmrServerlessJobRun": "reconciler.model.emr_serverless",
    "BatchJob": "reconciler.model.batch",
}


@cache
def kind_named(name: str) -> Kind:
    """The kind called `name`. Raises `KeyError` where there is none: `MODULES` holds the names."""
    return cast("Kind", import_module(MODULES[name]).KIND)

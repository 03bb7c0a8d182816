"""The registry of kinds of specs, and `Kind`: everything that the rest of the program asks about one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, cast

from pydantic import Field

from reconciler.model.base import JSON, Loc, Remark, Strict

TOKEN_TAG = "reconciler:token"
SPEC_TAG = "reconciler:spec"
RESERVED_TAG_PREFIX = "reconciler:"
TAGS = "tags"
RESERVED_FIELD = "clientToken"  # no spec may give it, whatever its kind: the reconciler makes client tokens


class Rate(Strict):
    """An AWS request quota."""

    perSecond: float = Field(gt=0, description="Requests a second.")
    burst: int = Field(ge=1, description="Requests that may come at once.")


class SpecReference(NamedTuple):
    """Another spec that a request names, in place of the id of its run.

    `loc` is the path of the name in the request; `condition` is how the run waits, in the API's own word.
    """

    name: str
    loc: Loc
    condition: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of spec: its request model, and everything that differs between the APIs.

    `name`            as in `kind:` of a spec, ``BatchJob``.
    `operation`       the AWS operation that submits a run, ``SubmitJob``.
    `service`         the adapter's module below ``reconciler.aws``, imported only when it is used.
    `model`           the pydantic model of the operation's input, validated on the request *as sent*.
    `name_field`      the request's own name: ``name`` or ``jobName``; defaults to ``metadata.name``.
    `token_field`     where AWS takes an idempotency token, ``None`` if it takes none.
    `location_fields` the fields of a request by which its run is found again (application, queue and name).
    `from_spec`       turns shorthand that a spec may use into AWS's form (a mapping of Spark parameters into the
                      string); raises `RequestProblems`. Takes and returns plain data, and never changes its input.
    `for_display`     turns a request into what people compare: single settings instead of one long string.
    `check`           AWS's documented rules that no single field can express; run after `model`, on the request as
                      sent.
    `warn`            rules that AWS documents but accepted requests break.
    `is_streaming`    whether a request runs until it is stopped.
    `rates`           AWS's default quotas of the operations that the adapter calls, by operation.
    `references`      the other specs that the request names (Batch ``dependsOn: [{spec: …}]``), in order.
    `with_runs`       the request with the run ids of these specs, by name, instead of their names.
    `example`         the first spec of this kind that ``init`` writes: its name, and its request as YAML.
    """

    name: str
    operation: str
    service: str
    model: type[Strict]
    name_field: str
    token_field: str | None
    location_fields: tuple[str, ...]
    example: tuple[str, str]
    from_spec: Callable[[JSON], JSON] = lambda request: request
    for_display: Callable[[JSON], JSON] = lambda request: request
    check: Callable[[JSON], Sequence[Remark]] = lambda _request: ()
    warn: Callable[[JSON], Sequence[Remark]] = lambda _request: ()
    is_streaming: Callable[[JSON], bool] = lambda _request: False
    references: Callable[[JSON], Sequence[SpecReference]] = lambda _request: ()
    rates: Mapping[str, Rate] = field(hash=False, default_factory=dict)
    with_runs: Callable[[JSON, Mapping[str, str]], JSON] = lambda request, _run_ids: request

    @property
    def cosmetic_fields(self) -> tuple[str, ...]:
        """The fields of a request that never cause a run; a change takes effect with the next run."""
        return (TAGS, self.name_field)

    def content(self, request: JSON) -> JSON:
        """The part of a request that decides what runs."""
        cosmetic = self.cosmetic_fields
        return {key: value for key, value in request.items() if key not in cosmetic}

    def location(self, request: JSON) -> dict[str, str]:
        """The fields of a request by which its run is found again."""
        return {name: request[name] for name in self.location_fields if name in request}

    def spec_dependencies(self, request: JSON) -> list[str]:
        """The names of the other specs that the request names, each once, in order."""
        return list(dict.fromkeys(reference.name for reference in self.references(request)))

    def as_sent(self, request: Mapping[str, Any], token: str, owner: str) -> JSON:
        """The request that goes to AWS: with the client token and the two tags by which its run is found again.

        `owner` is ``PROJECT/TARGET/NAME``. Everything else is as given, empty values included.
        """
        sent = dict(request)
        if self.token_field:
            sent[self.token_field] = token
        sent[TAGS] = {**request.get(TAGS, {}), TOKEN_TAG: token, SPEC_TAG: owner}
        return sent

    def sample(self, request: JSON, token: str, owner: str) -> JSON:
        """The request as `as_sent` makes it, for validation: tags of a wrong shape stay, so the model refuses them."""
        tags = request.get(TAGS, {})
        if isinstance(tags, dict):
            return self.as_sent(request, token, owner)
        return {**self.as_sent({**request, TAGS: {}}, token, owner), TAGS: tags}

    def as_written(self, sent: Mapping[str, Any]) -> JSON:
        """The request without what `as_sent` adds to it; a request that was never sent stays as it is."""
        written = {key: value for key, value in sent.items() if key != self.token_field}
        tags = {k: v for k, v in (written.pop(TAGS, None) or {}).items() if not k.startswith(RESERVED_TAG_PREFIX)}
        return {**written, TAGS: tags} if tags else written


class RequestProblems(ValueError):
    """What `Kind.from_spec` refuses, with paths in the request as the spec wrote it."""

    def __init__(self, remarks: Sequence[Remark]) -> None:
        self.remarks = tuple(remarks)
        super().__init__("; ".join(remark.message for remark in self.remarks))


MODULES = {
    "EmrServerlessJobRun": "reconciler.model.emr_serverless",
    "BatchJob": "reconciler.model.batch",
}


@cache
def kind_named(name: str) -> Kind:
    """The kind of this name. Raises `KeyError` for a name that is not in `MODULES`."""
    return cast("Kind", import_module(MODULES[name]).KIND)

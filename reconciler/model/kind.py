"""The registry of kinds of specs: `Kind` contains everything that differs between services, and adds the tags to a
request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, cast

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from reconciler.model.base import JSON, Loc, Remark, Strict, part
from reconciler.values import dataclass

TAGS_MAX = 50  # AWS's limit for a resource of either service
OUR_TAGS = 2  # the token and the owner, added to every request when it is sent
YOUR_TAGS_MAX = TAGS_MAX - OUR_TAGS
AWS_PREFIX = "aws:"  # reserved in keys and values, in upper and lower case


def _limited(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        raise PydanticCustomError(
            "too_many_tags",
            "{count} tags with the {ours} of the reconciler: AWS allows {limit}, so at most {yours} can be yours",
            {"count": len(tags), "ours": OUR_TAGS, "limit": TAGS_MAX, "yours": YOUR_TAGS_MAX},
        )
    return tags


TAG_LIMIT = (AfterValidator(_limited), Field(json_schema_extra={"maxProperties": YOUR_TAGS_MAX}))
"""`TAGS_MAX` tags on the request as sent. The JSON Schema is for specs and allows `YOUR_TAGS_MAX`."""


def user_tag_problems(request: JSON) -> Sequence[Remark]:
    """Returns remarks about reserved keys among the user's own tags. `request` is as in the spec, without our tags."""
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
    """Returns remarks about tags whose key or value starts with AWS's own prefix, which AWS refuses."""
    return [
        Remark(("tags", key), "keys and values of tags must not start with aws:, which AWS reserves", "aws-tag")
        for key, value in part(request, "tags").items()
        if _is_aws(key) or _is_aws(value)
    ]


def _is_aws(value: object) -> bool:
    return isinstance(value, str) and value[:4].lower() == AWS_PREFIX


CONSOLE = "console.aws.amazon.com"
CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
"""The domain of AWS's console, and the domains of the consoles of other partitions, keyed by the prefix of their
regions."""

TOKEN_TAG = "reconciler:token"
SPEC_TAG = "reconciler:spec"
RESERVED_TAG_PREFIX = "reconciler:"
TAGS = "tags"
RESERVED_FIELD = "clientToken"  # no spec of any kind may set it, because the reconciler makes client tokens


class Rate(Strict):
    """An AWS request quota."""

    perSecond: float = Field(gt=0, description="Requests a second.")
    burst: int = Field(ge=1, description="The number of requests allowed in a burst.")


class SpecReference(NamedTuple):
    """Another spec that a request names instead of a run id.

    `loc` is the path of the name in the request. `condition` is how the run waits, in the API's own word.
    """

    name: str
    loc: Loc
    condition: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run used: hours of a vCPU, of a GB of memory, and of a GB of storage."""

    vcpu_hours: float
    memory_gb_hours: float
    storage_gb_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of spec: its request model, and everything that differs between the APIs.

    * `name`: the value of `kind:` in a spec, ``BatchJob``.
    * `operation`: the AWS operation that submits a run, ``SubmitJob``.
    * `service`: the adapter's module below ``reconciler.aws``, imported only when it is used.
    * `model`: the pydantic model of the operation's input, validated on the request *as sent*.
    * `name_field`: the request's own name field, ``name`` or ``jobName``; its default is ``metadata.name``.
    * `token_field`: the field for AWS's idempotency token, or ``None`` if the operation has none.
    * `location_fields`: the fields of a request with which its run can be found again (application, queue and name).
    * `from_spec`: converts a shorthand that a spec may use to AWS's form (a mapping of Spark parameters to the string),
      or raises `RequestProblems`. Takes and returns plain data, and never changes its input.
    * `shorthand`: converts a request to the shorthand of specs if `from_spec` returns exactly the same request for it;
      otherwise returns the request itself. `import` writes this form.
    * `for_display`: converts a request to the form that users compare: separate settings instead of one long string.
    * `first_form`: returns the request as version 0.1.0 sent it for the same shorthand. Later versions may render a
      shorthand differently; digests are computed from the first form, so that they do not change.
    * `refused`: returns remarks about values, as written in the spec, that `validate` refuses. Other commands only warn
      about them and send them, as version 0.1.0 did.
    * `check`: checks AWS's documented rules that no single field can express; runs after `model`, on the request as
      sent.
    * `warn`: checks rules that AWS documents but does not enforce.
    * `placed`: the paths of ARNs whose resources must be in the target's account and region.
    * `is_streaming`: returns whether a request runs until it is stopped.
    * `rates`: AWS's default quotas for the operations that the adapter calls, keyed by operation.
    * `references`: returns the other specs that the request names (Batch ``dependsOn: [{spec: …}]``), in order.
    * `reference_problem`: returns why a request cannot wait for the request of another spec that it names, under the
      condition in `references`, or ``None`` if it can.
    * `with_runs`: returns the request with the given run ids in place of the names of specs.
    * `console`: returns the path of a run's page below the address of AWS's console, from the region, the location and
      the id of the run, or an empty text if the service has no such page.
    * `graceful`: whether a cancelled run can be given time for its cleanup (`shutdownGracePeriodSeconds`).
    * `billed`: returns the resources that AWS bills for a run, from the recorded usage and the hours that it ran, or
      ``None`` if they are not known.
    * `example`: the first spec of this kind that ``init`` writes: its name, and its request as YAML.
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
    shorthand: Callable[[JSON], JSON] = lambda request: request
    for_display: Callable[[JSON], JSON] = lambda request: request
    first_form: Callable[[JSON], JSON] = lambda request: request
    refused: Callable[[JSON], Sequence[Remark]] = lambda _request: ()
    check: Callable[[JSON], Sequence[Remark]] = lambda _request: ()
    warn: Callable[[JSON], Sequence[Remark]] = lambda _request: ()
    placed: tuple[Loc, ...] = ()
    is_streaming: Callable[[JSON], bool] = lambda _request: False
    references: Callable[[JSON], Sequence[SpecReference]] = lambda _request: ()
    reference_problem: Callable[[JSON, str, JSON], str | None] = lambda _request, _condition, _other: None
    rates: Mapping[str, Rate] = field(hash=False, default_factory=dict)
    with_runs: Callable[[JSON, Mapping[str, str]], JSON] = lambda request, _run_ids: request
    console: Callable[[str, Mapping[str, str], str], str] = lambda _region, _location, _run_id: ""
    graceful: bool = False
    billed: Callable[[Mapping[str, Any], float], Resources | None] = lambda _usage, _hours: None

    @property
    def cosmetic_fields(self) -> tuple[str, ...]:
        """The fields of a request that never cause a run when they change. They take effect with the next run."""
        return (TAGS, self.name_field)

    def console_url(self, region: str, location: Mapping[str, str], run_id: str) -> str | None:
        """Returns the address of a run in AWS's console, or `None` if the service has no such page."""
        page = self.console(region, location, run_id)
        domain = next((domain for prefix, domain in CONSOLES.items() if region.startswith(prefix)), CONSOLE)
        return f"https://{region}.{domain}/{page}" if page else None

    def content(self, request: JSON) -> JSON:
        """Returns the part of a request that decides what runs."""
        cosmetic = self.cosmetic_fields
        return {key: value for key, value in request.items() if key not in cosmetic}

    def location(self, request: JSON) -> dict[str, str]:
        """Returns the fields of a request that are needed to find its run again."""
        return {name: request[name] for name in self.location_fields if name in request}

    def spec_dependencies(self, request: JSON) -> list[str]:
        """Returns the names of the other specs that the request refers to, each once, in order."""
        return list(dict.fromkeys(reference.name for reference in self.references(request)))

    def as_sent(self, request: Mapping[str, Any], token: str, owner: str) -> JSON:
        """Returns the request that is sent to AWS: with the client token and the two tags that identify its run.

        `owner` is ``PROJECT/TARGET/NAME``. Everything else is unchanged, empty values included.
        """
        sent = dict(request)
        if self.token_field:
            sent[self.token_field] = token
        sent[TAGS] = {**request.get(TAGS, {}), TOKEN_TAG: token, SPEC_TAG: owner}
        return sent

    def sample(self, request: JSON, token: str, owner: str) -> JSON:
        """Returns the request as `as_sent` does, for validation. Tags of a wrong shape are kept, so that the model
        refuses them.
        """
        tags = request.get(TAGS, {})
        if isinstance(tags, dict):
            return self.as_sent(request, token, owner)
        return {**self.as_sent({**request, TAGS: {}}, token, owner), TAGS: tags}

    def as_written(self, sent: Mapping[str, Any]) -> JSON:
        """Removes what `as_sent` adds from a request. A request that was never sent is unchanged."""
        written = {key: value for key, value in sent.items() if key != self.token_field}
        tags = {k: v for k, v in (written.pop(TAGS, None) or {}).items() if not k.startswith(RESERVED_TAG_PREFIX)}
        return {**written, TAGS: tags} if tags else written


class RequestProblems(ValueError):
    """Raised by `Kind.from_spec`, with paths in the request as written in the spec."""

    def __init__(self, remarks: Sequence[Remark]) -> None:
        self.remarks = tuple(remarks)
        super().__init__("; ".join(remark.message for remark in self.remarks))


MODULES = {
    "EmrServerlessJobRun": "reconciler.model.emr_serverless",
    "BatchJob": "reconciler.model.batch",
}
"""The package of each kind. Its module `kind` contains `KIND`."""


@cache
def kind_named(name: str) -> Kind:
    """Returns the kind with this name. Raises `KeyError` for a name that is not in `MODULES`."""
    return cast("Kind", import_module(f"{MODULES[name]}.kind").KIND)

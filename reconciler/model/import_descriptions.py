"""Converts AWS's description of a run to the request of a spec: the parts that all kinds share.

Each kind that can be imported has a module ``described``, which implements `Described`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Protocol, cast, get_args, get_origin

from reconciler.model.base import JSON, Strict
from reconciler.model.kind import MODULES, RESERVED_TAG_PREFIX
from reconciler.values import dataclass, regex


@dataclass(frozen=True, slots=True)
class DescribedRequest:
    """The request that was made from a description. `left_out` are the fields of the description that the request does
    not contain, such as those that AWS added; `notes` are sentences for the user."""

    request: JSON
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Described(Protocol):
    """Reads AWS's descriptions of the runs of a kind."""

    def runs_in(self, reply: JSON) -> Sequence[JSON]:
        """Returns the descriptions in a reply of AWS, as the AWS CLI prints it. Returns none for any other reply."""
        ...

    def run_id(self, description: JSON) -> str:
        """Returns the id of the run."""
        ...

    def request_of(self, description: JSON, defaults: JSON | None) -> DescribedRequest:
        """Returns the request that starts the described run. `defaults` describes the resource whose settings AWS
        merges into every run, such as the job definition, or `None` if it could not be read."""
        ...

    def target_request(self, target: JSON) -> JSON | None:
        """Returns the request in a target of an EventBridge rule, or `None` if the target starts no run of this
        kind."""
        ...


@cache
def described(kind: str) -> Described | None:
    """Returns the module that reads the descriptions of runs of a kind, or `None` if runs of this kind cannot be
    imported."""
    try:
        return cast("Described", import_module(f"{MODULES[kind]}.described"))
    except ModuleNotFoundError:
        return None


def bare(annotation: Any) -> Any:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns an annotation without the constraints of `Annotated`."""
    return bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def fields_of(annotation: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns the annotations of a model's fields; empty if the annotation is not a model."""
    model = bare(annotation)
    if not (isinstance(model, type) and issubclass(model, Strict)):
        return {}
    return {name: field.annotation for name, field in model.model_fields.items()}


def modelled(value: Any, annotation: Any) -> Any:  # noqa: ANN401 - any JSON value and its annotation
    """Returns the part of a value that has fields in a model, without empty values, in the order of the model."""
    model = bare(annotation)
    if isinstance(value, dict) and (fields := fields_of(model)):
        parts = {name: modelled(value[name], hint) for name, hint in fields.items() if name in value}
        return {name: part for name, part in parts.items() if part not in (None, {}, [])}
    if isinstance(value, list) and get_origin(model) is list:
        return [modelled(entry, get_args(model)[0]) for entry in value]
    return value


def unlike(value: Mapping[str, Any], defaults: Mapping[str, Any]) -> JSON:
    """Returns the entries of `value` that differ from `defaults`."""
    return {name: part for name, part in value.items() if part != defaults.get(name)}


def own_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Returns the tags that a user set, without those that AWS or reconciler added."""
    return {k: v for k, v in (tags or {}).items() if not k.lower().startswith(("aws:", RESERVED_TAG_PREFIX))}


_ARN = regex(r"arn:[^:]+:[^:]+:(?P<region>[^:]*):(?P<account>[^:]*):[\w-]+/(?P<name>.+)")


def short(arn: str, owner: str | None) -> str:
    """Returns the name in an ARN if the resource is in the same account and region as the ARN `owner`, so that a spec
    can run in several targets; otherwise the ARN."""
    resource, other = _ARN.fullmatch(arn), _ARN.fullmatch(owner or "")
    if resource is None or other is None:
        return arn
    same = (resource["region"], resource["account"]) == (other["region"], other["account"])
    return resource["name"] if same else arn

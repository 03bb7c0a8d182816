"""botocore's service models, read as a server reads them: routes, where each input member is, how a reply is written.

Nothing about a single operation is written here by hand: a new botocore brings its new members along.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule

from reconciler.emulator.wire import AwsError, Call, Invalid


@functools.cache
def service_model(service: str) -> ServiceModel:
    """The newest model of a service that the installed botocore has. Read once a process: it takes up to 60 ms."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@functools.cache
def _routes(service: str) -> MapAdapter:
    model = service_model(service)
    rules = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        rules.append(Rule(re.sub(r"{(\w+)}", r"<\1>", http["requestUri"]), methods=[http["method"]], endpoint=name))
    return Map(rules, strict_slashes=False, merge_slashes=False).bind("localhost")


def route(service: str, call: Call) -> tuple[OperationModel, Mapping[str, str]]:
    """The operation that a call asks for, and the members that its path carries.

    Matched on the path as it was sent, since an ARN in it has encoded slashes. Raises `AwsError` 404 as AWS does
    for a path that no operation has.
    """
    try:
        name, labels = _match(service, call.method, call.path)
    except HTTPException as error:
        why = f"no operation of {service} has this method and path"
        raise AwsError("UnknownOperationException", why, 404) from error
    return service_model(service).operation_model(name), labels


@functools.lru_cache(maxsize=512)
def _match(service: str, method: str, path: str) -> tuple[str, Mapping[str, str]]:
    """Most calls go to the few paths that start runs."""
    name, labels = _routes(service).match(path, method=method)
    return name, {label: unquote(value) for label, value in labels.items()}


def parse(operation: OperationModel, labels: Mapping[str, str], call: Call) -> dict[str, Any]:
    """The input of an operation, from path, query and JSON body; neither service has any in headers. `null` members
    count as absent, as in AWS.

    Raises `Invalid` for a body that is not a JSON object. What cannot be converted stays text, for validation to name.
    """
    members = operation.input_shape.members if operation.input_shape else {}
    params = _body(call.body)
    for name, shape in members.items():
        location, wire_name = shape.serialization.get("location"), shape.serialization.get("name", name)
        if location is None:
            continue
        params.pop(name, None)
        if location == "uri":
            params[name] = labels[wire_name]
        elif location == "querystring" and wire_name in call.query:
            params[name] = _from_query(shape, call.query[wire_name])
    return params


def _body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("the body is not JSON") from error
    if not isinstance(value, dict):
        raise Invalid("the body is not a JSON object")
    return {name: member for name, member in value.items() if member is not None}


def _from_query(shape: Shape, values: list[str]) -> Any:  # noqa: ANN401 - any JSON value
    if shape.type_name == "list":
        return [_from_text(shape.member, value) for value in values]
    return _from_text(shape, values[-1])


def _from_text(shape: Shape, text: str) -> Any:  # noqa: ANN401 - any JSON value
    if shape.type_name in ("integer", "long") and re.fullmatch(r"-?[0-9]{1,19}", text):
        return int(text)
    if shape.type_name == "timestamp":
        return _moment(text)
    return text


def _moment(text: str) -> datetime | str:
    """ISO 8601 is how rest-json writes times in a query."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def written(shape: Shape | None, value: Mapping[str, Any]) -> dict[str, Any]:
    """A reply as its output shape has it: members that are `None` are left out, structures to any depth.

    Raises `KeyError` for a member that the shape does not have: then the emulator is wrong, not its caller.
    """
    if shape is None:
        return {}
    return {name: _written(shape.members[name], member) for name, member in value.items() if member is not None}


def _written(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if shape.type_name == "structure":
        return written(shape, value)
    if shape.type_name == "list" and shape.member.type_name in ("structure", "list", "map"):
        return [_written(shape.member, item) for item in value]
    if shape.type_name == "map" and shape.value.type_name in ("structure", "list", "map"):
        return {key: _written(shape.value, item) for key, item in value.items()}
    return value

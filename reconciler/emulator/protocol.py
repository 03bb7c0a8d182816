"""Reads calls and writes replies according to botocore's service models: routes, input members, validation, output
shapes.

Nothing here is specific to one operation, so new members in botocore work without changes. botocore's own
`ParamValidator` checks only types, required members and minima, because the services check the rest; `problems` checks
everything in one traversal. No message repeats a value, because messages are logged.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule

from reconciler.emulator.http import Call
from reconciler.emulator.operations import AwsError, Invalid


@functools.cache
def service_model(service: str) -> ServiceModel:
    """Returns the newest model of a service in the installed botocore. Cached, because reading it takes up to 60 ms."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@functools.cache
def _routes(service: str) -> MapAdapter:
    model = service_model(service)
    rules = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        rules.append(Rule(re.sub(r"{(\w+)}", r"<\1>", http["requestUri"]), methods=[http["method"]], endpoint=name))
    # Otherwise werkzeug would answer similar paths with a redirect, which AWS does not.
    return Map(rules, strict_slashes=False, merge_slashes=False).bind("localhost")


def route(service: str, call: Call) -> tuple[OperationModel, Mapping[str, str]]:
    """Returns the operation of a call, and the members in its path.

    Matches the path as it was sent, because ARNs in it have encoded slashes. Raises `AwsError` 404, as AWS does, for a
    path without an operation.
    """
    try:
        name, labels = _match(service, call.method, call.path)
    except HTTPException as error:
        message = f"no operation of {service} has this method and path"
        raise AwsError("UnknownOperationException", message, 404) from error
    return service_model(service).operation_model(name), labels


@functools.lru_cache(maxsize=512)  # most calls use the few paths that start runs
def _match(service: str, method: str, path: str) -> tuple[str, Mapping[str, str]]:
    name, labels = _routes(service).match(path, method=method)
    return name, {label: unquote(value) for label, value in labels.items()}


# --- input ------------------------------------------------------------------------------------------------------------


def parse(operation: OperationModel, labels: Mapping[str, str], call: Call) -> dict[str, Any]:
    """Reads the input of an operation from the path, query and JSON body. Neither service uses headers for input. As in
    AWS, `null` members are treated as absent.

    Raises `Invalid` for a body that is not a JSON object. Values that cannot be converted remain text, so that
    `problems` reports them.
    """
    members = operation.input_shape.members if operation.input_shape else {}
    params = _body(call.body)
    for name, shape in members.items():
        location, wire_name = shape.serialization.get("location"), shape.serialization.get("name", name)
        if location is None:
            continue
        # A member of the path or the query must not come from the body.
        params.pop(name, None)
        if location == "uri":
            params[name] = labels[wire_name]
        elif location == "querystring" and wire_name in call.query:
            values = call.query[wire_name]
            is_list = shape.type_name == "list"
            params[name] = [_value(shape.member, text) for text in values] if is_list else _value(shape, values[-1])
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


def _value(shape: Shape, text: str) -> Any:  # noqa: ANN401 - any JSON value
    # AWS's `long` has at most 19 digits.
    if shape.type_name in ("integer", "long") and re.fullmatch(r"-?[0-9]{1,19}", text):
        return int(text)
    if shape.type_name == "timestamp":  # rest-json writes times in a query as ISO 8601
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return text


# --- validation -------------------------------------------------------------------------------------------------------

ShapeCheck = Callable[[Shape, Any, str, bool], Iterator[str]]
"""Yields the problems of a value, given its shape, its location in the request, and whether enums are strict."""


def problems(shape: Shape | None, value: Mapping[str, Any], *, strict_enums: bool = True) -> list[str]:
    """Returns every problem in a request as ``location: what is required``, or nothing for a valid request.

    Unless `strict_enums` is true, enum values are accepted in upper and lower case, as in AWS Batch.
    """
    return [] if shape is None else list(_problems(shape, value, "", strict_enums))


def _problems(shape: Shape, value: Any, location: str, strict: bool) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    check, types, type_name = _CHECKS[shape.type_name]
    # In Python, a boolean is an integer too.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield f"{location or 'request'}: must be {type_name}"
        return
    yield from check(shape, value, location, strict)


def _structure(shape: Shape, value: Mapping[str, Any], location: str, strict: bool) -> Iterator[str]:
    prefix = f"{location}." if location else ""
    for name in shape.required_members:
        if name not in value:
            yield f"{prefix}{name}: is required"
    for name, member in value.items():
        if name not in shape.members:
            yield f"{prefix}{name}: is not a member of {shape.name}"
        else:
            yield from _problems(shape.members[name], member, prefix + name, strict)
    if shape.metadata.get("union") and len(value) != 1:
        yield f"{location}: exactly one of {', '.join(shape.members)} must be set"


def _list(shape: Shape, value: list[Any], location: str, strict: bool) -> Iterator[str]:
    yield from _bounds(shape, len(value), f"{location}: must have", " items")
    for index, item in enumerate(value):
        yield from _problems(shape.member, item, f"{location}[{index}]", strict)


def _map(shape: Shape, value: Mapping[str, Any], location: str, strict: bool) -> Iterator[str]:
    yield from _bounds(shape, len(value), f"{location}: must have", " entries")
    for key, item in value.items():
        yield from _problems(shape.key, key, f"{location} (key)", strict)
        yield from _problems(shape.value, item, f"{location}.{key}", strict)


def _string(shape: Shape, value: str, location: str, strict: bool) -> Iterator[str]:
    yield from _bounds(shape, len(value), f"{location}: must have", " characters")
    is_in_enum = value in shape.enum or (not strict and value.lower() in {each.lower() for each in shape.enum})
    if shape.enum and not is_in_enum:
        yield f"{location}: must be one of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern).fullmatch(value):
        yield f"{location}: does not match {pattern}"


def _number(shape: Shape, value: float, location: str, _: bool) -> Iterator[str]:
    yield from _bounds(shape, value, f"{location}: must be")


def _anything(*_: object) -> Iterator[str]:
    return iter(())


def _bounds(shape: Shape, number: float, subject: str, unit: str = "") -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        yield f"{subject} at least {low}{unit}"
    if high is not None and number > high:
        yield f"{subject} at most {high}{unit}"


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """Compiles a model's pattern. Models use Java's syntax: classes are ASCII, and a pattern matches the whole value,
    including line breaks."""
    return re.compile(pattern, re.ASCII | re.DOTALL)


_CHECKS: Mapping[str, tuple[ShapeCheck, tuple[type, ...], str]] = {
    "structure": (_structure, (dict,), "an object"),
    "list": (_list, (list,), "a list"),
    "map": (_map, (dict,), "an object"),
    "string": (_string, (str,), "a string"),
    "integer": (_number, (int,), "an integer"),
    "long": (_number, (int,), "an integer"),
    "float": (_number, (int, float), "a number"),
    "double": (_number, (int, float), "a number"),
    "boolean": (_anything, (bool,), "true or false"),
    "timestamp": (_anything, (datetime,), "a time"),
}
"""Maps each type in the model to its check, its Python types, and its description for messages."""


# --- output -----------------------------------------------------------------------------------------------------------


def shaped(shape: Shape | None, value: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a reply in the form of its output shape. Members that are `None` are left out, at any depth.

    Raises `KeyError` for a member that the shape lacks, because that is a bug in the emulator, which clients would not
    notice.
    """
    if shape is None:
        return {}
    return {name: _shaped(shape.members[name], member) for name, member in value.items() if member is not None}


def _shaped(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if shape.type_name == "structure":
        return shaped(shape, value)
    if shape.type_name == "list" and shape.member.type_name in ("structure", "list", "map"):
        return [_shaped(shape.member, item) for item in value]
    if shape.type_name == "map" and shape.value.type_name in ("structure", "list", "map"):
        return {key: _shaped(shape.value, item) for key, item in value.items()}
    return value

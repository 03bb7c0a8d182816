"""STS: GetCallerIdentity, in the query protocol (a form in, XML out)."""

from __future__ import annotations

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from reconciler.emulator import arns
from reconciler.emulator.protocol import service_model
from reconciler.emulator.settings import Settings
from reconciler.emulator.wire import AwsError, Call

NAME = "sts"
OPERATION = "GetCallerIdentity"


def answer(call: Call, settings: Settings, request_id: str) -> str:
    """The XML reply. Raises `AwsError` for other operations and versions."""
    model = service_model(NAME)
    form = asked(call)
    if form.get("Version") != model.api_version or form.get("Action") not in model.operation_names:
        raise AwsError("InvalidAction", "Could not find that operation for this version of STS")
    if form["Action"] != OPERATION:
        raise AwsError("NotImplemented", f"the emulator provides {OPERATION} only", 501)
    values = {"UserId": "AIDAEMULATOR00000000", "Account": settings.account, "Arn": arns.caller(settings)}
    output = model.operation_model(OPERATION).output_shape
    members = "".join(f"<{name}>{escape(values[name])}</{name}>" for name in output.members)
    result = f"<{OPERATION}Result>{members}</{OPERATION}Result>"
    return _envelope(f"{OPERATION}Response", f"{result}{_metadata(request_id)}")


def asked(call: Call) -> dict[str, str]:
    """The parameters of a call, ``Action`` among them."""
    form = {name: values[-1] for name, values in parse_qs(call.body.decode(errors="replace")).items()}
    return {**{name: values[-1] for name, values in call.query.items()}, **form}


def refusal(error: AwsError, request_id: str) -> str:
    """The XML of an error."""
    kind = "Sender" if error.status < 500 else "Receiver"
    inner = f"<Type>{kind}</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    return _envelope("ErrorResponse", f"<Error>{inner}</Error><RequestId>{request_id}</RequestId>")


def _metadata(request_id: str) -> str:
    return f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"


def _envelope(name: str, inner: str) -> str:
    return f'<{name} xmlns="{service_model(NAME).metadata["xmlNamespace"]}">{inner}</{name}>'

"""Emulates GetCallerIdentity of STS in the query protocol: the request is a form, the reply is XML."""

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from reconciler.emulator.http import Call
from reconciler.emulator.operations import AwsError
from reconciler.emulator.protocol import service_model
from reconciler.emulator.resources import caller_arn
from reconciler.emulator.settings import Settings

NAME = "sts"
OPERATION = "GetCallerIdentity"


def answer(call: Call, settings: Settings, request_id: str) -> str:
    """Returns the XML reply. Raises `AwsError` for other operations and versions."""
    model, form = service_model(NAME), parameters(call)
    if form.get("Version") != model.api_version or form.get("Action") not in model.operation_names:
        raise AwsError("InvalidAction", "Could not find that operation for this version of STS")
    if form["Action"] != OPERATION:
        raise AwsError("NotImplemented", f"the emulator provides {OPERATION} only", 501)
    values = {"UserId": "AIDAEMULATOR00000000", "Account": settings.account, "Arn": caller_arn(settings)}
    output = model.operation_model(OPERATION).output_shape
    members = "".join(f"<{name}>{escape(values[name])}</{name}>" for name in output.members)
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return _document(f"{OPERATION}Response", f"<{OPERATION}Result>{members}</{OPERATION}Result>{metadata}")


def parameters(call: Call) -> dict[str, str]:
    """Returns the parameters of a call, including ``Action``."""
    form = {name: values[-1] for name, values in parse_qs(call.body.decode(errors="replace")).items()}
    return {**{name: values[-1] for name, values in call.query.items()}, **form}


def error_document(error: AwsError, request_id: str) -> str:
    """Returns the XML of an error."""
    kind = "Sender" if error.status < 500 else "Receiver"
    inner = f"<Type>{kind}</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    return _document("ErrorResponse", f"<Error>{inner}</Error><RequestId>{request_id}</RequestId>")


def _document(name: str, inner: str) -> str:
    return f'<{name} xmlns="{service_model(NAME).metadata["xmlNamespace"]}">{inner}</{name}>'

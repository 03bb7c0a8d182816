"""One call in, one reply out: its service and operation, validation, the transaction, errors in AWS's form.

This is the seam. `dispatcher` makes a `Handler`; whatever is to happen to calls and replies on their way (a lost reply,
a late one, a throttled one) is another `Handler` around it, and `http` neither knows nor cares which it serves.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from email.utils import formatdate

from reconciler.emulator import batch, control, emr_serverless, sts
from reconciler.emulator.operations import Context, Operation, Params, Service
from reconciler.emulator.protocol import parse, route, written
from reconciler.emulator.state import State
from reconciler.emulator.validation import problems
from reconciler.emulator.wire import AwsError, Call, Conflict, Handler, Invalid, Missing, Reply

log = logging.getLogger(__name__)

_BATCH_PATHS = "/v1/"
_MOST_PROBLEMS = 20
_FAILED = "the emulator failed, see its log"


def dispatcher(state: State) -> Handler:
    """The handler of every call, over one state."""

    def handle(call: Call) -> Reply:
        request_id = str(uuid.uuid4())
        try:
            return _reply(call, state, request_id)
        except Exception:
            log.exception("the emulator failed on %s %s", call.method, call.path)
            headers = {**_headers(request_id), "Content-Type": "application/json"}
            return Reply(500, headers, json.dumps({"message": _FAILED, "error": _FAILED}).encode())

    return handle


def _reply(call: Call, state: State, request_id: str) -> Reply:
    if call.path.startswith(control.PREFIX):
        return control.answer(call, state)
    if call.path in ("", "/"):
        return _sts(call, state, request_id)
    service = batch.SERVICE if call.path.startswith(_BATCH_PATHS) else emr_serverless.SERVICE
    return _rest_json(service, call, state, request_id)


def _rest_json(service: Service, call: Call, state: State, request_id: str) -> Reply:
    headers = {**_headers(request_id), "Content-Type": "application/json"}
    try:
        status, body = _answer(service, call, state)
    except AwsError as error:
        body, status = {"message": error.message}, error.status
        headers["x-amzn-ErrorType"] = error.code
    return Reply(status, headers, json.dumps(body).encode())


def _answer(service: Service, call: Call, state: State) -> tuple[int, Params]:
    """Status and body. Raises `AwsError`, whatever goes wrong."""
    try:
        model, labels = route(service.name, call)
        operation = service.operations.get(model.name)
        if operation is None:
            raise AwsError("NotImplementedException", f"the emulator does not provide {model.name}", 501)
        params = parse(model, labels, call)
        _check(service, operation, params, problems(model.input_shape, params, strict_enums=service.strict_enums))
        output = _run(operation, params, state)
        return model.http.get("responseCode", 200), written(model.output_shape, output)
    except AwsError:
        raise
    except Invalid as error:
        raise AwsError(service.invalid[0], str(error), service.invalid[1]) from error
    except Missing as error:
        raise AwsError(service.missing[0], str(error), service.missing[1]) from error
    except Conflict as error:
        raise AwsError(service.conflict[0], str(error), service.conflict[1]) from error
    except Exception as error:  # AWS never drops a connection because of its own mistake, so neither does this
        log.exception("the emulator failed on %s %s", call.method, call.path)
        raise AwsError(service.internal[0], _FAILED, service.internal[1]) from error


def _check(service: Service, operation: Operation, params: Params, found: list[str]) -> None:
    """Raises `Invalid` with everything wrong. The service's own rules are asked about well-formed requests only."""
    found = found or list(operation.rules(params))
    if found:
        more = f"; and {len(found) - _MOST_PROBLEMS} more" if len(found) > _MOST_PROBLEMS else ""
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise Invalid(f"{count}: {'; '.join(found[:_MOST_PROBLEMS])}{more}")


def _run(operation: Operation, params: Params, state: State) -> Params:
    transaction = state.writing() if operation.writes else state.reading()
    with transaction as records:
        return operation.run(params, Context(records, time.time()))


def _sts(call: Call, state: State, request_id: str) -> Reply:
    headers = {**_headers(request_id), "Content-Type": "text/xml"}
    try:
        with state.reading() as records:
            settings = records.settings
        return Reply(200, headers, sts.answer(call, settings, request_id).encode())
    except AwsError as error:
        return Reply(error.status, headers, sts.refusal(error, request_id).encode())


def _headers(request_id: str) -> dict[str, str]:
    return {"x-amzn-RequestId": request_id, "Date": formatdate(time.time(), usegmt=True)}

"""One call in, one reply out: its service and operation, validation, the transaction, errors in AWS's form.

This is the seam. `dispatcher` makes a `Handler`; what is to happen to calls and replies on their way (a lost reply, a
late one, a throttled one) is another `Handler` around it, in `faults`; `http` neither knows nor cares which it serves.
"""

from __future__ import annotations

import json
import logging
import uuid
from email.utils import formatdate

from reconciler.emulator import batch, control, emr_serverless, sts
from reconciler.emulator.faults.injector import Injector
from reconciler.emulator.operations import Context, Operation, Params, Service
from reconciler.emulator.protocol import parse, route, written
from reconciler.emulator.signature import require_fresh
from reconciler.emulator.state import State
from reconciler.emulator.validation import problems
from reconciler.emulator.wire import CONTROL_PREFIX, AwsError, Call, Conflict, Handler, Invalid, Missing, Reply

log = logging.getLogger(__name__)

_BATCH_PATHS = "/v1/"
_MOST_PROBLEMS = 20
_FAILED = "the emulator failed, see its log"


def dispatcher(state: State, faults: Injector | None = None) -> Handler:
    """The handler of every call, over one state. `faults` are those that the control endpoint sets."""
    injector = faults or Injector(state)

    def handle(call: Call) -> Reply:
        request_id = str(uuid.uuid4())
        try:
            return _reply(call, state, injector, request_id)
        except Exception:
            log.exception("the emulator failed on %s %s", call.method, call.path)
            headers = {**_headers(request_id, state.now()), "Content-Type": "application/json"}
            return Reply(500, headers, json.dumps({"message": _FAILED, "error": _FAILED}).encode())

    return handle


def _reply(call: Call, state: State, faults: Injector, request_id: str) -> Reply:
    if call.path.startswith(CONTROL_PREFIX):
        return control.answer(call, state, faults)
    if call.path in ("", "/"):
        return _sts(call, state, request_id)
    service = batch.SERVICE if call.path.startswith(_BATCH_PATHS) else emr_serverless.SERVICE
    return _rest_json(service, call, state, request_id)


def _rest_json(service: Service, call: Call, state: State, request_id: str) -> Reply:
    headers = {"Content-Type": "application/json"}
    try:
        status, body = _answer(service, call, state)
    except AwsError as error:
        body, status = {"message": error.message}, error.status
        headers["x-amzn-ErrorType"] = error.code
    headers |= _headers(request_id, state.now())
    return Reply(status, headers, json.dumps(body).encode())


def _answer(service: Service, call: Call, state: State) -> tuple[int, Params]:
    """Status and body. Raises `AwsError`, whatever goes wrong."""
    try:
        _look_at_signature(call, state)
        model, labels = route(service.name, call)
        operation = service.operations.get(model.name)
        if operation is None:
            raise AwsError("NotImplementedException", f"the emulator does not provide {model.name}", 501)
        params = parse(model, labels, call)
        _check(service, operation, params, problems(model.input_shape, params, strict_enums=service.strict_enums))
        output = _run(operation, params, call, state)
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


def _look_at_signature(call: Call, state: State) -> None:
    """AWS looks at the signature before anything else. Costs a transaction where signatures are looked at at all, since
    settings that were seen earlier may have changed."""
    if state.settings.signature_seconds is not None:
        with state.reading() as records:
            require_fresh(call, records.settings, records.now)


def _check(service: Service, operation: Operation, params: Params, found: list[str]) -> None:
    """Raises `Invalid` with everything wrong. The service's own rules are asked about well-formed requests only."""
    found = found or list(operation.rules(params))
    if found:
        more = f"; and {len(found) - _MOST_PROBLEMS} more" if len(found) > _MOST_PROBLEMS else ""
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise Invalid(f"{count}: {'; '.join(found[:_MOST_PROBLEMS])}{more}")


def _run(operation: Operation, params: Params, call: Call, state: State) -> Params:
    transaction = state.writing() if operation.writes else state.reading()
    with transaction as records:
        now = records.now
        require_fresh(call, records.settings, now)  # again: a transaction may have had to wait
        return operation.run(params, Context(records, now))


def _sts(call: Call, state: State, request_id: str) -> Reply:
    try:
        with state.reading() as records:
            settings, now = records.settings, records.now
        require_fresh(call, settings, now, "SignatureDoesNotMatch")
        status, body = 200, sts.answer(call, settings, request_id)
    except AwsError as error:
        status, body = error.status, sts.refusal(error, request_id)
    return Reply(status, {**_headers(request_id, state.now()), "Content-Type": "text/xml"}, body.encode())


def _headers(request_id: str, now: float) -> dict[str, str]:
    return {"x-amzn-RequestId": request_id, "Date": formatdate(now, usegmt=True)}

"""Answers calls as AWS does: finds the service and operation, validates the request, runs the transaction, and formats
errors.

`dispatcher` returns a `Handler`. Other handlers wrap it: the faults (`fault_delivery`) and the control endpoint
(`server`). `http` serves any `Handler`.
"""

import json
import logging
import sys
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate

from reconciler.emulator import batch_describe, batch_jobs, emr_job_runs, resources, sts
from reconciler.emulator.http import Call, Handler, Reply
from reconciler.emulator.operations import AwsError, Conflict, Context, Invalid, Missing, Operation, Rejected, Service
from reconciler.emulator.protocol import parse, problems, route, shaped
from reconciler.emulator.records import BATCH, EMR
from reconciler.emulator.state import State

log = logging.getLogger(__name__)

_TAG_OPERATIONS = {
    "TagResource": Operation(resources.tag_resource, writes=True),
    "UntagResource": Operation(resources.untag_resource, writes=True),
    "ListTagsForResource": Operation(resources.list_tags),
}
EMR_SERVERLESS = Service(
    name=EMR,
    operations={
        "StartJobRun": Operation(emr_job_runs.start_job_run, writes=True, rules=emr_job_runs.start_job_run_problems),
        "GetJobRun": Operation(emr_job_runs.get_job_run),
        "ListJobRuns": Operation(emr_job_runs.list_job_runs),
        "ListJobRunAttempts": Operation(emr_job_runs.list_job_run_attempts),
        "CancelJobRun": Operation(emr_job_runs.cancel_job_run, writes=True),
        "GetApplication": Operation(resources.get_application),
        "ListApplications": Operation(resources.list_applications),
        **_TAG_OPERATIONS,
    },
    errors={
        Invalid: ("ValidationException", 400),
        Missing: ("ResourceNotFoundException", 404),
        Conflict: ("ConflictException", 409),
        Exception: ("InternalServerException", 500),
    },
    strict_enums=True,
)
AWS_BATCH = Service(
    name=BATCH,
    operations={
        "SubmitJob": Operation(batch_jobs.submit_job, writes=True, rules=batch_jobs.submit_job_problems),
        "DescribeJobs": Operation(batch_describe.describe_jobs),
        "ListJobs": Operation(batch_describe.list_jobs),
        "CancelJob": Operation(batch_jobs.cancel_job, writes=True),
        "TerminateJob": Operation(batch_jobs.terminate_job, writes=True),
        "DescribeJobQueues": Operation(resources.describe_job_queues),
        "DescribeJobDefinitions": Operation(resources.describe_job_definitions),
        **_TAG_OPERATIONS,
    },
    errors={
        Invalid: ("ClientException", 400),
        Missing: ("ClientException", 400),
        Exception: ("ServerException", 500),
    },
    strict_enums=False,
)
OPERATIONS: Mapping[str, Iterable[str]] = {
    EMR: EMR_SERVERLESS.operations,
    BATCH: AWS_BATCH.operations,
    sts.NAME: (sts.OPERATION,),
}
"""The name of every operation, by service."""

_MAX_SHOWN_PROBLEMS = 20
_FAILURE = "the emulator failed, see its log"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def dispatcher(state: State) -> Handler:
    """Returns the handler that answers calls to the services, based on one state."""

    def handle(call: Call) -> Reply:
        service = service_of(call)
        try:
            return _answer_sts(call, state) if service is None else _answer_rest_json(service, call, state)
        except Exception:  # noqa: BLE001 - clients must get an answer, whatever fails
            return failure(call, state)

    return handle


def service_of(call: Call) -> Service | None:
    """Returns the service that a path belongs to, or `None` for STS."""
    if call.path in ("", "/"):
        return None
    return AWS_BATCH if call.path.startswith("/v1/") else EMR_SERVERLESS


def failure(call: Call, state: State) -> Reply:
    """Logs the current exception and returns a reply with status 500, in a form that neither service uses."""
    _log_failure(call)
    body = json.dumps({"message": _FAILURE, "error": _FAILURE}).encode()
    return Reply(500, _headers(state, "application/json"), body)


def _log_failure(call: Call) -> None:
    kind = type(sys.exception()).__name__
    log.exception("the emulator failed on %s %s: %s; -vv logs the traceback", call.method, call.path, kind)


def _headers(state: State, content_type: str, request_id: str = "") -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "x-amzn-RequestId": request_id or str(uuid.uuid4()),
        "x-reconciler-emulator": "true",
        "Date": formatdate(state.now(), usegmt=True),
    }


def _answer_rest_json(service: Service, call: Call, state: State) -> Reply:
    error_type = {}
    try:
        status, body = _run(service, call, state)
    except AwsError as error:
        status, body, error_type = error.status, {"message": error.message}, {"x-amzn-ErrorType": error.code}
    return Reply(status, {**error_type, **_headers(state, "application/json")}, json.dumps(body).encode())


def _run(service: Service, call: Call, state: State) -> tuple[int, dict[str, object]]:
    """Returns the status and the body of the reply. Raises `AwsError` for every failure."""
    try:
        # AWS checks this first, too. The transaction is needed because another process may have changed the settings.
        if state.settings.signature_seconds is not None:
            with state.reading() as records:
                require_fresh(call, records.settings.signature_seconds, records.now)
        model, labels = route(service.name, call)
        operation = service.operations.get(model.name)
        if operation is None:
            raise AwsError("NotImplementedException", f"the emulator does not provide {model.name}", 501)
        params = parse(model, labels, call)
        # The service's own rules read members without checking their types, so the request must fit its model first.
        by_model = problems(model.input_shape, params, strict_enums=service.strict_enums)
        _require_none(by_model or list(operation.rules(params)))
        with state.writing() if operation.writes else state.reading() as records:
            now = records.now
            require_fresh(
                call, records.settings.signature_seconds, now
            )  # again, because the transaction may have waited for others
            output = operation.run(params, Context(records, now))
        return model.http.get("responseCode", 200), shaped(model.output_shape, output)
    except AwsError:
        raise
    except Rejected as error:
        code, status = service.errors[type(error)]
        raise AwsError(code, str(error), status) from error
    except Exception as error:  # a bug here must look like a server error of AWS, which never drops the connection
        _log_failure(call)
        code, status = service.errors[Exception]
        raise AwsError(code, _FAILURE, status) from error


def _require_none(wrong: list[str]) -> None:
    """Raises `Invalid` with all problems of a request, up to a limit."""
    if wrong:
        more = f"; and {len(wrong) - _MAX_SHOWN_PROBLEMS} more" if len(wrong) > _MAX_SHOWN_PROBLEMS else ""
        count = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected"
        raise Invalid(f"{count}: {'; '.join(wrong[:_MAX_SHOWN_PROBLEMS])}{more}")


def _answer_sts(call: Call, state: State) -> Reply:
    request_id = str(uuid.uuid4())  # the request id is in the body too
    try:
        with state.reading() as records:
            settings, now = records.settings, records.now
        require_fresh(call, settings.signature_seconds, now, "SignatureDoesNotMatch")
        status, body = 200, sts.answer(call, settings, request_id)
    except AwsError as error:
        status, body = error.status, sts.error_document(error, request_id)
    return Reply(status, _headers(state, "text/xml", request_id), body.encode())


def require_fresh(call: Call, allowed: float | None, now: float, code: str = "InvalidSignatureException") -> None:
    """Raises `AwsError` 403 if X-Amz-Date is missing or more than `allowed` seconds from `now`. The signature itself is
    not checked. If `allowed` is `None`, any date is allowed.
    """
    if allowed is None:
        return
    text = call.headers.get("X-Amz-Date", "")
    try:
        signed_at = datetime.strptime(text, _DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403) from error
    if now - signed_at > allowed:
        raise AwsError(code, f"Signature expired: {text} is now earlier than {_date(now - allowed)}", 403)
    if signed_at - now > allowed:
        raise AwsError(code, f"Signature not yet current: {text} is still later than {_date(now + allowed)}", 403)


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(_DATE_FORMAT)

"""What reading botocore's models rests on, checked against the installed ones."""

from __future__ import annotations

import pytest

from reconciler.emulator.dispatch import AWS_BATCH, EMR_SERVERLESS
from reconciler.emulator.operations import Service
from reconciler.emulator.protocol import service_model, shaped

SERVICES = pytest.mark.parametrize("service", [AWS_BATCH, EMR_SERVERLESS], ids=lambda each: each.name)


@SERVICES
def test_every_operation_is_in_the_model(service: Service) -> None:
    """Under the name that it has there."""
    assert set(service.operations) <= set(service_model(service.name).operation_names)


@SERVICES
def test_input_is_in_path_query_and_body_only(service: Service) -> None:
    """And what is in path and query is text, a number, a time or a list of texts: the forms that are read."""
    for name in service.operations:
        for member in service_model(service.name).operation_model(name).input_shape.members.values():
            location = member.serialization.get("location")
            assert location in (None, "uri", "querystring"), (name, member)
            if location is not None:
                assert member.type_name in ("string", "integer", "timestamp", "list"), (name, member)


@SERVICES
def test_error_codes_are_the_documented_ones(service: Service) -> None:
    """With the status that the model gives them."""
    model = service_model(service.name)
    for code, status in service.errors.values():
        assert model.shape_for(code).metadata["error"]["httpStatusCode"] == status


def test_a_reply_with_an_unknown_member_is_a_mistake_of_the_emulator() -> None:
    """It never reaches a client, which would ignore it silently."""
    shape = service_model("batch").operation_model("SubmitJob").output_shape
    assert shaped(shape, {"jobId": "x", "jobArn": None}) == {"jobId": "x"}
    with pytest.raises(KeyError):
        shaped(shape, {"jobID": "x"})
    assert shaped(None, {}) == {}

"""Compares the emulator's assumptions about botocore's models with the installed models."""

from __future__ import annotations

import pytest

from reconciler.emulator.dispatch import AWS_BATCH, EMR_SERVERLESS
from reconciler.emulator.operations import Service
from reconciler.emulator.protocol import service_model, shaped

SERVICES = pytest.mark.parametrize("service", [AWS_BATCH, EMR_SERVERLESS], ids=lambda each: each.name)


@SERVICES
def test_every_operation_is_in_the_model(service: Service) -> None:
    """The emulator uses the names in botocore's model."""
    assert set(service.operations) <= set(service_model(service.name).operation_names)


@SERVICES
def test_input_is_only_in_path_query_and_body(service: Service) -> None:
    """Members in the path and query have types that the emulator can parse: strings, numbers, times and lists."""
    for name in service.operations:
        for member in service_model(service.name).operation_model(name).input_shape.members.values():
            location = member.serialization.get("location")
            assert location in (None, "uri", "querystring"), (name, member)
            if location is not None:
                assert member.type_name in ("string", "integer", "timestamp", "list"), (name, member)


@SERVICES
def test_error_codes_are_the_documented_ones(service: Service) -> None:
    """The status of each error code is the one in the model."""
    model = service_model(service.name)
    for code, status in service.errors.values():
        assert model.shape_for(code).metadata["error"]["httpStatusCode"] == status


def test_a_reply_with_an_unknown_member_raises() -> None:
    """An unknown member in a reply would be a bug in the emulator, which clients do not notice."""
    shape = service_model("batch").operation_model("SubmitJob").output_shape
    assert shaped(shape, {"jobId": "x", "jobArn": None}) == {"jobId": "x"}
    with pytest.raises(KeyError):
        shaped(shape, {"jobID": "x"})
    assert shaped(None, {}) == {}

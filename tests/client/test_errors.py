"""Failed calls: the exception that stands for each status, and the details it carries."""

from __future__ import annotations

import pickle

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics import client as face
from audotics.client import ErrorDetails, FieldViolation, QuotaViolation, Resource
from audotics.client.calls.call import Call
from audotics.v1 import recommender_service_pb2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, face.InvalidArgumentError),
        (grpc.StatusCode.OUT_OF_RANGE, face.InvalidArgumentError),
        (grpc.StatusCode.NOT_FOUND, face.NotFoundError),
        (grpc.StatusCode.FAILED_PRECONDITION, face.FailedPreconditionError),
        (grpc.StatusCode.UNAUTHENTICATED, face.UnauthenticatedError),
        (grpc.StatusCode.PERMISSION_DENIED, face.PermissionDeniedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, face.ResourceExhaustedError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, face.DeadlineExceededError),
        (grpc.StatusCode.UNAVAILABLE, face.UnavailableError),
        (grpc.StatusCode.CANCELLED, face.CallCancelledError),
        (grpc.StatusCode.UNIMPLEMENTED, face.UnimplementedError),
        (grpc.StatusCode.INTERNAL, face.InternalError),
        (grpc.StatusCode.DATA_LOSS, face.InternalError),
        (grpc.StatusCode.UNKNOWN, face.UnknownError),
        (grpc.StatusCode.ABORTED, face.UnknownError),
    ],
)
def test_each_status_has_its_exception(connect, server, failure, code, kind):
    server.script("Recommend", failure(code, "told so"))

    with pytest.raises(face.AudoticsError, match="told so") as caught:
        connect(server.target, retries=face.NO_RETRIES).recommend("u1")

    assert type(caught.value) is kind
    assert caught.value.code is code
    assert caught.value.details == ErrorDetails()
    assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_invalid_arguments_name_their_fields(client, server, failure):
    wrong = error_details_pb2.BadRequest(
        field_violations=[
            {"field": "limit", "description": "send 1 to 500"},
            {"field": "objectives.novelty", "description": "send a number"},
        ]
    )
    server.script("Recommend", failure(grpc.StatusCode.INVALID_ARGUMENT, "two fields are wrong", (wrong,)))

    with pytest.raises(face.InvalidArgumentError, match="two fields are wrong") as caught:
        client.recommend("u1", limit=0)

    assert caught.value.violations == (
        FieldViolation("limit", "send 1 to 500"),
        FieldViolation("objectives.novelty", "send a number"),
    )


def test_not_found_names_every_resource(client, server, failure):
    missing = tuple(error_details_pb2.ResourceInfo(resource_type="track", resource_name=name) for name in ("t1", "t2"))
    server.script("GetTracks", failure(grpc.StatusCode.NOT_FOUND, "tracks not found: 't1', 't2'", missing))

    with pytest.raises(face.NotFoundError) as caught:
        client.get_tracks(["t1", "t2"])

    assert caught.value.resource_type == "track"
    assert caught.value.resource_names == ("t1", "t2")
    assert caught.value.details.resources == (Resource("track", "t1"), Resource("track", "t2"))


def test_exhaustion_says_when_to_come_back(connect, server, failure):
    details = (
        error_details_pb2.RetryInfo(retry_delay={"seconds": 1, "nanos": 500_000_000}),
        error_details_pb2.QuotaFailure(violations=[{"subject": "batcher", "description": "512 rows wait"}]),
        error_details_pb2.ErrorInfo(reason="QUEUE_FULL", domain="audotics", metadata={"rows": "512"}),
    )
    server.script("Recommend", failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full", details))

    with pytest.raises(face.ResourceExhaustedError) as caught:
        connect(server.target, retries=face.NO_RETRIES).recommend("u1")

    assert caught.value.retry_after_s == 1.5
    assert caught.value.quota == (QuotaViolation("batcher", "512 rows wait"),)
    assert (caught.value.details.reason, caught.value.details.domain) == ("QUEUE_FULL", "audotics")
    assert caught.value.details.metadata == {"rows": "512"}


def test_unreadable_details_do_not_hide_the_status(client, server, failure):
    server.script(
        "GetModel",
        failure(
            grpc.StatusCode.NOT_FOUND, "no such model", trailing_metadata=(("grpc-status-details-bin", b"\xff\xff"),)
        ),
    )

    with pytest.raises(face.NotFoundError, match="no such model") as caught:
        client.get_model("x")

    assert caught.value.resource_names == ()
    assert caught.value.resource_type == ""


def test_a_method_that_the_server_lacks(client):
    with pytest.raises(face.UnimplementedError):
        client.execute(Call(path="/audotics.v1.RecommenderService/Sing", request=b"", decode=bytes))


def test_an_answer_that_cannot_be_read_is_an_internal_error(client, server):
    server.script("GetModel", recommender_service_pb2.SeedTracks(track_ids=["no model"]))

    with pytest.raises(face.InternalError, match="is the target an Audotics server"):
        client.get_model("ncf")


def test_errors_survive_pickling():
    details = ErrorDetails(violations=(FieldViolation("limit", "send 1 to 500"),))
    error = face.InvalidArgumentError("limit is wrong", grpc.StatusCode.INVALID_ARGUMENT, details)

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is face.InvalidArgumentError
    assert str(copy) == "limit is wrong"
    assert copy.violations == error.violations

"""A real gRPC server on loopback with fixed answers, and a terminal to ask it from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from typer.testing import CliRunner, Result

from audotics.cli.commands import app
from audotics.v1 import (
    model_service_pb2,
    model_service_pb2_grpc,
    recommender_service_pb2,
    recommender_service_pb2_grpc,
)


class Recommender(recommender_service_pb2_grpc.RecommenderServiceServicer):
    """Knows two tracks. Refuses limits above 500, and does not know the track "missing"."""

    def __init__(self) -> None:
        self.requests: list[Message] = []

    def Recommend(  # noqa: N802
        self, request: recommender_service_pb2.RecommendRequest, context: grpc.ServicerContext
    ) -> recommender_service_pb2.RecommendResponse:
        self.requests.append(request)
        if request.limit > 500:
            violation = {"field": "limit", "description": "send 1 to 500"}
            wrong = error_details_pb2.BadRequest(field_violations=[violation])
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, "the request is wrong", wrong)
        return recommender_service_pb2.RecommendResponse(
            recommendation_id="r1",
            tracks=[
                {
                    "track_id": "t1",
                    "title": "Blue Train [Live] :cat:",
                    "artist": "John Coltrane",
                    "score": 0.75,
                    "confidence": 0.5,
                    "contributions": [
                        {"model": "ncf", "weight": 0.5, "value": 1.0, "contribution": 0.5},
                        {"model": "content", "weight": 0.25, "value": 1.0, "contribution": 0.25},
                    ],
                    "reasons": ["Because you listen to jazz"],
                },
                {"track_id": "t2", "title": "", "artist": "", "score": 0.25, "confidence": 0.125},
            ],
            model_versions=[{"model": "ncf", "version": 3}],
            index_version="i1",
            degraded=[
                {
                    "part": "user",
                    "reason": recommender_service_pb2.DEGRADATION_REASON_UNKNOWN_USER,
                    "detail": "no event of 'u1' is known; served as a new listener",
                }
            ],
        )

    def SimilarTracks(  # noqa: N802
        self, request: recommender_service_pb2.SimilarTracksRequest, context: grpc.ServicerContext
    ) -> recommender_service_pb2.SimilarTracksResponse:
        self.requests.append(request)
        if request.track_id == "missing":
            _abort(context, grpc.StatusCode.NOT_FOUND, "track not found: 'missing'")
        return recommender_service_pb2.SimilarTracksResponse(
            tracks=[{"track_id": "t2", "title": "So What", "artist": "Miles Davis", "similarity": 0.5}]
        )


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """One model with a version in service and one that was refused; loading and unloading change the first."""

    def __init__(self) -> None:
        self.state = model_service_pb2.VERSION_STATE_IN_SERVICE
        self.labels: dict[str, int] = {}

    def ListModels(  # noqa: N802
        self, request: model_service_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.ListModelsResponse:
        return model_service_pb2.ListModelsResponse(models=[self._model()])

    def GetModel(  # noqa: N802
        self, request: model_service_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.GetModelResponse:
        if request.name != "ncf":
            _abort(context, grpc.StatusCode.NOT_FOUND, f"model not found: {request.name!r}")
        return model_service_pb2.GetModelResponse(model=self._model())

    def LoadVersion(  # noqa: N802
        self, request: model_service_pb2.LoadVersionRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.LoadVersionResponse:
        if request.version != 1:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "ncf/2 is refused: model.onnx is altered")
        self.state = model_service_pb2.VERSION_STATE_IN_SERVICE
        return model_service_pb2.LoadVersionResponse(model=self._model())

    def UnloadVersion(  # noqa: N802
        self, request: model_service_pb2.UnloadVersionRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.UnloadVersionResponse:
        self.state = model_service_pb2.VERSION_STATE_ON_DISK
        return model_service_pb2.UnloadVersionResponse(model=self._model())

    def SetLabel(  # noqa: N802
        self, request: model_service_pb2.SetLabelRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.SetLabelResponse:
        if request.version == 2 and not request.force:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "ncf/2 does not pass the promotion gate")
        self.labels.pop(request.label, None)
        if request.version:
            self.labels[request.label] = request.version
        return model_service_pb2.SetLabelResponse(model=self._model())

    def Rollback(  # noqa: N802
        self, request: model_service_pb2.RollbackRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.RollbackResponse:
        self.labels["stable"] = 1
        return model_service_pb2.RollbackResponse(model=self._model())

    def GetShadowReport(  # noqa: N802
        self, request: model_service_pb2.GetShadowReportRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.GetShadowReportResponse:
        if "shadow" not in self.labels:
            return model_service_pb2.GetShadowReportResponse()
        if self.labels["shadow"] != 1:  # nobody has asked for anything since
            report = model_service_pb2.ShadowReport(versions={"ncf": self.labels["shadow"]}, k=10)
            return model_service_pb2.GetShadowReportResponse(report=report)
        report = model_service_pb2.ShadowReport(
            versions={"ncf": 1}, request_count=40, overlap_at_k=0.75, k=10, score_drift=-0.5, served_ms=2, shadow_ms=3
        )
        return model_service_pb2.GetShadowReportResponse(report=report)

    def ListModelRecords(  # noqa: N802
        self, request: model_service_pb2.ListModelRecordsRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.ListModelRecordsResponse:
        """Three records, the newest first; a token is the place of the next one."""
        in_service, labelled = model_service_pb2.MODEL_EVENT_IN_SERVICE, model_service_pb2.MODEL_EVENT_LABELLED
        operator = {"origin": model_service_pb2.MODEL_EVENT_ORIGIN_OPERATOR, "caller": "10.0.0.1"}
        start = {"origin": model_service_pb2.MODEL_EVENT_ORIGIN_START}
        at = 1_700_000_000
        records = [
            {"occurred_at": {"seconds": at + 2}, "version": 2, "event": labelled, "label": "stable", **operator},
            {"occurred_at": {"seconds": at + 1}, "version": 2, "event": in_service, "replaced_version": 1, **operator},
            {"occurred_at": {"seconds": at}, "version": 1, "event": in_service, "reason": "why", **start},
        ]
        found = [
            model_service_pb2.ModelRecord(server="s1", model="ncf", **record)
            for record in records
            if request.model in ("", "ncf")
            and (not request.HasField("before") or record["occurred_at"]["seconds"] < request.before.seconds)
        ]
        first = int(request.page_token or 0)
        following = first + min(request.page_size, 2)
        return model_service_pb2.ListModelRecordsResponse(
            records=found[first:following], next_page_token=str(following) if following < len(found) else ""
        )

    def _model(self) -> model_service_pb2.Model:
        served = model_service_pb2.VersionInfo(
            version=1,
            state=self.state,
            created_at={"seconds": 1_700_000_000},
            framework="pytorch",
            device="cuda:0",
            metrics={"ndcg@10": 0.25},
            inputs=[model_service_pb2.TensorInfo(name="user", dtype="float32", shape=[-1, 64])],
            outputs=[model_service_pb2.TensorInfo(name="score", dtype="float32", shape=[-1])],
            size_bytes=4096,
            parity_max_abs_diff=2e-7,
        )
        refused = model_service_pb2.VersionInfo(
            version=2,
            state=model_service_pb2.VERSION_STATE_REFUSED,
            reason="ncf/2: model.onnx is altered; export it again",
        )
        return model_service_pb2.Model(name="ncf", kind="ncf", versions=[refused, served], labels=self.labels)


@dataclass(frozen=True)
class Server:
    """The running server: where it is, and what was asked of it."""

    target: str
    recommender: Recommender


@pytest.fixture
def server() -> Iterator[Server]:
    recommender = Recommender()
    process = grpc.server(ThreadPoolExecutor(max_workers=2))
    recommender_service_pb2_grpc.add_RecommenderServiceServicer_to_server(recommender, process)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), process)
    port = process.add_insecure_port("127.0.0.1:0")
    process.start()
    yield Server(f"127.0.0.1:{port}", recommender)
    process.stop(grace=None).wait()


@pytest.fixture
def audotics(server: Server) -> Callable[..., Result]:
    """Return a function that runs a command line against the server, on a terminal 120 columns wide."""

    def run(*arguments: str) -> Result:
        environment = {"AUDOTICS_SERVER": server.target, "COLUMNS": "120", "NO_COLOR": "1"}
        return CliRunner().invoke(app, arguments, env=environment)

    return run


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str, *details: Message) -> None:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))

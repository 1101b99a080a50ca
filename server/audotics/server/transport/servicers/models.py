"""`audotics.v1.ModelService`: model versions go in and out of service."""

from __future__ import annotations

import grpc

from audotics.server.services.indexes import IndexService
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.models import ModelService
from audotics.server.transport.caller import operator_of
from audotics.server.transport.codec.indexes import decode_rebuild, encode_index, encode_indexes, encode_recall
from audotics.server.transport.codec.model_records import decode_records, encode_records
from audotics.server.transport.codec.models import (
    decode_label,
    decode_name,
    decode_version,
    encode_model,
    encode_models,
    encode_shadow,
)
from audotics.v1 import model_service_pb2 as pb
from audotics.v1 import model_service_pb2_grpc as pb_grpc


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(self, *, models: ModelService, indexes: IndexService, records: ModelRecords) -> None:
        self._models = models
        self._indexes = indexes
        self._records = records

    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelsResponse:
        return encode_models(await self._models.models())

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetModelResponse:
        name = decode_name(request)
        return pb.GetModelResponse(model=encode_model(await self._models.model(name)))

    async def LoadVersion(  # noqa: N802
        self, request: pb.LoadVersionRequest, context: grpc.aio.ServicerContext
    ) -> pb.LoadVersionResponse:
        name, version = decode_version(request)
        status = await self._models.load(name, version, cause=operator_of(context))
        return pb.LoadVersionResponse(model=encode_model(status))

    async def UnloadVersion(  # noqa: N802
        self, request: pb.UnloadVersionRequest, context: grpc.aio.ServicerContext
    ) -> pb.UnloadVersionResponse:
        name, version = decode_version(request)
        status = await self._models.unload(name, version, cause=operator_of(context))
        return pb.UnloadVersionResponse(model=encode_model(status))

    async def SetLabel(  # noqa: N802
        self, request: pb.SetLabelRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetLabelResponse:
        change = decode_label(request)
        status = await self._models.set_label(
            change.name, change.label, change.version, force=change.force, cause=operator_of(context)
        )
        return pb.SetLabelResponse(model=encode_model(status))

    async def Rollback(  # noqa: N802
        self, request: pb.RollbackRequest, context: grpc.aio.ServicerContext
    ) -> pb.RollbackResponse:
        name = decode_name(request)
        status = await self._models.rollback(name, cause=operator_of(context))
        return pb.RollbackResponse(model=encode_model(status))

    async def GetShadowReport(  # noqa: N802
        self, request: pb.GetShadowReportRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetShadowReportResponse:
        return encode_shadow(self._models.shadow_report())

    async def ListIndexes(  # noqa: N802
        self, request: pb.ListIndexesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListIndexesResponse:
        return encode_indexes(self._indexes.indexes())

    async def RebuildIndex(  # noqa: N802
        self, request: pb.RebuildIndexRequest, context: grpc.aio.ServicerContext
    ) -> pb.RebuildIndexResponse:
        name, version = decode_rebuild(request)
        status = await self._indexes.rebuild(name, version, retrain=request.retrain)
        return pb.RebuildIndexResponse(index=encode_index(status))

    async def GetRecallReport(  # noqa: N802
        self, request: pb.GetRecallReportRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetRecallReportResponse:
        return encode_recall(await self._indexes.recall_report(measure=request.measure))

    async def ListModelRecords(  # noqa: N802
        self, request: pb.ListModelRecordsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelRecordsResponse:
        query = decode_records(request)
        records, following = await self._records.page(
            model=query.model, before=query.before, limit=query.limit, after=query.after
        )
        return encode_records(query, records, following)

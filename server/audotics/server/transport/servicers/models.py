"""`audotics.v1.ModelService`: model versions go in and out of service.

A call that names a tenant sees that tenant's models and those that all share, and changes its own only.
"""

from __future__ import annotations

import grpc

from audotics.server.services.indexes import IndexService
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.models import ModelService
from audotics.server.services.tenancy import Tenancy
from audotics.server.transport.caller import caller_of, operator_of
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

    def __init__(self, *, models: ModelService, indexes: IndexService, records: ModelRecords, tenancy: Tenancy) -> None:
        self._models = models
        self._tenancy = tenancy
        self._indexes = indexes
        self._records = records

    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelsResponse:
        tenant = caller_of(context).tenant
        return encode_models([each for each in await self._models.models() if self._tenancy.sees(each.name, tenant)])

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetModelResponse:
        name = self._tenancy.resolve(decode_name(request), caller_of(context).tenant)
        return pb.GetModelResponse(model=encode_model(await self._models.model(name)))

    async def LoadVersion(  # noqa: N802
        self, request: pb.LoadVersionRequest, context: grpc.aio.ServicerContext
    ) -> pb.LoadVersionResponse:
        name, version = decode_version(request)
        status = await self._models.load(self._own(name, context), version, cause=operator_of(context))
        return pb.LoadVersionResponse(model=encode_model(status))

    async def UnloadVersion(  # noqa: N802
        self, request: pb.UnloadVersionRequest, context: grpc.aio.ServicerContext
    ) -> pb.UnloadVersionResponse:
        name, version = decode_version(request)
        status = await self._models.unload(self._own(name, context), version, cause=operator_of(context))
        return pb.UnloadVersionResponse(model=encode_model(status))

    async def SetLabel(  # noqa: N802
        self, request: pb.SetLabelRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetLabelResponse:
        change = decode_label(request)
        status = await self._models.set_label(
            self._own(change.name, context),
            change.label,
            change.version,
            force=change.force,
            cause=operator_of(context),
        )
        return pb.SetLabelResponse(model=encode_model(status))

    async def Rollback(  # noqa: N802
        self, request: pb.RollbackRequest, context: grpc.aio.ServicerContext
    ) -> pb.RollbackResponse:
        name = self._own(decode_name(request), context)
        status = await self._models.rollback(name, cause=operator_of(context))
        return pb.RollbackResponse(model=encode_model(status))

    async def GetShadowReport(  # noqa: N802
        self, request: pb.GetShadowReportRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetShadowReportResponse:
        return encode_shadow(self._models.shadow_report())

    async def ListIndexes(  # noqa: N802
        self, request: pb.ListIndexesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListIndexesResponse:
        tenant = caller_of(context).tenant
        return encode_indexes([each for each in self._indexes.indexes() if self._tenancy.sees(each.name, tenant)])

    async def RebuildIndex(  # noqa: N802
        self, request: pb.RebuildIndexRequest, context: grpc.aio.ServicerContext
    ) -> pb.RebuildIndexResponse:
        name, version = decode_rebuild(request)
        status = await self._indexes.rebuild(self._own(name, context), version, retrain=request.retrain)
        return pb.RebuildIndexResponse(index=encode_index(status))

    async def GetRecallReport(  # noqa: N802
        self, request: pb.GetRecallReportRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetRecallReportResponse:
        return encode_recall(await self._indexes.recall_report(measure=request.measure))

    async def ListModelRecords(  # noqa: N802
        self, request: pb.ListModelRecordsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListModelRecordsResponse:
        query, tenant = decode_records(request), caller_of(context).tenant
        records, following = await self._records.page(
            model=query.model and self._tenancy.resolve(query.model, tenant),
            tenant=tenant,
            before=query.before,
            limit=query.limit,
            after=query.after,
        )
        return encode_records(query, records, following)

    def _own(self, name: str, context: grpc.aio.ServicerContext) -> str:
        """The model to change."""
        return self._tenancy.own(name, caller_of(context).tenant)

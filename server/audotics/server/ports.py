"""What a server answers beside its own API: settings go in; the protocols of other servers, and HTTP, come out."""

from __future__ import annotations

from contextlib import AsyncExitStack

from audotics.server.options import concurrency
from audotics.server.services.inference import InferenceService
from audotics.server.services.models import ModelService
from audotics.server.services.tenancy import Tenancy
from audotics.server.settings import Settings
from audotics.server.telemetry.metrics import Metrics
from audotics.server.telemetry.readiness import Readiness
from audotics.server.transport.address import AddressError
from audotics.server.transport.compat.service import ForeignService
from audotics.server.transport.compat.tfs import models as tensorflow_models
from audotics.server.transport.compat.tfs import prediction as tensorflow_prediction
from audotics.server.transport.compat.v2 import servicer as inference_protocol
from audotics.server.transport.compat.v2.servicer import InferenceServicer


def foreign_services(
    settings: Settings, inference: InferenceService, models: ModelService, tenancy: Tenancy
) -> list[ForeignService]:
    """Protocols of other model servers."""
    servicer = InferenceServicer(inference=inference, models=models, tenancy=tenancy, instances=concurrency(settings))
    foreign = [ForeignService(inference_protocol.SERVICE, servicer, inference_protocol.POOL)]
    if settings.tensorflow_serving:
        pool = tensorflow_prediction.POOL
        prediction = tensorflow_prediction.PredictionServicer(inference=inference, tenancy=tenancy)
        status = tensorflow_models.ModelStatusServicer(models=models, tenancy=tenancy)
        foreign.append(ForeignService(tensorflow_prediction.SERVICE, prediction, pool))
        foreign.append(ForeignService(tensorflow_models.SERVICE, status, pool))
    return foreign


async def serve_http(stack: AsyncExitStack, settings: Settings, metrics: Metrics, readiness: Readiness) -> int | None:
    """The port of HTTP, None where there is none. Raises AddressError."""
    if settings.http_port < 0:
        return None
    if settings.http_port == settings.port != 0:
        raise AddressError(
            f"gRPC and HTTP cannot share port {settings.port}; choose another --http-port, or -1 for none"
        )
    # What is not wanted is not imported: it would cost every server memory.
    from audotics.server.transport.http.application import application
    from audotics.server.transport.http.server import HttpServer

    asgi = application(metrics=metrics, readiness=readiness)
    server = HttpServer(asgi, host=settings.host, port=settings.http_port, drain_s=settings.drain_s)
    return (await stack.enter_async_context(server)).port

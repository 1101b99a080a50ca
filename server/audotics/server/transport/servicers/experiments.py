"""`audotics.v1.ExperimentService`: plans go in, experiments and what they have shown come out."""

from __future__ import annotations

import grpc

from audotics.server.services.experiment_report import ReportService
from audotics.server.services.experiments import ExperimentService
from audotics.server.transport.codec.experiments import (
    decode_create,
    decode_experiment_name,
    decode_promotion,
    decode_state,
    decode_stop,
    decode_traffic,
    encode_experiment,
)
from audotics.server.transport.codec.recommendations import encode_versions
from audotics.server.transport.codec.reports import decode_policy, encode_estimates, encode_report
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import experiment_service_pb2_grpc as pb_grpc


class ExperimentServicer(pb_grpc.ExperimentServiceServicer):
    """Errors are those of the services; the interceptor gives them their status."""

    def __init__(self, *, experiments: ExperimentService, reports: ReportService) -> None:
        self._experiments = experiments
        self._reports = reports

    async def CreateExperiment(  # noqa: N802
        self, request: pb.CreateExperimentRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateExperimentResponse:
        wanted = decode_create(request)
        created = await self._experiments.create(
            wanted.plan, traffic_share=wanted.traffic_share, overrides=wanted.overrides
        )
        return pb.CreateExperimentResponse(experiment=encode_experiment(created))

    async def GetExperiment(  # noqa: N802
        self, request: pb.GetExperimentRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetExperimentResponse:
        experiment = await self._experiments.experiment(decode_experiment_name(request))
        return pb.GetExperimentResponse(experiment=encode_experiment(experiment))

    async def ListExperiments(  # noqa: N802
        self, request: pb.ListExperimentsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListExperimentsResponse:
        experiments = await self._experiments.experiments(decode_state(request))
        return pb.ListExperimentsResponse(experiments=[encode_experiment(each) for each in experiments])

    async def SetTraffic(  # noqa: N802
        self, request: pb.SetTrafficRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetTrafficResponse:
        name, share = decode_traffic(request)
        experiment = await self._experiments.set_traffic(name, share)
        return pb.SetTrafficResponse(experiment=encode_experiment(experiment))

    async def StopExperiment(  # noqa: N802
        self, request: pb.StopExperimentRequest, context: grpc.aio.ServicerContext
    ) -> pb.StopExperimentResponse:
        name, reason = decode_stop(request)
        experiment = await self._experiments.stop(name, reason)
        return pb.StopExperimentResponse(experiment=encode_experiment(experiment))

    async def PromoteArm(  # noqa: N802
        self, request: pb.PromoteArmRequest, context: grpc.aio.ServicerContext
    ) -> pb.PromoteArmResponse:
        wanted = decode_promotion(request)
        promotion = await self._experiments.promote(wanted.name, wanted.arm, label=wanted.label, force=wanted.force)
        return pb.PromoteArmResponse(
            experiment=encode_experiment(promotion.experiment), promoted=encode_versions(promotion.promoted)
        )

    async def ReportExperiment(  # noqa: N802
        self, request: pb.ReportExperimentRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReportExperimentResponse:
        return encode_report(await self._reports.report(decode_experiment_name(request)))

    async def EvaluatePolicy(  # noqa: N802
        self, request: pb.EvaluatePolicyRequest, context: grpc.aio.ServicerContext
    ) -> pb.EvaluatePolicyResponse:
        policy = decode_policy(request)
        estimates = await self._reports.evaluate(policy.name, policy.rules, metric=policy.metric, clip=policy.clip)
        return encode_estimates(estimates)

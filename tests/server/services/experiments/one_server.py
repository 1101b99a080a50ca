"""The services of one server that runs experiments, and an experiment for it."""

from __future__ import annotations

from dataclasses import dataclass

from audotics.server.experiments.experiment import Arm, Plan, Treatment
from audotics.server.services.assigner import Assigner
from audotics.server.services.experiment_report import ReportService
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.experiments import ExperimentService
from audotics.server.services.recommend import RecommendService

HOUR_S = 3600.0

PLAN = Plan(
    name="x",
    arms=(Arm("a", 0.5), Arm("b", 0.25, Treatment(diversity=0.8)), Arm("c", 0.25, Treatment(diversity=0.1))),
    control="a",
    description="",
    layer="default",
    metric="engagement",
    window_s=HOUR_S,
    smallest_lift=0.2,
)


class Clock:
    """A clock that is set by hand, also back."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class Server:
    """The services of one server on a database."""

    assigner: Assigner
    experiments: ExperimentService
    reports: ReportService
    watch: ExperimentWatch
    recommend: RecommendService

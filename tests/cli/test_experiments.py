"""`audotics experiments` against a server that knows one experiment, and files that are no plans."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from audotics.cli.commands import app
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import experiment_service_pb2_grpc as pb_grpc

EXPERIMENT = {
    "name": "variety",
    "layer": "default",
    "traffic_share": 0.5,
    "arms": [
        {"name": "control", "share": 0.5},
        {
            "name": "new",
            "share": 0.5,
            "models": {"label": "canary", "versions": [{"model": "ncf", "version": 2}]},
            "diversity": 0.9,
            "objectives": {"relevance": 1, "novelty": 0.5},
            "component_weights": {"ncf": 2, "content": 1},
            "pipeline": {"artist_cap": 1},
        },
    ],
    "control": "control",
    "metric": pb.METRIC_ENGAGEMENT,
    "state": pb.EXPERIMENT_STATE_RUNNING,
    "created_at": {"seconds": 1_700_000_000},
    "records": [
        {"at": {"seconds": 1_700_000_000}, "event": pb.EXPERIMENT_EVENT_CREATED, "detail": "50.00% of default"}
    ],
}


class Experiments(pb_grpc.ExperimentServiceServicer):
    """Fixed answers; keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[object] = []

    def CreateExperiment(self, request: pb.CreateExperimentRequest, context: object) -> pb.CreateExperimentResponse:  # noqa: N802
        self.requests.append(request)
        return pb.CreateExperimentResponse(experiment=EXPERIMENT)

    def GetExperiment(  # noqa: N802
        self, request: pb.GetExperimentRequest, context: grpc.ServicerContext
    ) -> pb.GetExperimentResponse:
        if request.name != "variety":
            context.abort(grpc.StatusCode.NOT_FOUND, f"experiment not found: {request.name!r}")
        return pb.GetExperimentResponse(experiment=EXPERIMENT)

    def ListExperiments(self, request: pb.ListExperimentsRequest, context: object) -> pb.ListExperimentsResponse:  # noqa: N802
        stopped = request.state == pb.EXPERIMENT_STATE_RUNNING
        return pb.ListExperimentsResponse(experiments=[] if stopped else [EXPERIMENT])

    def SetTraffic(self, request: pb.SetTrafficRequest, context: object) -> pb.SetTrafficResponse:  # noqa: N802
        return pb.SetTrafficResponse(experiment=EXPERIMENT | {"traffic_share": request.traffic_share})

    def StopExperiment(self, request: pb.StopExperimentRequest, context: object) -> pb.StopExperimentResponse:  # noqa: N802
        stopped = {"event": pb.EXPERIMENT_EVENT_STOPPED, "detail": request.reason, "at": {"seconds": 1_700_000_001}}
        return pb.StopExperimentResponse(
            experiment=EXPERIMENT | {"state": pb.EXPERIMENT_STATE_STOPPED, "records": [stopped]}
        )

    def PromoteArm(self, request: pb.PromoteArmRequest, context: object) -> pb.PromoteArmResponse:  # noqa: N802
        self.requests.append(request)
        stopped = EXPERIMENT | {"state": pb.EXPERIMENT_STATE_STOPPED}
        return pb.PromoteArmResponse(experiment=stopped, promoted=[{"model": "ncf", "version": 2}])

    def ReportExperiment(self, request: pb.ReportExperimentRequest, context: object) -> pb.ReportExperimentResponse:  # noqa: N802
        lift = {"lift": 0.125, "low": 0.05, "high": 0.2, "p_value": 0.01}
        return pb.ReportExperimentResponse(
            experiment=EXPERIMENT,
            arms=[
                {
                    "arm": arm,
                    "listeners": 30,
                    "observed_listeners": 20,
                    "lists": 40,
                    "metrics": [{"metric": pb.METRIC_ENGAGEMENT, "value": 0.25}, {"metric": pb.METRIC_SKIP_RATE}],
                }
                for arm in ("control", "new")
            ],
            comparisons=[
                {"arm": "new", "metric": pb.METRIC_ENGAGEMENT, **lift},
                {"arm": "new", "metric": pb.METRIC_SKIP_RATE},
            ],
            sample_ratio={"p_value": 0.5, "expected_listeners": {"control": 30, "new": 30}},
            winner="new",
            notes=["a guardrail stopped one: too slow"],
        )

    def EvaluatePolicy(self, request: pb.EvaluatePolicyRequest, context: object) -> pb.EvaluatePolicyResponse:  # noqa: N802
        self.requests.append(request)
        estimate = {"estimator": pb.ESTIMATOR_DOUBLY_ROBUST, "value": 0.5, "low": 0.4, "high": 0.6}
        return pb.EvaluatePolicyResponse(
            estimates=[estimate], logged_value=0.25, lists=40, listeners=20, effective_lists=20
        )


@pytest.fixture
def experiments() -> Experiments:
    return Experiments()


@pytest.fixture
def run(experiments: Experiments) -> Iterator[Callable[..., Result]]:
    """Return a function that runs `audotics experiments`, on a terminal 160 columns wide."""
    process = grpc.server(ThreadPoolExecutor(max_workers=2))
    pb_grpc.add_ExperimentServiceServicer_to_server(experiments, process)
    port = process.add_insecure_port("127.0.0.1:0")
    process.start()
    environment = {"AUDOTICS_SERVER": f"127.0.0.1:{port}", "COLUMNS": "160", "NO_COLOR": "1"}
    yield lambda *arguments: CliRunner().invoke(app, ["experiments", *arguments], env=environment)
    process.stop(grace=None).wait()


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return [line.split() for line in result.stdout.splitlines() if line.strip()]


PLAN = """
name = "variety"
metric = "completion"
window_hours = 0.5
overrides = { "user-1" = "new" }

[guardrails]
max_error_increase = 0.02

[[arms]]
name = "control"

[[arms]]
name = "new"
model_label = "canary"
model_versions = { ncf = 2 }
diversity = 1
objectives = { novelty = 0.5 }
component_weights = { ncf = 2 }
pipeline = { artist_cap = 1 }
"""


def test_a_file_becomes_an_experiment(run: Callable[..., Result], experiments: Experiments, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    lines = rows(run("create", str(tmp_path / "plan.toml")))
    assert " ".join(lines[0]) == "variety is running: 50.00% of layer default, by engagement"
    assert lines[3] == ["control", "50.00%", "nothing", "(control)"]
    assert " ".join(lines[4][2:]) == (
        "models canary, ncf/2, diversity 0.9, relevance 1, novelty 0.5, ncf × 2, artist_cap 1"
    )
    (request,) = experiments.requests
    assert request == pb.CreateExperimentRequest(
        experiment={
            "name": "variety",
            "layer": "default",
            "traffic_share": 1.0,
            "metric": pb.METRIC_COMPLETION,
            "window": {"seconds": 1800},
            "smallest_lift": 0.05,
            "overrides": {"user-1": "new"},
            "guardrails": {"max_error_increase": 0.02},
            "arms": [
                {"name": "control"},
                {
                    "name": "new",
                    "models": {"label": "canary", "versions": [{"model": "ncf", "version": 2}]},
                    "diversity": 1.0,
                    "objectives": {"relevance": 1.0, "novelty": 0.5},
                    "component_weights": {"ncf": 2.0},
                    "pipeline": {"artist_cap": 1},
                },
            ],
        }
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = ", "is not TOML"),
        ('name = "x"', "arms: is missing"),
        ('name = "x"\n[arms]\n', r"arms: is one table; write \[\[arms\]\]"),
        ('name = "x"\narms = ["a"]', r"arms\[0\]: is 'a'; write \[\[arms\]\]"),
        ('name = "x"\ncolour = 1\n[[arms]]\nname = "a"', "colour: is no field; the fields are arms, control"),
        ('name = 3\n[[arms]]\nname = "a"', "name: is 3; write text"),
        ('name = "x"\n[[arms]]\nshare = 1', r"arms\[0\]\.name: is missing"),
        ('name = "x"\n[[arms]]\nname = "a"\nshare = "half"', r"arms\[0\]\.share: is 'half'; write a number"),
        ('name = "x"\n[[arms]]\nname = "a"\nmodel_versions = 2', r"arms\[0\]\.model_versions: is 2; write versions"),
        ('name = "x"\n[[arms]]\nname = "a"\nobjectives = {fame = 1}', r"arms\[0\]\.objectives\.fame: is no field"),
        ('name = "x"\nmetric = "fame"\n[[arms]]\nname = "a"', "metric must be one of"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_field(
    run: Callable[..., Result], experiments: Experiments, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "plan.toml").write_text(content)
    result = run("create", str(tmp_path / "plan.toml"))
    assert result.exit_code == 1
    assert re.search(message, result.stderr), result.stderr
    assert experiments.requests == []


def test_a_file_that_is_not_there(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("create", str(tmp_path / "none.toml"))
    assert (result.exit_code, "cannot be read: No such file" in result.stderr) == (1, True)


def test_list_show_and_stop(run: Callable[..., Result]) -> None:
    assert rows(run("list"))[2][:4] == ["variety", "running", "default", "50.00%"]
    assert run("list", "--running").stdout.startswith("no experiments")
    assert rows(run("show", "variety"))[-1] == ["2023-11-14", "22:13:20", "created:", "50.00%", "of", "default"]
    assert run("show", "nope").stderr == "error: experiment not found: 'nope'\n"
    assert rows(run("stop", "variety", "--reason", "enough"))[-1][-2:] == ["stopped:", "enough"]
    assert rows(run("traffic", "variety", "0.75"))[0][3] == "75.00%"
    assert json.loads(run("show", "variety", "--json").stdout)["plan"]["arms"][1]["diversity"] == 0.9


def test_a_report_shows_values_lifts_notes_and_the_winner(run: Callable[..., Result]) -> None:
    output = run("report", "variety").stdout
    lines = [line.split() for line in output.splitlines() if line.strip()]
    assert ["new", "30", "20", "40"] in lines
    assert ["engagement", "control", "0.2500"] in lines
    assert ["engagement", "new", "0.2500", "+12.5%", "+5.0%", "to", "+20.0%", "0.01"] in lines
    assert "skip rate" not in output
    assert "listeners by the shares: control 30, new 30 (p = 0.5)" in output
    assert output.endswith("note: a guardrail stopped one: too slow\nwinner: new\n")
    assert json.loads(run("report", "variety", "--json").stdout)["winner"] == "new"


def test_promote_and_policy(run: Callable[..., Result], experiments: Experiments) -> None:
    output = run("promote", "variety", "new", "--label", "canary", "--force").stdout
    assert output == "ncf/2 is canary; experiment variety is stopped\n"
    estimated = run("policy", "variety", "control=0.25, new=0.75", "--metric", "completion").stdout
    assert "40 lists of 20 listeners, worth 20 of equal weight; a list earned 0.2500" in estimated
    assert ["doubly", "robust", "0.5000", "0.4000", "to", "0.6000"] in [line.split() for line in estimated.splitlines()]
    assert experiments.requests == [
        pb.PromoteArmRequest(name="variety", arm="new", label="canary", force=True),
        pb.EvaluatePolicyRequest(
            name="variety", rules=[{"arms": {"control": 0.25, "new": 0.75}}], metric=pb.METRIC_COMPLETION
        ),
    ]
    wrong = run("policy", "variety", "new")
    assert (wrong.exit_code, "ARMS: is 'new'; write arms" in wrong.stderr) == (1, True)

"""`audotics learning` against a server with fixed answers: policies, records, and what an operator asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from typer.testing import CliRunner, Result

from audotics.cli.commands import app
from audotics.v1 import learning_service_pb2 as pb
from audotics.v1 import learning_service_pb2_grpc as pb_grpc

TILTS = {"as trained": 0.5, "more ncf": 0.25, "less ncf": 0.15, "more content": 0.1}
SEGMENT = {"segment": "new", "probabilities": TILTS}
ESTIMATE = {"value": 0.5, "low": 0.25, "high": 0.75}


def update(outcome: pb.TiltUpdateOutcome, number: int, **fields: object) -> pb.TiltUpdate:
    return pb.TiltUpdate(
        number=number,
        outcome=outcome,
        created_at={"seconds": 1_700_000_000},
        replaced=number - 1,
        policy={"number": number, "segments": [SEGMENT], "hybrid_version": 2},
        **fields,  # type: ignore[arg-type]
    )


PUBLISHED = update(
    pb.TILT_UPDATE_OUTCOME_PUBLISHED,
    1,
    reason="its gain is above 0",
    evidence={"decision_count": 1200, "before": ESTIMATE, "after": ESTIMATE, "difference": ESTIMATE},
)
RESTARTED = update(pb.TILT_UPDATE_OUTCOME_RESTARTED, 2, reason="hybrid/2 makes the lists: learning begins anew")


class Learning(pb_grpc.LearningServiceServicer):
    """Learns for the arm "b" alone."""

    def GetTiltPolicy(self, request: pb.GetTiltPolicyRequest, context: object) -> pb.GetTiltPolicyResponse:  # noqa: N802
        if request.arm != "b":
            return pb.GetTiltPolicyResponse()
        return pb.GetTiltPolicyResponse(learning=True, policy=RESTARTED.policy)

    def ListTiltUpdates(self, request: pb.ListTiltUpdatesRequest, context: object) -> pb.ListTiltUpdatesResponse:  # noqa: N802
        return pb.ListTiltUpdatesResponse(updates=[RESTARTED, PUBLISHED][: request.limit])

    def ProposeTiltUpdate(self, request: pb.ProposeTiltUpdateRequest, context: object) -> pb.ProposeTiltUpdateResponse:  # noqa: N802
        return pb.ProposeTiltUpdateResponse(update=RESTARTED if request.arm == "b" else None)

    def RevertTiltUpdate(  # noqa: N802
        self, request: pb.RevertTiltUpdateRequest, context: grpc.ServicerContext
    ) -> pb.RevertTiltUpdateResponse:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no published policy is in force")


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Result]]:
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_LearningServiceServicer_to_server(Learning(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield lambda *arguments: CliRunner().invoke(
        app,
        ["learning", *arguments, "--server", f"127.0.0.1:{port}"],
        env={"COLUMNS": "200", "NO_COLOR": "1"},
    )
    server.stop(None).wait()


def test_a_policy_shows_its_likeliest_tilts_and_whose_they_are(run: Callable[..., Result]) -> None:
    shown = run("show", "--arm", "b").stdout
    assert "as trained 50.0%, more ncf 25.0%, less ncf 15.0%" in shown
    assert shown.endswith("policy number 2, of hybrid/2\n")
    assert run("show").stdout == "learning is off; start the server with AUDOTICS_LEARNING=true\n"
    assert json.loads(run("show", "--arm", "b", "--json").stdout)["hybrid_version"] == 2


def test_records_stand_with_what_decided_and_why(run: Callable[..., Result]) -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[:4] for line in lines[3:5]] == [
        ["2", "2023-11-14", "22:13", "restarted"],
        ["1", "2023-11-14", "22:13", "published"],
    ]
    assert "1,200   +0.5000 (+0.2500 to +0.7500)" in lines[4]
    assert lines[-2:] == ["2: hybrid/2 makes the lists: learning begins anew", "1: its gain is above 0"]
    assert len(json.loads(run("list", "--limit", "1", "--json").stdout)) == 1


def test_an_operator_is_told_what_came_of_it(run: Callable[..., Result]) -> None:
    assert run("propose", "--arm", "b").stdout.startswith("number 2 is restarted: hybrid/2 makes the lists")
    assert run("propose").stdout == "nothing was proposed: too few lists were settled since the last time\n"
    refused = run("revert")
    assert refused.exit_code == 1
    assert "no published policy is in force" in refused.stderr

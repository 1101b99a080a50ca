"""`audotics feedback` against a server on loopback that knows the tracks t1 and t2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from audotics.cli.feedback import app
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import feedback_service_pb2_grpc

ACCEPTED, REJECTED = pb.FEEDBACK_STATUS_ACCEPTED, pb.FEEDBACK_STATUS_REJECTED


class Feedback(feedback_service_pb2_grpc.FeedbackServiceServicer):
    def __init__(self) -> None:
        self.calls: list[list[pb.FeedbackEvent]] = []

    def RecordFeedback(  # noqa: N802
        self, request: pb.RecordFeedbackRequest, context: grpc.ServicerContext
    ) -> pb.RecordFeedbackResponse:
        return pb.RecordFeedbackResponse(results=self._take(request.events))

    def StreamFeedback(  # noqa: N802
        self, requests: Iterator[pb.StreamFeedbackRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamFeedbackResponse]:
        for request in requests:
            yield pb.StreamFeedbackResponse(results=self._take(request.events))

    def _take(self, events: Sequence[pb.FeedbackEvent]) -> list[pb.FeedbackResult]:
        self.calls.append(list(events))
        return [
            pb.FeedbackResult(event_id=event.event_id, status=ACCEPTED)
            if event.track_id in ("t1", "t2")
            else pb.FeedbackResult(event_id=event.event_id, status=REJECTED, reason="track_id: is not in the catalogue")
            for event in events
        ]


@pytest.fixture
def servicer() -> Feedback:
    return Feedback()


@pytest.fixture
def feedback(servicer: Feedback) -> Iterator[Callable[..., Result]]:
    server = grpc.server(ThreadPoolExecutor(2))
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    environment = {"AUDOTICS_SERVER": f"127.0.0.1:{port}", "COLUMNS": "120", "NO_COLOR": "1"}
    yield lambda *arguments, **options: CliRunner().invoke(app, arguments, env=environment, **options)
    server.stop(grace=None).wait()


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps({"user_id": "u", "track_id": "t1", "type": "play"} | event) + "\n" for event in events)


@pytest.mark.parametrize("command", ["send", "stream"])
def test_counts_what_became_of_a_file(
    command: str, feedback: Callable[..., Result], servicer: Feedback, tmp_path: Path
) -> None:
    rated = {"type": "rating", "rating": 4.5, "occurred_at": "2026-01-01T00:00:00+00:00", "event_id": "e1"}
    file = tmp_path / "events.jsonl"
    file.write_text(lines({}, rated) + "\n" + lines({"track_id": "t9"}))
    result = feedback(command, str(file))
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == "line 4: track_id: is not in the catalogue\n2 accepted, 0 duplicate, 1 rejected\n"
    received = [event for call in servicer.calls for event in call]
    assert (received[1].event_id, received[1].rating, received[1].occurred_at.seconds) == ("e1", 4.5, 1767225600)
    assert len(servicer.calls) == (1 if command == "send" else 3)


def test_sends_a_thousand_a_call(feedback: Callable[..., Result], servicer: Feedback) -> None:
    result = feedback("send", "-", "--json", input=lines({}) * 2001)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"accepted": 2001, "duplicate": 0, "rejected": 0, "rejections": []}
    assert [len(call) for call in servicer.calls] == [1000, 1000, 1]


def test_many_rejections_are_counted_and_the_first_shown(feedback: Callable[..., Result]) -> None:
    result = feedback("stream", "-", input=lines({"track_id": "t9"}) * 25)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[19:] == [
        "line 20: track_id: is not in the catalogue",
        "… and 5 more",
        "0 accepted, 0 duplicate, 25 rejected",
    ]


@pytest.mark.parametrize("command", ["send", "stream"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is no event; write an object with user_id, track_id and type"),
        (lines({"rate": 1}), "has unknown fields: rate; known are user_id"),
        (lines({"type": "hum"}), "type is 'hum'; there are play, "),
        (lines({"type": ["play"]}), "type is ['play']; there are play, "),
        (lines({"occurred_at": "yesterday"}), "Invalid isoformat string: 'yesterday'"),
        (lines({"occurred_at": "2026-01-01T00:00:00"}), "occurred_at needs a time zone"),
    ],
)
def test_a_line_that_is_no_event_is_named(
    command: str, line: str, message: str, feedback: Callable[..., Result]
) -> None:
    result = feedback(command, "-", input=lines({}) + line)
    assert result.exit_code == 1
    assert f"-:2: {message}" in result.stderr


def test_a_missing_file_is_one_line(feedback: Callable[..., Result], tmp_path: Path) -> None:
    result = feedback("send", str(tmp_path / "none"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: cannot read ")

"""`audotics recommend` and `audotics similar` against a server on loopback."""

from __future__ import annotations

import json
import socket

import pytest

from audotics.v1 import recommender_service_pb2, track_pb2


def test_a_table_of_tracks(audotics):
    result = audotics("recommend", "u1")

    assert result.exit_code == 0
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["#", "track", "title", "artist", "score", "confidence"]
    assert lines[2] == ["1", "t1", "Blue", "Train", "[Live]", ":cat:", "John", "Coltrane", "0.750", "50.0%"]
    assert lines[3] == ["2", "t2", "0.250", "12.5%"]


def test_below_the_table_stand_the_models_and_what_was_left_out(audotics):
    output = audotics("recommend", "u1").stdout

    assert "made by ncf/3 as r1" in output
    assert "degraded: user: unknown user (no event of 'u1' is known; served as a new listener)" in output


def test_explanations(audotics):
    plain, explained = audotics("recommend", "u1").stdout, audotics("recommend", "u1", "--explain").stdout

    assert "0.750 = ncf 0.50 × 1.000 + content 0.25 × 1.000" in explained
    assert "Because you listen to jazz" in explained
    assert "Because you listen to jazz" not in plain


def test_json_is_the_answer_whole(audotics):
    result = audotics("recommend", "u1", "--json")

    answer = json.loads(result.stdout)
    assert answer["recommendation_id"] == "r1"
    assert answer["tracks"][0]["title"] == "Blue Train [Live] :cat:"
    assert answer["tracks"][0]["contributions"][1] == {
        "model": "content",
        "weight": 0.25,
        "value": 1.0,
        "contribution": 0.25,
    }
    assert answer["degraded"][0]["reason"] == "unknown_user"


def test_every_option_reaches_the_server(audotics, server):
    audotics(
        *("recommend", "u1", "-n", "3", "--mood", "focused", "--genre", "jazz", "--genre", "classical"),
        *("--exclude", "t8", "--exclude", "t9", "--diversity", "0.5", "--explain"),
    )

    assert server.recommender.requests == [
        recommender_service_pb2.RecommendRequest(
            subject={"user_id": "u1"},
            limit=3,
            context={"mood": track_pb2.MOOD_FOCUSED, "genres": ["jazz", "classical"]},
            exclude={"track_ids": ["t8", "t9"]},
            diversity=0.5,
            explain=True,
        )
    ]


def test_seed_tracks_stand_for_a_user(audotics, server):
    audotics("recommend", "--seed-track", "t1", "--seed-track", "t2")

    (request,) = server.recommender.requests
    assert list(request.subject.seed_tracks.track_ids) == ["t1", "t2"]


@pytest.mark.parametrize("arguments", [(), ("u1", "--seed-track", "t1")])
def test_one_subject_is_needed(audotics, server, arguments):
    result = audotics("recommend", *arguments)

    assert result.exit_code == 2
    assert "give a USER or at least one --seed-track" in result.stderr
    assert server.recommender.requests == []


def test_a_wrong_field_is_one_line(audotics):
    result = audotics("recommend", "u1", "--limit", "501")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: limit: send 1 to 500\n"


def test_no_server(audotics):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{free.getsockname()[1]}"

    result = audotics("recommend", "u1", "--server", target)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"error: cannot reach a server at {target}: start one with `audotics serve --repository REPO`"
    )
    assert result.stderr.count("\n") == 1


def test_a_server_without_a_port_is_no_address(audotics):
    for address in ("", "somewhere"):
        result = audotics("recommend", "u1", "--server", address)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{address!r} is no address; give host:port" in result.stderr


def test_similar_tracks(audotics, server):
    result = audotics("similar", "t1", "-n", "1")

    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "So What" in line)
    assert row.split() == ["1", "t2", "So", "What", "Miles", "Davis", "0.500"]
    assert server.recommender.requests == [recommender_service_pb2.SimilarTracksRequest(track_id="t1", limit=1)]


def test_similar_tracks_as_json(audotics):
    answer = json.loads(audotics("similar", "t1", "--json").stdout)

    assert answer["tracks"] == [{"track_id": "t2", "title": "So What", "artist": "Miles Davis", "similarity": 0.5}]


def test_an_unknown_track_is_one_line(audotics):
    result = audotics("similar", "missing")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: track not found: 'missing'\n")

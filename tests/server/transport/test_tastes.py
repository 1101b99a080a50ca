"""`ScoreCompatibility` and `AnalyzeTaste` over a real channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import feedback_service_pb2
from audotics.v1 import recommender_service_pb2 as pb
from tests.server.group_bundles import write_group_model

Details = Callable[..., list[Any]]
MONDAY_NOON = 1_700_481_600  # 20 November 2023, UTC


async def send(server: Any, user_id: str, plays: Sequence[tuple[str, int]], *, utc_offset_minutes: int | None) -> None:
    """Send plays as pairs of a track and UTC seconds."""
    events = [
        feedback_service_pb2.FeedbackEvent(
            event_id=f"{user_id}-{number}",
            user_id=user_id,
            track_id=track_id,
            type=feedback_service_pb2.EVENT_TYPE_PLAY,
            occurred_at={"seconds": moment},
            utc_offset_minutes=utc_offset_minutes,
        )
        for number, (track_id, moment) in enumerate(plays)
    ]
    answer = await server.feedback.RecordFeedback(feedback_service_pb2.RecordFeedbackRequest(events=events))
    assert {result.status for result in answer.results} == {feedback_service_pb2.FEEDBACK_STATUS_ACCEPTED}


async def test_listeners_of_one_taste_go_together_better(server: Any) -> None:
    answer = await server.recommender.ScoreCompatibility(pb.ScoreCompatibilityRequest(user_ids=["u00", "u04", "u01"]))
    (one, two, three) = (list(row.scores) for row in answer.rows)
    assert [row.user_id for row in answer.rows] == ["u00", "u04", "u01"]
    assert one[0] == two[1] == three[2] == 1.0
    assert one[1] == two[0] > one[2] == pytest.approx(three[0])
    assert answer.group_score == pytest.approx((one[1] + one[2] + two[2]) / 3)
    assert {facet.name for facet in answer.facets} == {"genres", "moods", "artists", "sound"}
    assert [(part.part, part.reason) for part in answer.degraded] == [("group", pb.DEGRADATION_REASON_UNAVAILABLE)]
    dividing = {factor.name: factor for factor in answer.dividing}
    assert "rock" in dividing or "jazz" in dividing
    for factor in answer.dividing:
        assert len(factor.values) == 3
        assert factor.sentence


async def test_what_joins_listeners_is_said_with_its_numbers(server: Any) -> None:
    answer = await server.recommender.ScoreCompatibility(pb.ScoreCompatibilityRequest(user_ids=["u01", "u05"]))
    (jazz,) = [factor for factor in answer.shared if factor.name == "jazz"]
    assert jazz.kind == pb.TASTE_FACTOR_KIND_GENRE
    assert list(jazz.values) == [1.0, 1.0]
    assert jazz.sentence == "Jazz: 100% of what each of them hears"
    assert "jazz" not in {factor.name for factor in answer.dividing}
    alike = {facet.name: facet.score for facet in answer.facets}
    assert alike["genres"] > 0.85


async def test_a_stranger_goes_with_everybody_as_strangers_do(server: Any) -> None:
    answer = await server.recommender.ScoreCompatibility(pb.ScoreCompatibilityRequest(user_ids=["u00", "stranger"]))
    assert list(answer.rows[0].scores) == [1.0, 0.5]
    assert list(answer.facets) == list(answer.shared) == list(answer.dividing) == []
    assert {part.part for part in answer.degraded} == {"user", "group"}
    answer = await server.recommender.ScoreCompatibility(
        pb.ScoreCompatibilityRequest(user_ids=["u00", "stranger", "u01"])
    )
    assert all(math.isnan(factor.values[1]) for factor in answer.dividing)


async def test_the_group_model_scores_where_there_is_one(start: Any, repository: Any) -> None:
    write_group_model(repository)
    async with start(repository.path) as server:
        answer = await server.recommender.ScoreCompatibility(
            pb.ScoreCompatibilityRequest(user_ids=["u00", "u04", "u01"])
        )
    assert list(answer.rows[0].scores) == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
    assert [(used.model, used.version) for used in answer.model_versions] == [("group", 1)]
    assert list(answer.degraded) == []


@pytest.mark.parametrize(
    ("user_ids", "fields"),
    [
        ([], {"user_ids"}),
        (["a"], {"user_ids"}),
        (["a"] * 101, {"user_ids"}),
        (["a", "b", "a"], {"user_ids[2]"}),
        (["a", ""], {"user_ids[1]"}),
    ],
)
async def test_wrong_listeners_are_named(server: Any, details: Details, user_ids: list[str], fields: set[str]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.ScoreCompatibility(pb.ScoreCompatibilityRequest(user_ids=user_ids))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert {violation.field for violation in bad.field_violations} == fields


async def test_a_taste_is_what_the_history_says(server: Any, repository: Any) -> None:
    answer = await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest(user_id="u01"))
    assert (answer.user_id, answer.track_count) == ("u01", 12)
    assert [(share.name, share.share) for share in answer.genres] == [("jazz", 1.0)]
    assert answer.genre_diversity == 0.0
    assert 0.0 <= answer.mood_diversity <= 1.0
    assert sum(share.share for share in answer.moods) == pytest.approx(1.0, abs=1e-5)
    heard = repository.history("u01")
    energy = next(trait for trait in answer.audio if trait.feature == "energy")
    known = repository.tracks.audio[heard, 1]
    known = known[known == known]
    assert energy.mean == pytest.approx(known.mean(), abs=1e-5)
    assert energy.standard_deviation == pytest.approx(known.std(), abs=1e-5)
    assert list(answer.trends) == []
    assert answer.pattern.event_count == 0
    assert "Jazz tracks are 100%, 4.0 times the catalogue's 25%." in answer.insights


async def test_hours_and_weekdays_are_local_where_that_is_known(server: Any) -> None:
    tracks = [f"t{row:03d}" for row in range(30)]
    plays = [(track_id, MONDAY_NOON + 7 * 86_400 * number) for number, track_id in enumerate(tracks)]
    await send(server, "abroad", plays, utc_offset_minutes=13 * 60)
    await send(server, "somewhere", plays, utc_offset_minutes=None)
    abroad = await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest(user_id="abroad"))
    somewhere = await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest(user_id="somewhere"))
    assert (abroad.pattern.event_count, abroad.pattern.local_event_count) == (30, 30)
    assert (abroad.pattern.hours[1], abroad.pattern.weekdays[1]) == (30, 30)  # one o'clock on Tuesday
    assert (somewhere.pattern.hours[12], somewhere.pattern.weekdays[0]) == (30, 30)
    assert somewhere.pattern.local_event_count == 0
    assert any("100% of 30 plays are between" in line and "UTC" not in line for line in abroad.insights)
    assert any("UTC" in line for line in somewhere.insights)
    assert any(line.startswith("Tuesday has 100% of 30 plays") for line in abroad.insights)


async def test_a_change_of_taste_is_a_trend(server: Any, repository: Any) -> None:
    rock, jazz = sorted(repository.ids_of_taste(0))[:30], sorted(repository.ids_of_taste(1))[:15]
    plays = [(track_id, MONDAY_NOON + 3600 * number) for number, track_id in enumerate([*rock, *jazz])]
    await send(server, "changed", plays, utc_offset_minutes=0)
    answer = await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest(user_id="changed"))
    trends = {trend.name: (trend.earlier_share, trend.recent_share) for trend in answer.trends if trend.kind == 1}
    assert trends == {"rock": (1.0, 0.0), "jazz": (0.0, 1.0)}
    assert "Lately more jazz: 100% of the latest third, 0% before." in answer.insights


async def test_of_a_stranger_there_is_nothing_to_say(server: Any) -> None:
    answer = await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest(user_id="stranger"))
    assert answer.track_count == 0
    assert not answer.HasField("genre_diversity")
    assert list(answer.insights) == list(answer.genres) == list(answer.audio) == []
    assert [part.reason for part in answer.degraded] == [pb.DEGRADATION_REASON_UNKNOWN_USER]


async def test_a_listener_needs_an_id(server: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.AnalyzeTaste(pb.AnalyzeTasteRequest())
    assert caught.value.details() == "user_id: has 0 characters; send 1 to 256"


async def test_an_impossible_local_time_is_refused(server: Any) -> None:
    event = feedback_service_pb2.FeedbackEvent(
        event_id="e",
        user_id="u",
        track_id="t001",
        type=feedback_service_pb2.EVENT_TYPE_PLAY,
        utc_offset_minutes=1081,
    )
    answer = await server.feedback.RecordFeedback(feedback_service_pb2.RecordFeedbackRequest(events=[event]))
    (result,) = answer.results
    assert result.status == feedback_service_pb2.FEEDBACK_STATUS_REJECTED
    assert result.reason == "utc_offset_minutes: is 1081; send -1080 to 1080, or leave it unset"

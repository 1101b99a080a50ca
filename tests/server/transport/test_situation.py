"""Activity and local time as context, over a real channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import catalog_service_pb2 as catalog_pb
from audotics.v1 import recommender_service_pb2 as pb


async def listed(server: Any, user_id: str = "new", limit: int = 20, **context: Any) -> Any:
    request = pb.RecommendRequest(
        subject=pb.Subject(user_id=user_id), limit=limit, context=pb.RequestContext(**context), explain=True
    )
    return await server.recommender.Recommend(request)


def ids(answer: Any) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_an_activity_moves_the_list_and_explains_it(server: Any, repository: Any) -> None:
    plain = await listed(server)
    partying = await listed(server, activity=pb.ACTIVITY_PARTYING)
    studying = await listed(server, activity=pb.ACTIVITY_STUDYING)
    assert ids(plain) != ids(partying) != ids(studying)
    assert any("Suits partying" in track.reasons for track in partying.tracks)
    energy = dict(zip(repository.tracks.ids, repository.tracks.audio[:, 1], strict=True))

    def mean_energy(answer: Any) -> float:
        return float(np.nanmean([energy[track_id] for track_id in ids(answer)]))

    assert mean_energy(partying) > mean_energy(studying)


async def test_the_time_moves_the_list_less(server: Any) -> None:
    plain, morning = await listed(server, "u00"), await listed(server, "u00", local_time="07:30")
    partying = await listed(server, "u00", activity=pb.ACTIVITY_PARTYING)
    weights = [{part.model for part in track.contributions} for track in morning.tracks]
    assert all("context" in models for models in weights)
    assert not any("context" in {part.model for part in track.contributions} for track in plain.tracks)
    unmoved = len(set(ids(plain)) & set(ids(morning)))
    assert unmoved >= len(set(ids(plain)) & set(ids(partying)))
    assert ids(await listed(server, "u00", local_time="09:59")) == ids(morning)


async def test_a_genre_finds_tracks_by_their_sound_where_no_tag_says_it(server: Any) -> None:
    """No track is tagged hip-hop. Two speak and dance alike; one of them is said to be jazz, and the other nothing."""
    audio = {"speechiness": 0.95, "danceability": 0.95}
    tracks = [
        {"track_id": "untagged", "title": "A", "audio_features": audio},
        {"track_id": "tagged", "title": "B", "tags": ["jazz"], "audio_features": audio},
    ]
    await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
    hip_hop = await listed(server, limit=200, genres=["hip-hop"])
    reasons = {track.track_id: list(track.reasons) for track in hip_hop.tracks}
    assert "Sounds like hip-hop, as you asked" in reasons["untagged"]
    assert not any("as you asked" in reason for reason in reasons["tagged"])
    scores = {track.track_id: track.score for track in hip_hop.tracks}
    assert scores["untagged"] > scores["tagged"]
    jazz = {track.track_id: track.score for track in (await listed(server, limit=200, genres=["jazz"])).tracks}
    assert jazz["tagged"] > jazz["untagged"]


async def test_a_situation_is_part_of_the_receipt(server: Any) -> None:
    answer = await listed(server, "u00", activity=pb.ACTIVITY_RELAXING, local_time="22:00")
    explained = await server.recommender.ExplainRecommendation(
        pb.ExplainRecommendationRequest(recommendation_id=answer.recommendation_id)
    )
    assert explained.exact


async def test_wrong_situations_are_named(server: Any, details: Callable[..., list[Any]]) -> None:
    for local_time in ("7:30", "24:00", "12:60", "noon", "12:00:00", "１２:00"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed(server, activity=99, local_time=local_time)
        (bad,) = details(caught.value, error_details_pb2.BadRequest)
        fields = [violation.field for violation in bad.field_violations]
        assert fields == ["context.activity", "context.local_time"]

"""`Recommender.rank` and `Recommender.similar` on real bundles."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.server.errors import InvalidRequestError, NotFoundError
from audotics.server.types import (
    DegradationReason,
    Listener,
    RankQuery,
    SimilarQuery,
    Subject,
    TrackFilter,
    TrackRecord,
)


def cosines(stage, track_id: str) -> dict[str, float]:
    catalog, content = stage.snapshot.catalog, stage.snapshot.content
    everything = content.vectors(np.arange(len(catalog)))
    return dict(zip(catalog.columns.ids, everything @ everything[catalog.row_of(track_id)], strict=True))


async def test_ranking_returns_every_track_the_best_first(repository, stage):
    listener = stage.listener("u01")
    ids = (*repository.tracks.ids[listener.history[:3]], "t000", "t001", "t002", "t003")
    rows = stage.snapshot.catalog.rows_of(ids)
    query = RankQuery(Subject("user", "u01"), ids, explain=True)
    answer = await stage.recommender.rank(stage.snapshot, listener, rows, query)
    assert sorted(track.track_id for track in answer.tracks) == sorted(ids)
    scores = [track.score for track in answer.tracks]
    assert scores == sorted(scores, reverse=True)
    assert {track.track_id for track in answer.tracks[:3]} <= repository.ids_of_taste(1)
    assert answer.tracks[0].reasons
    assert answer.degraded == ()


async def test_ranking_for_a_seed_says_so(stage):
    catalog = stage.snapshot.catalog
    seeds = catalog.rows_of(["t001", "t005"])
    query = RankQuery(Subject("seed_tracks", track_ids=("t001", "t005")), ("t009", "t002"), explain=True)
    rows = catalog.rows_of(query.track_ids)
    answer = await stage.recommender.rank(stage.snapshot, Listener(seeds, seeds), rows, query)
    assert answer.tracks[0].track_id == "t009"
    assert any(reason.endswith("which you chose") for reason in answer.tracks[0].reasons)


async def test_neighbours_of_a_track_are_those_with_the_highest_cosine(stage):
    answer = await stage.recommender.similar(stage.snapshot, SimilarQuery(10, track_id="t004"))
    expected = cosines(stage, "t004")
    found = {track.track_id: track.similarity for track in answer.tracks}
    assert "t004" not in found
    assert [track.similarity for track in answer.tracks] == sorted(found.values(), reverse=True)
    best = sorted((value for track_id, value in expected.items() if track_id != "t004"), reverse=True)[:10]
    assert sorted(found.values(), reverse=True) == pytest.approx(best, abs=1e-5)
    assert found == pytest.approx({track_id: expected[track_id] for track_id in found}, abs=1e-5)
    assert answer.model_versions == (("content", 1),)
    assert answer.degraded == ()


async def test_features_and_vectors_find_the_track_they_came_from(stage):
    catalog = stage.snapshot.catalog
    row = catalog.row_of("t010")
    by_features = await stage.recommender.similar(stage.snapshot, SimilarQuery(1, track=catalog.record(row)))
    vector = stage.snapshot.content.vectors(np.asarray([row]))[0].astype(float)
    by_vector = [
        await stage.recommender.similar(stage.snapshot, SimilarQuery(1, vector=tuple(length * vector)))
        for length in (3.0, 1e-30, 1e30)
    ]
    for answer in (by_features, *by_vector):
        assert answer.tracks[0].track_id == "t010"
        assert answer.tracks[0].similarity == pytest.approx(1.0, abs=1e-5)


async def test_neighbours_pass_the_filter_and_are_not_excluded(repository, stage):
    only = TrackFilter(genres=("jazz",))
    excluded = ("t001", "t005", "not there")
    query = SimilarQuery(500, track_id="t004", filter=only, excluded=excluded)
    answer = await stage.recommender.similar(stage.snapshot, query)
    assert {track.track_id for track in answer.tracks} == repository.ids_of_taste(1) - set(excluded)
    assert [entry.reason for entry in answer.degraded] == [DegradationReason.FEW_MATCHES]
    few = await stage.recommender.similar(stage.snapshot, SimilarQuery(3, track_id="t004", excluded=excluded))
    assert len(few.tracks) == 3
    assert "t199" in {track.track_id for track in (await everything_but(stage, excluded)).tracks}
    expected = cosines(stage, "t004")
    best = sorted((expected[track_id] for track_id in repository.ids_of_taste(1) - set(excluded)), reverse=True)[:5]
    query = SimilarQuery(5, track_id="t004", filter=only, excluded=excluded)
    answer = await stage.recommender.similar(stage.snapshot, query)
    assert [track.similarity for track in answer.tracks] == pytest.approx(best, abs=1e-5)


async def everything_but(stage, excluded):
    return await stage.recommender.similar(stage.snapshot, SimilarQuery(500, track_id="t004", excluded=excluded))


async def test_a_new_track_has_neighbours_and_is_one(stage):
    model = stage.snapshot.catalog.record(6)
    await stage.registry.apply_tracks(
        upserts=[TrackRecord("fresh", artist=model.artist, tags=model.tags, audio=model.audio)], deletes=["t010"]
    )
    of_new = await stage.recommender.similar(stage.snapshot, SimilarQuery(199, track_id="fresh"))
    assert of_new.tracks[0].track_id == "t006"
    assert "t010" not in {track.track_id for track in of_new.tracks}
    to_old = await stage.recommender.similar(stage.snapshot, SimilarQuery(1, track_id="t006"))
    assert to_old.tracks[0].track_id == "fresh"
    with pytest.raises(NotFoundError):
        await stage.recommender.similar(stage.snapshot, SimilarQuery(1, track_id="t010"))


async def test_an_unknown_track_is_not_found(stage):
    with pytest.raises(NotFoundError) as missing:
        await stage.recommender.similar(stage.snapshot, SimilarQuery(3, track_id="nope"))
    assert (missing.value.resource_type, missing.value.names) == ("track", ("nope",))


@pytest.mark.parametrize(
    ("vector", "advice"),
    [
        ((1.0, 2.0), "has 2 numbers, send 16"),
        ((0.0,) * 16, "not all zero"),
        ((float("nan"),) * 16, "finite"),
        ((float("inf"),) * 16, "finite"),
    ],
)
async def test_a_vector_that_does_not_fit_names_the_field(stage, vector, advice):
    with pytest.raises(InvalidRequestError, match=advice) as refusal:
        await stage.recommender.similar(stage.snapshot, SimilarQuery(3, vector=vector))
    assert [violation.field for violation in refusal.value.violations] == ["vector.values"]


async def test_without_a_content_model_nothing_is_similar_and_the_answer_says_why(
    tmp_path, make_repository, open_stage
):
    files = make_repository(tmp_path / "repository", kinds=("catalog", "collaborative"))
    async with open_stage(files.path) as stage:
        answer = await stage.recommender.similar(stage.snapshot, SimilarQuery(3, track_id="t001"))
        assert answer.tracks == ()
        assert [(e.part, e.reason) for e in answer.degraded] == [("content", DegradationReason.UNAVAILABLE)]

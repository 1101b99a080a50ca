"""`Recommender.recommend` on real bundles: what comes back, what never does, and what moves the list."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.features.audio import AUDIO_FEATURES
from audotics.server.errors import InvalidRequestError
from audotics.server.types import (
    Context,
    DegradationReason,
    FeatureRange,
    Listener,
    Objectives,
    PipelineSettings,
    RecommendQuery,
    Subject,
    TrackFilter,
    TrackRecord,
)


def rows_of(stage, answer):
    return stage.snapshot.catalog.rows_of([track.track_id for track in answer.tracks])


async def test_a_listener_gets_unseen_tracks_of_their_taste(repository, stage):
    answer = await stage.recommend("u01", 10)
    ids = [track.track_id for track in answer.tracks]
    assert len(set(ids)) == 10
    assert set(ids) <= repository.ids_of_taste(1)
    assert not set(ids) & set(repository.tracks.ids[repository.history("u01")])
    assert answer.degraded == ()
    assert dict(answer.model_versions) == {"collaborative": 1, "content": 1, "hybrid": 1, "ncf": 1}
    assert answer.index_version == stage.snapshot.index_version
    assert all(0 < track.confidence < 1 for track in answer.tracks)
    first = answer.tracks[0]
    record = stage.snapshot.catalog.record(stage.snapshot.catalog.row_of(first.track_id))
    assert (first.title, first.artist) == (record.title, record.artist)
    assert (await stage.recommend("u01", 10)).recommendation_id != answer.recommendation_id


async def test_without_diversity_the_best_scores_come_first(stage):
    answer = await stage.recommend("u02", 10, diversity=0.0)
    scores = [track.score for track in answer.tracks]
    assert scores == sorted(scores, reverse=True)


FEATURE_RANGES = st.builds(
    FeatureRange,
    st.sampled_from(["energy", "tempo", "popularity", "duration_ms"]),
    st.none() | st.sampled_from([0.1, 0.5, 100.0]),
    st.none() | st.sampled_from([0.4, 0.9, 150.0, 200_000.0]),
)
FILTERS = st.builds(
    TrackFilter,
    genres=st.lists(st.sampled_from(["rock", "Jazz", "live", "taste 2", "none such"]), max_size=2).map(tuple),
    excluded_genres=st.lists(st.sampled_from(["electronic", "live"]), max_size=1).map(tuple),
    artists=st.lists(st.sampled_from(["Artist 00", "Artist 01", "Artist 05", "Nobody"]), max_size=3).map(tuple),
    excluded_artists=st.lists(st.sampled_from(["Artist 02", "Artist 05"]), max_size=1).map(tuple),
    min_release_year=st.none() | st.sampled_from([1980, 2000]),
    max_release_year=st.none() | st.sampled_from([1990, 2010]),
    explicit=st.none() | st.booleans(),
    ranges=st.lists(FEATURE_RANGES, max_size=1).map(tuple),
)


def passes(record: TrackRecord, wanted: TrackFilter) -> bool:
    """The filter in plain words, one track at a time."""
    tags = {tag.lower() for tag in record.tags}
    features = {"popularity": record.popularity, "duration_ms": record.duration_ms}
    features |= dict(zip(AUDIO_FEATURES, record.audio or [None] * len(AUDIO_FEATURES), strict=True))

    def inside(wanted_range: FeatureRange) -> bool:
        value = features[wanted_range.feature]
        if value is None:
            return False
        low, high = wanted_range.min, wanted_range.max
        return (low is None or value >= np.float32(low)) and (high is None or value <= np.float32(high))

    return (
        (not wanted.genres or bool(tags & {genre.lower() for genre in wanted.genres}))
        and not tags & set(wanted.excluded_genres)
        and (not wanted.artists or record.artist in wanted.artists)
        and record.artist not in wanted.excluded_artists
        and (wanted.min_release_year is None or record.release_year >= wanted.min_release_year)
        and (wanted.max_release_year is None or record.release_year <= wanted.max_release_year)
        and (wanted.explicit is None or record.explicit == wanted.explicit)
        and all(inside(wanted_range) for wanted_range in wanted.ranges)
    )


def test_all_that_may_come_back_does_and_nothing_else(repository, open_stage):
    async def run(user, wanted, seen, excluded, limit, deleted):
        async with open_stage(repository.path) as stage:
            if deleted:
                await stage.registry.apply_tracks(deletes=[f"t{row:03d}" for row in deleted])
            catalog = stage.snapshot.catalog
            history = stage.listener(user).history
            listener = Listener(history, np.asarray([*history, *seen], np.int64))
            ids = tuple(f"t{row:03d}" for row in excluded)
            query = RecommendQuery(Subject("user", user), limit, filter=wanted, excluded=(*ids, "not there"))
            answer = await stage.recommender.recommend(stage.snapshot, listener, query)
            forbidden = {*history, *seen, *excluded, *deleted}
            possible = {
                track_id
                for row, track_id in enumerate(catalog.columns.ids)
                if row not in forbidden and passes(catalog.record(row), wanted)
            }
            return {track.track_id for track in answer.tracks}, len(answer.tracks), possible, answer.degraded

    rows = st.sets(st.integers(0, 199), max_size=60)

    @given(st.sampled_from(["u00", "u03", "nobody"]), FILTERS, rows, rows, st.integers(1, 120), rows)
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def check(user, wanted, seen, excluded, limit, deleted):
        found, count, possible, degraded = asyncio.run(run(user, wanted, seen, excluded, limit, deleted))
        assert found <= possible
        assert count == len(found) == min(limit, len(possible))
        few = [entry.part for entry in degraded if entry.reason is DegradationReason.FEW_MATCHES]
        assert few == (["candidates"] if count < limit else [])

    check()


async def test_a_feature_nobody_knows_is_an_invalid_request(stage):
    with pytest.raises(InvalidRequestError, match="unknown feature 'loudnes'") as refusal:
        await stage.recommend("u01", filter=TrackFilter(ranges=(FeatureRange("loudnes", min=0.0),)))
    assert refusal.value.violations[0].field == "filter.feature_ranges"


async def test_an_artist_has_at_most_three_tracks(stage):
    answer = await stage.recommend("u01", 20, diversity=0.0)
    artists = [track.artist for track in answer.tracks]
    assert max(artists.count(artist) for artist in artists) <= 3


async def test_the_artist_cap_gives_way_when_the_list_would_be_short(repository, stage):
    only = TrackFilter(artists=("Artist 02",))
    unseen = set(repository.tracks.ids[repository.tracks.artists == "Artist 02"])
    answer = await stage.recommend("u01", 5, filter=only)
    assert {track.track_id for track in answer.tracks} == unseen
    assert answer.degraded == ()


async def test_a_tracks_unknown_artist_is_not_capped(stage):
    await stage.registry.apply_tracks(upserts=[TrackRecord(f"x{n}", tags=("only here",)) for n in range(6)])
    answer = await stage.recommend("u01", 6, filter=TrackFilter(genres=("only here", "jazz")), diversity=0.0)
    assert len(answer.tracks) == 6


@pytest.mark.parametrize("user", ["u01", "nobody"])
async def test_a_mood_moves_the_list(stage, user):
    energy = stage.snapshot.catalog.columns.audio[:, AUDIO_FEATURES.index("energy")]
    means = {}
    for mood in ("energetic", "chill"):
        answer = await stage.recommend(user, 20, context=Context(mood=mood))
        means[mood] = np.nanmean(energy[rows_of(stage, answer)])
    assert means["energetic"] > means["chill"]


async def test_wanted_genres_move_the_list(repository, stage):
    plain = await stage.recommend("nobody", 20)
    wanted = await stage.recommend("nobody", 20, context=Context(genres=("jazz",)))
    taste = repository.taste
    assert np.mean(taste[rows_of(stage, wanted)] == 1) > np.mean(taste[rows_of(stage, plain)] == 1)


async def test_a_short_list_leaves_nothing_behind_that_is_too_short_for_a_longer_one(stage):
    narrow = PipelineSettings(collaborative_candidates=10, candidates_per_interest=2, minimum_candidates=10)
    for limit in (2, 40):
        answer = await stage.recommend("u01", limit, pipeline=narrow)
        assert len(answer.tracks) == limit
        assert answer.degraded == ()
    assert stage.made[1].shortlist is stage.made[0].shortlist


async def test_a_new_listener_gets_popular_tracks(stage):
    answer = await stage.recommend("nobody", 10, diversity=0.0)
    plays = stage.snapshot.catalog.columns.plays
    assert plays[rows_of(stage, answer)].min() > np.median(plays)


@pytest.mark.parametrize(
    ("objective", "sign"), [("novelty", -1), ("popularity", 1), ("freshness", 1), ("artist_fairness", -1)]
)
async def test_objectives_move_the_list(stage, objective, sign):
    catalog = stage.snapshot.catalog
    signal = {
        "novelty": catalog.columns.plays,
        "popularity": catalog.columns.plays,
        "freshness": catalog.columns.release_years,
        "artist_fairness": catalog.signals.exposure,
    }[objective]
    plain = await stage.recommend("u03", 10)
    moved = await stage.recommend("u03", 10, objectives=Objectives(**{"relevance": 0.2, objective: 1.0}))
    difference = signal[rows_of(stage, moved)].mean() - signal[rows_of(stage, plain)].mean()
    assert sign * difference > 0


async def test_diversity_spreads_the_list(stage):
    def likeness(answer):
        vectors = stage.snapshot.content.vectors(rows_of(stage, answer))
        return (vectors @ vectors.T).mean()

    lists = [await stage.recommend("u00", 10, diversity=diversity) for diversity in (0.0, 0.5, 1.0)]
    alike = [likeness(answer) for answer in lists]
    assert alike[0] > alike[1] > alike[2]
    best = [answer.tracks[0].track_id for answer in lists[:2]]
    assert best[0] == best[1]


async def test_explanations_add_up_and_name_a_cause(repository, stage):
    answer = await stage.recommend("u01", 20, explain=True, context=Context(mood="chill", genres=("jazz",)))
    titles = {repository.tracks.titles[row] for row in repository.history("u01")}
    said = [reason for track in answer.tracks for reason in track.reasons]
    for track in answer.tracks:
        assert {part.model for part in track.contributions} >= {"collaborative", "ncf", "content", "popularity"}
        assert sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-5)
        assert 1 <= len(track.reasons) == len(set(track.reasons)) <= 3
    assert "Listeners with your taste play it" in said
    assert "Is jazz, as you asked" in said
    similar = [reason for reason in said if reason.startswith("Similar to ")]
    assert similar
    assert all(reason.split("“")[1].split("”")[0] in titles for reason in similar)
    assert all(reason.endswith("which you played") for reason in similar)


async def test_nothing_is_explained_unasked(stage):
    answer = await stage.recommend("u01", 5)
    assert all(track.contributions == () and track.reasons == () for track in answer.tracks)


async def test_requests_at_once_get_what_each_gets_alone(stage):
    users = [f"u{number:02d}" for number in range(30)]
    alone = [await stage.recommend(user, 10) for user in users]
    together = await asyncio.gather(*(stage.recommend(user, 10) for user in users))
    for one, other in zip(alone, together, strict=True):
        assert {track.track_id for track in one.tracks} == {track.track_id for track in other.tracks}
        assert [track.score for track in one.tracks] == pytest.approx([t.score for t in other.tracks], abs=1e-4)


async def test_requests_one_after_the_other_are_alone(stage):
    for limit in (10, 60, 110):
        await stage.recommend("u01", limit)
    assert stage.recommender.batcher.counts.alone == 3


async def test_a_list_that_its_watcher_has_is_made_for_nobody(stage):
    shown = tuple(track.track_id for track in (await stage.recommend("u01", 10)).tracks)
    await stage.recommend("u01", 10, shown=shown)
    assert len(stage.made) == 1
    await stage.recommend("u01", 10, shown=shown[::-1])
    assert len(stage.made) == 2


async def test_a_large_list_is_whole(stage):
    answer = await stage.recommend("u01", 500)
    assert len(answer.tracks) == 200 - 12
    assert [entry.reason for entry in answer.degraded] == [DegradationReason.FEW_MATCHES]


async def test_a_listener_who_comes_back_is_served_from_what_is_there_now(stage):
    listener = stage.listener("u02")

    async def ids() -> set[str]:
        query = RecommendQuery(Subject("user", "u02"), 100, diversity=0.0)
        answer = await stage.recommender.recommend(stage.snapshot, listener, query)
        return {track.track_id for track in answer.tracks}

    before = await ids()
    assert await ids() == before
    model = stage.snapshot.catalog.record(int(listener.history[-1]))
    twin = TrackRecord("twin", tags=model.tags, audio=model.audio)
    gone = min(before)
    await stage.registry.apply_tracks(upserts=[twin], deletes=[gone])
    after = await ids()
    assert "twin" in after
    assert gone not in after
    await stage.registry.unload_version("collaborative", 1)
    await stage.registry.unload_version("content", 1)
    assert len(await ids()) == 100


async def test_coming_back_makes_no_difference_to_any_list(repository, stage, open_stage):
    listener = stage.listener("u02")
    questions = (
        {"explain": True},
        {"context": Context(mood="chill"), "explain": True},
        {"filter": TrackFilter(genres=("jazz",))},
        {"diversity": 0.0},
        {"objectives": Objectives(relevance=1.0, novelty=1.0)},
        {"excluded": tuple(repository.tracks.ids[:40])},
    )

    async def answers(recommender, snapshot, order) -> dict[int, object]:
        lists = {}
        for number in order:
            query = RecommendQuery(Subject("user", "u02"), 10, **questions[number])
            answer = await recommender.recommend(snapshot, listener, query)
            lists[number] = (answer.tracks, answer.degraded, answer.model_versions)
        return lists

    first = await answers(stage.recommender, stage.snapshot, range(6))
    assert await answers(stage.recommender, stage.snapshot, reversed(range(6))) == first
    async with open_stage(repository.path) as fresh:  # one question each, nothing to remember
        for number in range(6):
            assert await answers(fresh.recommender, fresh.snapshot, [number]) == {number: first[number]}


async def test_a_new_track_is_found_by_its_sound(tmp_path, make_repository, open_stage):
    files = make_repository(tmp_path / "repository", kinds=("catalog", "content"))
    async with open_stage(files.path) as stage:
        model = stage.snapshot.catalog.record(int(files.history("u02")[-1]))
        debut = TrackRecord("debut", title="Debut", artist=model.artist, tags=model.tags, audio=model.audio)
        await stage.registry.apply_tracks(upserts=[debut])
        answer = await stage.recommend("u02", 10, explain=True, objectives=Objectives(relevance=1.0, novelty=1.0))
        (track,) = [track for track in answer.tracks if track.track_id == "debut"]
        assert any(reason.startswith("Similar to ") for reason in track.reasons)
        others = await stage.recommend("u03", 10, objectives=Objectives(relevance=1.0, novelty=1.0))
        assert "debut" not in {track.track_id for track in others.tracks}

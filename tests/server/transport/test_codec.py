"""Decoding: every wrong field is named by its path, and what is right arrives unchanged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audotics.server.errors import InvalidRequestError
from audotics.server.transport.codec.catalog import decode_track_ids, decode_upsert
from audotics.server.transport.codec.feedback import decode_feedback
from audotics.server.transport.codec.models import decode_name, decode_version
from audotics.server.transport.codec.recommendations import decode_rank, decode_recommend, decode_similar
from audotics.server.transport.codec.tracks import encode_track
from audotics.server.types import Context, FeatureRange, Objectives, RecommendQuery, Subject, TrackFilter, TrackRecord
from audotics.v1 import catalog_service_pb2, feedback_service_pb2, model_service_pb2, track_pb2
from audotics.v1 import recommender_service_pb2 as pb

NAN, INFINITY = float("nan"), float("inf")
USER = pb.Subject(user_id="u")


def wrong_fields(decode: Callable[[], object]) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        decode()
    assert all(violation.description for violation in caught.value.violations)
    return [violation.field for violation in caught.value.violations]


def description(decode: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        decode()
    (violation,) = caught.value.violations
    return violation.description


def recommend(**fields: object) -> Callable[[], RecommendQuery]:
    values: dict[str, object] = {"subject": USER, "limit": 10} | fields
    return lambda: decode_recommend(pb.RecommendRequest(**values), deadline=None)


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"limit": 0}, ["limit"]),
        ({"limit": -1}, ["limit"]),
        ({"limit": 501}, ["limit"]),
        ({"limit": 10_000}, ["limit"]),
        ({"subject": None}, ["subject"]),
        ({"subject": pb.Subject()}, ["subject"]),
        ({"subject": pb.Subject(user_id="")}, ["subject.user_id"]),
        ({"subject": pb.Subject(user_id="x" * 257)}, ["subject.user_id"]),
        ({"subject": pb.Subject(seed_tracks=pb.SeedTracks())}, ["subject.seed_tracks.track_ids"]),
        (
            {"subject": pb.Subject(seed_tracks=pb.SeedTracks(track_ids=["a", ""]))},
            ["subject.seed_tracks.track_ids[1]"],
        ),
        ({"subject": pb.Subject(session=pb.AnonymousSession())}, ["subject.session.track_ids"]),
        (
            {"subject": pb.Subject(session=pb.AnonymousSession(track_ids=["a"] * 1001))},
            ["subject.session.track_ids"],
        ),
        ({"diversity": 1.01}, ["diversity"]),
        ({"diversity": -0.01}, ["diversity"]),
        ({"diversity": NAN}, ["diversity"]),
        ({"objectives": pb.Objectives()}, ["objectives"]),
        ({"objectives": pb.Objectives(novelty=NAN)}, ["objectives.novelty"]),
        ({"objectives": pb.Objectives(relevance=1, freshness=-1)}, ["objectives.freshness"]),
        ({"objectives": pb.Objectives(popularity=INFINITY)}, ["objectives.popularity"]),
        ({"context": pb.RequestContext(genres=["rock", "polka"])}, ["context.genres[1]"]),
        ({"context": pb.RequestContext(mood=99)}, ["context.mood"]),
        (
            {"filter": pb.TrackFilter(feature_ranges=[pb.FeatureRange(feature="bpm")])},
            ["filter.feature_ranges[0].feature"],
        ),
        (
            {"filter": pb.TrackFilter(feature_ranges=[pb.FeatureRange(feature="tempo", min=2, max=1)])},
            ["filter.feature_ranges[0].min"],
        ),
        (
            {"filter": pb.TrackFilter(feature_ranges=[pb.FeatureRange(feature="tempo", max=NAN)])},
            ["filter.feature_ranges[0].max"],
        ),
        (
            {"filter": pb.TrackFilter(feature_ranges=[pb.FeatureRange(feature="tempo")] * 33)},
            ["filter.feature_ranges"],
        ),
        ({"filter": pb.TrackFilter(min_release_year=2001, max_release_year=2000)}, ["filter.min_release_year"]),
        ({"filter": pb.TrackFilter(genres=["rock", " "])}, ["filter.genres[1]"]),
        ({"filter": pb.TrackFilter(excluded_artists=["a"] * 1001)}, ["filter.excluded_artists"]),
        ({"exclude": pb.Exclusion(track_ids=["a", "b", ""])}, ["exclude.track_ids[2]"]),
        ({"exclude": pb.Exclusion(track_ids=["a"] * 10_001)}, ["exclude.track_ids"]),
    ],
)
def test_a_wrong_recommend_field_is_named(fields: dict[str, object], paths: list[str]) -> None:
    assert wrong_fields(recommend(**fields)) == paths


def test_everything_that_is_wrong_is_told_at_once() -> None:
    decode = recommend(
        subject=None,
        limit=0,
        diversity=7,
        objectives=pb.Objectives(relevance=NAN, novelty=-1),
        context=pb.RequestContext(genres=["?"]),
    )
    assert set(wrong_fields(decode)) == {
        "subject",
        "limit",
        "diversity",
        "objectives.relevance",
        "objectives.novelty",
        "context.genres[0]",
    }


def test_an_unknown_feature_or_genre_lists_the_known_ones() -> None:
    ranges = [pb.FeatureRange(feature="bpm")]
    assert "danceability" in description(recommend(filter=pb.TrackFilter(feature_ranges=ranges)))
    assert "hip-hop" in description(recommend(context=pb.RequestContext(genres=["polka"])))
    assert "melancholic" in description(recommend(context=pb.RequestContext(mood=99)))


def test_a_bare_request_gets_the_defaults() -> None:
    assert recommend()() == RecommendQuery(subject=Subject("user", user_id="u"), limit=10)


def test_every_field_arrives() -> None:
    request = pb.RecommendRequest(
        subject=pb.Subject(session=pb.AnonymousSession(track_ids=["a", "b"])),
        limit=500,
        context=pb.RequestContext(mood=track_pb2.MOOD_WORKOUT, genres=["Rock", "r&b", "rock"]),
        filter=pb.TrackFilter(
            genres=["live"],
            excluded_genres=["jazz"],
            artists=["A"],
            excluded_artists=["B"],
            min_release_year=0,
            max_release_year=2000,
            explicit=False,
            feature_ranges=[pb.FeatureRange(feature="tempo", min=0.0), pb.FeatureRange(feature="duration_ms", max=9.0)],
        ),
        exclude=pb.Exclusion(track_ids=["x"]),
        diversity=0.0,
        objectives=pb.Objectives(novelty=2.0),
        explain=True,
    )
    assert decode_recommend(request, deadline=5.0) == RecommendQuery(
        subject=Subject("session", track_ids=("a", "b")),
        limit=500,
        context=Context("workout", ("rock", "r&b")),
        filter=TrackFilter(
            genres=("live",),
            excluded_genres=("jazz",),
            artists=("A",),
            excluded_artists=("B",),
            min_release_year=0,
            max_release_year=2000,
            explicit=False,
            ranges=(FeatureRange("tempo", 0.0, None), FeatureRange("duration_ms", None, 9.0)),
        ),
        excluded=("x",),
        diversity=0.0,
        objectives=Objectives(relevance=0.0, novelty=2.0),
        explain=True,
        deadline=5.0,
    )


@pytest.mark.parametrize(
    ("track_ids", "paths"),
    [
        ([], ["track_ids"]),
        (["a"] * 1001, ["track_ids"]),
        (["a", ""], ["track_ids[1]"]),
        (["a", "b", "a", "b"], ["track_ids[2]", "track_ids[3]"]),
    ],
)
def test_wrong_candidates_are_named(track_ids: list[str], paths: list[str]) -> None:
    request = pb.RankTracksRequest(subject=USER, track_ids=track_ids)
    assert wrong_fields(lambda: decode_rank(request, deadline=None)) == paths


@pytest.mark.parametrize(
    ("request_fields", "paths"),
    [
        ({}, ["query"]),
        ({"track_id": ""}, ["track_id"]),
        ({"track_id": "a", "limit": 0}, ["limit"]),
        ({"vector": pb.FeatureVector()}, ["vector.values"]),
        ({"vector": pb.FeatureVector(values=[0.0, 0.0])}, ["vector.values"]),
        ({"vector": pb.FeatureVector(values=[1.0, NAN])}, ["vector.values[1]"]),
        (
            {"features": track_pb2.Track(audio_features=track_pb2.AudioFeatures(energy=2.0))},
            ["features.audio_features.energy"],
        ),
    ],
)
def test_a_wrong_similar_field_is_named(request_fields: dict[str, object], paths: list[str]) -> None:
    values: dict[str, object] = {"limit": 5} | request_fields
    request = pb.SimilarTracksRequest(**values)
    assert wrong_fields(lambda: decode_similar(request, deadline=None)) == paths


@pytest.mark.parametrize(
    ("track", "path"),
    [
        (track_pb2.Track(), "track_id"),
        (track_pb2.Track(track_id="x" * 257), "track_id"),
        (track_pb2.Track(track_id="a", title="x" * 1001), "title"),
        (track_pb2.Track(track_id="a", tags=["ok", ""]), "tags[1]"),
        (track_pb2.Track(track_id="a", tags=["x"] * 257), "tags"),
        (track_pb2.Track(track_id="a", release_year=999), "release_year"),
        (track_pb2.Track(track_id="a", release_year=3001), "release_year"),
        (track_pb2.Track(track_id="a", duration_ms=0), "duration_ms"),
        (track_pb2.Track(track_id="a", popularity=1.5), "popularity"),
        (track_pb2.Track(track_id="a", popularity=NAN), "popularity"),
        (track_pb2.Track(track_id="a", audio_features=track_pb2.AudioFeatures(key=12)), "audio_features.key"),
        (track_pb2.Track(track_id="a", audio_features=track_pb2.AudioFeatures(tempo=-1)), "audio_features.tempo"),
        (
            track_pb2.Track(track_id="a", audio_features=track_pb2.AudioFeatures(loudness=NAN)),
            "audio_features.loudness",
        ),
        (
            track_pb2.Track(track_id="a", audio_features=track_pb2.AudioFeatures(loudness=-INFINITY)),
            "audio_features.loudness",
        ),
    ],
)
def test_a_wrong_track_field_is_named(track: track_pb2.Track, path: str) -> None:
    request = catalog_service_pb2.UpsertTracksRequest(tracks=[track_pb2.Track(track_id="good"), track])
    assert wrong_fields(lambda: decode_upsert(request)) == [f"tracks[1].{path}"]


def test_tracks_stand_once_in_a_request_and_not_too_many() -> None:
    def tracks(*ids: str) -> catalog_service_pb2.UpsertTracksRequest:
        return catalog_service_pb2.UpsertTracksRequest(tracks=[track_pb2.Track(track_id=name) for name in ids])

    assert wrong_fields(lambda: decode_upsert(tracks("a", "b", "a"))) == ["tracks[2].track_id"]
    assert wrong_fields(lambda: decode_upsert(tracks())) == ["tracks"]
    assert wrong_fields(lambda: decode_upsert(tracks(*map(str, range(1001))))) == ["tracks"]
    assert wrong_fields(lambda: decode_track_ids(catalog_service_pb2.GetTracksRequest())) == ["track_ids"]


def test_a_track_comes_back_as_it_was_sent() -> None:
    full = track_pb2.Track(
        track_id="a",
        title="T",
        artist="A",
        album="B",
        tags=["rock"],
        release_year=1999,
        explicit=False,
        duration_ms=1,
        popularity=0.0,
        audio_features=track_pb2.AudioFeatures(energy=0.0, tempo=120.0),
    )
    bare = track_pb2.Track(track_id="b")
    records = decode_upsert(catalog_service_pb2.UpsertTracksRequest(tracks=[full, bare]))
    assert records[1] == TrackRecord("b")
    assert [encode_track(record) for record in records] == [full, bare]


def test_feedback_is_limited_in_number_only() -> None:
    event = feedback_service_pb2.FeedbackEvent()
    many = feedback_service_pb2.RecordFeedbackRequest(events=[event] * 1001)
    assert wrong_fields(lambda: decode_feedback(many)) == ["events"]
    assert wrong_fields(lambda: decode_feedback(feedback_service_pb2.RecordFeedbackRequest())) == ["events"]
    (decoded,) = decode_feedback(feedback_service_pb2.RecordFeedbackRequest(events=[event]))
    assert (decoded.event_id, decoded.type, decoded.occurred_at, decoded.rating) == ("", "", None, None)


def test_model_names_and_versions_are_checked() -> None:
    assert wrong_fields(lambda: decode_name(model_service_pb2.GetModelRequest())) == ["name"]
    assert wrong_fields(lambda: decode_version(model_service_pb2.LoadVersionRequest())) == ["name", "version"]
    assert decode_version(model_service_pb2.LoadVersionRequest(name="ncf", version=2)) == ("ncf", 2)

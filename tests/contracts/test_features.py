"""Features of listeners: what the server says of them at a time is what training reads as of that time, to the bit."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from audotics.bundle.catalog import read_histories
from audotics.client import AsyncRecommenderClient, AudioFeatures, FeedbackEvent, ListenerFeatures, Track
from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.data.loaders.server_state import ServerState
from audotics.features import listener_features as features
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES, genre_matrix
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from tests.small_repository import RepositoryFiles, write_repository

USERS = ("u00", "u01", "new")
TYPES = ("play", "complete", "like", "skip", "dislike", "rating", "impression", "save")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryFiles:
    return write_repository(tmp_path / "repository")


def some_events(chance: random.Random, step: int) -> list[FeedbackEvent]:
    """Events of all listeners within a week, in no order, some of tracks that were judged before."""
    return [
        FeedbackEvent(
            event_id=f"{step}-{number}",
            user_id=chance.choice(USERS),
            track_id=f"t{chance.randrange(10, 40):03d}",
            type=(kind := chance.choice(TYPES)),
            occurred_at=datetime.fromtimestamp(NOON + chance.uniform(0, 7 * 86_400), UTC),
            rating=chance.uniform(0, 5) if kind == "rating" else None,
        )
        for number in range(25)
    ]


def offline(url: str, repository: RepositoryFiles, user_id: str, as_of: float) -> features.ListenerFeatures:
    """As training computes them, from the database and the bundles alone."""
    histories = read_histories(repository.path / "catalog" / "1")
    vectors = np.load(repository.path / "content" / "1" / "vectors.npy")
    with ServerState.open(url) as state:
        known = state.tracks(as_of=as_of)
        listener, forgotten = state.listener(user_id, as_of=as_of), state.forgotten(user_id)
    tracks = known.over(repository.tracks)
    row_of = {track_id: row for row, track_id in enumerate(tracks.ids) if track_id not in known.deleted}
    base = np.empty(0, np.int64)
    if not forgotten and user_id in histories.user_ids:
        number = list(histories.user_ids).index(user_id)
        base = histories.rows[histories.offsets[number] : histories.offsets[number + 1]].astype(np.int64)
        base = base[[tracks.ids[row] in row_of for row in base]]
    return features.ListenerFeatures.of(
        listener,
        tracks=tracks,
        genres=genre_matrix(tracks.tags),
        rows_of=lambda ids: np.asarray([row_of.get(track_id, -1) for track_id in ids], np.int64),
        base=base,
        embed=lambda rows: vectors[rows],
    )


def compare(online: ListenerFeatures, read: features.ListenerFeatures, *, vector: bool = True) -> None:
    assert online.recent_track_ids == read.recent
    assert online.seen_track_ids == read.seen
    assert online.history_length == read.history_length
    assert online.genre_shares == {
        name: share for name, share in zip(GENRES, read.genres.tolist(), strict=True) if share
    }
    assert [name for name, _ in online.artists] == [name for name, _ in read.artists]
    np.testing.assert_array_equal(
        np.float32([share for _, share in online.artists]), np.float32([share for _, share in read.artists])
    )
    for told, shares in ((online.hour_shares, read.hours), (online.weekday_shares, read.weekdays)):
        np.testing.assert_array_equal(told, shares if shares.any() else [])
    assert online.audio_means == {
        name: mean for name, mean in zip(AUDIO_FEATURES, read.audio.tolist(), strict=True) if not np.isnan(mean)
    }
    if vector:
        expected = read.preference_vector
        np.testing.assert_allclose(online.preference_vector, [] if expected is None else expected, atol=1e-6)


async def test_training_reads_as_of_any_time_what_the_server_said_then(
    database_url: str, repository: RepositoryFiles
) -> None:
    chance, said = random.Random(5), []
    settings = load_settings(repository=repository.path, port=0, threads=2, database_url=database_url)
    async with open_app(settings) as app, AsyncRecommenderClient(app.address, timeout_s=30.0) as client:

        async def listen(*, vector: bool = True) -> None:
            for user_id in USERS:
                online = await client.get_listener_features(user_id)
                said.append((user_id, time.time(), online, vector))

        await listen()
        for step in range(4):
            await client.record_feedback(some_events(chance, step))
            await listen()
        loud = AudioFeatures(energy=1.0)
        await client.upsert_tracks(
            [Track("t012", artist="Somebody", tags=("jazz",), audio_features=loud), Track("t900")]
        )
        await listen(vector=False)
        await client.upsert_tracks([Track("t012", artist="Somebody Else"), Track("t013", artist="Nobody")])
        await client.delete_tracks(["t014", "t900"])
        await client.record_feedback(some_events(chance, 4))
        await listen(vector=False)
        await client.delete_user("u01")
        forgotten = await client.get_listener_features("u01")
        assert forgotten.history_length == len(forgotten.seen_track_ids) == 0
    assert len({online.recent_track_ids for user_id, _, online, _ in said if user_id == "u00"}) >= 5
    for user_id, as_of, online, vector in said:
        read = offline(database_url, repository, user_id, as_of)
        if user_id == "u01":
            assert read.history_length == len(read.seen) == 0
        else:
            compare(online, read, vector=vector)
    assert {len(online.hour_shares) for *_, online, _ in said} == {0, 24}


async def test_training_can_start_from_the_server_s_database(
    database_url: str, repository: RepositoryFiles, tmp_path: Path
) -> None:
    chance = random.Random(7)
    settings = load_settings(repository=repository.path, port=0, threads=2, database_url=database_url)
    async with open_app(settings) as app, AsyncRecommenderClient(app.address, timeout_s=30.0) as client:
        with pytest.raises(DataError, match="serve until listeners have sent events"):
            load(database_url)
        await client.record_feedback(some_events(chance, 0))
        await client.upsert_tracks([Track("t011", title="Written", tags=("rock",), release_year=1999, explicit=True)])
        early = time.time()
        await client.record_feedback(some_events(chance, 1))
        online = {user_id: await client.get_listener_features(user_id) for user_id in USERS}
    dataset = load(database_url)
    with ServerState.open(database_url) as state:
        liked = {user_id: each.liked for user_id, each in state.listeners()}
        before = {user_id: each.liked for user_id, each in state.listeners(as_of=early)}
    assert list(dataset.user_ids) == sorted(USERS)
    for number, history in enumerate(dataset.interactions.histories(dataset.n_users)):
        assert set(dataset.tracks.ids[history]) == set(liked[dataset.user_ids[number]])
    assert liked["new"] == list(online["new"].recent_track_ids)
    assert liked != before
    row = list(dataset.tracks.ids).index("t011")
    assert (dataset.tracks.titles[row], dataset.tracks.release_years[row], dataset.tracks.explicit[row]) == (
        "Written",
        1999,
        1,
    )


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.db: there is no such database; name the file state.db"):
        load(f"sqlite:///{tmp_path}/nothing.db")
    (tmp_path / "text.db").write_text("x" * 5000)
    with pytest.raises(DataError, match=r"text.db: cannot be read: .*is it the database of a server"):
        load(f"sqlite:///{tmp_path}/text.db")

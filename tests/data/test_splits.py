"""Splits: partitions without leakage on any data, and cores that are cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.splits import Split, cold_tracks, k_core, leave_one_out, temporal, unseen_listeners
from audotics.features.tracks import TrackColumns

N_USERS, N_TRACKS = 8, 10

pairs = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_TRACKS - 1), st.integers(0, 20)), min_size=1, max_size=60
)


def dataset_of(rows: list[tuple[int, int, int]]) -> Dataset:
    users, tracks, times = np.asarray(rows).T
    interactions = Interactions.build(users, tracks, timestamps=times)
    catalogue = TrackColumns.build([f"t{track}" for track in range(N_TRACKS)])
    user_ids = np.asarray([f"u{user}" for user in range(N_USERS)], object)
    return Dataset("some", catalogue, user_ids, interactions, LoadReport("test")).with_interactions(interactions)


def pair_set(interactions: Interactions) -> set[tuple[int, int]]:
    return set(zip(interactions.users.tolist(), interactions.tracks.tolist(), strict=True))


def assert_partition(whole: Interactions, split: Split) -> None:
    train = pair_set(split.train)
    test = set(zip(split.test_users.tolist(), split.test_tracks.tolist(), strict=True))
    assert not train & test
    assert train | test == pair_set(whole)
    assert len(split.train) + len(split.test_users) == len(whole)
    assert split.test_users.dtype == split.test_tracks.dtype == np.int32
    assert (np.diff(split.train.users) >= 0).all()


@given(pairs, st.integers(0, 5), st.sampled_from(["random", "last"]))
def test_leave_one_out_holds_out_one_pair_of_each_user_with_two(
    rows: list[tuple[int, int, int]], seed: int, how: Literal["random", "last"]
) -> None:
    whole = dataset_of(rows).interactions
    split = leave_one_out(whole, N_USERS, seed=seed, how=how)
    assert_partition(whole, split)
    counts = np.bincount(whole.users, minlength=N_USERS)
    assert split.test_users.tolist() == np.flatnonzero(counts >= 2).tolist()


@given(pairs)
def test_leave_one_out_last_is_the_latest(rows: list[tuple[int, int, int]]) -> None:
    whole = dataset_of(rows).interactions
    split = leave_one_out(whole, N_USERS, seed=0, how="last")
    histories = whole.histories(N_USERS)
    assert split.test_tracks.tolist() == [histories[user][-1] for user in split.test_users]


def test_leave_one_out_is_seeded_and_draws_from_all_places() -> None:
    whole = dataset_of([(user, track, track) for user in range(N_USERS) for track in range(N_TRACKS)]).interactions
    first, same, other = (leave_one_out(whole, N_USERS, seed=seed).test_tracks.tolist() for seed in (1, 1, 2))
    assert first == same != other
    drawn = {track for seed in range(40) for track in leave_one_out(whole, N_USERS, seed=seed).test_tracks.tolist()}
    assert drawn == set(range(N_TRACKS))


@given(pairs, st.floats(0.05, 0.95))
def test_temporal_test_is_later_than_all_of_training(rows: list[tuple[int, int, int]], fraction: float) -> None:
    whole = dataset_of(rows).interactions
    try:
        split = temporal(whole, test_fraction=fraction)
    except DataError:
        n_train = len(whole) - int(len(whole) * fraction)
        times = np.sort(whole.timestamps)
        assert times[n_train - 1] == times[-1]
        return
    assert_partition(whole, split)
    assert 0 < len(split.test_users) <= fraction * len(whole)
    time_of = dict(zip(zip(whole.users.tolist(), whole.tracks.tolist(), strict=True), whole.timestamps, strict=True))
    tested = zip(split.test_users.tolist(), split.test_tracks.tolist(), strict=True)
    assert min(time_of[pair] for pair in tested) > split.train.timestamps.max()


@given(pairs, st.floats(0.05, 0.95), st.integers(0, 5))
def test_cold_tracks_never_occur_in_training(rows: list[tuple[int, int, int]], fraction: float, seed: int) -> None:
    dataset = dataset_of(rows)
    split = cold_tracks(dataset, fraction=fraction, seed=seed)
    assert_partition(dataset.interactions, split)
    assert not set(split.train.tracks.tolist()) & set(split.test_tracks.tolist())
    played = len(set(dataset.interactions.tracks.tolist()))
    assert len(set(split.test_tracks.tolist())) == max(1, round(fraction * played))


@given(pairs, st.floats(0.05, 0.95), st.integers(0, 5))
def test_new_artists_are_wholly_unknown(rows: list[tuple[int, int, int]], fraction: float, seed: int) -> None:
    dataset = dataset_of(rows)
    names = np.asarray([f"artist {track // 3}" if track < N_TRACKS - 1 else "" for track in range(N_TRACKS)], object)
    named = replace(dataset, tracks=replace(dataset.tracks, artists=names))
    artists = names[dataset.interactions.tracks]
    if not (artists != "").any():
        with pytest.raises(DataError, match="no artist of a track that was played is known"):
            cold_tracks(named, fraction=fraction, seed=seed, by="artists")
        return
    split = cold_tracks(named, fraction=fraction, seed=seed, by="artists")
    assert_partition(dataset.interactions, split)
    new, known = set(names[split.test_tracks]), set(names[split.train.tracks])
    assert not new & known
    assert len(new) == max(1, round(fraction * len(set(artists) - {""})))
    assert "" not in new


@given(pairs, st.floats(0.05, 0.95), st.integers(0, 5), st.sampled_from(["random", "last"]))
def test_unseen_listeners_are_halved_and_not_trained_on(
    rows: list[tuple[int, int, int]], fraction: float, seed: int, how: Literal["random", "last"]
) -> None:
    dataset = dataset_of(rows)
    counts = np.bincount(dataset.interactions.users, minlength=N_USERS)
    if counts.max() < 2:
        with pytest.raises(DataError, match="no listener has the two tracks"):
            unseen_listeners(dataset, fraction=fraction, seed=seed, how=how)
        return
    split = unseen_listeners(dataset, fraction=fraction, seed=seed, how=how)
    parts = [pair_set(part) for part in (split.train, split.fold_in, split.held_out)]
    assert set.union(*parts) == pair_set(dataset.interactions)
    assert sum(map(len, parts)) == len(dataset.interactions)
    unseen = set(split.fold_in.users.tolist())
    assert unseen == set(split.held_out.users.tolist())
    assert not unseen & set(split.train.users.tolist())
    assert len(unseen) == max(1, round(fraction * int((counts >= 2).sum())))
    known, asked = split.fold_in.histories(N_USERS), split.held_out.histories(N_USERS)
    for user in unseen:
        assert (len(known[user]), len(asked[user])) == ((counts[user] + 1) // 2, counts[user] // 2)
        if how == "last":
            assert [*known[user], *asked[user]] == dataset.interactions.histories(N_USERS)[user].tolist()


def test_the_draw_of_unseen_listeners_is_seeded() -> None:
    dataset = dataset_of([(user, track, track) for user in range(N_USERS) for track in range(N_TRACKS)])
    first, same, other = (
        unseen_listeners(dataset, fraction=0.5, seed=seed).held_out.tracks.tolist() for seed in (1, 1, 2)
    )
    assert first == same != other


@given(pairs, st.integers(1, 4))
def test_k_core_is_the_largest_part_with_k_pairs_everywhere(rows: list[tuple[int, int, int]], k: int) -> None:
    dataset = dataset_of(rows)
    expected = pair_set(dataset.interactions)
    while True:
        kept = {
            (user, track)
            for user, track in expected
            if sum(u == user for u, _ in expected) >= k and sum(t == track for _, t in expected) >= k
        }
        if kept == expected:
            break
        expected = kept
    if not expected:
        with pytest.raises(DataError, match=f"the {k}-core of some is empty; choose a smaller k"):
            k_core(dataset, k)
        return
    core = k_core(dataset, k)
    found = {
        (core.user_ids[user], core.tracks.ids[track])
        for user, track in zip(core.interactions.users, core.interactions.tracks, strict=True)
    }
    assert found == {(f"u{user}", f"t{track}") for user, track in expected}
    assert core.tracks.plays.tolist() == np.bincount(core.interactions.tracks).tolist()
    assert core.tracks.plays.min() >= k
    assert core.report.dropped[f"pairs outside the {k}-core"] == len(dataset.interactions) - len(expected)
    assert not dataset.report.dropped


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan")])
def test_fractions_must_leave_both_parts(fraction: float) -> None:
    dataset = dataset_of([(0, 0, 0), (0, 1, 1)])
    with pytest.raises(ValueError, match="test_fraction must lie between 0 and 1"):
        temporal(dataset.interactions, test_fraction=fraction)
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
        cold_tracks(dataset, fraction=fraction, seed=0)
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
        unseen_listeners(dataset, fraction=fraction, seed=0)


def test_equal_times_cannot_be_split() -> None:
    dataset = dataset_of([(0, 0, 5), (0, 1, 5), (1, 1, 5)])
    with pytest.raises(DataError, match="a temporal split needs times that differ"):
        temporal(dataset.interactions, test_fraction=0.5)

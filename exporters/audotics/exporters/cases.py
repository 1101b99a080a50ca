"""Inputs on which exported models are compared with their sources: real ones, random ones, and the edges of each model.

What the training data has goes in as histories and tracks; lists of named cases come out, the most ordinary one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.exporters.parity import Case
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.content import ContentEncoder
from audotics.features.history import MAX_HISTORY, PADDING, pad_histories
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.features.tracks import TrackColumns

_LISTENERS: Final = 64
_TRACKS: Final = 256
_PAIRS: Final = 200
_RANDOM_CASES: Final = 8
_EXTREME: Final = 1e3
_CLIPPED_AUDIO: Final = 5.0
_SEED: Final = 20_170_403


def history_cases(histories: Sequence[NDArray[np.integer]], *, n_tracks: int) -> list[Case]:
    """Cases with the input `history` int64 (b, length), over rows 0 .. n_tracks - 1; `histories` are real ones."""
    rng = np.random.default_rng(_SEED)

    def draw(length: int) -> NDArray[np.int64]:
        return rng.integers(0, n_tracks, length)

    holes = rng.integers(0, n_tracks, (5, 12))
    holes[rng.random(holes.shape) < 0.5] = PADDING
    cases = {
        "listeners of the training data": pad_histories([*histories[:_LISTENERS], draw(5)]),
        "an empty history": pad_histories([draw(0)]),
        "an empty history among others": pad_histories([draw(3), draw(0), draw(9)]),
        "a single track": np.asarray([[0], [n_tracks - 1]], np.int64),
        "a batch of one": pad_histories([draw(20)]),
        "the longest history": pad_histories([draw(MAX_HISTORY), draw(2)]),
        "nothing but padding at full length": np.full((3, MAX_HISTORY), PADDING, np.int64),
        "padding between tracks": holes,
    }
    for number in range(_RANDOM_CASES):
        lengths = rng.integers(0, MAX_HISTORY + 1, 6)
        cases[f"random histories {number}"] = pad_histories([draw(length) for length in lengths])
    return [Case(name, {"history": history}) for name, history in cases.items()]


def ncf_cases(histories: Sequence[NDArray[np.integer]], *, n_tracks: int) -> list[Case]:
    """Every case of `history_cases` with pairs `user_index` and `track` int64 (rows,) of its listeners."""
    rng = np.random.default_rng(_SEED + 1)
    cases = []
    for case in history_cases(histories, n_tracks=n_tracks):
        rows = 1 if case.name == "a batch of one" else _PAIRS
        pairs = {
            "user_index": rng.integers(0, len(case.feeds["history"]), rows),
            "track": rng.integers(0, n_tracks, rows),
        }
        cases.append(Case(case.name, {**case.feeds, **pairs}))
    return cases


def content_cases(encoder: ContentEncoder, tracks: TrackColumns) -> list[Case]:
    """Cases with the inputs of the content embedding; `tracks` are real ones."""
    rng = np.random.default_rng(_SEED + 2)
    real = encoder.encode(tracks.take(rng.permutation(len(tracks))[:_TRACKS])).feeds()
    audio, tags, artist = real["audio"], real["tags"], real["artist"]
    n_audio, n_tags = audio.shape[1], tags.shape[1]
    random_tags = (rng.random((50, n_tags)) < 0.1).astype(np.float32)
    loud = np.ones((2, n_audio), np.float32)
    loud[:, : len(AUDIO_FEATURES)] = [[_CLIPPED_AUDIO], [-_CLIPPED_AUDIO]]
    cases = {
        "tracks of the catalogue": (audio, tags, artist),
        "a batch of one": (audio[:1], tags[:1], artist[:1]),
        "an unknown artist": (audio, tags, np.zeros_like(artist)),
        "no audio": (np.zeros_like(audio), tags, artist),
        "no tags": (audio, np.zeros_like(tags), artist),
        "nothing known": (np.zeros_like(audio[:1]), np.zeros_like(tags[:1]), np.zeros_like(artist[:1])),
        "audio at its bounds": (loud, np.zeros((2, n_tags), np.float32), np.zeros(2, np.int64)),
        "all tags": (audio[:1], np.full((1, n_tags), max(n_tags, 1) ** -0.5, np.float32), artist[:1]),
        "random tracks": (
            np.clip(rng.normal(0, 2, (50, n_audio)), -_CLIPPED_AUDIO, _CLIPPED_AUDIO).astype(np.float32),
            random_tags / np.maximum(np.linalg.norm(random_tags, axis=1, keepdims=True), 1.0),
            rng.integers(0, encoder.artist_buckets, 50),
        ),
    }
    return [Case(name, dict(zip(real, arrays, strict=True))) for name, arrays in cases.items()]


def hybrid_cases(scale: NDArray[np.float32]) -> list[Case]:
    """Cases with the inputs of the gate; `scale` (5,) is the spread that each component had in training."""
    rng = np.random.default_rng(_SEED + 3)
    width = len(COMPONENTS)

    def rows(
        name: str, components: NDArray[np.floating], available: NDArray[np.floating], *, extreme: bool = False
    ) -> Case:
        n = len(components)
        context = rng.normal(0, 1, (n, len(CONTEXT_FEATURES)))
        context[:, 0] = np.log1p(rng.integers(0, MAX_HISTORY + 1, n)) / 5.0
        feeds = {"components": components * available, "available": available, "context": context}
        return Case(name, {key: value.astype(np.float32) for key, value in feeds.items()}, extreme)

    def draw(n: int) -> NDArray[np.float64]:
        return rng.normal(0, 2, (n, width)) * scale

    alone = np.eye(width)
    every = np.ones((_TRACKS, width))
    cases = [
        rows("all components", draw(_TRACKS), every),
        rows("a batch of one", draw(1), every[:1]),
        rows("no component", draw(4), np.zeros((4, width))),
        rows("one component alone", draw(width), alone),
        rows("components of zero", np.zeros((3, width)), every[:3]),
        rows("one extreme component", _EXTREME * alone, alone, extreme=True),
        rows("one extreme negative component", -_EXTREME * alone, alone, extreme=True),
        rows("all components extreme", _EXTREME * np.asarray([[1.0], [-1.0]]) * every[:2], every[:2], extreme=True),
    ]
    for number in range(_RANDOM_CASES):
        available = (rng.random((_PAIRS, width)) < 0.7).astype(np.float64)
        cases.append(rows(f"random components {number}", draw(_PAIRS), available))
    return cases

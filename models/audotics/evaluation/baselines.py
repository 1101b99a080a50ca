"""The simple models that every other has to beat: popularity, item k-NN, EASE, and k-NN on what tracks are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.data.dataset import Interactions
from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.tracks import TrackColumns


def interaction_matrix(interactions: Interactions, *, n_users: int, n_tracks: int) -> sparse.csr_matrix:
    """Binary user by track matrix, float32."""
    ones = np.ones(len(interactions), np.float32)
    return sparse.csr_matrix((ones, (interactions.users, interactions.tracks)), shape=(n_users, n_tracks))


def history_matrix(histories: Histories, n_tracks: int) -> sparse.csr_matrix:
    """Binary matrix with one row a history, float32."""
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    columns = np.concatenate(histories) if len(histories) else np.zeros(0, np.int32)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=(len(histories), n_tracks))


def popularity(matrix: sparse.csr_matrix) -> Scorer:
    """Scores a track by the number of its listeners."""
    counts = np.asarray(matrix.sum(axis=0)).ravel().astype(np.float32)
    return lambda histories: np.tile(counts, (len(histories), 1))


def item_knn(matrix: sparse.csr_matrix, *, neighbours: int = 100) -> Scorer:
    """Scores a track by its summed cosine to the history, over its `neighbours` nearest (Sarwar et al. 2001)."""
    norms = np.sqrt(np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), 1.0))
    normalised = matrix @ sparse.diags(1.0 / norms)
    similarities = np.asarray((normalised.T @ normalised).todense(), np.float32)
    np.fill_diagonal(similarities, 0.0)
    if neighbours < len(similarities):
        floor = np.partition(similarities, len(similarities) - neighbours, axis=1)[:, -neighbours]
        similarities[similarities < floor[:, None]] = 0.0
    return _item_item(similarities.T)


def ease(matrix: sparse.csr_matrix, *, l2: float = 100.0) -> Scorer:
    """EASE (Steck 2019, eq. 8): a linear item-item model with zero diagonal in closed form."""
    gram = np.asarray((matrix.T @ matrix).todense(), np.float64)
    gram[np.diag_indices_from(gram)] += l2
    inverse = np.linalg.inv(gram)
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return _item_item(weights)


def raw_features(tracks: TrackColumns, *, artists: bool = False) -> sparse.csr_matrix:
    """What the catalogue says of each track, float32 (n, d): standardised audio features beside binary tags.

    With `artists`, whose track it is stands there as well. Each of the two or three blocks has unit length, or is 0
    where nothing is known, and so has the whole: inner products are cosines.
    """
    audio = AudioScaler.fit(tracks.audio).transform(tracks.audio)[:, : len(AUDIO_FEATURES)]
    ones = np.ones(len(tracks.tags.codes), np.float32)
    tags = sparse.csr_matrix((ones, tracks.tags.codes, tracks.tags.offsets), (len(tracks), len(tracks.tags.names)))
    blocks = [sparse.csr_matrix(audio), tags]
    if artists:
        known = np.flatnonzero(tracks.artists != "")
        codes = np.unique(tracks.artists[known].astype(str), return_inverse=True)[1]
        blocks.append(sparse.csr_matrix((np.ones(len(known), np.float32), (known, codes)), (len(tracks), len(tracks))))
    return _unit_rows(sparse.hstack([_unit_rows(block) for block in blocks]).tocsr())


def content_knn(features: sparse.csr_matrix, *, neighbours: int = 5) -> Scorer:
    """Scores a track by its mean cosine to the `neighbours` nearest tracks of the history; `features` has unit rows."""
    similarities = np.asarray((features @ features.T).todense(), np.float32)

    def score(histories: Histories) -> NDArray[np.float32]:
        scores = np.zeros((len(histories), len(similarities)), np.float32)
        for row, history in enumerate(histories):
            nearest = similarities[history]
            if len(nearest) > neighbours:
                nearest = np.partition(nearest, len(nearest) - neighbours, axis=0)[-neighbours:]
            if len(nearest):
                scores[row] = nearest.mean(axis=0)
        return scores

    return score


def _unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.power(2).sum(axis=1)).ravel())
    return (sparse.diags(1.0 / np.maximum(lengths, 1e-12)) @ matrix).astype(np.float32).tocsr()


def _item_item(weights: NDArray[np.float32]) -> Scorer:
    return lambda histories: np.asarray(history_matrix(histories, len(weights)) @ weights)

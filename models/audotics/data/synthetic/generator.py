"""The public face of the synthetic catalogue: sizes and a seed go in, a data set comes out."""

from __future__ import annotations

import numpy as np

from audotics.data.dataset import Dataset, LoadReport
from audotics.data.synthetic.catalogue import draw_tracks
from audotics.data.synthetic.listening import draw_listening
from audotics.data.synthetic.names import serial_ids
from audotics.data.synthetic.taste import TasteSpace

_TRACKS_AN_ARTIST = 12


def synthetic(
    *,
    n_tracks: int = 5_000,
    n_users: int = 2_000,
    seed: int = 0,
    mean_history: float = 30,
    n_artists: int | None = None,
) -> Dataset:
    """Draw a catalogue and its listeners from latent tastes; equal arguments give equal data.

    Popularity follows Zipf, audio features and tags follow a track's genre and place in the space of tastes, and
    histories follow taste and popularity, so that each kind of model finds something to learn. `mean_history` counts
    tracks before a listener's repeats are joined, which leaves a few percent fewer; without `n_artists` there is one
    for 12 tracks. Ids are row numbers such as "t0000001" and "u00001". Raises ValueError for sizes that make no sense.
    """
    if n_artists is None:
        n_artists = max(1, n_tracks // _TRACKS_AN_ARTIST)
    for name, value in {"n_tracks": n_tracks, "n_users": n_users, "n_artists": n_artists}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, but is {value}")
    if n_artists > n_tracks:
        raise ValueError(f"n_artists must be at most n_tracks ({n_tracks}), but is {n_artists}")
    if mean_history <= 0:
        raise ValueError(f"mean_history must be positive, but is {mean_history}")
    rng = np.random.default_rng(seed)
    space = TasteSpace.draw(n_tracks=n_tracks, n_artists=n_artists, rng=rng)
    tracks = draw_tracks(space, rng=rng)
    interactions = draw_listening(space, n_users=n_users, mean_history=mean_history, rng=rng)
    report = LoadReport(f"synthetic, seed {seed}")
    report.read.update({"users": n_users, "tracks": n_tracks, "artists": n_artists, "pairs": len(interactions)})
    user_ids = serial_ids("u", n_users, width=5)
    return Dataset("synthetic", tracks, user_ids, interactions, report).with_interactions(interactions)

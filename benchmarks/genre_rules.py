"""Where the genres' weights on audio features come from, and how well they find tracks whose tags are hidden.

Two sets teach them: the product genres of Spotify's genre playlists, and tags of the Yes playlists' songs. In each set
and for each genre, the weights are the direction of a regularised linear discriminant (Fisher 1936) between the
tracks of the genre and all others, on standardised features, of unit length. A genre's weights are the mean of its
directions in the sets that know it, rounded, without those below 0.15. Radio and playlists use words differently, so
the mean of both transfers better than either.

The tracks of half of the artists teach, those of the others are ranked by the rules of `features/rules.py`. The score
is the probability that a track with the tag ranks above one without (the area under the curve, 0.5 by chance), with
a 95 % bootstrap interval, and the share with the tag among the first 50, beside that among all.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from audotics.data.loaders.product_genres import GENRE_OF_SUBGENRE
from audotics.data.loaders.spotify_songs import load_spotify_songs
from audotics.data.loaders.yes_playlists import load_yes_playlists
from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.genres import GENRES, genre_matrix, genre_sounds
from audotics.features.rules import GENRE_WEIGHTS
from audotics.features.tracks import TrackColumns

HAND_SET: Final = "classical"
"""What is tagged so on the Yes playlists is somebody's list "from classical to metal", with next to no classical."""

RIDGE: Final = 0.2
LEAST_WEIGHT: Final = 0.15
FIRST: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class Tagged:
    """n tracks with audio (n, 11), which tags they have (n, 10), and whether they are among those that teach (n,)."""

    name: str
    audio: NDArray[np.float32]
    genres: NDArray[np.bool_]
    teaches: NDArray[np.bool_]

    def standardised(self) -> NDArray[np.float64]:
        scaled = AudioScaler.fit(self.audio).transform(self.audio)
        return scaled[:, : len(AUDIO_FEATURES)].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Found:
    """How well the rules find tracks of a genre among those that did not teach it."""

    data: str
    genre: str
    tagged: int
    auc: float
    auc_low: float
    auc_high: float
    among_first: float
    among_all: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of spotify-songs and yes-playlists-small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    sets = (_spotify(arguments.data / "spotify-songs"), _yes(arguments.data / "yes-playlists-small"))
    derived = {genre: _weights(sets, genre) for genre in GENRES if genre != HAND_SET}
    found = [row for data in sets for row in _measure(data, seed=arguments.seed)]
    console = Console(width=120)
    console.print(_shown(found))
    for genre, weights in derived.items():
        same = weights == GENRE_WEIGHTS[genre]
        console.print(f"{genre}: as in rules.py" if same else f"{genre}: differs from rules.py, {weights}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"weights": derived, "found": [asdict(row) for row in found]}, indent=2) + "\n"
        )


def _spotify(path: Path) -> Tagged:
    """Tracks whose playlists name one product genre."""
    tracks = load_spotify_songs(path).tracks
    genres = np.zeros((len(tracks), len(GENRES)), np.bool_)
    for row in range(len(tracks)):
        for tag in tracks.tags.row(row):
            if tag in GENRE_OF_SUBGENRE:
                genres[row, GENRES.index(GENRE_OF_SUBGENRE[tag])] = True
    return _tagged("Spotify songs", tracks, genres, genres.sum(axis=1) == 1)


def _yes(path: Path) -> Tagged:
    """Tracks with audio features; a track has all the genres that its tags name."""
    tracks = load_yes_playlists(path).tracks
    return _tagged("Yes playlists", tracks, genre_matrix(tracks.tags), ~np.isnan(tracks.audio).all(axis=1))


def _tagged(name: str, tracks: TrackColumns, genres: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Tagged:
    teaches = np.asarray([zlib.crc32(str(artist).lower().encode()) % 2 == 0 for artist in tracks.artists])
    return Tagged(name, tracks.audio[kept], genres[kept], teaches[kept])


def _weights(sets: tuple[Tagged, ...], genre: str) -> dict[str, float]:
    """The largest first."""
    column = GENRES.index(genre)
    directions = [
        _direction(data.standardised()[data.teaches], data.genres[data.teaches, column])
        for data in sets
        if data.genres[:, column].any()
    ]
    mean = np.mean(directions, axis=0)
    mean /= np.linalg.norm(mean)
    pairs = [(name, round(float(value), 1)) for name, value in zip(AUDIO_FEATURES, mean, strict=True)]
    kept = [pair for pair, value in zip(pairs, mean, strict=True) if abs(value) >= LEAST_WEIGHT]
    return dict(sorted(kept, key=lambda pair: -abs(pair[1])))


def _direction(features: NDArray[np.float64], of_genre: NDArray[np.bool_]) -> NDArray[np.float64]:
    own, others = features[of_genre].mean(axis=0), features[~of_genre].mean(axis=0)
    within = features - np.where(of_genre[:, None], own, others)
    spread = within.T @ within / len(features) + RIDGE * np.eye(features.shape[1])
    direction: NDArray[np.float64] = np.linalg.solve(spread, own - others)
    return direction / np.linalg.norm(direction)


def _measure(data: Tagged, *, seed: int) -> list[Found]:
    random = np.random.default_rng(seed)
    sounds = genre_sounds(data.audio, AudioScaler.fit(data.audio))[~data.teaches]
    genres = data.genres[~data.teaches]
    rows = []
    for column, genre in enumerate(GENRES):
        scores, of_genre = sounds[:, column], genres[:, column]
        if genre == HAND_SET or not of_genre.any():
            continue
        draws = random.integers(len(scores), size=(200, len(scores)))
        low, high = np.quantile([roc_auc_score(of_genre[draw], scores[draw]) for draw in draws], (0.025, 0.975))
        first = np.argsort(-scores, kind="stable")[:FIRST]
        rows.append(
            Found(
                data.name,
                genre,
                tagged=int(of_genre.sum()),
                auc=float(roc_auc_score(of_genre, scores)),
                auc_low=float(low),
                auc_high=float(high),
                among_first=float(of_genre[first].mean()),
                among_all=float(of_genre.mean()),
            )
        )
    return rows


def _shown(found: list[Found]) -> Table:
    table = Table(title="tracks of artists that did not teach the rules, ranked by the rules")
    for column in ("data", "genre", "tagged", "area (95 %)", f"of the first {FIRST}", "of all", "times chance"):
        table.add_column(column, justify="left" if column in ("data", "genre") else "right")
    for row in found:
        table.add_row(
            row.data,
            row.genre,
            f"{row.tagged:,}",
            f"{row.auc:.3f} ({row.auc_low:.3f}–{row.auc_high:.3f})",
            f"{row.among_first:.0%}",
            f"{row.among_all:.0%}",
            f"{row.among_first / row.among_all:.1f}",
        )
    return table


if __name__ == "__main__":
    main()

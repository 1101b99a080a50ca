"""The one door to every format: a path or a URL goes in, its format is recognised by names, a data set comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from audotics.data.dataset import DataError, Dataset
from audotics.data.loaders.hetrec import load_hetrec
from audotics.data.loaders.ncf_ratings import TRAIN_SUFFIX, load_ncf_ratings
from audotics.data.loaders.postgres import is_postgres_url, load_postgres
from audotics.data.loaders.server_state import is_server_state, load_server_state
from audotics.data.loaders.server_state.connection import SQLITE, shown
from audotics.data.loaders.spotify_songs import SONGS_FILE, load_spotify_songs
from audotics.data.loaders.tabular import LAYOUTS, load_tabular
from audotics.data.loaders.yes_playlists import load_yes_playlists


def load(
    source: Path | str,
    *,
    skip_bad_rows: bool = False,
    columns: Mapping[str, str] | None = None,
    watch: Callable[[int], object] | None = None,
) -> Dataset:
    """Load a folder, a file or a database of any known form; `report` says what was read and dropped.

    A database is a server's own (`sqlite:///…`, `postgresql://…`) or has the tables of `load_postgres`. The first
    broken row raises DataError with file, line and reason; with `skip_bad_rows`, broken rows are left out and counted.
    `columns` names the columns of plain CSV, TSV, Parquet or of a database, see `load_tabular` and `load_postgres`;
    `watch` learns how many rows of a database were read. A format that is not recognised raises DataError that says
    what was looked for.
    """
    if str(source).startswith(SQLITE) or (is_postgres_url(str(source)) and is_server_state(str(source))):
        if columns:
            raise DataError(f"{shown(str(source))}: is the database of a server, whose columns need no mapping")
        return load_server_state(str(source), watch=watch)
    if is_postgres_url(str(source)):
        return load_postgres(str(source), columns=columns, skip_bad_rows=skip_bad_rows, watch=watch)
    path = Path(source)
    if not path.exists():
        raise DataError("there is no such file or folder", path=path)
    interactions = _tabular_file(path, "interactions")
    if interactions is not None:
        tracks = _tabular_file(path, "tracks") if path.is_dir() else None
        return load_tabular(interactions, tracks=tracks, columns=columns, skip_bad_rows=skip_bad_rows)
    if columns:
        raise DataError(
            "a column mapping is for plain CSV, TSV and Parquet files and for databases; this is none", path=path
        )
    if (path / "song_hash.txt").is_file() and (path / "train.txt").is_file():
        return load_yes_playlists(path, skip_bad_rows=skip_bad_rows)
    if (path / "user_artists.dat").is_file():
        return load_hetrec(path, skip_bad_rows=skip_bad_rows)
    if any(path.glob(f"*{TRAIN_SUFFIX}")):
        return load_ncf_ratings(path, skip_bad_rows=skip_bad_rows)
    if path.name == SONGS_FILE or (path / SONGS_FILE).is_file():
        return load_spotify_songs(path, skip_bad_rows=skip_bad_rows)
    suffixes = "|".join(suffix.removeprefix(".") for suffix in LAYOUTS)
    raise DataError(
        "the format is not recognised. Looked for: song_hash.txt with train.txt (Yes playlists); user_artists.dat "
        f"(HetRec Last.fm); *{TRAIN_SUFFIX} (NCF ratings); {SONGS_FILE} (Spotify songs); interactions.({suffixes}) in "
        f"a folder, with or without tracks.({suffixes}); or a single .({suffixes}) file of interactions",
        path=path,
    )


def _tabular_file(path: Path, stem: str) -> Path | None:
    """The file itself, or the one of that stem in the folder."""
    if path.is_dir():
        return next((file for suffix in LAYOUTS if (file := path / f"{stem}{suffix}").is_file()), None)
    return path if path.suffix.lower() in LAYOUTS and path.name != SONGS_FILE else None

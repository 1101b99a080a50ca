"""The door to labelled tracks: a path goes in, its format is recognised by file names, tracks with classes come out."""

from __future__ import annotations

from pathlib import Path

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.gtzan import GTZAN_FILE, load_gtzan
from audotics.data.loaders.mood import MOOD_FILE, load_mood
from audotics.data.loaders.product_genres import load_product_genres
from audotics.data.loaders.spotify_songs import SONGS_FILE

_FORMATS = {
    GTZAN_FILE: ("genre", load_gtzan),
    SONGS_FILE: ("genre", load_product_genres),
    MOOD_FILE: ("mood", load_mood),
}


def label_of(path: Path) -> str | None:
    """What the tracks of `path` are labelled with, "genre" or "mood", where it holds nothing else; else None."""
    for name, (kind, _) in _FORMATS.items():
        if name != SONGS_FILE and (path.name == name or (path / name).is_file()):
            return kind
    return None


def load_labelled(path: Path, kind: str, *, skip_bad_rows: bool = False) -> LabelledTracks:
    """Load tracks with the classes of `kind`, "genre" or "mood", from a file or folder.

    Raises DataError that says what was looked for.
    """
    if not path.exists():
        raise DataError("there is no such file or folder", path=path)
    for name, (of, loader) in _FORMATS.items():
        if of == kind and (path.name == name or (path / name).is_file()):
            return loader(path, skip_bad_rows=skip_bad_rows)
    names = " or ".join(name for name, (of, _) in _FORMATS.items() if of == kind)
    raise DataError(
        f"holds no tracks labelled with a {kind}. Looked for: {names}. Other data train other kinds: "
        "`audotics train all` trains those that they suit",
        path=path,
    )

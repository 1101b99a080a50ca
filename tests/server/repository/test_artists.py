"""Artists of a catalogue, as pages of names and by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.bundle.catalog import Histories
from audotics.server.repository.artists import ArtistIndex, genre_counts
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.records import columns_of
from audotics.server.types import TrackRecord


def catalog_of(*records: TrackRecord) -> Catalog:
    nobody = Histories(np.asarray([], object), np.asarray([0]), np.asarray([], np.int32))
    return Catalog.build(columns_of(records), nobody, version=1, generation=0)


def by(artist: str, track_id: str, *tags: str) -> TrackRecord:
    return TrackRecord(track_id, artist=artist, tags=tags)


def names(index: ArtistIndex, *, limit: int = 100, prefix: str = "", after: str | None = None) -> list[str]:
    return [artist.name for artist in index.page(prefix=prefix, limit=limit, after=after)[0]]


@pytest.fixture
def catalog() -> Catalog:
    return catalog_of(
        by("Zoë", "t1"), by("abba", "t2"), by("", "t3"), by("ABBA", "t4"), by("Abba", "t5"), by("abba", "t6")
    )


def test_names_are_in_order_whatever_their_case(catalog: Catalog) -> None:
    index = ArtistIndex(catalog)
    assert names(index) == ["ABBA", "Abba", "abba", "Zoë"]
    assert names(index, prefix="aBB") == ["ABBA", "Abba", "abba"]
    assert names(index, prefix="ZOË") == ["Zoë"]
    assert names(index, prefix="b") == []


def test_an_artist_has_the_rows_of_their_tracks(catalog: Catalog) -> None:
    index = ArtistIndex(catalog)
    found = index.find("abba")
    assert found is not None
    assert list(catalog.columns.ids[found.rows]) == ["t2", "t6"]
    assert index.find("aBBA") is None
    assert index.find("") is None


def test_tracks_that_are_deleted_or_change_hands_are_followed(catalog: Catalog) -> None:
    changed = catalog.with_changes(upserts=[by("Zoë", "t2"), by("New", "t7")], deletes=["t1", "t4"])
    index = ArtistIndex(changed)
    assert names(index) == ["Abba", "abba", "New", "Zoë"]
    found = index.find("Zoë")
    assert found is not None
    assert list(changed.columns.ids[found.rows]) == ["t2"]
    assert names(ArtistIndex(changed.with_changes(deletes=list(changed.columns.ids)))) == []


def test_genres_are_counted_the_most_frequent_first() -> None:
    catalog = catalog_of(by("A", "t1", "jazz"), by("A", "t2", "jazz", "rock"), by("A", "t3"), by("B", "t4", "rock"))
    index = ArtistIndex(catalog)
    found = index.find("A")
    assert found is not None
    assert genre_counts(catalog, found.rows) == [("jazz", 2), ("rock", 1)]


texts = st.text(alphabet="aAbBßéİ ", max_size=4)


@settings(deadline=None)
@given(artists=st.lists(texts, max_size=12), prefix=texts, limit=st.integers(1, 4), deleted=st.sets(st.integers(0, 11)))
def test_pages_hold_every_artist_of_a_prefix_once(
    artists: list[str], prefix: str, limit: int, deleted: set[int]
) -> None:
    catalog = catalog_of(*(by(artist, f"t{place}") for place, artist in enumerate(artists)))
    index = ArtistIndex(catalog.with_changes(deletes=[f"t{place}" for place in deleted]))
    left = {artist for place, artist in enumerate(artists) if place not in deleted and artist}
    found: list[str] = []
    after: str | None = None
    while True:
        page, after = index.page(prefix=prefix, limit=limit, after=after)
        found += [artist.name for artist in page]
        if after is None:
            break
        assert len(page) == limit
    wanted = [name for name in left if name.casefold().startswith(prefix.casefold())]
    assert found == sorted(wanted, key=lambda name: (name.casefold(), name))

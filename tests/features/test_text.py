"""Words of tracks: tokens, TF-IDF beside scikit-learn's, and descriptions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from audotics.data.synthetic import synthetic
from audotics.features.history import PADDING
from audotics.features.text import TextEncoder, TokenBags, descriptions, phrase, text_tokens, track_tokens, words
from audotics.features.tracks import TagSets, TrackColumns

TRACKS = TrackColumns.build(
    ["a", "b", "c"],
    titles=["Rock 'n' Roll, Rock!", "Ólafur Arnalds", ""],
    artists=["The Band", "Ólafur Arnalds", ""],
    albums=["Live", "", ""],
    release_years=np.asarray([1972, 0, 0]),
    tags=TagSets.from_lists([["Hard Rock", "live"], ["neo-classical", "hard rock"], ["!!!"]]),
)
ENCODER = TextEncoder(("the band", "rock", "hard rock"), np.asarray([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't Stop", ["don't", "stop"]),
        ("AC/DC – Back_in Black (1980)", ["ac", "dc", "back", "in", "black", "1980"]),
        ("Björk 東京", ["björk", "東京"]),
        ("", []),
        ("?!", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_artists_and_tags_are_one_token_each() -> None:
    assert phrase("  Hip-Hop ") == "hip hop"
    assert track_tokens(TRACKS)[0] == ["rock", "n", "roll", "rock", "the band", "hard rock", "live"]


def test_a_title_that_is_the_artist_counts_once_and_empty_tokens_do_not_count() -> None:
    assert track_tokens(TRACKS)[1:] == [["ólafur arnalds", "neo classical", "hard rock"], []]


def test_a_free_text_names_words_and_phrases() -> None:
    assert text_tokens("Hard rock live") == ["hard", "rock", "live", "hard rock", "rock live", "hard rock live"]


def test_encoding_keeps_repeats_and_drops_what_is_unknown() -> None:
    bags = ENCODER.encode(TRACKS)

    assert bags.offsets.tolist() == [0, 4, 5, 5]
    assert bags.codes.tolist() == [1, 1, 0, 2, 2]
    np.testing.assert_array_equal(bags.padded(), [[1, 1, 0, 2], [2, PADDING, PADDING, PADDING], [PADDING] * 4])


def test_a_free_text_is_encoded_with_its_phrases() -> None:
    assert ENCODER.encode_texts(["The Band's hard rock", "The Band"]).codes.tolist() == [1, 2, 0]


def test_no_tracks_and_no_tokens_are_one_column_of_padding() -> None:
    assert ENCODER.bags([]).padded().shape == (0, 1)
    assert ENCODER.bags([[]]).padded().tolist() == [[PADDING]]


def test_tfidf_by_hand() -> None:
    rows, codes, weights = ENCODER.tfidf(TokenBags(np.asarray([0, 3, 3, 4]), np.asarray([1, 0, 1, 2])))

    assert rows.tolist() == [0, 0, 2]
    assert codes.tolist() == [0, 1, 2]
    np.testing.assert_allclose(weights, [1 / 17**0.5, 4 / 17**0.5, 1.0])


@pytest.mark.parametrize("min_df", [1, 2])
def test_tfidf_agrees_with_scikit_learn(min_df: int) -> None:
    documents = track_tokens(synthetic(n_tracks=300, n_users=20, seed=3, mean_history=8).tracks)
    documents += [["again"] * 7 + ["and"] * 2, [], ["again"]]
    vectorizer = TfidfVectorizer(analyzer=lambda tokens: tokens, min_df=min_df)
    expected = vectorizer.fit_transform(documents)
    encoder = TextEncoder(tuple(vectorizer.get_feature_names_out()), vectorizer.idf_)
    encoder = TextEncoder.from_json(json.loads(json.dumps(encoder.to_json())))

    rows, codes, weights = encoder.tfidf(encoder.bags(documents))

    actual = np.zeros(expected.shape)
    actual[rows, codes] = weights
    assert expected.nnz > 1000
    np.testing.assert_allclose(actual, expected.toarray(), atol=1e-9, rtol=0)


def test_descriptions_leave_out_what_is_unknown() -> None:
    assert descriptions(TRACKS) == [
        "Rock 'n' Roll, Rock! by The Band, from Live (1972). hard rock, live.",
        "Ólafur Arnalds. neo-classical, hard rock.",
        "!!!.",
    ]
    assert descriptions(TrackColumns.build(["x", "y"], titles=["", "T"], release_years=np.asarray([0, 1999]))) == [
        "",
        "T (1999).",
    ]

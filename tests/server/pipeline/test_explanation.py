"""Reasons of single tracks: which are given, in what order, and when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.genres import GENRES
from audotics.features.moods import MOODS
from audotics.server.pipeline.explanation import Explainer
from audotics.server.pipeline.taste import Taste
from audotics.server.types import Context, Contribution, Subject, TrackRecord

TASTE = Taste(np.asarray([3, 8]), 2, None, np.asarray([[1, 0], [0, 1]], np.float32), ())
HEARD = "Listeners with your taste play it"


@pytest.fixture
async def explain(stage):
    """`explain(row, {model: contribution}, …)`: the reasons.

    Row 200 is a track of which nothing is known, 201 has a tag, and those from 202 on have a sound and no tag.
    """
    sounds = [TrackRecord(f"sounds {row}", audio=stage.snapshot.catalog.record(row).audio) for row in range(20)]
    await stage.registry.apply_tracks(upserts=[TrackRecord("bare"), TrackRecord("tagged", tags=("jazz",)), *sounds])

    def reasons(row, parts, *, context=None, embedding=(0.0, 0.0), taste=TASTE, subject=None):
        explainer = Explainer(
            stage.snapshot.catalog,
            taste,
            context=Context() if context is None else context,
            subject=Subject("user", user_id="u01") if subject is None else subject,
        )
        given = [Contribution(model, 0.5, 2.0 * contribution) for model, contribution in parts.items()]
        return explainer.reasons(row, given, np.asarray(embedding, np.float32))

    reasons.catalog = stage.snapshot.catalog
    return reasons


async def test_the_strongest_contribution_comes_first_and_what_speaks_against_a_track_is_not_said(explain):
    played = f"Popular: played {int(explain.catalog.columns.plays[5]):,} times"
    title = explain.catalog.columns.titles[8]
    following = f"Often comes soon after “{title}”, which you played"
    assert explain(5, {"popularity": 0.1, "ncf": 0.3, "collaborative": 0.2}) == (HEARD, played)
    assert explain(5, {"popularity": 0.5, "ncf": 0.3, "sequence": 0.4}) == (played, following, HEARD)
    assert explain(5, {"popularity": -0.5, "ncf": 0.0}) == ()


async def test_no_more_than_three_reasons_are_given(explain):
    row = int(np.argmax(explain.catalog.genres[:, GENRES.index("jazz")]))
    mood = MOODS[int(explain.catalog.moods[row].argmax())]
    parts = {"context": 0.9, "ncf": 0.5, "popularity": 0.4, "content": 0.3}
    found = explain(row, parts, context=Context(mood, ("jazz",)), embedding=(1, 0))
    assert found == (f"Fits the mood {mood}", "Is jazz, as you asked", HEARD)


async def test_the_most_similar_track_is_named_when_it_is_similar(explain):
    columns = explain.catalog.columns
    said = [f"Similar to “{columns.titles[row]}” by {columns.artists[row]}, which you played" for row in (3, 8)]
    assert explain(5, {"content": 0.1}, embedding=(0.5, 0.31)) == (said[0],)
    assert explain(5, {"content": 0.1}, embedding=(0.2, 0.31)) == (said[1],)
    assert explain(5, {"content": 0.1}, embedding=(0.2, 0.29)) == ()
    bare = Taste(np.asarray([200]), 1, None, np.asarray([[1, 0]], np.float32), ())
    session = Subject("session", track_ids=("bare",))
    heard = "“bare”, which you heard in this session"
    assert explain(5, {"content": 0.1}, embedding=(1, 0), taste=bare, subject=session) == (f"Similar to {heard}",)
    assert explain(5, {"sequence": 0.1}, taste=bare, subject=session) == (f"Often comes soon after {heard}",)
    nothing = Taste(np.empty(0, np.int64), 0, None, None, ())
    assert explain(5, {"content": 0.2, "sequence": 0.1}, embedding=(1, 0), taste=nothing) == ()


async def test_a_track_that_nobody_has_played_is_new_when_there_is_nothing_else_to_say(explain):
    assert explain(200, {"popularity": -0.1}) == ("New here: hardly anybody has played it yet",)
    assert explain(200, {"ncf": 0.1}) == (HEARD,)
    assert explain(5, {"popularity": -0.1}) == ()


async def test_a_situation_is_named_for_tracks_that_suit_it(explain):
    moods = explain.catalog.moods[:, MOODS.index("chill")]
    suits, does_not = int(moods[:190].argmax()), int(moods[:190].argmin())
    assert explain(suits, {"context": 0.1}, context=Context("chill")) == ("Fits the mood chill",)
    assert explain(does_not, {"context": 0.1}, context=Context("chill")) == ()
    assert explain(suits, {"context": 0.1}, context=Context(activity="relaxing")) == ("Suits relaxing",)
    assert explain(does_not, {"context": 0.1}, context=Context(activity="relaxing")) == ()


async def test_a_genre_is_named_by_tags_or_by_sound(explain):
    fits = explain.catalog.genre_fits
    row, column = np.unravel_index(fits[202:].argmax(), fits[202:].shape)
    alike, unlike = GENRES[column], GENRES[int(fits[202 + row].argmin())]
    assert fits[202 + row].min() == -1 < fits[202 + row, column] < 1
    parts = {"context": 0.1}
    found = explain(202 + row, parts, context=Context(genres=(alike, unlike)))
    assert found == (f"Sounds like {alike}, as you asked",)
    assert explain(201, parts, context=Context(genres=("rock", "jazz"))) == ("Is jazz, as you asked",)
    assert explain(200, parts, context=Context(genres=("jazz",))) == ("New here: hardly anybody has played it yet",)

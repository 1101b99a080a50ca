"""Which rows are scored: those that suit the context, popular ones where there are too few, and the best of many."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.hybrid import context_scores
from audotics.server.pipeline.candidates import ContextOrders, best_matches, choose_candidates
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.taste import Taste
from audotics.server.types import Context, TrackRecord

CONTEXTS = [
    Context(mood="chill"),
    Context(genres=("jazz",)),
    Context(activity="exercising"),
    Context("happy", day_part="night"),
]
FEW = PipelineOptions(context_candidates=20, minimum_candidates=10)


def choose(stage, near, context=None, *, allowed=None, limit=5, orders=None):
    return choose_candidates(
        stage.snapshot,
        np.asarray(near, np.int64),
        Context() if context is None else context,
        allowed=np.ones(len(stage.snapshot.catalog), np.bool_) if allowed is None else allowed,
        limit=limit,
        options=FEW,
        orders=ContextOrders() if orders is None else orders,
    ).tolist()


def suitable(catalog, context: Context) -> np.ndarray:
    """Rows by how well they suit, and how popular they are."""
    scores = context_scores(
        catalog.moods,
        catalog.genre_fits,
        mood=context.mood,
        wanted_genres=context.genres,
        activity=context.activity,
        day_part=context.day_part,
    )
    return np.argsort(-(scores + catalog.signals.popularity), kind="stable")


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
@pytest.mark.parametrize(("limit", "count"), [(5, 20), (30, 60)])
async def test_those_that_suit_the_context_best_join_the_near_ones(stage, context, limit, count):
    allowed = np.arange(200) % 3 > 0
    best = [row for row in suitable(stage.snapshot.catalog, context) if allowed[row]][:count]
    near = [1, 2, 2, 3, 4]
    assert choose(stage, near, context, allowed=allowed, limit=limit) == sorted({1, 2, 4, *best})


@pytest.mark.parametrize(("limit", "count"), [(5, 10), (30, 60)])
async def test_popular_ones_fill_up_what_is_too_little(stage, limit, count):
    allowed = np.arange(200) % 3 > 0
    popular = [row for row in stage.snapshot.catalog.signals.popular_order.tolist() if allowed[row]]
    assert choose(stage, [1, 2, 3], allowed=allowed, limit=limit) == sorted({1, 2, *popular[:count]})
    enough = [row for row in range(150) if allowed[row]]
    assert choose(stage, range(150), allowed=allowed, limit=limit) == enough
    assert choose(stage, [], allowed=np.zeros(200, np.bool_)) == []


async def test_without_anything_near_the_popular_ones_join_those_that_suit(stage):
    catalog, context = stage.snapshot.catalog, CONTEXTS[0]
    expected = {*suitable(catalog, context)[:20].tolist(), *catalog.signals.popular_order[:10].tolist()}
    assert choose(stage, [], context) == sorted(expected)


async def test_a_track_that_is_new_suits_at_once(stage):
    orders, context = ContextOrders(), Context(genres=("jazz",))
    choose(stage, range(30), context, limit=30, orders=orders)
    await stage.registry.apply_tracks(upserts=[TrackRecord("new", tags=("jazz",)), TrackRecord("other")])
    # Fifty others are jazz, and sixty come by their context, so that no popular ones are needed.
    rows = choose(stage, range(30), context, limit=30, orders=orders)
    assert (200 in rows, 201 in rows) == (True, False)


async def test_of_too_many_matches_those_with_the_best_scores_are_taken(stage):
    snapshot = stage.snapshot
    taste = Taste.read(snapshot, stage.listener("u01").history)
    matches = np.arange(0, 200, 2)
    scores = snapshot.collaborative.scores(taste.user_vector, matches)
    best = np.sort(matches[np.argsort(-scores, kind="stable")[:30]])
    assert best_matches(snapshot, taste, matches, limit=30).tolist() == best.tolist()
    assert best_matches(snapshot, taste, matches, limit=100).tolist() == matches.tolist()


async def test_without_scores_the_most_popular_are_taken(repository, make_repository, tmp_path, open_stage):
    """The model of the second repository lacks the last ten tracks, which come after all others."""
    files = make_repository(tmp_path / "other", other_rows=True)
    async with open_stage(files.path) as stage:
        snapshot = stage.snapshot
        popularity = snapshot.catalog.signals.popularity
        nobody = Taste.read(snapshot, np.empty(0, np.int64))
        popular = np.sort(np.lexsort((np.arange(200), -popularity))[:30])
        chosen = best_matches(snapshot, nobody, np.arange(200), limit=30)
        assert popularity[chosen].min() >= popularity[popular].min()
        taste = Taste.read(snapshot, stage.listener("u01").history)
        unknown = np.flatnonzero(np.isnan(snapshot.collaborative.scores(taste.user_vector, np.arange(200))))
        known = np.setdiff1d(np.arange(200), unknown)
        assert len(unknown) == 10
        chosen = best_matches(snapshot, taste, np.arange(200), limit=193)
        assert set(known) <= set(chosen.tolist())
        left_out = np.setdiff1d(unknown, chosen)
        assert popularity[left_out].max() <= popularity[np.setdiff1d(chosen, known)].min()

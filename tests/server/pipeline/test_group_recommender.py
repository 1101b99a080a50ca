"""`GroupRecommender` on real bundles: what a group did and voted, what it never gets, and lists by another tilt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from audotics.server.pipeline.group_query import NOTHING_DONE, Deeds, GroupMember, GroupQuery, Strategy
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.pipeline.made_list import MadeGroupList
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.types import Context, Degradation, DegradationReason, Draw, Objectives, TrackFilter, multiplied

TASTES = ("u00", "u01")
OTHER = (0.1, 2.0, 1.0, 1.0, 4.0, 1.0)


@pytest.fixture
def listed() -> list[MadeGroupList]:
    """Every list that was shown, with what it was made from."""
    return []


@pytest.fixture
def recommend(stage, listed):
    """`recommend(*user_ids, deeds=…, degraded=…, listeners=…, **query)`: ids of the tracks, and the answer."""
    group = GroupRecommender(stage.recommender, executor=stage.executor, on_listed=listed.append)

    async def made(*user_ids, deeds=NOTHING_DONE, degraded=(), listeners=None, limit=10, **query):
        members = tuple(GroupMember(user_id) for user_id in user_ids)
        listeners = [stage.listener(user_id) for user_id in user_ids] if listeners is None else listeners
        wanted = GroupQuery(members, limit, **query)
        answer = await group.recommend(stage.snapshot, listeners, wanted, deeds=deeds, degraded=degraded)
        return [track.track_id for track in answer.tracks], answer

    return made


def votes(*cast: tuple[int, int, bool], done=()) -> Deeds:
    """Rows, members, and whether they are for the track."""
    rows, voters, for_it = (np.asarray(column) for column in zip(*cast, strict=True))
    return Deeds(NOTHING_DONE.events, rows, voters, for_it, np.asarray(done, np.int64))


def unlikely(stage, listed) -> int:
    """A track that neither of the two has heard, and that was no candidate of theirs."""
    heard = np.concatenate([stage.listener(user_id).seen for user_id in TASTES])
    return int(np.setdiff1d(np.arange(200), np.concatenate([heard, listed[0].rows]))[0])


@pytest.fixture
async def narrow(repository, open_stage, listed):
    """As `recommend`, of few candidates: (stage, recommend, a row that is none of them)."""
    options = {"collaborative_candidates": 10, "candidates_per_interest": 2, "minimum_candidates": 10}
    async with open_stage(repository.path, **options) as stage:
        group = GroupRecommender(stage.recommender, executor=stage.executor, on_listed=listed.append)

        async def made(**query):
            deeds = query.pop("deeds", NOTHING_DONE)
            wanted = GroupQuery(tuple(map(GroupMember, TASTES)), query.pop("limit", 5), diversity=0.0, **query)
            listeners = [stage.listener(user_id) for user_id in TASTES]
            answer = await group.recommend(stage.snapshot, listeners, wanted, deeds=deeds)
            return [track.track_id for track in answer.tracks]

        await made()
        yield stage, made, unlikely(stage, listed)


async def test_a_track_that_is_voted_for_is_a_candidate(narrow, listed):
    _, recommend, row = narrow
    ids = await recommend(deeds=votes((row, 0, True), (row, 1, True)))
    assert ids[0] == f"t{row:03d}"
    assert len(listed[1].rows) == len(listed[0].rows) + 1
    await recommend(deeds=votes((row, 0, False)))
    assert row not in listed[-1].rows


@pytest.mark.parametrize("barred", ["done", "excluded", "filter", "deleted", "seen"])
async def test_no_vote_brings_back_what_must_not_come(narrow, barred):
    stage, recommend, row = narrow
    query = {"deeds": votes((row, 0, True), (row, 1, True))}
    match barred:
        case "done":
            query["deeds"] = votes((row, 0, True), (row, 1, True), done=[row])
        case "excluded":
            query["excluded"] = (f"t{row:03d}", "not there")
        case "filter":
            query["filter"] = TrackFilter(excluded_artists=(stage.snapshot.catalog.columns.artists[row],))
        case "deleted":
            await stage.registry.apply_tracks(deletes=[f"t{row:03d}"])
        case "seen":
            seen = int(stage.listener("u00").seen[0])
            query["deeds"] = votes((seen, 0, True), (seen, 1, True))
            row = seen
    query |= {"limit": 100, "include_heard": barred == "done"}
    ids = await recommend(**query)
    assert f"t{row:03d}" not in ids
    deeds = replace(query["deeds"], voted_rows=NOTHING_DONE.voted_rows, voters=NOTHING_DONE.voters)
    assert ids == await recommend(**query | {"deeds": replace(deeds, votes_for=NOTHING_DONE.votes_for)})


async def test_what_a_group_has_played_does_not_come_again(recommend, stage):
    first, _ = await recommend(*TASTES)
    rows = stage.snapshot.catalog.rows_of(first[:3])
    for include_heard in (False, True):
        again, _ = await recommend(
            *TASTES, deeds=replace(NOTHING_DONE, done=rows), include_heard=include_heard, limit=60
        )
        assert not set(first[:3]) & set(again)


async def test_a_vote_is_what_a_track_is_worth_to_who_cast_it(recommend, stage):
    first, _ = await recommend(*TASTES, explain=True)
    row = stage.snapshot.catalog.row_of(first[0])
    for for_it, worth in ((True, 1.0), (False, 0.0)):
        _, answer = await recommend(*TASTES, deeds=votes((row, 1, for_it)), explain=True, limit=150)
        voted = next(track for track in answer.tracks if track.track_id == first[0])
        assert voted.worth[1] == worth
    _, answer = await recommend(*TASTES, deeds=votes((row, 0, False), (row, 1, False)))
    assert first[0] not in {track.track_id for track in answer.tracks}


async def test_members_bring_enough_candidates_for_the_list(recommend, listed):
    """A hundred strangers would bring the same ten; two members bring hundreds."""
    ids, _ = await recommend(*[f"new{number}" for number in range(100)], limit=15)
    assert len(ids) == 15
    await recommend(*TASTES, limit=5)
    assert len(listed[-1].rows) > 100


async def test_members_listen_in_their_own_context_unless_the_group_has_one(recommend, stage):
    chill = [replace(stage.listener(user_id), context=Context("chill")) for user_id in TASTES]
    plain, _ = await recommend(*TASTES)
    own, _ = await recommend(*TASTES, listeners=chill)
    together, _ = await recommend(*TASTES, context=Context("chill"))
    assert own == together != plain
    energetic, _ = await recommend(*TASTES, listeners=chill, context=Context("energetic"))
    assert energetic == (await recommend(*TASTES, context=Context("energetic")))[0]


@pytest.mark.parametrize("strategy", [Strategy.AVERAGE, Strategy.FAIRNESS])
async def test_a_list_is_a_little_varied_unasked_and_serves_its_objectives(recommend, stage, strategy):
    async def rows(**query) -> list[int]:
        ids, _ = await recommend(*TASTES, strategy=strategy, limit=15, **query)
        return stage.snapshot.catalog.rows_of(ids).tolist()

    plain = await rows()
    assert plain == await rows(diversity=PipelineOptions().default_diversity) != await rows(diversity=0.0)
    plays = stage.snapshot.catalog.columns.plays
    novel = await rows(objectives=Objectives(relevance=0.2, novelty=1.0))
    assert plays[novel].mean() < plays[plain].mean() / 2


async def test_what_took_no_part_is_said_once(stage, recommend):
    unknown = Degradation("user", DegradationReason.UNKNOWN_USER, "'x' is new")
    await stage.registry.unload_version("ncf", 1)
    failed = Degradation("hybrid", DegradationReason.FAILED, "it failed")
    _, answer = await recommend(*TASTES, degraded=[unknown, failed, unknown])
    assert [entry.part for entry in answer.degraded] == ["user", "hybrid", "ncf"]
    assert set(dict(answer.model_versions)) == {"collaborative", "content"}


async def test_who_has_no_say_is_not_missed_by_the_floor(stage):
    group = GroupRecommender(stage.recommender, executor=stage.executor)
    listeners = [stage.listener(user_id) for user_id in TASTES]
    for weight, missed in ((0.0, []), (1.0, ["fairness_floor"])):
        members = (GroupMember("u00"), GroupMember("u01", weight))
        answer = await group.recommend(stage.snapshot, listeners, GroupQuery(members, 10, fairness_floor=0.99))
        assert [entry.part for entry in answer.degraded] == missed


@pytest.mark.parametrize("strategy", [Strategy.AVERAGE, Strategy.FAIRNESS])
@pytest.mark.parametrize("tilt", [(), (1.0, 0.2, 3.0, 1.0, 1.0, 1.0)])
async def test_the_list_of_another_draw_is_the_one_that_would_have_been_made(recommend, stage, listed, strategy, tilt):
    drawn = Draw("", "", "drawn", (3.0, 1.0, 0.1, 1.0, 1.0, 1.0), 0.5, 1)
    shown, _ = await recommend(*TASTES, strategy=strategy, tilt=tilt, draw=drawn, fairness_floor=0.5)
    expected, _ = await recommend(*TASTES, strategy=strategy, tilt=multiplied(tilt, OTHER), fairness_floor=0.5)
    again = stage.snapshot.catalog.columns.ids[listed[0].listed_with(OTHER)].tolist()
    assert again == expected != shown
    assert listed[1].listed_with is None  # nothing was drawn


async def test_a_list_that_its_watchers_have_is_made_for_nobody(recommend, listed):
    ids, _ = await recommend(*TASTES)
    await recommend(*TASTES, shown=tuple(ids))
    assert len(listed) == 1
    await recommend(*TASTES, shown=tuple(reversed(ids)))
    assert len(listed) == 2


async def test_requests_at_once_get_what_each_gets_alone(recommend):
    groups = [("u00", "u01"), ("u02",), ("u03", "u04", "nobody")]
    alone = [(await recommend(*group))[0] for group in groups]
    assert [ids for ids, _ in await asyncio.gather(*(recommend(*group) for group in groups))] == alone


def test_a_group_has_one_name_whoever_is_named_first() -> None:
    def key(*user_ids, session_id=""):
        return GroupQuery(tuple(map(GroupMember, user_ids)), 5, session_id=session_id).key

    assert key("a", "b") == key("b", "a") != key("a", "c")
    assert key("a,b") != key("a", "b")
    assert key("a", session_id="evening") == key("b", session_id="evening") == "sessions/evening"

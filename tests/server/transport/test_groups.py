"""`RecommendGroup` over a real channel: strategies, fairness, what is left out, and every wrong field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import feedback_service_pb2, track_pb2
from audotics.v1 import recommender_service_pb2 as pb
from tests.server.group_bundles import write_group_model

Details = Callable[..., list[Any]]
STRATEGIES = [number for number in pb.GroupStrategy.values() if number]


def group(*user_ids: str, limit: int = 12, **fields: Any) -> pb.RecommendGroupRequest:
    members = [pb.GroupMember(user_id=user_id) for user_id in user_ids]
    return pb.RecommendGroupRequest(members=members, limit=limit, **fields)


def taste_counts(answer: Any) -> list[int]:
    tastes = [int(track.track_id[1:]) % 4 for track in answer.tracks]
    return [tastes.count(taste) for taste in range(4)]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_strategy_makes_a_list_for_all(server: Any, repository: Any, strategy: int) -> None:
    answer = await server.recommender.RecommendGroup(group("u00", "u01", "u05", strategy=strategy, explain=True))
    heard = {
        str(track_id) for user in ("u00", "u01", "u05") for track_id in repository.tracks.ids[repository.history(user)]
    }
    tracks = [track.track_id for track in answer.tracks]
    assert len(set(tracks)) == 12
    assert not set(tracks) & heard
    assert [member.user_id for member in answer.members] == ["u00", "u01", "u05"]
    assert all(0.0 <= member.satisfaction <= 1.0 for member in answer.members)
    assert sum(member.weight for member in answer.members) == pytest.approx(1.0)
    assert 0.0 <= answer.harmony <= 1.0
    assert answer.recommendation_id
    assert {used.model for used in answer.model_versions} >= {"ncf", "hybrid"}
    for track in answer.tracks:
        assert len(track.worth) == 3
        assert all(0.0 <= worth <= 1.0 for worth in track.worth)
        assert track.reasons
        assert {part.model for part in track.contributions} >= {"ncf", "collaborative", "content"}
    if strategy == pb.GROUP_STRATEGY_LEARNED_ATTENTION:
        assert answer.strategy == pb.GROUP_STRATEGY_AVERAGE
        assert [(part.part, part.reason) for part in answer.degraded] == [("group", pb.DEGRADATION_REASON_UNAVAILABLE)]
    else:
        assert answer.strategy == strategy
        assert list(answer.degraded) == []


async def test_a_list_leaves_a_receipt_that_names_nobody(server: Any) -> None:
    made = await server.recommender.RecommendGroup(group("u00", "u01", strategy=pb.GROUP_STRATEGY_LEAST_MISERY))
    await server.feedback.DeleteUser(feedback_service_pb2.DeleteUserRequest(user_id="u00"))
    explained = await server.recommender.ExplainRecommendation(
        pb.ExplainRecommendationRequest(recommendation_id=made.recommendation_id)
    )
    listed = [(candidate.track_id, candidate.rank) for candidate in explained.candidates if candidate.rank]
    assert listed == [(track.track_id, rank) for rank, track in enumerate(made.tracks, 1)]
    scores = {candidate.track_id: candidate.recorded_score for candidate in explained.candidates}
    assert [scores[track.track_id] for track in made.tracks] == [track.score for track in made.tracks]
    assert len(scores) > len(made.tracks)
    assert explained.model_versions == made.model_versions
    assert explained.not_replayed_reason.startswith("the list was made for a group")


async def test_a_group_of_one_is_served_what_they_like(server: Any) -> None:
    answer = await server.recommender.RecommendGroup(group("u02", diversity=0.0))
    (member,) = answer.members
    assert member.satisfaction > 0.9
    assert answer.harmony == 1.0
    assert taste_counts(answer)[2] == 12


async def test_the_average_follows_the_many_and_fairness_does_not_forget_the_one(server: Any) -> None:
    members = ("u00", "u04", "u08", "u01")  # three of taste 0, one of taste 1
    average = await server.recommender.RecommendGroup(group(*members, diversity=0.0))
    fair = await server.recommender.RecommendGroup(group(*members, diversity=0.0, strategy=pb.GROUP_STRATEGY_FAIRNESS))
    assert taste_counts(average)[0] >= 10
    assert taste_counts(fair)[1] >= 3
    assert fair.members[3].satisfaction > average.members[3].satisfaction
    assert fair.harmony > average.harmony
    assert {track.chosen_for for track in fair.tracks} >= {"u01"}
    assert {track.chosen_for for track in average.tracks} == {""}


async def test_weights_move_the_list(server: Any) -> None:
    async def of_taste_1(weight: float) -> int:
        members = [pb.GroupMember(user_id="u00", weight=1.0), pb.GroupMember(user_id="u01", weight=weight)]
        answer = await server.recommender.RecommendGroup(
            pb.RecommendGroupRequest(members=members, limit=12, diversity=0.0, strategy=pb.GROUP_STRATEGY_FAIRNESS)
        )
        assert answer.members[1].weight == pytest.approx(weight / (1.0 + weight))
        return taste_counts(answer)[1]

    assert await of_taste_1(0.0) == 0
    assert await of_taste_1(0.5) < await of_taste_1(1.0) < await of_taste_1(4.0)


async def test_a_floor_lifts_the_one_and_says_where_it_cannot(server: Any) -> None:
    members = ("u00", "u04", "u08", "u01")
    plain = await server.recommender.RecommendGroup(group(*members, diversity=0.0))
    floored = await server.recommender.RecommendGroup(group(*members, diversity=0.0, fairness_floor=0.4))
    assert plain.members[3].satisfaction < 0.4
    assert min(member.satisfaction for member in floored.members) >= 0.4 - 1e-6
    assert list(floored.degraded) == []
    assert len({track.track_id for track in floored.tracks}) == 12
    assert {track.chosen_for for track in plain.tracks} == {""}
    assert {track.chosen_for for track in floored.tracks} == {"", "u01"}
    wishful = await server.recommender.RecommendGroup(group(*members, fairness_floor=1.0))
    (missed,) = wishful.degraded
    assert (missed.part, missed.reason) == ("fairness_floor", pb.DEGRADATION_REASON_UNATTAINABLE)
    assert "below 100% of their best list stay" in missed.detail


async def test_context_filter_exclusions_and_objectives_hold(server: Any) -> None:
    first = await server.recommender.RecommendGroup(group("u00", "u01", limit=5))
    shown = [track.track_id for track in first.tracks]
    for strategy in STRATEGIES:
        answer = await server.recommender.RecommendGroup(
            group(
                *("u00", "u01"),
                limit=5,
                strategy=strategy,
                context=pb.RequestContext(mood=track_pb2.MOOD_CHILL),
                filter=pb.TrackFilter(genres=["jazz", "rock"]),
                exclude=pb.Exclusion(track_ids=shown),
                objectives=pb.Objectives(relevance=1.0, novelty=2.0),
            )
        )
        tracks = [track.track_id for track in answer.tracks]
        assert len(tracks) == 5
        assert not set(tracks) & set(shown)
        assert all(int(track_id[1:]) % 4 in (0, 1) for track_id in tracks)


async def test_what_members_know_may_come_but_never_what_one_turned_down(server: Any, repository: Any) -> None:
    heard = {str(track_id) for track_id in repository.tracks.ids[repository.history("u00")]}
    disliked = sorted(heard)[0]
    event = feedback_service_pb2.FeedbackEvent(
        event_id="e", user_id="u00", track_id=disliked, type=feedback_service_pb2.EVENT_TYPE_DISLIKE
    )
    await server.feedback.RecordFeedback(feedback_service_pb2.RecordFeedbackRequest(events=[event]))
    fresh = await server.recommender.RecommendGroup(group("u00", "u04", limit=150))
    known = await server.recommender.RecommendGroup(group("u00", "u04", limit=150, include_heard=True))
    assert not heard & {track.track_id for track in fresh.tracks}
    assert heard & {track.track_id for track in known.tracks}
    assert disliked not in {track.track_id for track in known.tracks}


async def test_an_unknown_member_is_served_as_new(server: Any) -> None:
    answer = await server.recommender.RecommendGroup(group("u00", "stranger"))
    assert len(answer.tracks) == 12
    (unknown,) = answer.degraded
    assert (unknown.part, unknown.reason) == ("user", pb.DEGRADATION_REASON_UNKNOWN_USER)
    assert "'stranger'" in unknown.detail


async def test_a_hundred_members_get_a_list(server: Any) -> None:
    users = [f"u{number:02d}" for number in range(30)] + [f"new{number}" for number in range(70)]
    answer = await server.recommender.RecommendGroup(group(*users, limit=5), timeout=60)
    assert len(answer.members) == 100
    assert len(answer.tracks) == 5


@pytest.mark.parametrize(
    "wishes", [{}, {"objectives": pb.Objectives(relevance=1.0, novelty=2.0)}, {"diversity": 1.0, "fairness_floor": 0.5}]
)
async def test_a_filter_that_nothing_passes_leaves_an_empty_list(
    start: Any, repository: Any, wishes: dict[str, Any]
) -> None:
    write_group_model(repository)
    nothing = pb.TrackFilter(artists=["Nobody"])
    async with start(repository.path) as server:
        for strategy in STRATEGIES:
            answer = await server.recommender.RecommendGroup(
                group("u00", "u01", filter=nothing, strategy=strategy, explain=True, **wishes)
            )
            assert list(answer.tracks) == []
            assert [part.reason for part in answer.degraded] == [pb.DEGRADATION_REASON_FEW_MATCHES]
            assert [member.satisfaction for member in answer.members] == [1.0, 1.0]


async def test_a_passed_deadline_is_an_error(server: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.RecommendGroup(group("u00", "u01"), timeout=0.0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (group(), {"members"}),
        (group(*[f"u{number}" for number in range(101)]), {"members"}),
        (group("u00", "u01", "u00"), {"members[2].user_id"}),
        (group("u00", ""), {"members[1].user_id"}),
        (group("u00", strategy=99), {"strategy"}),
        (group("u00", limit=0, fairness_floor=1.5), {"limit", "fairness_floor"}),
        (group("u00", fairness_floor=float("nan"), diversity=2.0), {"fairness_floor", "diversity"}),
        (
            pb.RecommendGroupRequest(
                members=[
                    pb.GroupMember(user_id="a", weight=-1.0),
                    pb.GroupMember(user_id="b", weight=float("nan")),
                    pb.GroupMember(user_id="c", weight=float("inf")),
                ],
                limit=5,
            ),
            {"members[0].weight", "members[1].weight", "members[2].weight"},
        ),
        (
            pb.RecommendGroupRequest(
                members=[pb.GroupMember(user_id="a", weight=0.0), pb.GroupMember(user_id="b", weight=0.0)], limit=5
            ),
            {"members"},
        ),
    ],
)
async def test_wrong_fields_are_named(
    server: Any, details: Details, request_: pb.RecommendGroupRequest, fields: set[str]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.RecommendGroup(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert {violation.field for violation in bad.field_violations} == fields


async def test_the_group_model_makes_the_list_where_there_is_one(start: Any, repository: Any) -> None:
    """The model knows all but ten tracks, and was trained with texts, of which the server has none."""
    known = repository.tracks.ids[:-10]
    write_group_model(repository, taste_size=3, ids=known)
    request = group("u00", "u04", "u01", strategy=pb.GROUP_STRATEGY_LEARNED_ATTENTION, diversity=0.0)
    async with start(repository.path) as server:
        answer = await server.recommender.RecommendGroup(request)
        newcomers = await server.recommender.RecommendGroup(
            group("new1", "new2", strategy=pb.GROUP_STRATEGY_LEARNED_ATTENTION)
        )
        listed = await server.recommender.RecommendGroup(group("u00", "u04"))
    assert answer.strategy == pb.GROUP_STRATEGY_LEARNED_ATTENTION
    assert [part.part for part in answer.degraded] == []
    assert {used.model: used.version for used in answer.model_versions}["group"] == 1
    assert {track.track_id for track in answer.tracks} <= set(known)
    assert taste_counts(answer)[0] >= 8
    assert len(newcomers.tracks) == 12
    assert "group" not in {used.model for used in listed.model_versions}


async def test_weights_reach_the_group_model(start: Any, repository: Any) -> None:
    write_group_model(repository)

    async def list_for(server: Any, weight: float) -> list[int]:
        members = [pb.GroupMember(user_id="u00", weight=1.0), pb.GroupMember(user_id="u01", weight=weight)]
        answer = await server.recommender.RecommendGroup(
            pb.RecommendGroupRequest(
                members=members, limit=12, diversity=0.0, strategy=pb.GROUP_STRATEGY_LEARNED_ATTENTION
            )
        )
        return taste_counts(answer)

    async with start(repository.path) as server:
        assert (await list_for(server, 0.2))[0] == 12
        assert (await list_for(server, 5.0))[1] == 12


async def test_a_group_model_that_does_not_fit_is_refused_and_the_average_serves(
    start: Any, repository: Any, sign_again: Any
) -> None:
    version = write_group_model(repository)
    bundle = repository.path / "group" / str(version)
    (bundle / "ids.arrow").write_bytes(b"no table")
    sign_again(bundle)
    async with start(repository.path) as server:
        answer = await server.recommender.RecommendGroup(
            group("u00", "u01", strategy=pb.GROUP_STRATEGY_LEARNED_ATTENTION)
        )
    assert answer.strategy == pb.GROUP_STRATEGY_AVERAGE
    (missing,) = answer.degraded
    assert (missing.part, missing.reason) == ("group", pb.DEGRADATION_REASON_UNAVAILABLE)
    assert "ids.arrow" in missing.detail

"""Between plain values about groups and protobuf: members go in and come out as messages, answers the other way."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from audotics.client.codec.recommendations import contributions, degraded, experiment_arms, model_versions
from audotics.client.codec.scalars import member, received
from audotics.client.results import groups as group_values
from audotics.v1 import group_service_pb2, recommender_service_pb2


def encode_members(
    members: Iterable[str | group_values.GroupMember],
) -> list[recommender_service_pb2.GroupMember]:
    """Raises TypeError for one bare string, whose characters would pass for ids."""
    if isinstance(members, str | bytes):
        raise TypeError(f"members takes several listeners, such as [{members!r}], not {members!r} alone")
    return [
        recommender_service_pb2.GroupMember(user_id=member)
        if isinstance(member, str)
        else recommender_service_pb2.GroupMember(user_id=member.user_id, weight=member.weight)
        for member in members
    ]


def encode_strategy(strategy: group_values.GroupStrategy | str) -> str:
    """The name of the enum's value. Raises ValueError for an unknown strategy."""
    return f"GROUP_STRATEGY_{member('strategy', strategy, group_values.GroupStrategy).name}"


def vote_name(vote: group_values.Vote | str) -> str:
    """Raises ValueError for what is no vote."""
    return member("vote", vote, group_values.Vote).name


def decode_session(message: group_service_pb2.Session) -> group_values.Session:
    return group_values.Session(
        name=message.name,
        strategy=_strategy(message.strategy),
        fairness_floor=message.fairness_floor,
        members=tuple(
            group_values.SessionMember(member.user_id, member.weight, member.joined_at.ToDatetime(tzinfo=UTC))
            for member in message.members
        ),
        now_playing=message.now_playing,
        votes=tuple(
            group_values.TrackVotes(votes.track_id, votes.up_count, votes.down_count) for votes in message.votes
        ),
        plays=tuple(
            group_values.SessionPlay(play.track_id, play.started_at.ToDatetime(tzinfo=UTC), play.skipped)
            for play in message.plays
        ),
        created_at=message.created_at.ToDatetime(tzinfo=UTC),
        ended_at=message.ended_at.ToDatetime(tzinfo=UTC) if message.HasField("ended_at") else None,
    )


def decode_group(message: recommender_service_pb2.RecommendGroupResponse) -> group_values.GroupRecommendation:
    return group_values.GroupRecommendation(
        recommendation_id=message.recommendation_id,
        tracks=tuple(
            group_values.GroupTrack(
                track_id=track.track_id,
                title=track.title,
                artist=track.artist,
                score=track.score,
                chosen_for=track.chosen_for,
                worth=tuple(track.worth),
                contributions=contributions(track.contributions),
                reasons=tuple(track.reasons),
            )
            for track in message.tracks
        ),
        members=tuple(
            group_values.MemberSatisfaction(member.user_id, member.satisfaction, member.weight)
            for member in message.members
        ),
        harmony=message.harmony,
        strategy=_strategy(message.strategy),
        model_versions=model_versions(message.model_versions),
        index_version=message.index_version,
        degraded=degraded(message.degraded),
        experiments=experiment_arms(message.experiments),
    )


def decode_compatibility(
    message: recommender_service_pb2.ScoreCompatibilityResponse,
) -> group_values.Compatibility:
    return group_values.Compatibility(
        user_ids=tuple(row.user_id for row in message.rows),
        matrix=tuple(tuple(row.scores) for row in message.rows),
        group_score=message.group_score,
        facets={facet.name: facet.score for facet in message.facets},
        shared=tuple(_factor(factor) for factor in message.shared),
        dividing=tuple(_factor(factor) for factor in message.dividing),
        model_versions=model_versions(message.model_versions),
        degraded=degraded(message.degraded),
    )


def decode_taste(message: recommender_service_pb2.AnalyzeTasteResponse) -> group_values.TasteAnalysis:
    pattern = message.pattern
    return group_values.TasteAnalysis(
        user_id=message.user_id,
        track_count=message.track_count,
        genres={item.name: item.share for item in message.genres},
        moods={item.name: item.share for item in message.moods},
        artists={item.name: item.share for item in message.artists},
        genre_diversity=message.genre_diversity if message.HasField("genre_diversity") else None,
        mood_diversity=message.mood_diversity if message.HasField("mood_diversity") else None,
        audio=tuple(
            group_values.AudioTrait(
                trait.feature, trait.mean, trait.standard_deviation, trait.catalog_mean, trait.deviation
            )
            for trait in message.audio
        ),
        pattern=group_values.ListeningPattern(
            pattern.event_count, pattern.local_event_count, tuple(pattern.hours), tuple(pattern.weekdays)
        ),
        trends=tuple(
            group_values.TasteTrend(_kind(trend.kind), trend.name, trend.earlier_share, trend.recent_share)
            for trend in message.trends
        ),
        insights=tuple(message.insights),
        degraded=degraded(message.degraded),
    )


def _factor(message: recommender_service_pb2.TasteFactor) -> group_values.TasteFactor:
    return group_values.TasteFactor(_kind(message.kind), message.name, tuple(message.values), message.sentence)


def _kind(number: int) -> str:
    """Its name in lower case; "unknown" for one that was added after this client was made."""
    try:
        name = recommender_service_pb2.TasteFactorKind.Name(number)
    except ValueError:
        return "unknown"
    return str(name).removeprefix("TASTE_FACTOR_KIND_").lower()


def _strategy(number: int) -> group_values.GroupStrategy:
    name_of = recommender_service_pb2.GroupStrategy.Name
    return received(number, name_of, "GROUP_STRATEGY_", group_values.GroupStrategy)

"""Messages about tastes, of one listener and of several beside each other: requests go in checked, answers go back."""

from __future__ import annotations

from collections.abc import Sequence

from audotics.server.pipeline.group_query import MAX_MEMBERS
from audotics.server.services.compatibility import Compatibility
from audotics.server.services.factors import TasteFactor
from audotics.server.services.taste import TasteAnalysis
from audotics.server.transport.codec.recommendations import encode_degraded, encode_versions
from audotics.server.transport.codec.selection import decode_selector
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import ModelSelector
from audotics.v1 import recommender_service_pb2 as pb


def decode_compatibility(request: pb.ScoreCompatibilityRequest) -> tuple[tuple[str, ...], ModelSelector | None]:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_ids("user_ids", request.user_ids, least=2, most=MAX_MEMBERS, distinct=True)
    models = decode_selector(request, violations)
    violations.raise_if_any()
    return tuple(request.user_ids), models


def encode_compatibility(answer: Compatibility) -> pb.ScoreCompatibilityResponse:
    return pb.ScoreCompatibilityResponse(
        rows=[
            pb.CompatibilityRow(user_id=user_id, scores=scores)
            for user_id, scores in zip(answer.user_ids, answer.matrix, strict=True)
        ],
        group_score=answer.group_score,
        facets=[pb.CompatibilityFacet(name=name, score=score) for name, score in answer.facets],
        shared=[_encode_factor(factor) for factor in answer.shared],
        dividing=[_encode_factor(factor) for factor in answer.dividing],
        model_versions=encode_versions(answer.model_versions),
        degraded=encode_degraded(answer.degraded),
    )


def decode_taste(request: pb.AnalyzeTasteRequest) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("user_id", request.user_id)
    violations.raise_if_any()
    user_id: str = request.user_id
    return user_id


def encode_taste(analysis: TasteAnalysis) -> pb.AnalyzeTasteResponse:
    pattern = analysis.pattern
    return pb.AnalyzeTasteResponse(
        user_id=analysis.user_id,
        track_count=analysis.track_count,
        genres=_encode_shares(analysis.genres),
        moods=_encode_shares(analysis.moods),
        artists=_encode_shares(analysis.artists),
        genre_diversity=analysis.genre_diversity,
        mood_diversity=analysis.mood_diversity,
        audio=[
            pb.AudioTrait(
                feature=trait.feature,
                mean=trait.mean,
                standard_deviation=trait.standard_deviation,
                catalog_mean=trait.catalog_mean,
                deviation=trait.deviation,
            )
            for trait in analysis.audio
        ],
        pattern=pb.ListeningPattern(
            event_count=pattern.event_count,
            local_event_count=pattern.local_event_count,
            hours=pattern.hours,
            weekdays=pattern.weekdays,
        ),
        trends=[
            pb.TasteTrend(
                kind=f"TASTE_FACTOR_KIND_{trend.kind.upper()}",
                name=trend.name,
                earlier_share=trend.earlier_share,
                recent_share=trend.recent_share,
            )
            for trend in analysis.trends
        ],
        insights=analysis.insights,
        degraded=encode_degraded(analysis.degraded),
    )


def _encode_factor(factor: TasteFactor) -> pb.TasteFactor:
    return pb.TasteFactor(
        kind=f"TASTE_FACTOR_KIND_{factor.kind.upper()}",
        name=factor.name,
        values=factor.values,
        sentence=factor.sentence,
    )


def _encode_shares(shares: Sequence[tuple[str, float]]) -> list[pb.TasteShare]:
    return [pb.TasteShare(name=name, share=share) for name, share in shares]

"""`ExplainRecommendation` messages: the id of a list goes in, its receipt and the replay go back."""

from __future__ import annotations

from itertools import count
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.server.services.explain import ExplainedList
from audotics.server.transport.codec.learning import encode_draw
from audotics.server.transport.codec.recommendations import encode_exposures, encode_ranked, encode_versions
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import recommender_service_pb2 as pb

EXACT: Final = 1e-6


def decode_explain(request: pb.ExplainRecommendationRequest) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_id("recommendation_id", request.recommendation_id)
    violations.raise_if_any()
    recommendation_id: str = request.recommendation_id
    return recommendation_id


def encode_explained(explained: ExplainedList) -> pb.ExplainRecommendationResponse:
    receipt, replay = explained.receipt, explained.replay
    created_at = Timestamp()
    created_at.FromNanoseconds(int(explained.created_at * 1e9))
    ranks = dict(zip(receipt.listed, count(1)))
    recorded = dict(zip(receipt.candidates, receipt.scores.tolist(), strict=True))
    replayed = {} if replay is None else {track.track_id: track for track in replay.tracks}
    listed_first = dict.fromkeys((*receipt.listed, *receipt.candidates))
    return pb.ExplainRecommendationResponse(
        recommendation_id=explained.recommendation_id,
        created_at=created_at,
        model_versions=encode_versions(receipt.model_versions),
        index_version=receipt.index_version,
        listener_digest=receipt.listener_digest,
        candidates=[
            pb.ExplainedCandidate(
                track_id=track_id,
                rank=ranks.get(track_id, 0),
                recorded_score=recorded[track_id],
                replayed=encode_ranked(replayed[track_id]) if track_id in replayed else None,
            )
            for track_id in listed_first
        ],
        not_replayed_reason=explained.not_replayed,
        max_abs_difference=0.0 if replay is None else replay.max_abs_difference,
        exact=replay is not None and replay.max_abs_difference <= EXACT,
        experiments=encode_exposures(receipt.exposures),
        tilt=None if receipt.draw is None else encode_draw(receipt.draw),
    )

"""`ClassifyTracks` messages: requests go in, checked queries come out; classes go back."""

from __future__ import annotations

from audotics.server.transport.codec.recommendations import MAX_CANDIDATES, encode_degraded, encode_versions
from audotics.server.transport.codec.selection import decode_selector
from audotics.server.transport.codec.tracks import decode_track
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import Classification, ClassifyQuery
from audotics.v1 import recommender_service_pb2 as pb


def decode_classify(request: pb.ClassifyTracksRequest, *, deadline: float | None) -> ClassifyQuery:
    """`deadline` is on the clock of `time.monotonic()`. Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    count = len(request.track_ids) + len(request.tracks)
    if not 1 <= count <= MAX_CANDIDATES:
        violations.add("track_ids", f"has, with tracks, {count} entries; send 1 to {MAX_CANDIDATES}")
        violations.raise_if_any()
    violations.check_ids("track_ids", request.track_ids, most=MAX_CANDIDATES)
    query = ClassifyQuery(
        track_ids=tuple(request.track_ids),
        tracks=tuple(
            decode_track(track, path=f"tracks[{place}]", violations=violations, needs_id=False)
            for place, track in enumerate(request.tracks)
        ),
        models=decode_selector(request, violations),
        deadline=deadline,
    )
    violations.raise_if_any()
    return query


def encode_classification(answer: Classification) -> pb.ClassifyTracksResponse:
    return pb.ClassifyTracksResponse(
        tracks=[
            pb.ClassifiedTrack(
                track_id=track.track_id,
                moods=[pb.ClassProbability(name=name, probability=value) for name, value in track.moods],
                genres=[pb.ClassProbability(name=name, probability=value) for name, value in track.genres],
            )
            for track in answer.tracks
        ],
        model_versions=encode_versions(answer.model_versions),
        degraded=encode_degraded(answer.degraded),
    )

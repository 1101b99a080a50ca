"""`CatalogService` messages: requests go in, checked records and ids come out; counts and records go back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audotics.server.services.catalog import DeleteCount, UpsertCount
from audotics.server.transport.codec.tracks import decode_track, encode_track
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import TrackRecord
from audotics.v1 import catalog_service_pb2 as pb

MAX_TRACKS: Final = 1000
MAX_IMPORT: Final = 100_000
"""Tracks of one stream: some 100 MB in memory until they are stored."""


def decode_upsert(request: pb.UpsertTracksRequest) -> list[TrackRecord]:
    """Raises InvalidRequestError."""
    violations = Violations()
    if not 1 <= len(request.tracks) <= MAX_TRACKS:
        violations.add("tracks", f"has {len(request.tracks)} entries; send 1 to {MAX_TRACKS}")
        violations.raise_if_any()
    first: dict[str, int] = {}
    for place, track in enumerate(request.tracks):
        if (earlier := first.setdefault(track.track_id, place)) != place:
            violations.add(f"tracks[{place}].track_id", f"repeats tracks[{earlier}]; send each track once")
    records = [
        decode_track(track, path=f"tracks[{place}]", violations=violations)
        for place, track in enumerate(request.tracks)
    ]
    violations.raise_if_any()
    return records


class ImportDecoder:
    """Reads the requests of one `ImportTracks` stream, in order."""

    def __init__(self) -> None:
        self.records: list[TrackRecord] = []
        self._first: dict[str, int] = {}

    def add(self, request: pb.ImportTracksRequest) -> None:
        """Read one request. Raises InvalidRequestError, whose fields count tracks from the start of the stream."""
        violations, start = Violations(), len(self.records)
        if not 1 <= len(request.tracks) <= MAX_TRACKS:
            violations.add("tracks", f"a request has {len(request.tracks)} entries; send 1 to {MAX_TRACKS}")
        elif start + len(request.tracks) > MAX_IMPORT:
            violations.add("tracks", f"the stream has more than {MAX_IMPORT:,} entries; send the others in another one")
        violations.raise_if_any()
        for place, track in enumerate(request.tracks, start):
            if (earlier := self._first.setdefault(track.track_id, place)) != place:
                violations.add(f"tracks[{place}].track_id", f"repeats tracks[{earlier}]; send each track once")
            self.records.append(decode_track(track, path=f"tracks[{place}]", violations=violations))
        violations.raise_if_any()


def decode_track_ids(request: pb.GetTracksRequest | pb.DeleteTracksRequest) -> list[str]:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_ids("track_ids", request.track_ids, least=1, most=MAX_TRACKS)
    violations.raise_if_any()
    return list(request.track_ids)


def encode_upsert(count: UpsertCount) -> pb.UpsertTracksResponse:
    return pb.UpsertTracksResponse(created_count=count.created, updated_count=count.updated)


def encode_import(count: UpsertCount) -> pb.ImportTracksResponse:
    return pb.ImportTracksResponse(created_count=count.created, updated_count=count.updated)


def encode_tracks(records: Sequence[TrackRecord]) -> pb.GetTracksResponse:
    return pb.GetTracksResponse(tracks=[encode_track(record) for record in records])


def encode_delete(count: DeleteCount) -> pb.DeleteTracksResponse:
    return pb.DeleteTracksResponse(deleted_count=count.deleted, unknown_count=count.unknown)

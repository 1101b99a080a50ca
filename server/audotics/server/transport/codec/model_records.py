"""`ModelService` messages of records: what is asked for goes in, pages of what happened to models go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.server.storage.model_records import Place, StoredModelRecord
from audotics.server.transport.codec.paging import page_size, read_token, write_token
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import model_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class RecordsQuery:
    """A checked `ListModelRecords` request; `before` is in UTC seconds."""

    model: str
    before: float | None
    limit: int
    after: Place | None

    @property
    def asked(self) -> tuple[str, str]:
        """What a token belongs to."""
        return self.model, "" if self.before is None else repr(self.before)


def decode_records(request: pb.ListModelRecordsRequest) -> RecordsQuery:
    """Raises InvalidRequestError."""
    violations = Violations()
    if request.model:
        violations.check_id("model", request.model)
    before = None
    if request.HasField("before"):
        before = request.before.seconds + request.before.nanos / 1e9
    limit = page_size(request.page_size, violations)
    query = RecordsQuery(request.model, before, limit, None)
    after = read_token(request.page_token, query.asked, (float, int), violations)
    violations.raise_if_any()
    return query if after is None else RecordsQuery(request.model, before, limit, (after[0], after[1]))


def encode_records(
    query: RecordsQuery, records: Sequence[StoredModelRecord], following: Place | None
) -> pb.ListModelRecordsResponse:
    return pb.ListModelRecordsResponse(
        records=[_encode(record) for record in records], next_page_token=write_token(query.asked, following)
    )


def _encode(record: StoredModelRecord) -> pb.ModelRecord:
    occurred_at = Timestamp()
    occurred_at.FromNanoseconds(int(record.at * 1e9))
    return pb.ModelRecord(
        occurred_at=occurred_at,
        server=record.server,
        model=record.model,
        version=record.version,
        event=pb.ModelEvent.Value(f"MODEL_EVENT_{record.event.upper()}"),
        origin=pb.ModelEventOrigin.Value(f"MODEL_EVENT_ORIGIN_{record.origin.upper()}"),
        caller=record.caller,
        replaced_version=record.replaced,
        label=record.label,
        reason=record.reason,
        digest=record.digest,
    )

"""A receipt: a list and what it was made from go in, bytes come out, and from those the same again.

Tracks stand in it by id, since rows mean something only as long as one catalogue lives. Scores stand in it bit by bit.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.made_list import MadeGroupList, MadeList
from audotics.server.types import Context, Draw, Exposure, Subject

_FORMAT: Final = 1
_FAST: Final = 1
"""Level of zlib: a receipt takes a third of its size, in a tenth of a millisecond."""


class ReceiptError(Exception):
    """Stored bytes are no receipt that this version can read."""


@dataclass(frozen=True, slots=True, eq=False)
class Receipt:
    """What one list was made from. `scores` float32 (n,) are those of `candidates`; `listed` is the list itself.

    `history` holds the latest tracks the models were given, oldest first, of `history_length` in all. `left_out` names
    the models that should have taken part and did not. `exposures`, `tilt` and `draw` are those of the query.
    """

    subject: Subject
    context: Context
    history: tuple[str, ...]
    history_length: int
    candidates: tuple[str, ...]
    scores: NDArray[np.float32]
    listed: tuple[str, ...]
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    left_out: tuple[str, ...]
    exposures: tuple[Exposure, ...] = ()
    tilt: tuple[float, ...] = ()
    draw: Draw | None = None

    @classmethod
    def of(cls, made: MadeList) -> Self:
        """Gather the ids; the subject is kept without tracks, which stand in the history."""
        ids, shortlist, answer = made.snapshot.catalog.columns.ids, made.shortlist, made.answer
        return cls(
            subject=Subject(made.query.subject.kind, user_id=made.query.subject.user_id),
            context=made.query.context,
            history=tuple(ids[shortlist.taste.history]),
            history_length=shortlist.taste.history_length,
            candidates=tuple(ids[shortlist.rows]),
            scores=shortlist.relevance.score,
            listed=tuple(track.track_id for track in answer.tracks),
            model_versions=made.snapshot.model_versions,
            index_version=answer.index_version,
            left_out=tuple(part.part for part in shortlist.degraded),
            exposures=made.query.exposures,
            tilt=made.query.tilt,
            draw=made.query.draw,
        )

    @classmethod
    def of_group(cls, made: MadeGroupList) -> Self:
        """The scores are what the strategy made of the candidates; there is no history, so nothing can be replayed."""
        ids = made.snapshot.catalog.columns.ids
        return cls(
            subject=Subject("group"),
            context=made.context,
            history=(),
            history_length=0,
            candidates=tuple(ids[made.rows]),
            scores=made.values.astype(np.float32),
            listed=tuple(track.track_id for track in made.answer.tracks),
            model_versions=made.answer.model_versions,
            index_version=made.answer.index_version,
            left_out=tuple(part.part for part in made.answer.degraded),
            exposures=made.answer.exposures,
            tilt=made.tilt,
            draw=made.draw,
        )

    @property
    def listener_digest(self) -> str:
        """SHA-256 of the history: equal digests are equal inputs of the models."""
        return hashlib.sha256(json.dumps([self.history_length, *self.history]).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        header: dict[str, Any] = {
            "subject": [self.subject.kind, self.subject.user_id],
            "context": [self.context.mood, self.context.genres, self.context.activity, self.context.day_part],
            "history": self.history,
            "history_length": self.history_length,
            "candidates": self.candidates,
            "listed": self.listed,
            "model_versions": self.model_versions,
            "index_version": self.index_version,
            "left_out": self.left_out,
        }
        if self.exposures:
            header["exposures"] = [[each.experiment, each.arm, each.propensity] for each in self.exposures]
        if self.tilt:
            header["tilt"] = self.tilt
        if self.draw is not None:
            header["draw"] = {name: value for name, value in asdict(self.draw).items() if name != "chances"}
        text = json.dumps(header, separators=(",", ":")).encode()
        scores = np.ascontiguousarray(self.scores, "<f4").tobytes()
        return struct.pack("<BI", _FORMAT, len(text)) + zlib.compress(text + scores, _FAST)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises ReceiptError."""
        try:
            version, length = struct.unpack_from("<BI", content)
            if version != _FORMAT:
                raise ReceiptError(f"the receipt has format {version}; this version reads {_FORMAT}")
            body = zlib.decompress(content[struct.calcsize("<BI") :])
            header: dict[str, Any] = json.loads(body[:length])
            kind, user_id = header["subject"]
            mood, genres, *rest = header["context"]  # receipts of earlier versions end here
            activity, day_part = rest or (None, None)
            return cls(
                subject=Subject(kind, user_id=user_id),
                context=Context(mood, tuple(genres), activity, day_part),
                history=tuple(header["history"]),
                history_length=header["history_length"],
                candidates=tuple(header["candidates"]),
                scores=np.frombuffer(body[length:], "<f4"),
                listed=tuple(header["listed"]),
                model_versions=_versions(header["model_versions"]),
                index_version=header["index_version"],
                left_out=tuple(header["left_out"]),
                exposures=tuple(Exposure(*each) for each in header.get("exposures", ())),
                tilt=tuple(header.get("tilt", ())),
                draw=_draw(header.get("draw")),
            )
        except (struct.error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise ReceiptError(f"the receipt is damaged: {error}") from error


def _draw(value: dict[str, Any] | None) -> Draw | None:
    return None if value is None else Draw(**{**value, "factors": tuple(value["factors"])})


def _versions(pairs: Sequence[Sequence[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(version)) for name, version in pairs)

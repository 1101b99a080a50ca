"""`ExplainRecommendation`: the id of a list goes in, what it was made from comes out, and its scores, computed anew."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from audotics.server.errors import NotFoundError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.services.receipt import Receipt, ReceiptError
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.types import Listener, ModelSelector, RankedTrack, RankQuery


@dataclass(frozen=True, slots=True)
class Replay:
    """Every candidate scored anew, in the order of the receipt, and the largest difference to its recorded score."""

    tracks: tuple[RankedTrack, ...]
    max_abs_difference: float


@dataclass(frozen=True, slots=True)
class ExplainedList:
    """A receipt, and its replay, or why there is none."""

    recommendation_id: str
    created_at: float
    receipt: Receipt
    replay: Replay | None
    not_replayed: str = ""


class ExplainService:
    """Reads receipts and scores their candidates again, by the same models from the same history."""

    def __init__(
        self,
        *,
        registry: Registry,
        recommender: Recommender,
        receipts: ReceiptStore,
        writer: ReceiptWriter,
        executor: Executor,
    ) -> None:
        """`executor` is for reading."""
        self._registry = registry
        self._recommender = recommender
        self._receipts = receipts
        self._writer = writer
        self._executor = executor

    async def explain(self, recommendation_id: str, *, deadline: float | None = None) -> ExplainedList:
        """Raises NotFoundError for a list without a receipt, StorageError, NotReadyError, DeadlineError."""
        await self._writer.flush()
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._executor, self._receipts.read, recommendation_id)
        if stored is None:
            raise NotFoundError("receipt", [recommendation_id], hint="it has expired, or no such list was made")
        try:
            receipt = Receipt.from_bytes(stored.content)
        except ReceiptError as error:
            raise NotFoundError("receipt", [recommendation_id], hint=str(error)) from error
        replay = await self._replay(receipt, deadline=deadline)
        if isinstance(replay, str):
            return ExplainedList(recommendation_id, stored.created_at, receipt, None, replay)
        return ExplainedList(recommendation_id, stored.created_at, receipt, replay)

    async def _replay(self, receipt: Receipt, *, deadline: float | None) -> Replay | str:
        """The replay, or what stands in its way."""
        if receipt.subject.kind == "group":
            return "the list was made for a group, from histories of several listeners, which a receipt does not keep"
        snapshot = self._snapshot(receipt)
        if isinstance(snapshot, str):
            return snapshot
        if receipt.left_out:
            return f"the list was made without {', '.join(receipt.left_out)}; its scores cannot be computed again"
        catalog = snapshot.catalog
        rows, history = catalog.all_rows_of(receipt.candidates), catalog.all_rows_of(receipt.history)
        if (rows < 0).any() or (history < 0).any():
            return "tracks of the list are no longer in the catalogue"
        # Models see the latest tracks and how many there were in all.
        earlier = np.zeros(receipt.history_length - len(history), np.int64)
        listener = Listener(np.concatenate([earlier, history]), np.empty(0, np.int64))
        query = RankQuery(
            receipt.subject,
            receipt.candidates,
            context=receipt.context,
            explain=True,
            deadline=deadline,
            tilt=receipt.tilt,
            draw=receipt.draw,
        )
        answer = await self._recommender.rank(snapshot, listener, rows, query)
        scored = {track.track_id: track for track in answer.tracks}
        tracks = tuple(scored[track_id] for track_id in receipt.candidates)
        scores = np.asarray([track.score for track in tracks], np.float32)
        return Replay(tracks, float(np.abs(scores - receipt.scores).max(initial=0.0)))

    def _snapshot(self, receipt: Receipt) -> Snapshot | str:
        """The models that made the list, or which of them are not loaded."""
        try:
            snapshot = self._registry.select(ModelSelector(versions=receipt.model_versions))
        except NotFoundError as error:
            return f"{error}; load the versions that made the list"
        if set(snapshot.model_versions) == set(receipt.model_versions):
            return snapshot
        made_by = ", ".join(f"{name}/{version}" for name, version in receipt.model_versions)
        return f"the list was made by {made_by}, which cannot be served together now"

"""How wide the pipeline looks and what it does unasked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from audotics.server.batching.batcher import BatchLimits
from audotics.server.types import PipelineSettings


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Defaults answer `Recommend` for 20 tracks of 100,000 from some 200 candidates."""

    collaborative_candidates: int = 100
    content_interests: int = 3
    candidates_per_interest: int = 25
    context_candidates: int = 200
    minimum_candidates: int = 100
    """Below this many, the list of candidates is filled up with popular tracks."""
    selective_share: float = 0.25
    """A filter that fewer than this share of the catalogue pass is answered from all its matches, not by retrieval."""
    exact_rows: int = 2000
    """Most matches of a selective filter that are scored."""
    default_diversity: float = 0.2
    artist_cap: int = 3
    """Most tracks of one artist in a list, unless it would be too short."""
    deadline_reserve_s: float = 0.005
    """Time kept for the end of a request: neural models that have not begun by then are left out."""
    fallback_reserve_s: float = 0.003
    """Time kept for an earlier list or a popular one, when none is made by then."""
    batching: BatchLimits = field(default_factory=BatchLimits)

    def latest(self, deadline: float | None) -> float | None:
        """When models must be done, so that a list can still be made without those that are not; None for no limit."""
        return None if deadline is None else deadline - self.deadline_reserve_s

    def with_settings(self, settings: PipelineSettings | None) -> PipelineOptions:
        """These options, with what `settings` names in their place."""
        if settings is None:
            return self
        return replace(self, **{name: value for name, value in asdict(settings).items() if value is not None})

"""Results of a comparison: what was measured of each model, as values that tables, JSON and the report show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audotics.evaluation.bias import Group
from audotics.evaluation.calibration import ReliabilityBin
from audotics.features.interval import Interval


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model. `metrics` has HR and NDCG first; `interval` is that of NDCG.

    `ratio` is its NDCG over the baseline's, None for the baseline itself. `bias` holds NDCG by "activity" of the
    listeners and "popularity" of the held-out tracks; `reliability` is empty for a model without confidence.
    """

    metrics: dict[str, float]
    interval: Interval
    ratio: Interval | None
    bias: dict[str, list[Group]]
    reliability: list[ReliabilityBin]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`protocol` says how it was measured; `results` holds each model's, baselines first.

    Ratios are over the model named `baseline`, which is None where none has found anything.
    """

    protocol: dict[str, Any]
    k: int
    baseline: str | None
    results: dict[str, ModelResult]

    @property
    def rows(self) -> dict[str, dict[str, float]]:
        """Each model's metrics."""
        return {model: result.metrics for model, result in self.results.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "protocol": self.protocol,
            "baseline": self.baseline,
            "rows": [_row(model, result, f"ndcg@{self.k}") for model, result in self.results.items()],
        }


def _row(model: str, result: ModelResult, metric: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": model,
        "metrics": result.metrics,
        "intervals": {metric: result.interval.to_json()},
        "bias": {name: [group.to_json() for group in groups] for name, groups in result.bias.items()},
    }
    if result.ratio is not None:
        row["ratios"] = {metric: result.ratio.to_json()}
    if result.reliability:
        row["reliability"] = [part.to_json() for part in result.reliability]
    return row

"""A table of metrics: models that are compared by numbers alone, without lists or intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MetricTable:
    """`protocol` says how it was measured; `rows` hold {"model", "metrics", …} each, baselines first."""

    protocol: dict[str, Any]
    rows: list[dict[str, Any]]

    def metrics(self, model: str) -> dict[str, float]:
        """Those of one model. Raises KeyError when it is not in the table."""
        for row in self.rows:
            if row["model"] == model:
                metrics: dict[str, float] = row["metrics"]
                return metrics
        raise KeyError(model)

    def to_json(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "rows": self.rows}

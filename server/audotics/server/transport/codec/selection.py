"""Model selectors: what a request says of model versions goes in, a checked selector comes out."""

from __future__ import annotations

from typing import Final

from audotics.bundle.labels import is_label
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import ModelSelector
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1.experiment_service_pb2 import Arm

_MOST_VERSIONS: Final = 32


def decode_selector(
    request: (
        pb.RecommendRequest
        | pb.RecommendGroupRequest
        | pb.RankTracksRequest
        | pb.SimilarTracksRequest
        | pb.ClassifyTracksRequest
        | Arm
    ),
    violations: Violations,
    *,
    path: str = "models",
) -> ModelSelector | None:
    """None where the request leaves the choice to the server. Paths start at `path`."""
    if not request.HasField("models"):
        return None
    models = request.models
    if models.label and not is_label(models.label):
        violations.add(f"{path}.label", f"is {models.label[:40]!r}; send lower-case letters, digits, '-' and '_'")
    if not models.label and not models.versions:
        violations.add(path, "selects nothing; send a label, versions, or leave it out")
    if len(models.versions) > _MOST_VERSIONS:
        violations.add(f"{path}.versions", f"has {len(models.versions)} entries; send up to {_MOST_VERSIONS}")
        return None
    first: dict[str, int] = {}
    for place, chosen in enumerate(models.versions):
        violations.check_id(f"{path}.versions[{place}].model", chosen.model)
        if chosen.version < 1:
            violations.add(f"{path}.versions[{place}].version", f"is {chosen.version}; send a positive integer")
        earlier = first.setdefault(chosen.model, place)
        if earlier != place:
            violations.add(
                f"{path}.versions[{place}].model", f"repeats {path}.versions[{earlier}].model; send each model once"
            )
    return ModelSelector(models.label, tuple(sorted((chosen.model, chosen.version) for chosen in models.versions)))

"""New versions on their way into service: a server and versions go in; they are shadows first, and then promoted.

Every step looks at how things stand and does what is missing, so that it may be cut off anywhere and called again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from audotics.client import AudoticsError, FailedPreconditionError, ModelInfo, NotFoundError, RecommenderClient
from audotics.training.progress import Progress

STABLE, SHADOW, CATALOG, HYBRID = "stable", "shadow", "catalog", "hybrid"
_LOOK_S = 0.5


class RolloutError(Exception):
    """The versions are not in service. `code` is what the command ends with."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


NOT_SHADOWED, REFUSED = 4, 5
"""Exit codes: too few requests came by, and the promotion gate said no."""


def rolled_out(kinds: Sequence[str]) -> list[str]:
    """The models to promote, in order: a hybrid brings its parts, and the catalogue comes last, which has no gate."""
    from audotics.training.kinds import WEIGHED

    parts = set(WEIGHED) if HYBRID in kinds else set()
    return [*(kind for kind in kinds if kind not in parts), CATALOG]


def hold(client: RecommenderClient, names: Sequence[str]) -> None:
    """Let `stable` name what serves, where it names nothing: a version that is exported now must wait for its turn."""
    for name in names:
        try:
            model = client.get_model(name)
        except NotFoundError:
            continue
        serving = next((one.version for one in model.versions if one.state == "in_service"), None)
        if STABLE not in model.labels and serving is not None:
            client.set_label(name, STABLE, serving, force=True)


def shadow(
    client: RecommenderClient,
    versions: Mapping[str, int],
    *,
    requests: int,
    timeout_s: float,
    progress: Progress,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Let `versions` answer beside those in service until `requests` were compared. Raises RolloutError."""
    for name, version in versions.items():
        if client.get_model(name).labels.get(SHADOW) != version:
            client.set_label(name, SHADOW, version)
    ends, seen = now() + timeout_s, 0
    with progress.stage("shadow: requests compared", requests) as stage:
        while True:
            report = client.get_shadow_report()
            count = 0 if report is None else min(report.request_count + report.failure_count, requests)
            stage.advance(count - seen, "" if report is None else f"overlap {report.overlap_at_k:.2f}")
            seen = count
            if count >= requests:
                return
            if now() >= ends:
                raise RolloutError(
                    f"the shadow was compared on {count} of {requests} requests in {timeout_s:g} s; it goes on: call "
                    "again, or ask for fewer with --shadow-requests",
                    code=NOT_SHADOWED,
                )
            sleep(_LOOK_S)


def promote(client: RecommenderClient, versions: Mapping[str, int], *, progress: Progress) -> None:
    """Give each version the label `stable`, in order, those that have it excepted. Raises RolloutError."""
    try:
        for name, version in versions.items():
            if not _serves(client.get_model(name), version):
                client.set_label(name, STABLE, version)
                progress.say(f"{name}/{version} is in service")
    except FailedPreconditionError as error:
        raise RolloutError(f"not promoted: {error}", code=REFUSED) from error
    finally:
        _unshadow(client, versions)


def _serves(model: ModelInfo, version: int) -> bool:
    return model.labels.get(STABLE) == version and any(
        one.version == version and one.state == "in_service" for one in model.versions
    )


def _unshadow(client: RecommenderClient, versions: Mapping[str, int]) -> None:
    for name, version in versions.items():
        try:
            if client.get_model(name).labels.get(SHADOW) == version:
                client.remove_label(name, SHADOW)
        except AudoticsError:  # what went wrong before is what matters
            return

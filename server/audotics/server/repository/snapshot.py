"""One consistent state of everything that is served: a request takes it once and sees no change until it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audotics.server.repository.catalog import Catalog
from audotics.server.repository.classifier import ClassifierPart
from audotics.server.repository.group import GroupPart
from audotics.server.repository.loading import CLASSIFIER_KINDS, GROUP, OPTIONAL_KINDS, RANKING_KINDS, Part
from audotics.server.repository.parts import CollaborativePart, ContentPart, HybridPart, NcfPart, SequencePart
from audotics.server.types import Degradation, DegradationReason


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The catalogue and the models in service. A ranking model that is None stands in `degraded` with the reason.

    `model_versions` are those of the ranking models; `classifiers` are by kind, and `unclassified` says which are
    missing, and why.
    """

    catalog: Catalog
    collaborative: CollaborativePart | None
    content: ContentPart | None
    ncf: NcfPart | None
    hybrid: HybridPart | None
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    degraded: tuple[Degradation, ...]
    classifiers: Mapping[str, ClassifierPart]
    unclassified: tuple[Degradation, ...]
    sequence: SequencePart | None = None
    bundle_digests: tuple[str, ...] = ()
    """`Manifest.digest` of each of `model_versions`."""
    group: GroupPart | None = None
    ungrouped: tuple[Degradation, ...] = ()
    """Why there is no group model, when there is none."""

    @classmethod
    def assemble(
        cls, catalog: Catalog, parts: Mapping[str, Part], *, absent: Mapping[str, str], digests: Mapping[str, str]
    ) -> Snapshot:
        """`parts` and the `digests` of their bundles by kind; `absent` says why a kind is missing."""
        collaborative, content = parts.get("collaborative"), parts.get("content")
        ncf, hybrid, sequence, group = (parts.get(kind) for kind in ("ncf", "hybrid", "sequence", GROUP))
        ranking = {*RANKING_KINDS, *OPTIONAL_KINDS}
        classifiers = {kind: part for kind, part in parts.items() if isinstance(part, ClassifierPart)}

        def missing(kinds: Sequence[str]) -> tuple[Degradation, ...]:
            return tuple(
                Degradation(kind, DegradationReason.UNAVAILABLE, absent.get(kind, "not in the repository"))
                for kind in kinds
                if kind not in parts
            )

        indexes = [f"{kind}/{parts[kind].version}" for kind in ("collaborative", "content") if kind in parts]
        versions = tuple((kind, parts[kind].version) for kind in sorted(parts) if kind in ranking)
        return cls(
            catalog=catalog,
            collaborative=collaborative if isinstance(collaborative, CollaborativePart) else None,
            content=content if isinstance(content, ContentPart) else None,
            ncf=ncf if isinstance(ncf, NcfPart) else None,
            hybrid=hybrid if isinstance(hybrid, HybridPart) else None,
            model_versions=versions,
            index_version="+".join([f"catalog/{catalog.version}", *indexes, f"changes/{catalog.generation}"]),
            degraded=missing(RANKING_KINDS),
            classifiers=classifiers,
            unclassified=missing(CLASSIFIER_KINDS),
            sequence=sequence if isinstance(sequence, SequencePart) else None,
            bundle_digests=tuple(digests[kind] for kind, _ in versions),
            group=group if isinstance(group, GroupPart) else None,
            ungrouped=missing([GROUP]),
        )

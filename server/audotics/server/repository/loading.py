"""From bundle to service: a verified bundle goes in, a warmed-up model comes out and is linked to a catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import HISTORIES_FILE, IDS_FILE, TRACKS_FILE, read_histories, read_ids, read_tracks
from audotics.bundle.lengths import LENGTHS_FILE, read_lengths
from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import Bundle
from audotics.bundle.tenants import tenant_of
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.content import ContentEncoder
from audotics.features.hybrid import COMPONENTS
from audotics.features.tracks import TrackColumns
from audotics.server.errors import RefusedModelError
from audotics.server.repository.axes import found_axes
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.classifier import ClassifierPart
from audotics.server.repository.graph import look_over
from audotics.server.repository.group import GroupPart
from audotics.server.repository.parts import CollaborativePart, ContentPart, HybridPart, NcfPart, SequencePart
from audotics.server.repository.rows import RowMap
from audotics.server.repository.signature import WARMUP_FILE, check_signature, recorded_inputs, warm_up
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.retrieval.vectors import INDEX_FILE, VECTORS_FILE, VectorIndex
from audotics.server.runtime.bounded import within
from audotics.server.runtime.counted import CountedModel
from audotics.server.runtime.model import Model, UnfinishedRunError
from audotics.server.runtime.opening import ONNX_FILE, RuntimeOpener
from audotics.server.runtime.saved_model import GRAPH_FILE

T = TypeVar("T")

CATALOG: Final = "catalog"
HYBRID: Final = "hybrid"
RANKING_KINDS: Final = ("collaborative", "content", "ncf", "hybrid")
"""What makes lists; one that is missing stands in every list's `degraded`."""

OPTIONAL_KINDS: Final = ("sequence",)
"""What helps to make lists, but is not missed: data that keep no order have none."""

PINNED_KINDS: Final = ("collaborative", "content", "ncf", *OPTIONAL_KINDS)
"""What the hybrid weighs: it is trained on the scores of certain versions."""

CLASSIFIER_KINDS: Final = ("mood", "genre")
GROUP: Final = "group"
MODEL_KINDS: Final = (*RANKING_KINDS, *OPTIONAL_KINDS, *CLASSIFIER_KINDS, GROUP)

Part = CollaborativePart | ContentPart | NcfPart | SequencePart | HybridPart | ClassifierPart | GroupPart

_FILES: Final[dict[str, tuple[str, ...]]] = {
    "collaborative": (IDS_FILE, INDEX_FILE, VECTORS_FILE),
    "content": (IDS_FILE, INDEX_FILE, VECTORS_FILE, LENGTHS_FILE),
    "ncf": (IDS_FILE,),
    "sequence": (IDS_FILE,),
    GROUP: (IDS_FILE,),
}
"""What kinds need beside the model and its recorded inputs."""

_ENDING_S: Final = 0.5
"""What it takes to notice that a run is to be ended, and to end it."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that ran its recorded inputs. It refers to its own rows until `link` ties it to a catalogue.

    `size_bytes` is that of the files that were loaded, which is about what it takes in memory.
    """

    bundle: Bundle
    model: Model
    index: VectorIndex | None
    size_bytes: int
    joins: bool = True
    """Whether rows of several requests may run together, as far as the operator is concerned."""

    @property
    def version(self) -> int:
        return self.bundle.manifest.version

    @property
    def pins(self) -> dict[str, int]:
        """The versions that a hybrid was trained with, by kind; empty for any other model."""
        return {kind: int(version) for kind, version in self.bundle.manifest.parts.items() if kind in PINNED_KINDS}


def load_catalog(bundle: Bundle, *, generation: int) -> Catalog:
    """Read a catalogue bundle. Raises RefusedModelError, or BundleCorruptError when the bundle lacks a file."""
    for name in (TRACKS_FILE, HISTORIES_FILE):
        bundle.file(name)
    try:
        tracks, histories = read_tracks(bundle.path), read_histories(bundle.path)
    except (OSError, ValueError) as error:
        raise RefusedModelError(
            f"{bundle}: its tables cannot be read ({_reason(error)}); export the catalogue again"
        ) from error
    if not len(tracks):
        raise RefusedModelError(f"{bundle}: the catalogue has no tracks; export one that was trained on data")
    if problem := _problem_of(tracks):
        raise RefusedModelError(f"{bundle}: {TRACKS_FILE} {problem}; export the catalogue again")
    if len(histories.rows) and not 0 <= histories.rows.min() <= histories.rows.max() < len(tracks):
        raise RefusedModelError(f"{bundle}: {HISTORIES_FILE} names rows that {TRACKS_FILE} lacks; export again")
    manifest = bundle.manifest
    return Catalog.build(
        tracks, histories, version=manifest.version, generation=generation, bundle_digest=manifest.digest
    )


def load_model(bundle: Bundle, choice: RuntimeChoice, *, runtimes: RuntimeOpener, indexes: IndexOpener) -> LoadedModel:
    """Load a bundle's model and its index, check what goes in and out, and run it on its recorded inputs.

    Raises RefusedModelError that says what does not fit, BundleCorruptError when the bundle lacks a file, or
    UnavailableModelError when its model lies on another server that does not answer.
    """
    graph = runtimes.file(choice)
    more = _FILES.get(bundle.manifest.kind, ()) if _makes_lists(bundle) else ()
    files = (*more, WARMUP_FILE, *(() if graph is None else (graph,)))
    for name in files:
        bundle.file(name)
    index = indexes.open(bundle.path) if INDEX_FILE in files else None
    opsets = look_over(bundle.path / ONNX_FILE, where=str(bundle)) if graph == ONNX_FILE else ""
    limit_s = None if runtimes.supervisor is None else runtimes.supervisor.limit_s
    try:
        # ONNX Runtime computes what depends on no input when it opens a file, and cannot be told to stop.
        bounded_s = limit_s if graph == ONNX_FILE else None
        model = _within(bounded_s, partial(runtimes.open, bundle, choice))
    except RefusedModelError as error:
        raise RefusedModelError(f"{error}; it asks for the operators of {opsets}" if opsets else str(error)) from error
    except TimeoutError as error:
        raise RefusedModelError(
            f"{bundle}: ONNX Runtime did not open {ONNX_FILE!r} within {limit_s:g} s, and a thread goes on with it; "
            "compute its constants before the export, or raise run_limit_s"
        ) from error
    check_signature(bundle, model)
    model = _tried(bundle, model, width=_width(bundle, model, index), join=choice.join, limit_s=limit_s)
    recorded = bundle.manifest.files
    size_bytes = sum(recorded[name].size_bytes for name in files)
    if graph == GRAPH_FILE:  # the weights of a SavedModel are in a folder beside it
        size_bytes += sum(record.size_bytes for name, record in recorded.items() if name.startswith("variables/"))
    return LoadedModel(bundle, model, index, size_bytes, joins=choice.join)


def _tried(
    bundle: Bundle, model: CountedModel, *, width: int | None, join: bool, limit_s: float | None
) -> CountedModel:
    """The model after it ran its recorded inputs, with what that showed of its axes if it may `join`."""

    def run() -> CountedModel:
        warm_up(bundle, model, width=width)
        return model.with_axes(found_axes(model, recorded_inputs(bundle))) if join else model

    try:
        # Not every run can be ended. The supervisor's own word comes first where it can.
        return _within(None if limit_s is None else limit_s + _ENDING_S, run)
    except (UnfinishedRunError, TimeoutError) as error:
        left = (
            "" if model.ends else "; its runtime cannot end a run, so a thread goes on with it until the server stops"
        )
        raise RefusedModelError(
            f"{bundle}: it did not finish its warm-up within {limit_s:g} s{left}; look for a loop in it that never "
            "ends, record fewer rows, or raise run_limit_s"
        ) from error


def _within(limit_s: float | None, work: Callable[[], T]) -> T:
    return work() if limit_s is None else within(limit_s, work)


def link(loaded: LoadedModel, catalog: Catalog) -> Part | None:
    """Tie a model to a catalogue; None for one that makes no lists.

    Raises RefusedModelError when its row numbers do not fit its files.
    """
    bundle, model, index = loaded.bundle, loaded.model, loaded.index
    kind, version = bundle.manifest.kind, bundle.manifest.version
    if not _makes_lists(bundle):
        return None
    if kind == HYBRID:
        return HybridPart(version, model)
    if kind in CLASSIFIER_KINDS:
        return ClassifierPart.of(bundle, model)
    rows = _row_map(bundle, catalog)
    if kind == "sequence":
        width = {spec.name: spec.shape[-1] for spec in model.outputs}["scores"]
        if width not in (-1, rows.size):
            raise RefusedModelError(
                f"{bundle}: {IDS_FILE} names {rows.size} tracks, but it scores {width}; export again"
            )
        return SequencePart(version, model, rows).with_catalog(catalog)
    if kind == GROUP:
        return GroupPart.of(bundle, model, rows).with_catalog(catalog)
    if index is None:
        return NcfPart(version, model, rows).with_catalog(catalog)
    if index.size != rows.size:
        raise RefusedModelError(
            f"{bundle}: {IDS_FILE} names {rows.size} tracks, {INDEX_FILE} has {index.size}; export again"
        )
    if kind == "collaborative":
        return CollaborativePart(version, model, index, rows).with_catalog(catalog)
    part = ContentPart(version, model, index, _lengths(bundle, rows.size), rows, _content_encoder(bundle, model))
    return part.with_catalog(catalog, part.lacking(catalog))


def _makes_lists(bundle: Bundle) -> bool:
    """Tenants' own models are for the inference protocols."""
    return bundle.manifest.kind in MODEL_KINDS and not tenant_of(bundle.manifest.name)


def _width(bundle: Bundle, model: Model, index: VectorIndex | None) -> int | None:
    """Columns of the outputs that are matrices; None where nothing says."""
    if not _makes_lists(bundle) or bundle.manifest.kind == GROUP:
        return None
    if bundle.manifest.kind == "sequence":
        width = {spec.name: spec.shape[-1] for spec in model.outputs}["scores"]  # `link` compares it with the rows
        return None if width < 0 else width  # TensorFlow does not know it
    if bundle.manifest.kind in CLASSIFIER_KINDS:
        return len(bundle.manifest.preprocessing.get("classes", ()))
    return len(COMPONENTS) if index is None else index.dimension


def _problem_of(tracks: TrackColumns) -> str:
    """What would do harm in every list that is made of these tracks; "" when nothing would."""
    if len(set(tracks.ids)) < len(tracks) or "" in tracks.ids:
        return "has tracks without an id of their own"
    if not np.isfinite(tracks.plays).all() or tracks.plays.min() < 0:
        return "has numbers of plays that are none"
    if np.isinf(tracks.audio).any() or np.isinf(tracks.popularity).any():
        return "has infinite features"
    return ""


def _reason(error: Exception) -> str:
    """In words that name no place on this machine."""
    return type(error).__name__ if isinstance(error, OSError) else str(error)


def _row_map(bundle: Bundle, catalog: Catalog) -> RowMap:
    try:
        ids = read_ids(bundle.path)
    except (OSError, ValueError) as error:
        raise RefusedModelError(
            f"{bundle}: {IDS_FILE!r} cannot be read ({_reason(error)}); export the model again"
        ) from error
    if bundle.manifest.catalog_fingerprint != catalog.fingerprint:
        return RowMap.link(ids, catalog)
    if len(ids) != catalog.base_size:
        raise RefusedModelError(
            f"{bundle}: {IDS_FILE} names {len(ids)} tracks, but its catalogue has {catalog.base_size}"
        )
    return RowMap(len(ids))


def _lengths(bundle: Bundle, size: int) -> NDArray[np.float32]:
    try:
        lengths = read_lengths(bundle.path)
    except (OSError, ValueError) as error:
        raise RefusedModelError(
            f"{bundle}: {LENGTHS_FILE!r} is of no use ({_reason(error)}); export the model again"
        ) from error
    if len(lengths) != size:
        raise RefusedModelError(f"{bundle}: {IDS_FILE} names {size} tracks, {LENGTHS_FILE} has {len(lengths)}")
    return lengths


def _content_encoder(bundle: Bundle, model: Model) -> ContentEncoder:
    try:
        encoder = ContentEncoder.from_json(bundle.manifest.preprocessing["content_encoder"])
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedModelError(f"{bundle}: its manifest has no usable 'content_encoder'; export it again") from error
    width = {spec.name: spec.shape[-1] for spec in model.inputs}
    if width["audio"] not in (-1, 2 * len(AUDIO_FEATURES)) or width["tags"] not in (-1, len(encoder.tag_vocabulary)):
        raise RefusedModelError(f"{bundle}: its inputs do not fit its 'content_encoder'; export it again")
    return encoder

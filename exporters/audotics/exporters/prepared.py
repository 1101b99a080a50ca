"""One kind of model, exported but not yet published: a trained run goes in, files and what a manifest says of them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
import onnx
import onnxruntime

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.data.groups import GroupDataset
from audotics.data.labelled import LabelledTracks
from audotics.exporters.errors import ExportError
from audotics.exporters.formats import Formats
from audotics.exporters.quantization import Precision
from audotics.features.tracks import TrackColumns
from audotics.training.folder import RunFolder
from audotics.training.group_run import GroupRun
from audotics.training.label_run import LabelRun
from audotics.training.progress import Progress
from audotics.training.run import Run, Split


@dataclass(frozen=True, slots=True)
class RunSource:
    """What is exported: an open run of any task."""

    run: RunFolder

    def metrics(self, kind: str) -> dict[str, float]:
        """What `audotics evaluate` measured; empty before it ran."""
        return dict(self.run.kinds[kind].get("metrics", {}))

    @contextmanager
    def trained(self, kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The folder and the record of a trained kind. What goes wrong while it is read becomes an ExportError."""
        folder = self.run.folder(kind)
        try:
            yield folder, self.run.kinds[kind]
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ExportError(
                f"{folder}: the trained model cannot be read ({type(error).__name__}); train it again with "
                f"`audotics train {kind} --data DATA --output {self.run.path}`"
            ) from error


@dataclass(frozen=True, slots=True)
class Source(RunSource):
    """A listening run with its whole catalogue, and the part that models are trained on."""

    run: Run
    tracks: TrackColumns
    split: Split


@dataclass(frozen=True, slots=True)
class LabelSource(RunSource):
    """A run on labelled tracks."""

    data: LabelledTracks


@dataclass(frozen=True, slots=True)
class GroupSource(RunSource):
    """A run on groups."""

    data: GroupDataset


def read_source(run: RunFolder) -> RunSource:
    """Read a run's data. Raises RunError when they cannot be read."""
    match run:
        case Run():
            return Source(run, run.tracks(), run.split())
        case LabelRun():
            return LabelSource(run, run.data())
        case GroupRun():
            return GroupSource(run, run.data())
        case _:
            raise TypeError(f"{type(run).__name__} has no exports")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A finished export. `folder` holds all files of the bundle but its manifest."""

    kind: str
    folder: Path
    framework: str
    catalog_fingerprint: str
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    precision: Precision = "float32"
    preprocessing: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)  # versions of the libraries that only this kind needs

    def manifest(self, *, number: int, parts: dict[str, int], training_data: dict[str, Any]) -> Manifest:
        """The manifest of version `number`, which is trained with `parts`."""
        return Manifest(
            name=self.kind,
            kind=self.kind,
            version=number,
            framework=self.framework,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            catalog_fingerprint=self.catalog_fingerprint,
            inputs=self.inputs,
            outputs=self.outputs,
            parts=parts,
            training_data=training_data,
            metrics=self.metrics,
            parity=self.parity,
            precision=self.precision,
            preprocessing=self.preprocessing,
            tools={
                "audotics": version("audotics"),
                "numpy": np.__version__,
                "onnx": onnx.__version__,
                "onnxruntime": onnxruntime.__version__,
                "faiss": faiss.__version__,
                **self.tools,
            },
        )


class Prepare(Protocol):
    """Exports one kind into an empty folder and measures it. Raises ExportError."""

    def __call__(self, source: Any, folder: Path, progress: Progress, /, *, formats: Formats) -> Prepared: ...

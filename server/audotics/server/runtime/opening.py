"""Which runtime opens a model: a bundle and the operator's choice go in, a model that is ready to run comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import Bundle
from audotics.server.errors import RefusedModelError
from audotics.server.runtime.counted import CountedModel, ModelRuns
from audotics.server.runtime.detached import DetachedModel
from audotics.server.runtime.model import Model
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.saved_model import GRAPH_FILE, SavedModel
from audotics.server.runtime.supervisor import RunSupervisor

ONNX_FILE: Final = "model.onnx"

RemoteOpener = Callable[[str, int, RuntimeChoice], Model]
"""Makes a model of another server: the name and version here, and the choice that says where it is."""


@dataclass(frozen=True, slots=True)
class RuntimeOpener:
    """What all models of a server share. `default` runs those that have no `runtime.json`.

    `remotes` are by the name of the runtime. ONNX models run on `device` where their choice names none.
    """

    threads: int = 1
    default: RuntimeChoice = field(default_factory=RuntimeChoice)
    device: str = "cpu"
    gpu_memory_mib: int | None = None
    remotes: Mapping[str, RemoteOpener] = field(default_factory=dict)
    runs: ModelRuns = field(default_factory=ModelRuns)
    """Counts the runs of every model that was opened."""
    supervisor: RunSupervisor | None = None
    """Bounds what opening, warming up and each run may take; None lets them take as long as they do."""

    def file(self, choice: RuntimeChoice) -> str | None:
        """The file of a bundle that the runtime opens; None when the model lies elsewhere."""
        return {"onnx": ONNX_FILE, "tensorflow": GRAPH_FILE}.get(choice.runtime)

    def open(self, bundle: Bundle, choice: RuntimeChoice) -> CountedModel:
        """Raises RefusedModelError, or UnavailableModelError when another server would have to answer and does not."""
        counts = self.runs.of(bundle.manifest.name, bundle.manifest.version)
        model = self._open(bundle, choice)
        if self.supervisor is not None and not model.ends:
            model = DetachedModel(model, name=str(bundle), supervisor=self.supervisor, counts=counts)
        if isinstance(model, OnnxModel) and model.fell_back:
            counts.fell_back()
        return CountedModel(model, counts)

    def _open(self, bundle: Bundle, choice: RuntimeChoice) -> Model:
        if choice.runtime == "onnx":
            return OnnxModel(
                bundle.path / ONNX_FILE,
                supervisor=self.supervisor,
                threads=self.threads,
                device=choice.device or self.device,
                gpu_memory_mib=self.gpu_memory_mib,
                rounded=choice.join,
            )
        if choice.runtime == "tensorflow":
            return SavedModel(bundle.path, threads=self.threads)
        opener = self.remotes.get(choice.runtime)
        if opener is None:
            raise RefusedModelError(f"{bundle}: its runtime {choice.runtime!r} cannot be called from here")
        return opener(bundle.manifest.name, bundle.manifest.version, choice)

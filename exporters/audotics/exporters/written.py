"""A model in every format: `model.onnx` and the trained model go in, a SavedModel and what was measured come out.

`model.onnx` is there already, as whoever knows the model wrote it. Everything that is the same for all models happens
here: the SavedModel, the reduced precision, and the comparison of the trained model with each format and of the formats
with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audotics.evaluation.ranking import Holdout, Scorer
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import Formats, tensorflow_is_installed
from audotics.exporters.parity import Case, Run, measure
from audotics.exporters.prepared import Prepared
from audotics.exporters.quantization import LIMITS, Precision, ranking_loss, reduce_precision
from audotics.exporters.saved_model import SAVED_MODEL_FILE, SavedModel
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a model's exports rank: `scorer` makes a Scorer of any of them, `listeners` have the tracks to be found."""

    scorer: Callable[[Run], Scorer]
    listeners: Holdout


@dataclass(frozen=True, slots=True)
class Written:
    """A model in its formats. `exported` is what the server will run."""

    exported: ExportedModel
    parity: dict[str, float]
    metrics: dict[str, float]
    tools: dict[str, str]
    precision: Precision

    def noted(self, prepared: Prepared) -> Prepared:
        """`prepared` with what is known of the formats."""
        return replace(
            prepared,
            inputs=self.exported.inputs,
            outputs=self.exported.outputs,
            parity=self.parity,
            precision=self.precision,
            metrics=prepared.metrics | self.metrics,
            tools=prepared.tools | self.tools,
        )


def write_formats(
    model: str,
    trained: Run,
    folder: Path,
    cases: Sequence[Case],
    *,
    formats: Formats,
    progress: Progress,
    view: Callable[[Run], Run] = lambda run: run,
    ranking: Ranking | None = None,
    operators: Sequence[str] | None = None,
) -> Written:
    """Complete the bundle in `folder`, which holds `model.onnx`, and measure every format on `cases`.

    A SavedModel that is there already is kept, and compared. `view` is applied to every side before outputs are
    compared. With a precision below float32, `ranking` gives what that costs, which is said too; `operators` are
    what int8 quantises (see `reduce_precision`).

    Raises ParityError, and ExportError when a graph cannot be converted.
    """
    exported = ExportedModel(folder / MODEL_FILE)
    parity = measure(model, view(trained), view(exported.run), cases).to_json()
    between: dict[str, float] = {}
    tools: dict[str, str] = {}
    if (folder / SAVED_MODEL_FILE).exists() or (formats.saved_model and tensorflow_is_installed()):
        saved, tools = _saved_model(folder)
        for key, source, name in (
            ("saved_model", trained, f"{model} (SavedModel)"),
            ("onnx_saved_model", exported.run, f"{model} (SavedModel against ONNX)"),
        ):
            between |= _prefixed(key, measure(name, view(source), view(saved.run), cases).to_json())
    metrics: dict[str, float] = {}
    if formats.precision != "float32":
        reduce_precision(folder / MODEL_FILE, formats.precision, operators=operators)
        reduced = ExportedModel(folder / MODEL_FILE)
        name, limit = f"{model} ({formats.precision})", LIMITS[formats.precision]
        lower = measure(name, view(trained), view(reduced.run), cases, limit=limit, relative=True)
        parity = lower.to_json() | _prefixed("float32", parity)
        if ranking is not None:
            metrics = ranking_loss(ranking.scorer(reduced.run), ranking.scorer(exported.run), ranking.listeners)
            before, after = metrics["ndcg@10_float32"], metrics["ndcg@10"]
            progress.say(f"{model}: NDCG@10 is {after:.4f} at {formats.precision}, {before:.4f} at float32")
        exported = reduced
    return Written(exported, parity | between, metrics, tools, formats.precision)


def _saved_model(folder: Path) -> tuple[SavedModel, dict[str, str]]:
    with quiet_native_logs():
        import tensorflow as tf

        from audotics.exporters.tensorflow_graph import convert

        if not (folder / SAVED_MODEL_FILE).exists():
            convert(folder / MODEL_FILE, folder)
        return SavedModel(folder), {"tensorflow": tf.__version__}


def _prefixed(prefix: str, measured: dict[str, float]) -> dict[str, float]:
    """The differences of a comparison that is not the first, whose number of cases and limit are those of the first."""
    return {f"{prefix}_{name}": value for name, value in measured.items() if name.endswith("_diff")}

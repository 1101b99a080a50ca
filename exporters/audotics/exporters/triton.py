"""Triton's view of a model: what a manifest says of inputs and outputs goes in, `config.pbtxt` comes out.

Triton reads `<repository>/<model>/config.pbtxt` and takes every version beside it, from the same folders and the same
`model.onnx` as Audotics. Batching is left to the axes of the graph (`max_batch_size: 0`), since the inputs of one model
do not share a first axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.exporters.errors import ExportError

CONFIG_FILE: Final = "config.pbtxt"

MARK: Final = "# Written by Audotics at each export. Remove this line, and the file is yours: it stays as it is."

_TYPES: Final = {
    "bool": "TYPE_BOOL",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
}


def write_config(root: Path, manifest: Manifest) -> Path | None:
    """Write the file of the model of `manifest` into the repository `root`; None where it is somebody else's.

    It describes one signature, so versions of different widths cannot be served side by side by Triton, and the one
    exported last counts. Raises ExportError for a type that Triton has not.
    """
    path = root / manifest.name / CONFIG_FILE
    if path.exists() and not path.read_text("utf-8", errors="replace").startswith(MARK):
        return None
    partial = path.with_name(f"{CONFIG_FILE}.partial")
    partial.write_text(config_text(manifest), "utf-8")
    partial.replace(path)
    return path


def config_text(manifest: Manifest) -> str:
    """The file's text, in the text format of Triton's `inference.ModelConfig`."""
    return "\n".join(
        [
            MARK,
            f'name: "{manifest.name}"',
            'platform: "onnxruntime_onnx"',
            "max_batch_size: 0",
            *_tensors("input", manifest.inputs),
            *_tensors("output", manifest.outputs),
            "version_policy { all { } }",
            "",
        ]
    )


def _tensors(field: str, specs: Sequence[TensorSpec]) -> list[str]:
    lines = []
    for spec in specs:
        if spec.dtype not in _TYPES:
            known = ", ".join(_TYPES)
            raise ExportError(f"{field} {spec.name!r} has type {spec.dtype}, which Triton is not told; known: {known}")
        sizes = ", ".join(str(size) for size in spec.shape)
        lines.append(f'{field} {{ name: "{spec.name}" data_type: {_TYPES[spec.dtype]} dims: [ {sizes} ] }}')
    return lines

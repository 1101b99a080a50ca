"""A smaller `model.onnx`: a float32 model goes in, one of the same names in half or 8-bit numbers takes its place.

float16 halves the file: arrays and arithmetic are half precision where the runtime has it, inputs and outputs stay
float32. int8 makes a quarter of it: weights become bytes with one scale an array, and are multiplied with inputs that
are rounded to bytes as they come in (dynamic quantisation). What that costs in the order of lists is `ranking_loss`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import onnx

from audotics.evaluation.ranking import Holdout, Scorer
from audotics.exporters.errors import ExportError

Precision = Literal["float32", "float16", "int8"]

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "float16", "int8")

LIMITS: Final[dict[Precision, float]] = {"float16": 0.01, "int8": 0.1}
"""Largest difference from the trained model, in units of the largest value of each output.

Eleven bits and eight bits a number, added up over a few layers; what is beyond is no rounding.
"""

TABLES: Final = ("Gather",)
"""Operators to quantise where only look-up tables should be. Nothing is rounded that depends on the inputs then."""

LOSS_LISTENERS: Final = 2_000
"""Listeners on which the loss is measured, at most."""

_SEED: Final = 0


def reduce_precision(path: Path, precision: Precision, *, operators: Sequence[str] | None = None) -> None:
    """Rewrite the model at `path`; "float32" leaves it alone. `operators` bounds which ones int8 quantises.

    Dynamic quantisation scales what it multiplies by the largest value of the whole batch, so that a row's output
    depends a little on the rows beside it: by up to 0.1 for the logits of a trained NCF. Give `TABLES` where rows of
    several callers share a batch; the file was 6 % larger with them.
    """
    if precision == "float32":
        return
    beside = path.with_name(f"{path.name}.data")
    if beside.exists():
        raise ExportError(
            f"{path}: is too large for one file, and such models are not reduced to {precision}; export at float32"
        )
    partial = path.with_name(f"{path.name}.partial")
    model = onnx.load(str(path))
    if precision == "float16":
        _halve(model, partial)
    else:
        _quantize(model, partial, operators)
    onnx.checker.check_model(str(partial), full_check=True)
    partial.replace(path)


def _halve(model: onnx.ModelProto, path: Path) -> None:
    # Not at the head: importing these widens sys.path.
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    half.topological_sort()  # the casts are put at the end, behind the nodes that read them
    onnx.save(half.model, str(path))


def _quantize(model: onnx.ModelProto, path: Path, operators: Sequence[str] | None) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # else it warns that there may be something to fold or fuse; here there is not
    chosen = None if operators is None else list(operators)
    quantize_dynamic(model, path, weight_type=QuantType.QInt8, op_types_to_quantize=chosen)


def ranking_loss(reduced: Scorer, original: Scorer, listeners: Holdout) -> dict[str, float]:
    """Hit rate and NDCG of both on the same listeners, those of the original as "…_float32"."""
    sample = listeners.sample(LOSS_LISTENERS, seed=_SEED)
    before = {f"{name}_float32": value for name, value in sample.evaluate(original).items()}
    return sample.evaluate(reduced) | before | {"precision_listeners": float(len(sample.targets))}

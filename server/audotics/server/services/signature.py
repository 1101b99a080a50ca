"""What a loaded model takes and gives: named arrays of a request go in, and pass or are refused with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.loading import LoadedModel
from audotics.server.services.joining import RowPlan, row_plan
from audotics.server.services.tensors import TensorError, list_sizes

DATATYPES: Final = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "object": "BYTES",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
}
"""NumPy's names of types, and those of the Open Inference Protocol."""


class Known(IntEnum):
    """What is known to be right about the arrays of a request."""

    NOTHING = 0
    TENSORS = 1
    """Names, types and shapes, and there are rows."""
    VALUES = 2
    """The values, too, of inputs that may not have any."""


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """Of one version of a model. `plan` is None when its rows cannot run together with other requests' rows.

    It does not hold the model itself, which must be free to go when its version is unloaded.
    """

    name: str
    version: int
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    axes: Mapping[str, tuple[int | str, ...]]
    plan: RowPlan | None
    platform: str
    """What runs it, in Triton's words."""
    device: str
    """Where, in the words of `Model`."""
    classes: tuple[str, ...]
    """Names of the columns of a classifier's probabilities."""
    _dtypes: Mapping[str, np.dtype[Any]]
    _row_bytes: Mapping[str, int]
    """Of each output, where axes whose width is not known count as one place."""

    @classmethod
    def of(cls, name: str, loaded: LoadedModel) -> Signature:
        model = loaded.model
        return cls(
            name,
            loaded.version,
            {spec.name: spec for spec in model.inputs},
            {spec.name: spec for spec in model.outputs},
            model.axes,
            row_plan(model) if loaded.joins else None,
            model.platform,
            model.device,
            tuple(str(value) for value in loaded.bundle.manifest.preprocessing.get("classes", ())),
            {spec.name: np.dtype(spec.dtype) for spec in model.inputs},
            {
                spec.name: math.prod(max(1, size) for size in spec.shape[1:]) * np.dtype(spec.dtype).itemsize
                for spec in model.outputs
            },
        )

    @property
    def limited(self) -> tuple[str, ...]:
        """Inputs that may not have any value of their type."""
        return () if self.plan is None else self.plan.limited

    def check(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, known: Known = Known.NOTHING
    ) -> tuple[str, ...]:
        """Return the names of the outputs to compute, all when none are asked for. Raises TensorError.

        What is `known` is not looked at.
        """
        if known < Known.TENSORS:
            self._check_tensors(feeds, outputs)
        if known < Known.VALUES and self.plan is not None:
            self.plan.check_limits(feeds)
        return tuple(outputs) or tuple(self.outputs)

    def answer_bytes(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> int | None:
        """What the outputs take at least; 0 only where they have no row. None for a model without a plan."""
        plan = self.plan
        if plan is None:
            return None
        return sum(plan.size(feeds, plan.axis_of[name]) * self._row_bytes[name] for name in outputs)

    def nothing(self, outputs: Sequence[str]) -> list[NDArray[Any]] | None:
        """The outputs without a row, which some graphs fail to make; None where their widths are not known."""
        specs = [self.outputs[name] for name in outputs]
        if any(-1 in spec.shape[1:] for spec in specs):
            return None
        return [np.empty((0, *spec.shape[1:]), spec.dtype) for spec in specs]

    def _check_tensors(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> None:
        if feeds.keys() != self.inputs.keys():
            self._refuse_names(feeds)
        sizes: dict[str, tuple[int, str]] = {}
        for name, array in feeds.items():
            spec = self.inputs[name]
            if array.dtype != self._dtypes[name]:
                got, expected = DATATYPES[array.dtype.name], DATATYPES[spec.dtype]
                raise TensorError(
                    f"inference input '{name}' data-type is '{got}', but model '{self.name}' expects '{expected}'",
                    field=f"inputs[{name}].datatype",
                )
            self._check_shape(spec, array.shape, sizes)
        for name in outputs:
            if name not in self.outputs:
                raise TensorError(
                    f"unexpected inference output '{name}' for model '{self.name}'; it has: {', '.join(self.outputs)}",
                    field=f"outputs[{name}]",
                )

    def _refuse_names(self, feeds: Mapping[str, object]) -> None:
        for name in feeds:
            if name not in self.inputs:
                raise TensorError(
                    f"unexpected inference input '{name}' for model '{self.name}'; it takes: {', '.join(self.inputs)}",
                    field=f"inputs[{name}]",
                )
        missing = [name for name in self.inputs if name not in feeds]
        raise TensorError(
            f"expected {len(self.inputs)} inputs but got {len(feeds)} inputs for model '{self.name}'. "
            f"Got input(s) {list(feeds)}, but missing required input(s) {missing}. "
            "Please provide all required input(s).",
            field="inputs",
        )

    def _check_shape(self, spec: TensorSpec, shape: tuple[int, ...], sizes: dict[str, tuple[int, str]]) -> None:
        """`sizes` collects the sizes of named axes and the input that each was seen in first."""
        expected = spec.shape
        if len(shape) != len(expected) or any(
            known not in (-1, size) for known, size in zip(expected, shape, strict=True)
        ):
            raise TensorError(
                f"unexpected shape for input '{spec.name}' for model '{self.name}'. "
                f"Expected {list_sizes(expected)}, got {list_sizes(shape)}",
                field=f"inputs[{spec.name}].shape",
            )
        for axis, size in zip(self.axes[spec.name], shape, strict=True):
            if not isinstance(axis, str) or not axis:
                continue
            seen, other = sizes.setdefault(axis, (size, spec.name))
            if seen != size:
                raise TensorError(
                    f"unexpected shape for input '{spec.name}' for model '{self.name}'. Its axis '{axis}' has "
                    f"{size} places, that of input '{other}' has {seen}",
                    field=f"inputs[{spec.name}].shape",
                )

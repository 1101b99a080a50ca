"""Examples of TensorFlow and a model's inputs: one example a row goes in, arrays by input name come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.features.history import PADDING
from audotics.server.services.signature import Signature
from audotics.server.services.tensors import TensorError

_LISTS: Final = {"f": "float_list", "i": "int64_list", "u": "int64_list", "b": "int64_list", "O": "bytes_list"}
_HISTORY: Final = "history"
_USER_INDEX: Final = "user_index"
_MOST_EXAMPLES: Final = 65_536


def decode_examples(source: Any, signature: Signature) -> dict[str, NDArray[Any]]:
    """Feeds of a model from an `Input`: the features of each example by the names of the model's inputs.

    Histories may differ in length. `user_index` may be left out: then each example is a listener of its own. Raises
    TensorError for a model whose inputs are not one value, or one vector, an example.
    """
    examples = _features(source)
    feeds: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs.values():
        if not 1 <= len(spec.shape) <= 2 or spec.shape[0] != -1:
            raise TensorError(
                f"input '{spec.name}' of model '{signature.name}' is not one row an example; call Predict",
                field="input",
            )
        if spec.name == _USER_INDEX and not any(_USER_INDEX in example for example in examples):
            feeds[spec.name] = np.arange(len(examples))
        else:
            feeds[spec.name] = _column(examples, spec)
    return feeds


def _features(source: Any) -> list[dict[str, Any]]:
    kind = source.WhichOneof("kind")
    found = getattr(source, kind).examples if kind else ()
    if not found:
        raise TensorError("Input is empty.", field="input")
    if len(found) > _MOST_EXAMPLES:
        raise TensorError(f"there are {len(found)} examples; send up to {_MOST_EXAMPLES}", field="input")
    context = dict(source.example_list_with_context.context.features.feature) if "context" in kind else {}
    return [context | dict(example.features.feature) for example in found]


def _column(examples: Sequence[dict[str, Any]], spec: TensorSpec) -> NDArray[Any]:
    dtype = np.dtype(spec.dtype)
    rows = [_values(example, spec, _LISTS[dtype.kind], place) for place, example in enumerate(examples)]
    if len(spec.shape) == 1 or spec.shape[1] != -1:
        width = 1 if len(spec.shape) == 1 else spec.shape[1]
    else:
        width = max(1, *(len(row) for row in rows)) if spec.name == _HISTORY else len(rows[0])
    for place, row in enumerate(rows):
        if len(row) != width and spec.name != _HISTORY:
            raise TensorError(
                f"example {place} has {len(row)} values of '{spec.name}', it takes {width}",
                field=f"input.examples[{place}].features[{spec.name}]",
            )
    values = [[*row, *[PADDING] * (width - len(row))] for row in rows]
    try:
        column = np.asarray(values, dtype)
    except (OverflowError, ValueError) as error:
        raise TensorError(f"'{spec.name}' has a value outside {spec.dtype}", field="input") from error
    return column.reshape(len(rows)) if len(spec.shape) == 1 else column.reshape(len(rows), width)


def _values(example: dict[str, Any], spec: TensorSpec, kind: str, place: int) -> Sequence[Any]:
    field = f"input.examples[{place}].features[{spec.name}]"
    feature = example.get(spec.name)
    if feature is None:
        raise TensorError(f"example {place} has no feature '{spec.name}', which is required", field=field)
    if feature.WhichOneof("kind") != kind:
        raise TensorError(
            f"'{spec.name}' of example {place} stands in {feature.WhichOneof('kind')}; send {kind}", field=field
        )
    values = getattr(feature, kind).value
    if kind != "bytes_list":
        return list(values)
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise TensorError(f"'{spec.name}' of example {place} is not UTF-8", field=field) from error

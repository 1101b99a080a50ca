"""Every operator of ONNX that is converted does in TensorFlow what ONNX Runtime does, and the others are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from audotics.exporters.errors import ExportError
from audotics.training.quiet import quiet_native_logs

with quiet_native_logs():
    import tensorflow as tf

    from audotics.exporters.tensorflow_graph import OPERATORS, OnnxGraph, convert

RNG = np.random.default_rng(11)
F, I = np.float32, np.int64  # noqa: E741


@dataclass(frozen=True)
class Fixed:
    """An input that stands in the file."""

    array: np.ndarray


@dataclass(frozen=True)
class Case:
    """One node: arrays are inputs of any size, `Fixed` ones are in the file, None is left out."""

    operator: str
    inputs: Sequence[Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 17
    domain: str = ""

    @property
    def key(self) -> str:
        return f"{self.domain}.{self.operator}" if self.domain else self.operator

    def arrays(self, kind: type) -> dict[str, Any]:
        """The inputs that are `kind`, by name."""
        return {f"x{number}": value for number, value in enumerate(self.inputs) if isinstance(value, kind)}

    def model(self) -> onnx.ModelProto:
        names = ["" if value is None else f"x{number}" for number, value in enumerate(self.inputs)]
        made = [f"y{number}" for number in range(self.outputs)]
        node = helper.make_node(self.operator, names, made, name="the_node", domain=self.domain, **self.attributes)
        graph = helper.make_graph(
            [node],
            "case",
            [_info(name, value) for name, value in self.arrays(np.ndarray).items()],
            [onnx.ValueInfoProto(name=name) for name in made],
            [numpy_helper.from_array(value.array, name) for name, value in self.arrays(Fixed).items()],
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _info(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    axes = [f"{name}_{axis}" for axis in range(value.ndim)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), axes)


def _normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 2, shape).astype(F)


def _whole(*shape: int, low: int = -5, high: int = 6) -> np.ndarray:
    return RNG.integers(low, high, shape)


def _flags(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.5


def _axes(*axes: int) -> Fixed:
    return Fixed(np.asarray(axes, I))


x, wide, positive = _normal(3, 4), _normal(2, 3, 4), np.abs(_normal(3, 4)) + F(0.1)
holes = np.asarray([[1.0, np.nan, np.inf], [-np.inf, 0.0, 2.0]], F)

CASES = [
    *(Case(name, [x]) for name in ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Identity", "Neg", "Relu", "Round")),
    *(Case(name, [x]) for name in ("Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh", "Dropout", "Elu")),
    *(Case(name, [x]) for name in ("HardSigmoid", "LeakyRelu", "Size", "Shape", "Softmax", "LogSoftmax", "Flatten")),
    *(Case(name, [positive]) for name in ("Log", "Reciprocal", "Sqrt")),
    *(Case(name, [x, _normal(2, 1, 4)]) for name in ("Add", "Sub", "Mul", "Div", "Less", "LessOrEqual", "Greater")),
    *(Case(name, [_whole(3, 4), _whole(4)]) for name in ("Equal", "GreaterOrEqual", "Add", "Max", "Min")),
    *(Case(name, [_flags(3, 4), _flags(4)]) for name in ("And", "Or", "Xor")),
    *(Case(name, [x, _normal(4), _normal(3, 1)]) for name in ("Max", "Min", "Sum", "Mean")),
    *(Case(name, [holes]) for name in ("IsNaN", "IsInf")),
    Case("Not", [_flags(5)]),
    Case("Max", [x]),
    Case("Round", [np.asarray([0.5, 1.5, 2.5, -0.5, -1.5], F)]),
    Case("Div", [_whole(20), _whole(20, low=1)]),
    Case("Div", [_whole(20), -_whole(20, low=1)]),
    Case("Mod", [_whole(20), -_whole(20, low=1)]),
    Case("Mod", [_normal(20), positive[0, 0] + np.zeros(20, F)], {"fmod": 1}),
    Case("Pow", [positive, _normal(4)]),
    Case("Pow", [x, Fixed(np.asarray(2, I))]),
    Case("Pow", [_whole(5, low=1), Fixed(np.asarray(0.5, F))]),
    Case("PRelu", [x, _normal(4)]),
    Case("Elu", [x], {"alpha": 0.3}),
    Case("Gelu", [x], opset=20),
    Case("Gelu", [x], {"approximate": "tanh"}, opset=20),
    Case("Clip", [x, Fixed(np.asarray(-1, F)), Fixed(np.asarray(1, F))]),
    Case("Clip", [x, None, Fixed(np.asarray(1, F))]),
    Case("Clip", [x]),
    Case("Cast", [x], {"to": TensorProto.INT64}),
    Case("Cast", [_whole(3, low=-1, high=2)], {"to": TensorProto.BOOL}),
    Case("Cast", [_flags(4)], {"to": TensorProto.FLOAT}),
    Case("CastLike", [x, _whole(1)]),
    Case("Where", [_flags(3, 1), x, _normal(4)]),
    Case("Constant", [], {"value": numpy_helper.from_array(x)}),
    Case("Constant", [], {"value_ints": [3, 4]}),
    Case("Constant", [], {"value_float": 0.5}),
    Case("ConstantOfShape", [np.asarray([2, 3], I)]),
    Case("ConstantOfShape", [np.asarray([2], I)], {"value": numpy_helper.from_array(np.asarray([7], I))}),
    Case("Range", [np.asarray(2, I), np.asarray(11, I), np.asarray(3, I)]),
    Case("Shape", [wide], {"start": 1, "end": -1}),
    Case("Reshape", [wide, _axes(0, -1)]),
    Case("Reshape", [wide, np.asarray([4, 0, 2], I)]),
    Case("Reshape", [wide, np.asarray([0, 3, 2, -1], I)]),
    Case("Reshape", [np.zeros((0, 3), F), Fixed(np.asarray([3, 0], I))], {"allowzero": 1}),
    Case("Flatten", [wide], {"axis": 2}),
    Case("Flatten", [wide], {"axis": -1}),
    Case("Flatten", [wide], {"axis": 0}),
    Case("Transpose", [wide]),
    Case("Transpose", [wide], {"perm": [1, 0, 2]}),
    Case("Unsqueeze", [x, _axes(0, -1)]),
    Case("Squeeze", [wide[:, :1, :1], _axes(1, -1)]),
    Case("Squeeze", [wide[:1, :, :1]]),
    Case("Concat", [x, _normal(3, 2), _normal(3, 1)], {"axis": -1}),
    Case("Split", [x], {"axis": 1}, outputs=2),
    Case("Split", [x, _axes(1, 3)], {"axis": -1}, outputs=2),
    Case("Split", [_normal(7, 2)], {"axis": 0, "num_outputs": 3}, outputs=3, opset=18),
    Case("Slice", [wide, _axes(1), _axes(2**63 - 1), _axes(-1)]),
    Case("Slice", [wide, _axes(0, 1), _axes(2, 100)]),
    Case("Slice", [wide, _axes(-1), _axes(-(2**63)), _axes(2), _axes(-1)]),
    Case("Slice", [wide, _axes(-100, 3), _axes(100, 0), _axes(0, 2), _axes(1, -2)]),
    Case("Gather", [x, _whole(2, 5, low=-3, high=3)]),
    Case("Gather", [wide, _whole(2, low=-4, high=4)], {"axis": -1}),
    Case("Gather", [wide, Fixed(np.asarray(1, I))], {"axis": 1}),
    Case("Gather", [Fixed(_normal(300, 7)), _whole(2, 5, low=-300, high=300)]),
    Case("GatherElements", [wide, _whole(2, 3, 2, low=-4, high=4)], {"axis": 2}),
    Case("GatherND", [wide, Fixed(np.asarray([[0, -1], [1, 2]], I))]),
    Case("GatherND", [wide, Fixed(np.asarray([[[1], [-1]], [[0], [2]]], I))], {"batch_dims": 1}),
    Case("ScatterND", [x, Fixed(np.asarray([[1], [-1]], I)), _normal(2, 4)]),
    Case("ScatterND", [x, Fixed(np.asarray([[1], [1]], I)), _normal(2, 4)], {"reduction": "add"}),
    Case("ScatterElements", [x, _whole(2, 4, low=-3, high=-2), _normal(2, 4)], {"axis": 0, "reduction": "add"}),
    Case("ScatterElements", [x, np.asarray([[3, 0]] * 3, I), _normal(3, 2)], {"axis": 1}),
    Case("Expand", [_normal(3, 1), np.asarray([2, 1, 4], I)]),
    Case("Expand", [_flags(4), Fixed(np.asarray([1], I))]),
    Case("Tile", [x, np.asarray([2, 3], I)]),
    Case("Pad", [x, _axes(1, 0, 2, 3), Fixed(np.asarray(-1, F))]),
    Case("Pad", [x, _axes(1, 2), None, _axes(-1)], opset=18),
    Case("Trilu", [_normal(2, 4, 5)]),
    Case("Trilu", [_normal(4, 5), np.asarray(-1, I)], {"upper": 0}),
    Case("OneHot", [_whole(2, 3, low=-4, high=4), Fixed(np.asarray(4, I)), Fixed(np.asarray([2, 5], F))]),
    Case("OneHot", [_whole(3, low=0, high=9), Fixed(np.asarray(4, I)), Fixed(np.asarray([0, 1], F))], {"axis": 0}),
    Case("NonZero", [_whole(3, 4, low=0, high=2)]),
    *(
        Case(name, [wide], {"axes": [-1]})
        for name in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2")
    ),
    *(Case(name, [wide], {"keepdims": 0}) for name in ("ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceLogSumExp")),
    Case("ReduceSum", [wide, _axes(0, -1)], {"keepdims": 0}),
    Case("ReduceSum", [wide], {"noop_with_empty_axes": 1}),
    Case("ReduceMean", [wide, _axes(1)], opset=18),
    Case("ArgMax", [_whole(4, 5, low=0, high=2)], {"axis": -1}),
    Case("ArgMax", [_whole(4, 5, low=0, high=2)], {"axis": 0, "select_last_index": 1, "keepdims": 0}),
    Case("ArgMin", [_whole(4, 5, low=0, high=2)], {"axis": 1, "keepdims": 0}),
    Case("CumSum", [x, Fixed(np.asarray(1, I))], {"exclusive": 1, "reverse": 1}),
    Case("TopK", [wide, np.asarray([2], I)], {"axis": 1}, outputs=2),
    Case("TopK", [wide, np.asarray([3], I)], {"largest": 0}, outputs=2),
    Case("Softmax", [wide], {"axis": 1}),
    Case("MatMul", [_normal(2, 1, 3, 4), _normal(5, 4, 2)]),
    Case("MatMul", [x, _normal(4)]),
    Case("MatMul", [_normal(4), _normal(2, 4, 3)]),
    Case("MatMul", [x, Fixed(_normal(4, 300))]),
    Case("Gemm", [x, _normal(5, 4), _normal(5)], {"transB": 1}),
    Case("Gemm", [x, _normal(3, 2), _normal(4, 1)], {"transA": 1, "alpha": 0.5, "beta": -2.0}),
    Case("Gemm", [x, _normal(4, 2)]),
    Case("Einsum", [x, _normal(3, 5)], {"equation": "bi,bj->ij"}),
    Case("LayerNormalization", [wide, _normal(4), _normal(4)], {"epsilon": 1e-3}),
    Case("LayerNormalization", [wide, _normal(3, 4)], {"axis": 1}),
    Case("LpNormalization", [x], {"axis": 1}),
    Case("LpNormalization", [x], {"axis": 0, "p": 1}),
    Case("Scaler", [x], {"offset": [1.0, 2.0, 3.0, 4.0], "scale": [0.5, 1.0, 2.0, 3.0]}, domain="ai.onnx.ml"),
    Case("ArrayFeatureExtractor", [x, Fixed(np.asarray([2, 0], I))], domain="ai.onnx.ml"),
    *(Case("Normalizer", [x], {"norm": norm}, domain="ai.onnx.ml") for norm in ("L1", "L2")),
    Case("LinearRegressor", [x], {"coefficients": [1.0, -2.0, 0.5, 3.0], "intercepts": [0.25]}, domain="ai.onnx.ml"),
    Case(
        "LinearClassifier",
        [x],
        {
            "coefficients": RNG.normal(0, 1, 12).tolist(),
            "intercepts": [0.1, -0.2, 0.3],
            "classlabels_ints": [4, 7, 9],
            "multi_class": 1,
            "post_transform": "SOFTMAX",
        },
        outputs=2,
        domain="ai.onnx.ml",
    ),
]


def _in_onnx_runtime(case: Case, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    model = case.model().SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def _in_tensorflow(case: Case, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    rebuilt = OnnxGraph(case.model(), path=Path("case.onnx")).function()
    outputs = rebuilt(*(tf.constant(value) for value in feeds.values()))
    return [outputs[f"y{number}"].numpy() for number in range(case.outputs)]


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.key}" for number, case in enumerate(CASES)])
def test_an_operator_does_what_onnx_runtime_does(case):
    feeds = case.arrays(np.ndarray)
    for expected, actual in zip(_in_onnx_runtime(case, feeds), _in_tensorflow(case, feeds), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_every_operator_that_is_offered_has_a_case():
    assert {case.key for case in CASES} == OPERATORS.keys()


@pytest.fixture(scope="module", params=[1, 2, -1, -3])
def cut(request):
    """A cut whose bounds are inputs, on both sides: traced once and run on many bounds."""
    case = Case("Slice", [_normal(6), np.asarray([0], I), np.asarray([0], I), _axes(0), _axes(request.param)])
    rebuilt = OnnxGraph(case.model(), path=Path("case.onnx")).function()
    session = onnxruntime.InferenceSession(case.model().SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.arange(6, dtype=F)
    return (
        lambda start, end: session.run(None, {"x0": values, "x1": start, "x2": end})[0],
        lambda start, end: rebuilt(*(tf.constant(array) for array in (values, start, end)))["y0"].numpy(),
    )


@settings(max_examples=80, deadline=None)
@given(start=st.integers(-9, 9), end=st.integers(-9, 9))
def test_a_cut_between_bounds_that_are_inputs(cut, start, end):
    expected, actual = (run(np.asarray([start], I), np.asarray([end], I)) for run in cut)

    np.testing.assert_array_equal(actual, expected)


def test_large_arrays_are_variables_and_small_ones_are_not(tmp_path):
    case = Case("Gather", [Fixed(_normal(5_000, 8)), np.asarray([0], I)])
    onnx.save(case.model(), tmp_path / "model.onnx")

    convert(tmp_path / "model.onnx", tmp_path)

    assert (tmp_path / "variables" / "variables.data-00000-of-00001").stat().st_size > 5_000 * 8 * 4
    assert (tmp_path / "saved_model.pb").stat().st_size < 20_000


def test_an_unknown_operator_is_named_with_its_node():
    with pytest.raises(ExportError, match=r"case\.onnx: operator Det of node 'the_node' has no TensorFlow counterpart"):
        OnnxGraph(Case("Det", [_normal(3, 3)]).model(), path=Path("case.onnx"))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (
            Case("Slice", [x, np.asarray([0], I), np.asarray([1], I), np.asarray([0], I)]),
            "'axes' depends on the graph's",
        ),
        (Case("Pad", [x, _axes(0, 0, 0, 1)], {"mode": "reflect"}), "mode 'reflect' is not converted"),
        (Case("Cast", [x], {"to": TensorProto.STRING}), "text is not converted"),
        (Case("GatherND", [x, np.asarray([[1]], I)]), "last axis of 'indices' has no fixed size"),
        (Case("ScatterND", [x, np.asarray([[1]], I), _normal(1, 4)], {"reduction": "mul"}), "reduction 'mul'"),
    ],
    ids=["axes", "pad", "text", "depth", "scatter"],
)
def test_what_an_operator_cannot_do_is_named_with_its_node(case, reason):
    with pytest.raises(
        ExportError, match=f"operator {case.operator} of node 'the_node' cannot be converted .*{reason}"
    ):
        OnnxGraph(case.model(), path=Path("case.onnx")).function().get_concrete_function()


def test_an_old_operator_set_is_refused():
    with pytest.raises(ExportError, match="operator set 12; export it for 13 or later"):
        OnnxGraph(Case("Relu", [x], opset=12).model(), path=Path("case.onnx"))


def test_a_name_that_a_saved_model_cannot_have_is_refused():
    model = Case("Relu", [x]).model()
    model.graph.input[0].name = model.graph.node[0].input[0] = "a:0"

    with pytest.raises(ExportError, match="'a:0' cannot name an input or output"):
        OnnxGraph(model, path=Path("case.onnx"))

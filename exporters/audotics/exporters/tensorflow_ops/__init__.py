"""ONNX operators in TensorFlow: a node and its inputs go in, its outputs come out, one module a family of operators."""

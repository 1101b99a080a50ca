"""ONNX graphs: a trained model's arrays go in, the graph that the server runs comes out, one module a model."""

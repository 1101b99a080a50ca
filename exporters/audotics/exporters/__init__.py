"""Bundles out of trained models: ONNX, SavedModel, FAISS indexes, and the parity between them and their source."""

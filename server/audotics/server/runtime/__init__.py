"""Loaded models: tensors go in, tensors come out, on explicit threads."""

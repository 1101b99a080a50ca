"""Open Inference Protocol v2: `inference.GRPCInferenceService`."""

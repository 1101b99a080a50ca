"""TensorFlow Serving: `tensorflow.serving.PredictionService` and `tensorflow.serving.ModelService`."""

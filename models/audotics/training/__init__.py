"""Training: from a data set to a run folder with trained models, checkpoints and metadata."""

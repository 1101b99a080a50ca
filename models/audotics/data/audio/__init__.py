"""Audio files: recordings go in, a table of features that the loaders and the genre model read comes out."""

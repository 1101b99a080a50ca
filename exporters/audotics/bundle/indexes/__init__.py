"""Vector indexes on disk: how one is described, built, written, opened and searched, for exporters and server alike."""

"""The request path: a snapshot, a listener and a query go in, a ranked list comes out. Stages work on arrays."""

"""Caches: what took time to make goes in, and comes out until it is too old, dropped, or gone with its process."""

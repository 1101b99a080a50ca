"""Batching across requests: jobs of rows go in one by one, each caller gets its own results back."""

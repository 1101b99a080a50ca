"""Choosing an index: vectors, queries and a goal go in, the cheapest index that reaches it comes out."""

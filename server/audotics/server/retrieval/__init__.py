"""Nearest-neighbour search: query vectors go in, the best rows and their scores come out."""

"""The feature contract: interactions, tracks and context go in, model inputs come out, as NumPy arrays.

Training and serving call these same functions, so what a model sees in service is what it saw in training.
"""

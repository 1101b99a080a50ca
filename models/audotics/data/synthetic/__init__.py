"""The synthetic catalogue: sizes and a seed go in, a data set with learnable tastes comes out."""

from audotics.data.synthetic.generator import synthetic

__all__ = ["synthetic"]

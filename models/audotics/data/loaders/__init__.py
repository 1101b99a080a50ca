"""Loaders, one file a format: paths go in, data sets with a report of what was read and dropped come out."""

from audotics.data.loaders.loader import load
from audotics.data.loaders.ncf_ratings import NO_ITEM, NcfSplit, load_ncf_split

__all__ = ["NO_ITEM", "NcfSplit", "load", "load_ncf_split"]

"""What can be wrong with a bundle.

BundleError
├── BundleNotFoundError    there is no such model or version
└── BundleCorruptError     files are missing, altered, half-written, or not what the manifest says
"""

from __future__ import annotations


class BundleError(Exception):
    """A bundle cannot be used. The message names the bundle, the file, the reason, and what to do."""


class BundleNotFoundError(BundleError):
    """The repository has no such model or version."""


class BundleCorruptError(BundleError):
    """The files of a bundle are not those that were exported."""

"""What can go wrong while a run is exported.

ExportError
└── ParityError    an exported model does not do what the trained one does; nothing is published
"""

from __future__ import annotations


class ExportError(Exception):
    """A run cannot be exported. The message names the run or the model, the reason, and what to do."""


class ParityError(ExportError):
    """An exported model differs from its source. The message names the model, the case, and the difference."""

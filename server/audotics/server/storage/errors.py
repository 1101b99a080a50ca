"""What can be wrong with the server's state on disk."""

from __future__ import annotations

from audotics.server.errors import AudoticsError


class StorageError(AudoticsError):
    """The database cannot be opened, read or written now. Nothing of the failed call is stored."""

"""Small text files of a repository: a path goes in, its text comes out where it is a plain file of a fair size.

A server reads these again and again, and whoever writes to the repository decides what lies there: a link, a pipe that
nobody writes to, or a file of gigabytes must cost it no more than a message.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from audotics.bundle.errors import BundleCorruptError

_MOST_BYTES: Final = 16 * 1024 * 1024
"""Enough for a manifest with a vocabulary of hundreds of thousands of tags; labels take a few hundred bytes."""


def read_text_file(path: Path, *, where: str, most_bytes: int = _MOST_BYTES) -> str:
    """The text of `path`; `where` names the model in errors.

    Raises FileNotFoundError where there is nothing, BundleCorruptError for what cannot be read and for what is no plain
    file of up to `most_bytes`. Bytes that are not UTF-8 come out as replacement characters.
    """
    try:
        # Not blocking: opening a pipe would otherwise wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:  # what O_NOFOLLOW makes of a link
            raise BundleCorruptError(f"{where}: {path.name} is a symbolic link; put the file itself there") from error
        raise _unreadable(path, where, type(error).__name__) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, where, "it is no plain file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(most_bytes + 1)
    except OSError as error:
        raise _unreadable(path, where, type(error).__name__) from error
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise BundleCorruptError(
            f"{where}: {path.name} has more than {most_bytes:,} bytes, which it never needs; put the right file there"
        )
    return data.decode("utf-8", errors="replace")


def _unreadable(path: Path, where: str, reason: str) -> BundleCorruptError:
    return BundleCorruptError(f"{where}: {path.name} cannot be read ({reason})")

"""TensorFlow without its banners: what native code writes to stderr is kept back, and shown only after a failure."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_logs() -> Iterator[None]:
    """Keep back what is written to stderr in the block, by native code too.

    TensorFlow logs its build options and the absence of a GPU while it is imported, and TF_CPP_MIN_LOG_LEVEL does not
    reach what it logs before it has set up logging. That variable is set for what comes after, unless it is already.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception:  # who interrupts it knows why it ends
            sys.stderr.flush()
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)

"""FAISS as it is at run time. Its type stubs lack what its Python layer adds, so that it counts as untyped here."""

from __future__ import annotations

from typing import Any, Final

import faiss as _faiss

faiss: Final[Any] = _faiss

"""Recorded inputs of a bundle: arrays by input name go in, `warmup.npz` comes out, to be run before traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WARMUP_FILE: Final = "warmup.npz"


def write_warmup(folder: Path, feeds: Mapping[str, NDArray[Any]]) -> None:
    """Write `feeds` as the inputs that a server replays."""
    np.savez(folder / WARMUP_FILE, allow_pickle=False, **dict(feeds))

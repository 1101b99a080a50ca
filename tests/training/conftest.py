"""A watcher that remembers what was announced, and listeners of two tastes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from audotics.training.progress import Stage


class _CountedStage:
    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps[0] += steps


class Watcher:
    """Remembers stages as (title, total, steps done) and the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._stages: list[tuple[str, int, list[int]]] = []

    @property
    def stages(self) -> list[tuple[str, int, int]]:
        return [(title, total, steps[0]) for title, total, steps in self._stages]

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        steps = [0]
        self._stages.append((title, total, steps))
        yield _CountedStage(steps)

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep PyTorch on one thread: on models as small as here, more of them mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture(scope="session")
def two_tastes() -> list[np.ndarray]:
    """60 listeners of 40 tracks: the even ones hear 8 of tracks 0..19, the odd ones 8 of 20..39."""
    rng = np.random.default_rng(0)
    return [(rng.choice(20, 8, replace=False) + 20 * (user % 2)).astype(np.int32) for user in range(60)]

"""Fixtures of the exporters' tests: models with random weights, and a run that holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.data.synthetic import synthetic
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.hybrid import Gate
from audotics.models.ncf import Ncf
from audotics.training.progress import Stage
from audotics.training.run import Run, RunOptions

DIMENSION = 8
MakeRun = Callable[[Sequence[str]], Run]


class Recorder:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: dict[str, int] = {}

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        self.stages[title] = 0
        yield _RecordedStage(self, title)
        assert self.stages[title] == total

    def say(self, line: str) -> None:
        self.lines.append(line)


class _RecordedStage:
    def __init__(self, recorder: Recorder, title: str) -> None:
        self._recorder, self._title = recorder, title

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._recorder.stages[self._title] += steps


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from more threads, which on a busy machine wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def make_collaborative() -> Callable[[int], CollaborativeModel]:
    def make(n_tracks: int) -> CollaborativeModel:
        rng = np.random.default_rng(3)
        tracks = rng.normal(0, 1, (n_tracks, DIMENSION))
        tracks -= tracks.mean(axis=0)
        return CollaborativeModel(
            rng.normal(0, 1, (n_tracks, DIMENSION)).astype(np.float32),
            tracks.astype(np.float32),
            CollaborativeOptions(rank=DIMENSION),
        )

    return make


@pytest.fixture(scope="session")
def make_ncf() -> Callable[[int], Ncf]:
    def make(n_tracks: int) -> Ncf:
        torch.manual_seed(3)
        model = Ncf(n_tracks, DIMENSION)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn(parameter.shape)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def gate() -> Gate:
    torch.manual_seed(3)
    gate = Gate(6)
    gate.scale = torch.tensor([1.2, 0.4, 0.1, 2.0, 0.9, 0.3])
    gate.calibration = torch.tensor([0.8, -0.3, -2.0])
    return gate.eval()


@pytest.fixture
def make_run(
    tmp_path: Path,
    make_collaborative: Callable[[int], CollaborativeModel],
    make_ncf: Callable[[int], Ncf],
    gate: Gate,
) -> MakeRun:
    """`make_run(kinds)`: a run of a small synthetic catalogue with untrained models of the kinds in place."""

    def make(kinds: Sequence[str]) -> Run:
        dataset = synthetic(n_tracks=120, n_users=60, seed=5, mean_history=12)
        run = Run.create(tmp_path / "run", dataset, RunOptions(k_core=3))
        n_tracks = len(run.split().rows)
        assert n_tracks < len(dataset.tracks), "the core must lack tracks, or row numbers are not put to the test"
        if "collaborative" in kinds:
            model = make_collaborative(n_tracks)
            model.save(run.folder("collaborative"))
            record = {"options": asdict(model.options), "metrics": {"hr@10": 0.4, "ndcg@10": 0.25}}
            run.record("collaborative", record)
        if "ncf" in kinds:
            make_ncf(n_tracks).save(run.folder("ncf"))
            run.record("ncf", {"options": {"embedding_size": DIMENSION}})
        if "hybrid" in kinds:
            gate.save(run.folder("hybrid"))
            run.record("hybrid", {"options": {"hidden": 6}})
        return run

    return make

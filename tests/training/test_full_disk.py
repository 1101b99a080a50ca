"""A disk that is full while a finished model, a record or a run is written: one message, and what was there stays.

A limit on the size of files stands for the full disk, in a process of its own: it cannot be lifted again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audotics.data.synthetic import synthetic
from audotics.models.collaborative import CollaborativeModel
from audotics.models.hybrid import Gate
from audotics.training.pipeline import train
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunError, RunOptions

SMALL = {"collaborative": {"rank": 2, "search": False}}

LIMITED = """
import resource, signal, sys
from pathlib import Path
from audotics.data.synthetic import synthetic
from audotics.models.hybrid import Gate
from audotics.training.pipeline import train
from audotics.training.progress import Quiet
from audotics.training.run import Run, RunError, RunOptions

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = Run.open(Path(sys.argv[1]))
dataset = synthetic(n_tracks=120, n_users=100, seed=5)
gate = Gate(2_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def save_gate():
    with run.saving("hybrid") as folder:
        gate.save(folder)


what = {
    "arrays": lambda: train(
        run, ["collaborative"], {"collaborative": {"rank": 100, "search": False}}, resume=False, progress=Quiet()
    ),
    "parameters": save_gate,
    "record": lambda: run.record("ncf", {"losses": [0.25] * 10_000}),
    "run": lambda: Run.create(run.path / "another", dataset, RunOptions()),
}
for attempt in what.values():
    try:
        attempt()
    except RunError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With models that are small enough for the limit."""
    path = tmp_path_factory.mktemp("runs") / "run"
    run = Run.create(path, synthetic(n_tracks=120, n_users=100, seed=4), RunOptions(seed=3))
    train(run, ["collaborative"], SMALL, resume=False, progress=Quiet())
    Gate(4).save(run.folder("hybrid"))
    return run


def test_what_was_there_stays_and_the_message_says_how_much_is_free(run: Run) -> None:
    kinds = Run.open(run.path).kinds
    before = CollaborativeModel.load(run.path / "collaborative", kinds["collaborative"]["options"])

    done = subprocess.run([sys.executable, "-c", LIMITED, str(run.path)], capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    arrays, parameters, record, whole = done.stdout.splitlines()
    folder = run.path
    assert arrays.startswith(f"{folder}/collaborative: the trained model of collaborative cannot be written (File too")
    assert parameters.startswith(f"{folder}/hybrid: the trained model of hybrid cannot be written (")
    assert record.startswith(f"{folder}: run.json cannot be written (File too large; ")
    assert whole.startswith(f"{folder}: the run cannot be written (")
    for line in (arrays, parameters, record, whole):
        assert " GB are free there); what stood there before is whole. Free some space" in line
    assert Run.open(run.path).kinds == kinds
    after = CollaborativeModel.load(run.path / "collaborative", kinds["collaborative"]["options"])
    np.testing.assert_array_equal(after.track_vectors, before.track_vectors)
    assert Gate.load(run.path / "hybrid").first.out_features == 4
    assert not [path for path in run.path.rglob("*") if path.name == ".saving" or path.name.endswith(".partial")]


def test_an_error_while_a_model_is_made_is_not_taken_for_a_full_disk(run: Run) -> None:
    def fail() -> None:
        with run.saving("collaborative") as folder:
            (folder / "model.npz").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert (run.path / "collaborative" / "model.npz").stat().st_size > 1_000


def test_a_place_that_cannot_hold_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    dataset = synthetic(n_tracks=120, n_users=100, seed=5)

    with pytest.raises(RunError, match=r"file: the run cannot be written \(.* GB are free there\)"):
        Run.create(tmp_path / "file" / "run", dataset, RunOptions())

"""Checkpoints: whole or not at all, and clear words when they are no use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audotics.training.checkpoints import CheckpointError, Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "a" / "b")


def test_nothing_is_there_at_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.last() is None
    assert checkpoints.best() is None
    checkpoints.clear()


def test_the_best_stays_while_the_last_moves_on(checkpoints: Checkpoints) -> None:
    checkpoints.save({"epoch": 1, "weights": torch.arange(3)}, best=True)
    checkpoints.save({"epoch": 2, "weights": torch.zeros(3)}, best=False)

    reopened = Checkpoints(checkpoints.folder)
    last, best = reopened.last(), reopened.best()
    assert last is not None
    assert best is not None
    assert (last["epoch"], best["epoch"]) == (2, 1)
    assert best["weights"].tolist() == [0, 1, 2]


def test_clear_forgets_both(checkpoints: Checkpoints) -> None:
    checkpoints.save({"epoch": 1}, best=True)
    checkpoints.clear()

    assert checkpoints.last() is None
    assert checkpoints.best() is None


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut off"])
def test_a_damaged_file_is_named(checkpoints: Checkpoints, damage: bytes | None) -> None:
    checkpoints.save({"weights": torch.zeros(1000)}, best=False)
    path = checkpoints.folder / "last.pt"
    path.write_bytes(path.read_bytes()[:2000] if damage is None else damage)

    with pytest.raises(CheckpointError, match=r"last\.pt: is not a whole checkpoint; train without --resume"):
        checkpoints.last()


def test_a_checkpoint_that_would_run_code_is_refused(checkpoints: Checkpoints) -> None:
    torch.save({"model": Path("anything that is no tensor")}, checkpoints.folder / "last.pt")

    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        checkpoints.last()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_keeps_the_checkpoint_before(checkpoints: Checkpoints) -> None:
    checkpoints.save({"epoch": 1}, best=False)
    (checkpoints.folder / ".last.pt.partial").symlink_to("/dev/full")

    with pytest.raises(CheckpointError, match=r"last\.pt: cannot write \(No space left on device\).*--resume"):
        checkpoints.save({"epoch": 2, "weights": torch.zeros(100_000)}, best=False)

    assert checkpoints.last() == {"epoch": 1}
    checkpoints.save({"epoch": 2}, best=False)
    assert checkpoints.last() == {"epoch": 2}


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CheckpointError, match=r"file/checkpoints: cannot be made .*--output"):
        Checkpoints(tmp_path / "file" / "checkpoints")

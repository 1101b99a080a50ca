"""Training where TensorFlow is not installed: a fresh interpreter that cannot find it trains all the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WITHOUT_TENSORFLOW = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ("keras", "tensorflow"):
            return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from audotics.cli.main import main
main()
"""


def audotics(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_all_but_the_keras_kinds_are_trained_and_the_hybrid_weighs_them(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sizes = ("--tracks", "200", "--listeners", "100", "--epochs", "1")
    trained = audotics("train", "all", "--synthetic", *sizes, "--output", str(run), "--json")

    assert trained.returncode == 0, trained.stderr
    assert "content: left out, TensorFlow is not installed (pip install 'audotics[tensorflow]')\n" in trained.stderr
    kinds = json.loads(trained.stdout)["kinds"]
    assert "content" not in kinds
    assert all(kinds[kind]["validation"]["ndcg@10"] > 0 for kind in ("collaborative", "ncf", "hybrid"))


def test_a_keras_kind_alone_says_what_is_missing_before_any_work(tmp_path: Path) -> None:
    done = audotics("train", "content", "--synthetic", "--output", str(tmp_path / "run"))

    assert done.returncode == 1
    assert done.stderr == (
        "error: content cannot be trained: TensorFlow is not installed (pip install 'audotics[tensorflow]')\n"
    )
    assert not (tmp_path / "run").exists()

"""The pipeline of `deploy/dvc`: commands that the command line knows, and, where DVC is installed, the whole of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from audotics.cli.commands import load

FOLDER = Path(__file__).parents[2] / "deploy" / "dvc"
STAGES = ("prepare", "collect", "train", "evaluate", "export")
ALWAYS = "collect"
"""The stage that looks at a server's database every time."""


def stages(text: str, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages with their parameters filled in, as DVC does it."""

    def value(match: re.Match[str]) -> str:
        found: Any = params
        for name in match.group(1).split("."):
            found = found[name]
        return str(found)

    filled: dict[str, dict[str, Any]] = yaml.safe_load(re.sub(r"\$\{([\w.]+)\}", value, text))["stages"]
    return filled


@pytest.fixture
def pipeline() -> dict[str, dict[str, Any]]:
    params = yaml.safe_load((FOLDER / "params.yaml").read_text("utf-8"))
    return stages((FOLDER / "dvc.yaml").read_text("utf-8"), params)


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_a_command_line_that_is_understood(pipeline: dict[str, dict[str, Any]], stage: str) -> None:
    program, command, *arguments = shlex.split(pipeline[stage]["cmd"])

    assert program == "audotics"
    parsed = load(command)
    if arguments[0] in getattr(parsed, "commands", {}):
        parsed, arguments = parsed.commands[arguments[0]], arguments[1:]
    context = parsed.make_context(command, list(arguments))  # raises for what it does not know
    assert context.params


def test_each_stage_takes_what_an_earlier_one_made(pipeline: dict[str, dict[str, Any]]) -> None:
    made = {"data"}
    for name, stage in pipeline.items():
        assert set(stage["deps"]) <= made, name
        for out in [*stage.get("outs", ()), *stage.get("metrics", ())]:
            (path,) = out if isinstance(out, dict) else [out]
            assert path in shlex.split(stage["cmd"]), name
            made.add(path)
    assert "repository" in made


@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("dvc") is None, reason="dvc is not on PATH: pip install dvc")
def test_what_has_not_changed_is_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(FOLDER, folder)
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    heard = [rng.choice(12, 8, replace=False) + 12 * (user % 2) for user in range(40)]
    rows = [f"u{user},t{track}" for user, tracks in enumerate(heard) for track in tracks]
    (folder / "data" / "interactions.csv").write_text("\n".join(["user_id,track_id", *rows]) + "\n")
    params = yaml.safe_load((folder / "params.yaml").read_text("utf-8"))
    params["train"] = {"kind": "ncf", "options": "--epochs 1"}
    params["export"]["formats"] = "onnx"

    def repro() -> dict[str, bool]:
        """Which stages ran."""
        (folder / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
        command = ["dvc", "repro"] if (folder / ".dvc").is_dir() else ["dvc", "init", "--no-scm", "--quiet"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return {stage: f"Running stage '{stage}'" in done.stdout for stage in STAGES}

    repro()
    assert repro() == dict.fromkeys(STAGES, True)
    assert repro() == dict.fromkeys(STAGES, False) | {ALWAYS: True}
    params["train"]["options"] = "--epochs 2"
    assert repro() == {"prepare": False, "collect": True, "train": True, "evaluate": True, "export": True}
    assert sorted(path.name for path in (folder / "repository" / "ncf").iterdir() if path.name.isdigit()) == ["1", "2"]

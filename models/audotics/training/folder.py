"""The folder of a run: one data set and the models trained on it.

`run.json` records both; `evaluation.json` holds what was measured afterwards, apart, so that a build tool which follows
files sees that an evaluation changes no model.

What the data are decides the class: a listening run (`run.py`) trains recommenders, others train what suits labelled
tracks or groups. `run.json` names it under "task".
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final, Self

RECORD_FILE: Final = "run.json"
EVALUATION_FILE: Final = "evaluation.json"

RECORD_KEYS: Final = frozenset({"audotics", "task", "dataset", "fingerprint", "report", "options", "counts", "kinds"})
"""What run.json holds."""


class RunError(Exception):
    """A run cannot be used as asked. The message names the folder, the reason, and what to do."""


class RunFolder:
    """An open run folder. Subclasses know what stands in its `data/`."""

    task: ClassVar[str]

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self._record = record

    @classmethod
    def write(cls, path: Path, record: dict[str, Any], write_data: Callable[[Path], None]) -> Self:
        """Make a new run in one rename. `write_data` fills its `data/`; `record` says what was read and how."""
        partial = path.with_name(path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "data").mkdir(parents=True)
        write_data(partial / "data")
        run = cls(partial, {"audotics": version("audotics"), "task": cls.task, **record, "kinds": {}})
        run._write()
        partial.rename(path)
        run.path = path
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run folder. Raises RunError when it is none, or one of another task."""
        record = read_record(path)
        if record["task"] != cls.task:
            raise RunError(f"{path}: is a run on {record['task']}, not on {cls.task}; choose another folder")
        return cls(path, record)

    @classmethod
    def find(cls, path: Path, *, fingerprint: str, options: dict[str, Any], dataset: str) -> Self | None:
        """The run in `path` to go on with; None where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there: another folder, other data, other options.
        """
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return None
        run = cls.open(path)
        if run._record["fingerprint"] != fingerprint or run.options != options:
            raise RunError(
                f"{path}: holds a run of {run.name} with {run.options}, not of {dataset} with {options}; "
                "choose another --output, or remove the folder"
            )
        return run

    @property
    def name(self) -> str:
        return str(self._record["dataset"])

    @property
    def options(self) -> dict[str, Any]:
        return dict(self._record["options"])

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._record["counts"])

    @property
    def training_data(self) -> dict[str, Any]:
        """What the models were trained on, for manifests."""
        kept = ("dataset", "fingerprint", "report", "options", "counts")
        return {name: self._record[name] for name in kept}

    @property
    def kinds(self) -> dict[str, dict[str, Any]]:
        """Records of the trained kinds: {"ncf": {"options": …, "metrics": …, "seconds": …, …}, …}.

        A kind has "metrics" once it was evaluated.
        """
        measured = self._measured()
        kinds: dict[str, dict[str, Any]] = self._record["kinds"]
        return {
            kind: {**record, "metrics": measured[kind]} if kind in measured else dict(record)
            for kind, record in kinds.items()
        }

    def folder(self, kind: str) -> Path:
        folder = self.path / kind
        folder.mkdir(exist_ok=True)
        return folder

    def record(self, kind: str, value: dict[str, Any]) -> None:
        """Note that `kind` is trained. What was noted of it before, or measured, is gone."""
        self._record["kinds"][kind] = value
        self._write()
        measured = self._measured()
        if measured.pop(kind, None) is not None:
            _write_json(self.path / EVALUATION_FILE, measured)

    def record_metrics(self, kind: str, metrics: dict[str, float]) -> None:
        """Note how well the trained `kind` did on the test part."""
        _write_json(self.path / EVALUATION_FILE, {**self._measured(), kind: metrics})

    def _measured(self) -> dict[str, dict[str, float]]:
        try:
            measured: dict[str, dict[str, float]] = json.loads((self.path / EVALUATION_FILE).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.path / EVALUATION_FILE}: cannot be read ({error}); remove it and run `audotics evaluate "
                f"{self.path}` again"
            ) from error
        return measured

    def _write(self) -> None:
        _write_json(self.path / RECORD_FILE, self._record)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
    partial.replace(path)


def read_record(path: Path) -> dict[str, Any]:
    """`run.json` of a run folder. Raises RunError when it is none."""
    try:
        record = json.loads((path / RECORD_FILE).read_text("utf-8"))
        if not isinstance(record, dict) or not record.keys() >= RECORD_KEYS:
            raise ValueError("run.json lacks what a run records")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: is not a run ({error}); make one with `audotics train all --data DATA --output {path}`"
        ) from error
    return record

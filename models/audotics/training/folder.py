"""The folder of a run: one data set and the models trained on it.

`run.json` records both; `evaluation.json` holds what was measured afterwards, apart, so that a build tool which follows
files sees that an evaluation changes no model.

What the data are decides the class: a listening run (`run.py`) trains recommenders, others train what suits labelled
tracks or groups. `run.json` names it under "task".

A run can be updated with more data. They go to a folder of their own, which `run.json` names from then on; "updates"
says what came and when. The kinds trained before are "outdated" then: they are no longer measured or exported, and what
they had seen stays in a file until they are trained again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final, Self

RECORD_FILE: Final = "run.json"
EVALUATION_FILE: Final = "evaluation.json"
DATA_FOLDER: Final = "data"

RECORD_KEYS: Final = frozenset({"audotics", "task", "dataset", "fingerprint", "report", "options", "counts", "kinds"})
"""What run.json holds."""


class RunError(Exception):
    """A run cannot be used as asked. The message names the folder, the reason, and what to do."""


class RunFolder:
    """An open run folder. Subclasses know what stands in its `data_path`."""

    task: ClassVar[str]

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self._record = record
        self._evaluation: Path | None = None

    @classmethod
    def write(cls, path: Path, record: dict[str, Any], write_data: Callable[[Path], None]) -> Self:
        """Make a new run in one rename. `write_data` fills its `data/`; `record` says what was read and how."""
        partial = path.with_name(path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run = cls(partial, {"audotics": version("audotics"), "task": cls.task, **record, "kinds": {}})
        try:
            with writing(path.parent, "the run"):
                (partial / DATA_FOLDER).mkdir(parents=True)
                write_data(partial / DATA_FOLDER)
                run._write()
                partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
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
    def copy(cls, path: Path, prepared: Self) -> Self:
        """A new run in `path` on the data of `prepared`, with nothing trained."""
        kept = (*RECORD_KEYS - {"audotics", "task", "kinds"}, "validation")
        record = {name: prepared._record[name] for name in kept if name in prepared._record}

        def write_data(folder: Path) -> None:
            shutil.copytree(prepared.data_path, folder, dirs_exist_ok=True)

        return cls.write(path, record, write_data)

    @classmethod
    def find(cls, path: Path, *, fingerprint: str, options: dict[str, Any], dataset: str) -> Self | None:
        """The run in `path` to go on with; None where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there: another folder, other data, other options.
        """
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return None
        run = cls.open(path)
        if run._record["fingerprint"] != fingerprint:
            counts = [f"{n:,} {name.replace('_', ' ')}" for name, n in run._record["counts"].items()]
            raise RunError(
                f"{path}: holds a run of other data ({run.name}: {', '.join(counts[:3])}); choose another --output, or "
                "remove the folder"
            )
        if run.options != options:
            raise RunError(
                f"{path}: holds a run of {run.name} with {run.options}, not of {dataset} with {options}; "
                "choose another --output, or remove the folder"
            )
        return run

    def _renew(
        self,
        record: dict[str, Any],
        write_data: Callable[[Path], None],
        *,
        new: dict[str, int],
        write_seen: Callable[[Path], None],
    ) -> None:
        """Replace the data: `write_data` fills a new folder, `write_seen` a file with what models so far have seen."""
        updates = self.updates
        folder = self.path / f"{DATA_FOLDER}-{len(updates) + 2}"
        seen = self.path / f"seen-{len(updates) + 1}.npz"
        shutil.rmtree(folder, ignore_errors=True)
        with writing(self.path, "the new data"):
            folder.mkdir()
            write_data(folder)
            write_seen(seen)
        replaced = self.data_path
        outdated = self.outdated | {kind: value | {"seen": seen.name} for kind, value in self._record["kinds"].items()}
        update = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "previous": self._record["fingerprint"],
            "fingerprint": record["fingerprint"],
            "new": new,
        }
        renewed = {
            **self._record,
            **record,
            "data": folder.name,
            "updates": [*updates, update],
            "kinds": {},
            "outdated": outdated,
        }
        _write_json(self.path / RECORD_FILE, renewed)
        self._record = renewed
        shutil.rmtree(replaced, ignore_errors=True)

    @property
    def data_path(self) -> Path:
        return self.path / self._record.get("data", DATA_FOLDER)

    @property
    def updates(self) -> list[dict[str, Any]]:
        """What came with each update, oldest first: {"at": …, "previous": …, "fingerprint": …, "new": {…}}."""
        return list(self._record.get("updates", ()))

    @property
    def outdated(self) -> dict[str, dict[str, Any]]:
        """Records of the kinds that were trained before the last update and not since; "seen" names a file."""
        return dict(self._record.get("outdated", {}))

    @property
    def name(self) -> str:
        return str(self._record["dataset"])

    @property
    def fingerprint(self) -> str:
        """Of the data."""
        return str(self._record["fingerprint"])

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

    @contextmanager
    def saving(self, kind: str) -> Iterator[Path]:
        """Give a folder to write the finished model of `kind` into; its files are put in place when the block ends.

        Until then, and after an error, the model of before stays as it was. Raises RunError when there is no room.
        """
        folder = self.folder(kind)
        staging = folder / ".saving"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            with writing(folder, f"the trained model of {kind}"):
                staging.mkdir()
                yield staging
                files = [path for path in staging.rglob("*") if path.is_file()]
                for path in files:
                    _sync(path)
                for path in files:
                    place = folder / path.relative_to(staging)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def record(self, kind: str, value: dict[str, Any]) -> None:
        """Note that `kind` is trained. What was noted of it before, or measured, is gone."""
        self._record["kinds"][kind] = value
        self._record.get("outdated", {}).pop(kind, None)
        self._write()
        needed = {record["seen"] for record in self.outdated.values()}
        for seen in self.path.glob("seen-*.npz"):
            if seen.name not in needed:
                seen.unlink()
        measured = self._measured()
        if measured.pop(kind, None) is not None:
            _write_json(self.evaluation_path, measured)

    def record_metrics(self, kind: str, metrics: dict[str, float]) -> None:
        """Note how well the trained `kind` did on the test part."""
        _write_json(self.evaluation_path, {**self._measured(), kind: metrics})

    @property
    def evaluation_path(self) -> Path:
        """The file of what was measured."""
        return self.path / EVALUATION_FILE if self._evaluation is None else self._evaluation

    def keep_evaluation_in(self, path: Path) -> None:
        """From now on, note what is measured in `path`, and read it there, so that the run's folder stays as it is."""
        self._evaluation = path

    def _measured(self) -> dict[str, dict[str, float]]:
        path = self.evaluation_path
        try:
            measured: dict[str, dict[str, float]] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path}: cannot be read ({error}); remove it and run `audotics evaluate {self.path}` again"
            ) from error
        return measured

    def _write(self) -> None:
        _write_json(self.path / RECORD_FILE, self._record)


@contextmanager
def writing(folder: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong while files are written into a RunError that names the folder and the space left in it.

    The block does nothing but write: PyTorch and HDF5 raise RuntimeError where a disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise RunError(
            f"{folder}: {what} cannot be written ({reason}; {_free(folder)}); what stood there before is whole. Free "
            "some space, or check the folder's rights, and train again with --resume"
        ) from error


def _free(folder: Path) -> str:
    """ "1.2 GB are free there" """
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e9:.1f} GB are free there"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path.parent, path.name):
            partial.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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

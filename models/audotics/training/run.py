"""A run: the folder in which one data set, its split, and the models trained on it live together.

run.json                    what was read, the options, and a record of each trained kind
data/                       the whole catalogue and all histories, as the exported catalogue has them
data/split.npz              which tracks and listeners the models are trained on, and what is held out
<kind>/                     model files, checkpoints/, and selection/ (the model without the validation tracks)
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories, read_histories, read_tracks, write_histories, write_tracks
from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.splits import k_core, leave_one_out
from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns

RECORD_KEYS = frozenset({"audotics", "dataset", "fingerprint", "report", "options", "counts", "kinds"})
"""What run.json holds."""


class RunError(Exception):
    """A run cannot be used as asked. The message names the folder, the reason, and what to do."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a data set is prepared. `split` is "random" or "last": which track of a listener is held out."""

    seed: int = 0
    k_core: int = 5
    split: Literal["random", "last"] = "random"


@dataclass(frozen=True, slots=True)
class Split:
    """The k-core's part of a run, with rows of its own: core row r is row `rows[r]` of the catalogue.

    `tracks.plays` counts the training part. `training` holds the histories without the test tracks, `fitting` those
    without the validation tracks either, one a listener.
    """

    rows: NDArray[np.int64]
    tracks: TrackColumns
    training: list[NDArray[np.int32]]
    fitting: list[NDArray[np.int32]]
    validation: Holdout
    test: Holdout


class Run:
    """An open run folder."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self._record = record

    @classmethod
    def create(cls, path: Path, dataset: Dataset, options: RunOptions) -> Run:
        """Prepare `dataset` in a new folder. Raises DataError when too little of it is left after the k-core."""
        core = k_core(dataset, options.k_core) if options.k_core > 1 else dataset
        test = leave_one_out(core.interactions, core.n_users, seed=options.seed, how=options.split)
        validation = leave_one_out(test.train, core.n_users, seed=options.seed + 1, how=options.split)
        if len(validation.test_users) < 2:
            raise DataError(
                f"{dataset.name}: only {len(validation.test_users)} listeners have the three tracks that a test, a "
                "validation and a training part need; lower --k-core or bring more data"
            )
        row_of = {track_id: row for row, track_id in enumerate(dataset.tracks.ids)}
        partial = path.with_name(path.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "data").mkdir(parents=True)
        write_tracks(partial / "data", dataset.with_interactions(dataset.interactions).tracks)
        offsets = dataset.interactions.offsets(dataset.n_users)
        write_histories(partial / "data", Histories(dataset.user_ids, offsets, dataset.interactions.tracks))
        np.savez(
            partial / "data" / "split.npz",
            rows=np.asarray([row_of[track_id] for track_id in core.tracks.ids], np.int64),
            n_users=np.int64(core.n_users),
            training=_pairs(test.train),
            fitting=_pairs(validation.train),
            test=np.stack([test.test_users, test.test_tracks]),
            validation=np.stack([validation.test_users, validation.test_tracks]),
        )
        run = cls(
            partial,
            {
                "audotics": version("audotics"),
                "dataset": dataset.name,
                "fingerprint": fingerprint(dataset),
                "report": dataset.report.to_json(),
                "options": {"seed": options.seed, "k_core": options.k_core, "split": options.split},
                "counts": {
                    "tracks": dataset.n_tracks,
                    "listeners": dataset.n_users,
                    "interactions": len(dataset.interactions),
                    "core_tracks": core.n_tracks,
                    "core_listeners": core.n_users,
                    "core_interactions": len(core.interactions),
                    "test_listeners": len(test.test_users),
                },
                "kinds": {},
            },
        )
        run._write()
        partial.rename(path)
        run.path = path
        return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run folder. Raises RunError when it is none."""
        try:
            record = json.loads((path / "run.json").read_text("utf-8"))
            if not isinstance(record, dict) or not record.keys() >= RECORD_KEYS:
                raise ValueError("run.json lacks what a run records")
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path}: is not a run ({error}); make one with `audotics train all --data DATA --output {path}`"
            ) from error
        return cls(path, record)

    @classmethod
    def create_or_open(cls, path: Path, dataset: Dataset, options: RunOptions) -> Run:
        """Go on in a run of the same data and options, or make one where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there.
        """
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return cls.create(path, dataset, options)
        run = cls.open(path)
        wanted = {"seed": options.seed, "k_core": options.k_core, "split": options.split}
        if run._record["fingerprint"] != fingerprint(dataset) or run.options != wanted:
            raise RunError(
                f"{path}: holds a run of {run.name} with {run.options}, not of {dataset.name} with {wanted}; "
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
        """Records of the trained kinds: {"ncf": {"options": …, "metrics": …, "seconds": …, …}, …}."""
        return dict(self._record["kinds"])

    def folder(self, kind: str) -> Path:
        folder = self.path / kind
        folder.mkdir(exist_ok=True)
        return folder

    def record(self, kind: str, value: dict[str, Any]) -> None:
        """Note that `kind` is trained. What was noted of it before is gone."""
        self._record["kinds"][kind] = value
        self._write()

    def record_metrics(self, kind: str, metrics: dict[str, float]) -> None:
        """Note how well the trained `kind` did on the test tracks."""
        self._record["kinds"][kind]["metrics"] = metrics
        self._write()

    def tracks(self) -> TrackColumns:
        """The whole catalogue, with plays counted on all interactions."""
        return read_tracks(self.path / "data")

    def histories(self) -> Histories:
        """All histories, as rows of the whole catalogue."""
        return read_histories(self.path / "data")

    def split(self) -> Split:
        """The part of the data that models are trained and tested on. Raises RunError when its files are damaged."""
        try:
            with (self.path / "data" / "split.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                rows, n_users = arrays["rows"], int(arrays["n_users"])
                training, fitting = _histories(arrays["training"], n_users), _histories(arrays["fitting"], n_users)
                validation, test = arrays["validation"], arrays["test"]
                plays = np.bincount(arrays["training"][1], minlength=len(rows)).astype(np.float32)
            columns = self.tracks().take(rows)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(
                f"{self.path / 'data'}: cannot be read ({error}); remove {self.path} and train again"
            ) from error
        return Split(
            rows,
            columns.with_plays(plays),
            training,
            fitting,
            Holdout([fitting[user] for user in validation[0]], validation[1]),
            Holdout([training[user] for user in test[0]], test[1]),
        )

    def _write(self) -> None:
        partial = self.path / "run.json.partial"
        partial.write_text(json.dumps(self._record, indent=2) + "\n", "utf-8")
        partial.replace(self.path / "run.json")


def fingerprint(dataset: Dataset) -> str:
    """Hex SHA-256 that tells data sets apart: the tracks and listeners in order, and who heard what."""
    digest = hashlib.sha256(dataset.tracks.fingerprint().encode())
    digest.update("\0".join(dataset.user_ids).encode())
    for column in (dataset.interactions.users, dataset.interactions.tracks):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _pairs(interactions: Interactions) -> NDArray[np.int32]:
    return np.stack([interactions.users, interactions.tracks])


def _histories(pairs: NDArray[np.int32], n_users: int) -> list[NDArray[np.int32]]:
    return np.split(pairs[1], np.searchsorted(pairs[0], np.arange(1, n_users)))

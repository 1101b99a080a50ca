"""A listening run: the folder in which histories, their split, and the models of taste trained on them live together.

run.json                    what was read, the options, and a record of each trained kind
evaluation.json             how well each kind did on the test tracks
data/                       the whole catalogue and all histories, as the exported catalogue has them
data/split.npz              which tracks and listeners the models are trained on, and what is held out
<kind>/                     model files, checkpoints/, and selection/ (the model without the validation tracks)
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories, read_histories, read_tracks, write_histories, write_tracks
from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.splits import k_core, leave_one_out
from audotics.data.validation import validate, validate_split
from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns
from audotics.training.folder import RunError as RunError
from audotics.training.folder import RunFolder


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


class Run(RunFolder):
    """An open listening run."""

    task: ClassVar[str] = "listening"

    @classmethod
    def create(cls, path: Path, dataset: Dataset, options: RunOptions) -> Run:
        """Prepare `dataset` in a new folder. Raises DataError when too little of it is left after the k-core."""
        checks = validate(dataset)
        checks.refuse_errors(dataset.report.source)
        core = k_core(dataset, options.k_core) if options.k_core > 1 else dataset
        test = leave_one_out(core.interactions, core.n_users, seed=options.seed, how=options.split)
        validation = leave_one_out(test.train, core.n_users, seed=options.seed + 1, how=options.split)
        if len(validation.test_users) < 2:
            raise DataError(
                f"{dataset.name}: only {len(validation.test_users)} listeners have the three tracks that a test, a "
                "validation and a training part need; lower --k-core or bring more data"
            )
        for leaks in (validate_split(test), validate_split(validation)):
            leaks.refuse_errors(dataset.report.source)
        row_of = {track_id: row for row, track_id in enumerate(dataset.tracks.ids)}

        def write_data(folder: Path) -> None:
            write_tracks(folder, dataset.with_interactions(dataset.interactions).tracks)
            offsets = dataset.interactions.offsets(dataset.n_users)
            write_histories(folder, Histories(dataset.user_ids, offsets, dataset.interactions.tracks))
            np.savez(
                folder / "split.npz",
                rows=np.asarray([row_of[track_id] for track_id in core.tracks.ids], np.int64),
                n_users=np.int64(core.n_users),
                training=_pairs(test.train),
                fitting=_pairs(validation.train),
                test=np.stack([test.test_users, test.test_tracks]),
                validation=np.stack([validation.test_users, validation.test_tracks]),
            )

        record = {
            "dataset": dataset.name,
            "fingerprint": fingerprint(dataset),
            "report": dataset.report.to_json(),
            "validation": checks.to_json(),
            "options": asdict(options),
            "counts": {
                "tracks": dataset.n_tracks,
                "listeners": dataset.n_users,
                "interactions": len(dataset.interactions),
                "core_tracks": core.n_tracks,
                "core_listeners": core.n_users,
                "core_interactions": len(core.interactions),
                "test_listeners": len(test.test_users),
            },
        }
        return cls.write(path, record, write_data)

    @classmethod
    def create_or_open(cls, path: Path, dataset: Dataset, options: RunOptions) -> Run:
        """Go on in a run of the same data and options, or make one where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there.
        """
        found = cls.find(path, fingerprint=fingerprint(dataset), options=asdict(options), dataset=dataset.name)
        return cls.create(path, dataset, options) if found is None else found

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

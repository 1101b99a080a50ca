"""A listening run: the folder in which histories, their split, and the models of taste trained on them live together.

run.json                    what was read, the options, and a record of each trained kind
evaluation.json             how well each kind did on the test tracks
data/                       the whole catalogue and all histories, as the exported catalogue has them
data/split.npz              which tracks and listeners the models are trained on, and what is held out
<kind>/                     model files, checkpoints/, and selection/ (the model without the validation tracks)
data-2/, seen-1.npz, …      after updates: the data as they are now, and what outdated models had seen

More data of the same source can replace those of a run. What is tested then is decided anew, and only among pairs that
no model of the run has been trained on: new ones, or the ones that were held out before. A listener of whom there are
new ones is tested on one of these or of those, anybody else on the same track as before, and nothing leaks.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories, read_histories, read_tracks, write_histories, write_tracks
from audotics.data import splits
from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.splits import k_core, leave_one_out
from audotics.data.validation import ValidationReport, validate, validate_split
from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns
from audotics.training.folder import RunError as RunError
from audotics.training.folder import RunFolder
from audotics.training.seen import Seen, hold_out_new


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
        prepared = _prepare(dataset, options, None)
        return cls.write(path, {**prepared.record(), "options": asdict(options)}, prepared.write)

    @classmethod
    def create_or_open(cls, path: Path, dataset: Dataset, options: RunOptions) -> Run:
        """Go on in a run of the same data and options, or make one where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there.
        """
        found = cls.find(path, fingerprint=fingerprint(dataset), options=asdict(options), dataset=dataset.name)
        return cls.create(path, dataset, options) if found is None else found

    def update(self, dataset: Dataset) -> dict[str, int]:
        """Replace the data by `dataset`, which has more of the same, and return how much is new.

        The kinds trained so far are outdated then. Raises RunError when something that the run was made of is gone, and
        what `create` raises.
        """
        histories, track_ids = self.histories(), self.tracks().ids
        before = Seen(track_ids, histories.user_ids, np.split(histories.rows, histories.offsets[1:-1]), [])
        known = before.of(dataset.interactions, dataset.tracks.ids, dataset.user_ids, "training")
        new = {
            "tracks": dataset.n_tracks - len(track_ids),
            "listeners": dataset.n_users - len(histories.user_ids),
            "interactions": int((~known).sum()),
        }
        gone = len(histories.rows) - int(known.sum())
        lost = int((before.rows_among(dataset.tracks.ids) < 0).sum())
        if gone or lost:
            what = f"{gone:,} of its interactions" if gone else f"{lost:,} of its tracks"
            raise RunError(
                f"{self.path}: cannot be updated, since {what} are no longer in {dataset.report.source}; an update "
                "adds to what there was. Train anew into another --output"
            )
        seen = self.seen()
        prepared = _prepare(dataset, RunOptions(**self.options), seen)
        self._renew(prepared.record(), prepared.write, new=new, write_seen=seen.save)
        return new

    def seen(self) -> Seen:
        """What models trained on these data have seen. Raises RunError for a run of a version that did not note it."""
        split, listeners = self.split(), self._listeners()
        return Seen(split.tracks.ids, self.histories().user_ids[listeners], split.training, split.fitting)

    def user_ids(self) -> NDArray[np.object_]:
        """The listeners of the split, in the order of its histories. Raises RunError as `seen` does."""
        return self.histories().user_ids[self._listeners()]

    def _listeners(self) -> NDArray[np.int64]:
        with np.load(self.data_path / "split.npz", allow_pickle=False) as arrays:
            if "listeners" not in arrays:
                raise RunError(
                    f"{self.path}: was made by a version that could not update runs; train anew into another --output"
                )
            return arrays["listeners"]

    def tracks(self) -> TrackColumns:
        """The whole catalogue, with plays counted on all interactions."""
        return read_tracks(self.data_path)

    def histories(self) -> Histories:
        """All histories, as rows of the whole catalogue."""
        return read_histories(self.data_path)

    def split(self) -> Split:
        """The part of the data that models are trained and tested on. Raises RunError when its files are damaged."""
        try:
            with (self.data_path / "split.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                rows, n_users = arrays["rows"], int(arrays["n_users"])
                training, fitting = _histories(arrays["training"], n_users), _histories(arrays["fitting"], n_users)
                validation, test = arrays["validation"], arrays["test"]
                plays = np.bincount(arrays["training"][1], minlength=len(rows)).astype(np.float32)
            columns = self.tracks().take(rows)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"{self.data_path}: cannot be read ({error}); remove {self.path} and train again") from error
        return Split(
            rows,
            columns.with_plays(plays),
            training,
            fitting,
            Holdout([fitting[user] for user in validation[0]], validation[1]),
            Holdout([training[user] for user in test[0]], test[1]),
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A data set with its k-core and the two parts of that which are held out."""

    dataset: Dataset
    core: Dataset
    test: splits.Split
    validation: splits.Split
    checks: ValidationReport

    def record(self) -> dict[str, Any]:
        """What run.json says of the data."""
        return {
            "dataset": self.dataset.name,
            "fingerprint": fingerprint(self.dataset),
            "report": self.dataset.report.to_json(),
            "validation": self.checks.to_json(),
            "counts": {
                "tracks": self.dataset.n_tracks,
                "listeners": self.dataset.n_users,
                "interactions": len(self.dataset.interactions),
                "core_tracks": self.core.n_tracks,
                "core_listeners": self.core.n_users,
                "core_interactions": len(self.core.interactions),
                "test_listeners": len(self.test.test_users),
            },
        }

    def write(self, folder: Path) -> None:
        dataset = self.dataset
        write_tracks(folder, dataset.with_interactions(dataset.interactions).tracks)
        offsets = dataset.interactions.offsets(dataset.n_users)
        write_histories(folder, Histories(dataset.user_ids, offsets, dataset.interactions.tracks))
        np.savez(
            folder / "split.npz",
            rows=_rows_of(self.core.tracks.ids, dataset.tracks.ids),
            listeners=_rows_of(self.core.user_ids, dataset.user_ids),
            n_users=np.int64(self.core.n_users),
            training=_pairs(self.test.train),
            fitting=_pairs(self.validation.train),
            test=np.stack([self.test.test_users, self.test.test_tracks]),
            validation=np.stack([self.validation.test_users, self.validation.test_tracks]),
        )


def _prepare(dataset: Dataset, options: RunOptions, seen: Seen | None) -> _Prepared:
    """Hold out among pairs that models have not `seen`, where there are models. Raises DataError."""
    checks = validate(dataset)
    checks.refuse_errors(dataset.report.source)
    core = k_core(dataset, options.k_core) if options.k_core > 1 else dataset

    def hold_out(interactions: Interactions, part: Literal["training", "fitting"], seed: int) -> splits.Split:
        if seen is None:
            return leave_one_out(interactions, core.n_users, seed=seed, how=options.split)
        known = seen.of(interactions, core.tracks.ids, core.user_ids, part)
        return hold_out_new(interactions, core.n_users, known, seed=seed, how=options.split)

    test = hold_out(core.interactions, "training", options.seed)
    validation = hold_out(test.train, "fitting", options.seed + 1)
    if len(validation.test_users) < 2:
        raise DataError(
            f"{dataset.name}: only {len(validation.test_users)} listeners have the three tracks that a test, a "
            "validation and a training part need; lower --k-core or bring more data"
        )
    for leaks in (validate_split(test), validate_split(validation)):
        leaks.refuse_errors(dataset.report.source)
    return _Prepared(dataset, core, test, validation, checks)


def _rows_of(ids: NDArray[np.object_], among: NDArray[np.object_]) -> NDArray[np.int64]:
    row_of = {one: row for row, one in enumerate(among)}
    return np.asarray([row_of[one] for one in ids], np.int64)


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

"""A run on groups: the folder in which groups, their members' histories, and the group model live together.

run.json                    what was read, the options, and a record of the trained kind
evaluation.json             how well it did on the held-out rows
data/                       the catalogue, and groups.npz: members, interactions, taste texts, held-out rows
group/                      model files and checkpoints
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np

from audotics.bundle.catalog import read_tracks, write_tracks
from audotics.data.dataset import Interactions, LoadReport
from audotics.data.groups import GroupCandidates, GroupDataset
from audotics.training.folder import RunError, RunFolder
from audotics.training.seen import Seen

_FILE = "groups.npz"
_COLUMNS = ("users", "tracks", "weights", "timestamps")


@dataclass(frozen=True, slots=True)
class GroupRunOptions:
    """The split comes with the data; `seed` is that of the models."""

    seed: int = 0


class GroupRun(RunFolder):
    """An open run on groups."""

    task: ClassVar[str] = "groups"

    @classmethod
    def create_or_open(cls, path: Path, data: GroupDataset, options: GroupRunOptions) -> GroupRun:
        """Go on in a run of the same data and options, or make one where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there.
        """
        print_of_data = fingerprint(data)
        found = cls.find(path, fingerprint=print_of_data, options=asdict(options), dataset=data.name)
        if found is not None:
            return found

        return cls.write(path, {**_record(data), "options": asdict(options)}, lambda folder: _write(folder, data))

    def update(self, data: GroupDataset) -> dict[str, int]:
        """Replace the data by more of the same, and return how much is new. The model trained so far is outdated then.

        Which rows are tested is the source's own choice. Raises RunError when interactions that the run was made of are
        gone: so a row that the model was trained on can be tested only where the source still has it in training too.
        """
        before = self.data()
        users, groups = (_seen(before, part) for part in ("users", "groups"))
        known = {
            "users": users.of(data.users, data.tracks.ids, data.user_ids, "training"),
            "groups": groups.of(data.groups, data.tracks.ids, data.group_ids, "training"),
        }
        gone = len(before.users) + len(before.groups) - sum(int(mask.sum()) for mask in known.values())
        if gone or (users.rows_among(data.tracks.ids) < 0).any():
            raise RunError(
                f"{self.path}: cannot be updated, since {gone:,} of its interactions, or some of its tracks, are no "
                f"longer in {data.report.source}; an update adds to what there was. Train anew into another --output"
            )
        new = {
            "tracks": data.n_tracks - before.n_tracks,
            "listeners": data.n_users - before.n_users,
            "groups": data.n_groups - before.n_groups,
            "interactions": sum(int((~mask).sum()) for mask in known.values()),
        }
        self._renew(_record(data), lambda folder: _write(folder, data), new=new, write_seen=users.save)
        return new

    def data(self) -> GroupDataset:
        """The groups. Raises RunError when their files are damaged."""
        folder, report = self.data_path, self._record["report"]
        try:
            with (folder / _FILE).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return GroupDataset(
                    self.name,
                    read_tracks(folder),
                    user_ids=arrays["user_ids"].astype(object),
                    group_ids=arrays["group_ids"].astype(object),
                    members=np.split(arrays["members"], np.cumsum(arrays["sizes"])[:-1]),
                    users=Interactions(*(arrays[f"users_{column}"] for column in _COLUMNS)),
                    groups=Interactions(*(arrays[f"groups_{column}"] for column in _COLUMNS)),
                    taste=arrays["taste"],
                    test=GroupCandidates(arrays["test_groups"], arrays["test_positives"], arrays["test_negatives"]),
                    report=LoadReport(report["source"], Counter(report["read"]), Counter(report["dropped"])),
                    simulated=bool(arrays["simulated"]),
                )
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"{folder}: cannot be read ({error}); remove {self.path} and train again") from error


def _record(data: GroupDataset) -> dict[str, Any]:
    """What run.json says of the data."""
    return {
        "dataset": data.name,
        "fingerprint": fingerprint(data),
        "report": data.report.to_json(),
        "counts": {
            "tracks": data.n_tracks,
            "listeners": data.n_users,
            "groups": data.n_groups,
            "interactions": len(data.users) + len(data.groups),
            "test_rows": len(data.test),
        },
    }


def _write(folder: Path, data: GroupDataset) -> None:
    write_tracks(folder, data.tracks)
    np.savez(folder / _FILE, **_arrays(data))


def _seen(data: GroupDataset, part: Literal["users", "groups"]) -> Seen:
    """The interactions of listeners, or of groups, which a model sees all of."""
    ids, histories = (
        (data.user_ids, data.user_histories()) if part == "users" else (data.group_ids, data.group_histories())
    )
    return Seen(data.tracks.ids, ids, histories, histories)


def fingerprint(data: GroupDataset) -> str:
    """Hex SHA-256 that tells data sets apart: tracks, listeners, groups, and what they heard."""
    digest = hashlib.sha256(data.tracks.fingerprint().encode())
    for name, array in sorted(_arrays(data).items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _arrays(data: GroupDataset) -> dict[str, Any]:
    return {
        "user_ids": data.user_ids.astype(str),
        "group_ids": data.group_ids.astype(str),
        "members": np.concatenate(data.members),
        "sizes": np.asarray([len(members) for members in data.members], np.int64),
        **{f"users_{column}": getattr(data.users, column) for column in _COLUMNS},
        **{f"groups_{column}": getattr(data.groups, column) for column in _COLUMNS},
        "taste": data.taste,
        "test_groups": data.test.groups,
        "test_positives": data.test.positives,
        "test_negatives": data.test.negatives,
        "simulated": np.asarray(data.simulated),
    }

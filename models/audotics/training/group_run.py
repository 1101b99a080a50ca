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
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np

from audotics.bundle.catalog import read_tracks, write_tracks
from audotics.data.dataset import Interactions, LoadReport
from audotics.data.groups import GroupCandidates, GroupDataset
from audotics.training.folder import RunError, RunFolder

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

        def write_data(folder: Path) -> None:
            write_tracks(folder, data.tracks)
            np.savez(folder / _FILE, **_arrays(data))

        record = {
            "dataset": data.name,
            "fingerprint": print_of_data,
            "report": data.report.to_json(),
            "options": asdict(options),
            "counts": {
                "tracks": data.n_tracks,
                "listeners": data.n_users,
                "groups": data.n_groups,
                "interactions": len(data.users) + len(data.groups),
                "test_rows": len(data.test),
            },
        }
        return cls.write(path, record, write_data)

    def data(self) -> GroupDataset:
        """The groups. Raises RunError when their files are damaged."""
        folder, report = self.path / "data", self._record["report"]
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

"""A run on labelled tracks: the folder in which features, classes and the classifiers trained on them live together.

run.json                    what was read, the options, and a record of each trained kind
evaluation.json             how well each kind did in cross-validation
data/labels.npz             features, classes, and which tracks belong together
<kind>/                     model files and checkpoints/
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar
from zipfile import BadZipFile

import numpy as np

from audotics.data.dataset import LoadReport
from audotics.data.labelled import LabelledTracks
from audotics.training.folder import RunError, RunFolder

_FILE = "labels.npz"


@dataclass(frozen=True, slots=True)
class LabelRunOptions:
    """How labelled tracks are used. Each is tested once, in one of `folds` parts."""

    seed: int = 0
    folds: int = 10


class LabelRun(RunFolder):
    """An open run on labelled tracks."""

    task: ClassVar[str] = "labelled tracks"

    @classmethod
    def create_or_open(cls, path: Path, data: LabelledTracks, options: LabelRunOptions) -> LabelRun:
        """Go on in a run of the same data and options, or make one where there is nothing but perhaps an empty folder.

        Raises RunError when something else lives there.
        """
        fingerprint = data.fingerprint()
        found = cls.find(path, fingerprint=fingerprint, options=asdict(options), dataset=data.name)
        if found is not None:
            return found

        def write_data(folder: Path) -> None:
            np.savez(
                folder / _FILE,
                ids=data.ids.astype(str),
                feature_names=np.asarray(data.feature_names),
                x=data.x,
                labels=data.labels,
                class_names=np.asarray(data.class_names),
                groups=data.groups,
            )

        record = {
            "dataset": data.name,
            "fingerprint": fingerprint,
            "report": data.report.to_json(),
            "options": asdict(options),
            "counts": {"tracks": len(data), **data.counts},
        }
        return cls.write(path, record, write_data)

    def data(self) -> LabelledTracks:
        """The labelled tracks. Raises RunError when their file is damaged."""
        path = self.data_path / _FILE
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                report = self._record["report"]
                return LabelledTracks(
                    self.name,
                    arrays["ids"].astype(object),
                    tuple(arrays["feature_names"].tolist()),
                    arrays["x"],
                    arrays["labels"],
                    tuple(arrays["class_names"].tolist()),
                    arrays["groups"],
                    LoadReport(report["source"], Counter(report["read"]), Counter(report["dropped"])),
                )
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"{path}: cannot be read ({error}); remove {self.path} and train again") from error

"""GTZAN as a table of features (Tzanetakis & Cook 2002): a CSV file goes in, labelled clips come out.

The collection has known faults (Sturm 2013): recordings that stand in it twice, some of them in two genres, and wrong
labels. Clips with exactly the same features are found and kept together; the rest is left as it is, so that numbers
compare with published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from audotics.data.dataset import LoadReport
from audotics.data.labelled import LabelledTracks
from audotics.data.loaders.broken_rows import BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.lines import TextLayout
from audotics.data.loaders.table import read_table

GTZAN_FILE: Final = "features_30_sec.csv"

_SERIES: Final = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)
CLIP_FEATURES: Final = (
    *(f"{name}_{statistic}" for name in _SERIES for statistic in ("mean", "var")),
    "tempo",
    *(f"mfcc{number}_{statistic}" for number in range(1, 21) for statistic in ("mean", "var")),
)
"""In the order of the file. Its column `length` is left out: the samples of a clip tell of the file, not the music."""


def load_gtzan(path: Path, *, skip_bad_rows: bool = False) -> LabelledTracks:
    """Read a CSV file with one row a clip, or a folder with `features_30_sec.csv`. Raises DataError."""
    report = LoadReport(str(path))
    file = path / GTZAN_FILE if path.is_dir() else path
    fields = (
        Field("filename", "text"),
        Field("label", "text"),
        *(Field(column, "number", required=False) for column in CLIP_FEATURES),
    )
    layout = TextLayout(",", header=True, quoted=True)
    table = read_table(file, fields, layout=layout, broken=BrokenRows(report, skip_bad_rows))
    report.read["rows"] = len(table)
    return LabelledTracks.build(
        path.resolve().name,
        ids=table.texts("filename"),
        feature_names=CLIP_FEATURES,
        x=np.stack([table.numbers(column) for column in CLIP_FEATURES], axis=1),
        classes=table.texts("label"),
        report=report,
    )

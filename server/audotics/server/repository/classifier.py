"""A classifier in service: descriptors of tracks go in, a probability for each class comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.store import Bundle
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.descriptors import DESCRIPTORS
from audotics.server.errors import RefusedModelError
from audotics.server.runtime.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierPart:
    """Classes from descriptors. `columns` int64 (f,) are those of DESCRIPTORS that the model takes, in order."""

    version: int
    model: Model
    columns: NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle, model: Model) -> ClassifierPart:
        """Raises RefusedModelError for a model of other features than those that tracks have."""
        preprocessing = bundle.manifest.preprocessing
        try:
            names, classes = list(preprocessing["features"]), tuple(str(name) for name in preprocessing["classes"])
        except (KeyError, TypeError) as error:
            raise RefusedModelError(
                f"{bundle}: its manifest does not name its 'features' and 'classes'; export it again"
            ) from error
        unknown = [name for name in names if name not in DESCRIPTORS]
        if unknown:
            raise RefusedModelError(
                f"{bundle}: it needs the feature {unknown[0]!r}, which tracks do not have; train one on "
                f"{', '.join(DESCRIPTORS)}"
            )
        columns = np.asarray([DESCRIPTORS.index(name) for name in names], np.int64)
        return cls(bundle.manifest.version, model, columns, classes)

    def probabilities(self, descriptors: NDArray[np.float32], *, deadline: float | None = None) -> NDArray[np.float32]:
        """float32 (n, classes) for `track_descriptors` (n, 14); NaN for a track of which no audio feature is known.

        A single unknown value is the model's own business. `deadline` is as in `Model.run`. Raises DeadlineError,
        InferenceError.
        """
        features = descriptors[:, self.columns]
        audio = self.columns < len(AUDIO_FEATURES)
        known = ~np.isnan(features[:, audio]).all(axis=1)
        result = np.full((len(features), len(self.classes)), np.nan, np.float32)
        if known.any():
            feeds = {"features": features[known]}
            result[known] = self.model.run(feeds, ["probabilities"], deadline=deadline)[0]
        return result

"""SavedModels for TensorFlow Serving: a Keras network goes in, a folder comes out, and any reads back as a callable.

Models of other frameworks are written by `tensorflow_graph`.

TensorFlow is imported inside the functions, since that takes seconds and most exports do not need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

SIGNATURE: Final = "serving_default"
SAVED_MODEL_FILE: Final = "saved_model.pb"


def serving_function(network: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """A TensorFlow function of `network`, for any number of rows; it keeps all names."""
    import tensorflow as tf

    names = network.output_names

    def serve(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = network(list(values), training=False)
        return outputs if isinstance(outputs, dict) else dict(zip(names, [outputs], strict=True))

    specs = [tf.TensorSpec(value.shape, value.dtype, name=value.name) for value in network.inputs]
    return tf.function(serve, input_signature=specs)


def write_saved_model(network: keras.Model, folder: Path) -> None:
    """Write `saved_model.pb`, `variables/` and `fingerprint.pb` into `folder`, which may hold other files."""
    from keras.export import ExportArchive

    archive = ExportArchive()
    archive.track(network)
    archive.add_endpoint("serve", serving_function(network))
    archive.write_out(str(folder), verbose=False)


class SavedModel:
    """A loaded SavedModel."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._model = tf.saved_model.load(str(folder))  # its signature alone would not keep the variables alive
        self._serve = self._model.signatures[SIGNATURE]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Run on `feeds`, keyed by input name, and return the outputs by name."""
        import tensorflow as tf

        outputs = self._serve(**{name: tf.constant(value) for name, value in feeds.items()})
        return {name: value.numpy() for name, value in outputs.items()}

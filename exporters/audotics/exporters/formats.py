"""What a model is to be written as: what the caller asks for goes in, what this environment can write comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

from audotics.exporters.errors import ExportError
from audotics.exporters.quantization import PRECISIONS, Precision
from audotics.training.progress import Progress

FORMATS: Final = ("onnx", "saved-model")


@dataclass(frozen=True, slots=True)
class Formats:
    """What is asked for. ONNX is always written, since it is what Audotics serves; `precision` is its own alone."""

    saved_model: bool = True
    precision: Precision = "float32"

    @classmethod
    def parse(cls, names: str, *, precision: str = "float32") -> Formats:
        """From "onnx,saved-model" and one of PRECISIONS. Raises ExportError that says what is known."""
        wanted = [name.strip() for name in names.split(",") if name.strip()]
        for name in wanted:
            if name not in FORMATS:
                raise ExportError(f"--formats: unknown format {name!r}; known formats: {', '.join(FORMATS)}")
        if "onnx" not in wanted:
            raise ExportError("--formats: has no onnx, which is what Audotics serves; name it too: onnx,saved-model")
        for known in PRECISIONS:
            if precision == known:
                return cls("saved-model" in wanted, known)
        raise ExportError(f"--precision: unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")

    def possible(self, progress: Progress) -> Formats:
        """These formats, less what this environment cannot write. Says what is left out."""
        if not self.saved_model or tensorflow_is_installed():
            return self
        progress.say("SavedModel left out: TensorFlow is not installed; pip install 'audotics[tensorflow]'")
        return replace(self, saved_model=False)


DEFAULT: Final = Formats()


def tensorflow_is_installed() -> bool:
    """Without importing it."""
    return find_spec("tensorflow") is not None

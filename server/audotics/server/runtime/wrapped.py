"""A model around another one: the same in everything but its runs, which its kinds define."""

from __future__ import annotations

from collections.abc import Mapping

from audotics.server.runtime.model import Model


class WrappedModel:
    """What `Model` has beside `run`, as `model` has it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.inputs = model.inputs
        self.outputs = model.outputs
        self.axes: Mapping[str, tuple[int | str, ...]] = model.axes
        self.platform = model.platform
        self.device = model.device
        self.waits = model.waits
        self.ends = model.ends

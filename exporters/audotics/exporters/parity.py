"""Parity: a trained model, its export and a list of inputs go in, the largest difference comes out, or an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.exporters.errors import ParityError

LIMIT: Final = 1e-4

Run = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[np.float32]]]
"""A model as a function: arrays by input name go in, arrays by output name come out."""


@dataclass(frozen=True, slots=True)
class Case:
    """One set of inputs.

    `extreme` inputs give outputs so large that float32 cannot hold them to 1e-4. Differences are then measured in
    units of the largest value of each output.
    """

    name: str
    feeds: Mapping[str, NDArray[Any]]
    extreme: bool = False


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences over `cases` sets of inputs: absolute ones, and relative ones where some are extreme.

    `max_rel_diff`, over all cases, is there when the limit was on relative differences.
    """

    max_abs_diff: float
    extreme_max_rel_diff: float | None
    cases: int
    limit: float = LIMIT
    max_rel_diff: float | None = None

    def to_json(self) -> dict[str, float]:
        """As the manifest has it."""
        measured = {"max_abs_diff": self.max_abs_diff, "cases": self.cases, "limit": self.limit}
        for name in ("extreme_max_rel_diff", "max_rel_diff"):
            value = getattr(self, name)
            if value is not None:
                measured[name] = value
        return measured


def measure(
    model: str,
    source: Run,
    exported: Run,
    cases: Sequence[Case],
    *,
    limit: float = LIMIT,
    relative: bool = False,
) -> Parity:
    """Run both on every case and compare all outputs of the source.

    With `relative` the limit is on differences in units of the largest value of each output, or of 1 if that is more,
    in all cases and not in the extreme ones alone.

    Raises ParityError that names `model` and the worst case when a difference is above `limit`, when a value is not
    finite on either side, or when shapes differ. Raises ValueError without cases, which would prove nothing.
    """
    if not cases:
        raise ValueError(f"{model}: parity needs at least one case")
    found = [_difference(model, case, source(case.feeds), exported(case.feeds)) for case in cases]
    differences = [
        in_units if relative or case.extreme else plain for (plain, in_units), case in zip(found, cases, strict=True)
    ]
    worst = int(np.argmax(differences))
    if differences[worst] > limit:
        raise ParityError(
            f"{model}: the exported model differs from the trained one by {differences[worst]:.2e} on "
            f"{cases[worst].name}; the limit is {limit:.0e}. Nothing was published. Train the model again; if that "
            "does not help, its export has a bug"
        )
    ordinary = [plain for (plain, _), case in zip(found, cases, strict=True) if not case.extreme]
    extreme = [in_units for (_, in_units), case in zip(found, cases, strict=True) if case.extreme]
    return Parity(
        max(ordinary, default=0.0),
        max(extreme, default=None),
        len(cases),
        limit,
        max(in_units for _, in_units in found) if relative else None,
    )


def _difference(
    model: str,
    case: Case,
    expected: Mapping[str, NDArray[np.float32]],
    actual: Mapping[str, NDArray[np.float32]],
) -> tuple[float, float]:
    """The largest difference of all outputs, as it is and in units of the largest value of its output."""
    plain, in_units = 0.0, 0.0
    for name, wanted in expected.items():
        where = f"{model}: output {name!r} on {case.name}"
        if name not in actual:
            raise ParityError(f"{where} is missing from the exported model; nothing was published")
        got = actual[name]
        if wanted.shape != got.shape:
            raise ParityError(f"{where} has shape {got.shape}, not {wanted.shape}; nothing was published")
        for side, values in (("trained", wanted), ("exported", got)):
            if not np.isfinite(values).all():
                raise ParityError(f"{where} is not finite in the {side} model; train it again. Nothing was published")
        if wanted.size:
            difference = float(np.abs(wanted.astype(np.float64) - got).max())
            plain = max(plain, difference)
            in_units = max(in_units, difference / max(1.0, float(np.abs(wanted).max())))
    return plain, in_units

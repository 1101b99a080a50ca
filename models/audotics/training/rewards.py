"""Logged decisions with their rewards: a Parquet file goes in, padded arrays of candidates come out.

One row a candidate. A decision's candidates stand together, and one of them was shown:

decision        text or integer: which decision the candidate belongs to
shown           boolean, true for one candidate of each decision
propensity      float in (0, 1]: the probability with which the logging policy showed the shown candidate
reward          float: what followed, read from the row of the shown candidate
collaborative, ncf, …           float or null: a score of each of `features.hybrid.COMPONENTS`, null without an opinion
history_length, cold_listener, …    float: each of `features.hybrid.CONTEXT_FEATURES`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES

COLUMNS = ("decision", "shown", "propensity", "reward", *COMPONENTS, *CONTEXT_FEATURES)


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """m decisions of up to c candidates each, in the order they were logged.

    components, available and context are float32 (m, c, ·) as in `HybridInputs`; `real` bool (m, c) is false for
    padding; `shown` int64 (m,) is the place of the candidate that was shown; propensities and rewards are float64 (m,).
    """

    components: NDArray[np.float32]
    available: NDArray[np.float32]
    context: NDArray[np.float32]
    real: NDArray[np.bool_]
    shown: NDArray[np.int64]
    propensities: NDArray[np.float64]
    rewards: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shown)

    def take(self, chosen: NDArray[np.int64]) -> LoggedDecisions:
        return LoggedDecisions(
            self.components[chosen],
            self.available[chosen],
            self.context[chosen],
            self.real[chosen],
            self.shown[chosen],
            self.propensities[chosen],
            self.rewards[chosen],
        )


def read_rewards(path: Path) -> LoggedDecisions:
    """Read a file as the head of the module has it. Raises DataError that names the column or the decision at fault."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot be read as Parquet ({error})", path=path) from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"has no column {', '.join(missing)}; rewards need {', '.join(COLUMNS)}", path=path)
    if not table.num_rows:
        raise DataError("has no rows; log some decisions first", path=path)
    names = np.asarray(table["decision"].to_pylist(), object)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    lengths = np.diff(np.append(starts, len(names)))
    if len(set(names[starts])) < len(starts):
        raise DataError("the candidates of a decision must stand together; sort the rows by decision", path=path)
    number = np.repeat(np.arange(len(starts)), lengths)
    place = np.arange(len(names)) - np.repeat(starts, lengths)
    shape = (len(starts), int(lengths.max()))

    def spread(column: NDArray[np.float64], fill: float) -> NDArray[np.float32]:
        values = np.full(shape, fill, np.float32)
        values[number, place] = column
        return values

    flags = _numbers(table, "shown", path)
    shown = np.flatnonzero(flags == 1)
    wrong = np.flatnonzero(np.bincount(number[shown], minlength=len(starts)) != 1)
    if len(wrong):
        raise DataError(f"decision {names[starts[wrong[0]]]!r} must have one candidate with shown = true", path=path)
    propensities, rewards = _numbers(table, "propensity", path)[shown], _numbers(table, "reward", path)[shown]
    for column, good in (("propensity", (propensities > 0) & (propensities <= 1)), ("reward", np.isfinite(rewards))):
        if not good.all():
            at = names[shown[np.flatnonzero(~good)[0]]]
            expected = "above 0 and at most 1" if column == "propensity" else "a number"
            raise DataError(f"decision {at!r}: its {column} must be {expected}", path=path)
    components = np.stack([spread(_numbers(table, name, path), np.nan) for name in COMPONENTS], axis=-1)
    context = np.stack([spread(_numbers(table, name, path), 0.0) for name in CONTEXT_FEATURES], axis=-1)
    if not np.isfinite(context).all():
        raise DataError(f"has holes in {', '.join(CONTEXT_FEATURES)}; these are always known", path=path)
    known = np.isfinite(components)
    return LoggedDecisions(
        np.where(known, components, np.float32(0.0)).astype(np.float32),
        known.astype(np.float32),
        context,
        np.arange(shape[1]) < lengths[:, None],
        place[shown].astype(np.int64),
        propensities,
        rewards,
    )


def _numbers(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    """A column as float64, NaN for null."""
    try:
        values: NDArray[np.float64] = table[name].cast(pa.float64()).to_numpy().astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {name!r} holds {table[name].type}, not numbers", path=path) from error
    return values

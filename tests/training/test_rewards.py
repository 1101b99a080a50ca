"""Logged decisions: a Parquet file comes in as padded arrays, and what is wrong with one is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audotics.data.dataset import DataError
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.training.rewards import read_rewards

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of two decisions, of three candidates and of two; `changes` replace whole columns, None drops one."""

    def make(**changes: list[Any] | None) -> Path:
        columns: dict[str, list[Any] | None] = {
            "decision": ["a", "a", "a", "b", "b"],
            "shown": [False, True, False, True, False],
            "propensity": [None, 0.25, None, 0.5, None],
            "reward": [None, 1.0, None, 0.0, None],
            **{name: [0.1, 0.2, None, 0.4, 0.5] for name in COMPONENTS},
            **{name: [0.0, 1.0, 0.0, 0.0, 1.0] for name in CONTEXT_FEATURES},
        }
        kept = {name: value for name, value in (columns | changes).items() if value is not None}
        pq.write_table(pa.table(kept), tmp_path / "rewards.parquet")
        return tmp_path / "rewards.parquet"

    return make


def test_decisions_come_in_as_they_were_logged(write: Write) -> None:
    logs = read_rewards(write())

    assert len(logs) == 2
    assert logs.components.shape == (2, 3, len(COMPONENTS))
    np.testing.assert_allclose(logs.components[0, :, 0], [0.1, 0.2, 0.0])
    assert logs.available[0, :, 0].tolist() == [1, 1, 0]
    assert logs.context[1, :, 0].tolist() == [0, 1, 0]
    assert logs.real.tolist() == [[True, True, True], [True, True, False]]
    assert logs.shown.tolist() == [1, 0]
    assert logs.propensities.tolist() == [0.25, 0.5]
    assert logs.rewards.tolist() == [1.0, 0.0]


def test_some_decisions_can_be_taken(write: Write) -> None:
    logs = read_rewards(write()).take(np.asarray([1]))

    assert (len(logs), logs.propensities.tolist(), logs.real.tolist()) == (1, [0.5], [[True, True, False]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": None}, "has no column reward; rewards need decision, shown"),
        ({"shown": [False] * 5}, "decision 'a' must have one candidate with shown = true"),
        ({"shown": [True, True, False, True, False]}, "decision 'a' must have one candidate"),
        ({"decision": ["a", "b", "a", "b", "b"]}, "must stand together; sort the rows by decision"),
        ({"propensity": [None, 0.0, None, 0.5, None]}, "decision 'a': its propensity must be above 0"),
        ({"propensity": [None, 0.5, None, None, None]}, "decision 'b': its propensity must be above 0"),
        ({"reward": [None, 1.0, None, None, None]}, "decision 'b': its reward must be a number"),
        ({"cold_track": [0.0, None, 0.0, 0.0, 0.0]}, "has holes in history_length"),
        ({"ncf": ["x"] * 5}, "column 'ncf' holds string, not numbers"),
    ],
)
def test_what_is_wrong_is_said(write: Write, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rewards(write(**changes))


def test_an_empty_log_is_refused(write: Write) -> None:
    path = write()
    pq.write_table(pq.read_table(path).slice(0, 0), path)

    with pytest.raises(DataError, match="has no rows"):
        read_rewards(path)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rewards.parquet"
    path.write_text("decision,shown", "utf-8")

    with pytest.raises(DataError, match=r"rewards\.parquet: cannot be read as Parquet"):
        read_rewards(path)

"""Parity lets a faithful export through with the difference it measured, and stops any other."""

from __future__ import annotations

import re

import numpy as np
import pytest

from audotics.exporters.cases import history_cases, hybrid_cases, ncf_cases
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.kinds import collaborative, hybrid, ncf
from audotics.exporters.parity import Case, Parity, measure
from audotics.features.history import MAX_HISTORY

N_TRACKS = 30


def double(feeds):
    return {"y": 2 * feeds["x"]}


def case(*values: float, name: str = "some values", extreme: bool = False) -> Case:
    return Case(name, {"x": np.asarray(values, np.float32)}, extreme)


def off_by(amount: float):
    return lambda feeds: {"y": 2 * feeds["x"] + np.float32(amount)}


def test_the_largest_difference_is_kept():
    parity = measure("m", double, off_by(2**-15), [case(1.0), case(2.0, -3.0)])

    assert parity == Parity(max_abs_diff=2**-15, extreme_max_rel_diff=None, cases=2)
    assert parity.to_json() == {"max_abs_diff": 2**-15, "cases": 2, "limit": 1e-4}


def test_a_difference_above_the_limit_names_the_model_the_case_and_the_difference():
    def exported(feeds):
        return {"y": 2 * feeds["x"] + np.where(feeds["x"] < 0, np.float32(0.25), 0)}

    cases = [case(1.0), case(2.0, -3.0, name="negative values"), case(4.0)]
    with pytest.raises(ParityError, match=r"^ncf: .* by 2\.50e-01 on negative values; the limit is 1e-04"):
        measure("ncf", double, exported, cases)
    assert issubclass(ParityError, ExportError)


def test_extreme_cases_are_measured_in_units_of_the_output():
    parity = measure("m", double, off_by(0.5), [case(0.5e6, extreme=True)])

    assert parity.max_abs_diff == 0.0
    assert parity.extreme_max_rel_diff == pytest.approx(0.5e-6)
    assert parity.to_json()["extreme_max_rel_diff"] == parity.extreme_max_rel_diff
    with pytest.raises(ParityError):
        measure("m", double, off_by(0.5), [case(0.5e6)])
    with pytest.raises(ParityError):
        measure("m", double, off_by(200.0), [case(0.5e6, extreme=True)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["trained", "exported"])
def test_values_that_are_not_finite_never_pass(value, side):
    def broken(feeds):
        return {"y": np.full_like(feeds["x"], value)}

    sides = (broken, double) if side == "trained" else (double, broken)
    with pytest.raises(ParityError, match=f"'y' on some values is not finite in the {side} model"):
        measure("m", *sides, [case(1.0)])


def test_both_sides_being_nan_is_no_agreement():
    def broken(feeds):
        return {"y": feeds["x"] * np.float32(np.nan)}

    with pytest.raises(ParityError, match="not finite"):
        measure("m", broken, broken, [case(1.0)])


def test_another_shape_is_a_difference():
    with pytest.raises(ParityError, match=re.escape("has shape (2, 1), not (2,)")):
        measure("m", double, lambda feeds: {"y": 2 * feeds["x"][:, None]}, [case(1.0, 2.0)])


def test_a_missing_output_is_a_difference():
    with pytest.raises(ParityError, match="output 'y' on some values is missing"):
        measure("m", double, lambda feeds: {"z": 2 * feeds["x"]}, [case(1.0)])


def test_no_cases_prove_nothing():
    with pytest.raises(ValueError, match="at least one case"):
        measure("m", double, double, [])


EDGES = {
    "a listener without history": lambda history: (history < 0).all(axis=1),
    "one track": lambda history: (history >= 0).sum(axis=1) == 1,
    "the longest history": lambda history: (history >= 0).sum(axis=1) == MAX_HISTORY,
    "padding before a track": lambda history: ((history[:, :-1] < 0) & (history[:, 1:] >= 0)).any(axis=1),
    "the first track": lambda history: (history == 0).any(axis=1),
    "the last track": lambda history: (history == N_TRACKS - 1).any(axis=1),
    "a single listener": lambda history: np.full(len(history), len(history) == 1),
}


@pytest.mark.parametrize("edge", EDGES)
def test_a_collaborative_export_that_is_wrong_on_one_edge_is_caught(make_collaborative, edge):
    fold_in = collaborative.as_function(make_collaborative(N_TRACKS))

    def wrong_fold_in(feeds):
        return {"user_vector": fold_in(feeds)["user_vector"] + 0.01 * EDGES[edge](feeds["history"])[:, None]}

    cases = history_cases([np.arange(4), np.asarray([2])], n_tracks=N_TRACKS)
    source, wrong = (collaborative.at_unit_length(run, fold_in) for run in (fold_in, wrong_fold_in))
    assert measure("collaborative", source, source, cases).max_abs_diff == 0.0
    with pytest.raises(ParityError):
        measure("collaborative", source, wrong, cases)


def test_user_vectors_of_a_wrong_length_are_caught(make_collaborative):
    fold_in = collaborative.as_function(make_collaborative(N_TRACKS))

    def longer(feeds):
        return {"user_vector": 1.001 * fold_in(feeds)["user_vector"]}

    cases = history_cases([np.arange(4)], n_tracks=N_TRACKS)
    with pytest.raises(ParityError):
        measure("collaborative", *(collaborative.at_unit_length(run, fold_in) for run in (fold_in, longer)), cases)


@pytest.mark.parametrize("edge", EDGES)
def test_an_ncf_export_that_is_wrong_on_one_edge_is_caught(make_ncf, edge):
    source = ncf.as_function(make_ncf(N_TRACKS))

    def wrong(feeds):
        return {"logit": source(feeds)["logit"] + 0.01 * EDGES[edge](feeds["history"])[feeds["user_index"]]}

    cases = ncf_cases([np.arange(4), np.asarray([2])], n_tracks=N_TRACKS)
    assert measure("ncf", source, source, cases).max_abs_diff == 0.0
    with pytest.raises(ParityError):
        measure("ncf", source, wrong, cases)


GATE_EDGES = {
    "no component": lambda feeds: feeds["available"].sum(axis=1) == 0,
    "one component": lambda feeds: feeds["available"].sum(axis=1) == 1,
    "all components": lambda feeds: feeds["available"].sum(axis=1) == 5,
    "a batch of one": lambda feeds: np.full(len(feeds["available"]), len(feeds["available"]) == 1),
}


@pytest.mark.parametrize("edge", GATE_EDGES)
def test_a_gate_that_is_wrong_on_one_edge_is_caught(gate, edge):
    source = hybrid.as_function(gate)

    def wrong(feeds):
        outputs = source(feeds)
        return {**outputs, "confidence": outputs["confidence"] + 0.01 * GATE_EDGES[edge](feeds)}

    with pytest.raises(ParityError):
        measure("hybrid", source, wrong, hybrid_cases(gate.scale.numpy()))


def test_a_gate_that_overflows_is_caught(gate):
    source = hybrid.as_function(gate)

    def clipped(feeds):
        return source({**feeds, "components": np.clip(feeds["components"], -100, 100)})

    with pytest.raises(ParityError, match="extreme"):
        measure("hybrid", source, clipped, hybrid_cases(gate.scale.numpy()))


def test_a_relative_limit_measures_every_case_in_units_of_its_output():
    cases = [case(0.25, -0.25), case(4.0, -8.0, name="larger values")]
    parity = measure("m", double, off_by(0.5), cases, limit=0.6, relative=True)

    assert parity.max_abs_diff == 0.5
    assert parity.max_rel_diff == 0.5
    assert parity.to_json() == {"max_abs_diff": 0.5, "cases": 2, "limit": 0.6, "max_rel_diff": 0.5}
    assert measure("m", double, off_by(0.5), cases[1:], limit=0.1, relative=True).max_rel_diff == pytest.approx(
        0.5 / 16
    )
    with pytest.raises(ParityError, match=r"by 5\.00e-01 on some values; the limit is 4e-01"):
        measure("m", double, off_by(0.5), cases, limit=0.4, relative=True)

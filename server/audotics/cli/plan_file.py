"""The file of an experiment: TOML goes in, a plan comes out; what is wrong with it is said by the name of the field."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

from audotics.client import Arm, ExperimentPlan, Guardrails, Objectives, PipelineSettings

_T = TypeVar("_T")
_PLAN: Final = frozenset(field.name for field in fields(ExperimentPlan)) - {"window_s"} | {"window_hours"}
_ARM: Final = frozenset(field.name for field in fields(Arm)) - {"stopped_reason"}


class PlanError(Exception):
    """The file is no plan. The message names the file and the field."""


def read_plan(path: Path) -> ExperimentPlan:
    """Raises PlanError."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: is not TOML: {error}") from error
    try:
        return _plan(content)
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


def _plan(content: Mapping[str, Any]) -> ExperimentPlan:
    _check_names(content, _PLAN, "")
    for name in ("name", "arms"):
        if name not in content:
            raise PlanError(f"{name}: is missing; give the experiment a name, and [[arms]]")
    if not isinstance(content["arms"], list):
        raise PlanError("arms: is one table; write [[arms]] for each arm")
    values = dict(content)
    values["arms"] = tuple(_arm(arm, f"arms[{place}]") for place, arm in enumerate(content["arms"]))
    if "guardrails" in values:
        values["guardrails"] = _table(Guardrails, values["guardrails"], "guardrails")
    if "window_hours" in values:
        values["window_s"] = 3600.0 * _number(values.pop("window_hours"), "window_hours")
    for name in ("traffic_share", "smallest_lift"):
        if name in values:
            values[name] = _number(values[name], name)
    for name in ("name", "description", "layer", "control", "metric"):
        if name in values and not isinstance(values[name], str):
            raise PlanError(f'{name}: is {values[name]!r}; write text in "quotes"')
    if "overrides" in values:
        _check_values(values["overrides"], str, "overrides", 'arms by user id, such as {"user-1" = "new"}')
    return ExperimentPlan(**values)


def _arm(content: object, path: str) -> Arm:
    if not isinstance(content, dict):
        raise PlanError(f"{path}: is {content!r}; write [[arms]] and its fields below")
    _check_names(content, _ARM, f"{path}.")
    if not isinstance(content.get("name"), str):
        raise PlanError(f"{path}.name: is missing; give each arm a name")
    values = dict(content)
    for name in ("share", "diversity"):
        if name in values:
            values[name] = _number(values[name], f"{path}.{name}")
    for name, kind in (("objectives", Objectives), ("pipeline", PipelineSettings)):
        if name in values:
            values[name] = _table(kind, values[name], f"{path}.{name}")
    if "model_versions" in values:
        _check_values(
            values["model_versions"], int, f"{path}.model_versions", "versions by model, such as {hybrid = 2}"
        )
    if "component_weights" in values:
        _check_values(
            values["component_weights"],
            int | float,
            f"{path}.component_weights",
            "numbers by component, such as {ncf = 2}",
        )
    return Arm(**values)


def _table(kind: Callable[..., _T], content: object, path: str) -> _T:
    names = frozenset(field.name for field in fields(kind))  # type: ignore[arg-type]
    _check_values(content, int | float, path, f"numbers for some of {', '.join(sorted(names))}")
    _check_names(content, names, f"{path}.")
    return kind(**content)  # type: ignore[arg-type]


def _check_names(content: Any, known: frozenset[str], path: str) -> None:
    for name in content:
        if name not in known:
            raise PlanError(f"{path}{name}: is no field; the fields are {', '.join(sorted(known))}")


def _check_values(content: object, kind: Any, path: str, expected: str) -> None:
    if not isinstance(content, dict) or not all(
        isinstance(value, kind) and not isinstance(value, bool) for value in content.values()
    ):
        raise PlanError(f"{path}: is {content!r}; write {expected}")


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"{path}: is {value!r}; write a number")
    return float(value)

"""`runtime.json`: what runs a model, where that is not the server's default; it lies beside `labels.json`.

    {"runtime": "tensorflow"}                                          its SavedModel, in the server's process
    {"runtime": "onnx", "device": "cuda"}                              its ONNX file, on a GPU
    {"runtime": "v2", "address": "triton:8001", "timeout_s": 0.2}      Triton, KServe or another server of protocol v2
    {"runtime": "tensorflow_serving", "address": "tfs:8500"}           TensorFlow Serving

Text goes in, a checked choice comes out.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, cast, get_args

from audotics.bundle.errors import BundleCorruptError

RUNTIME_FILE: Final = "runtime.json"

Runtime = Literal["onnx", "tensorflow", "v2", "tensorflow_serving"]
RUNTIMES: Final[tuple[Runtime, ...]] = get_args(Runtime)
REMOTE: Final = ("v2", "tensorflow_serving")
"""Runtimes of which the model lies on another server."""

SAME: Final = "same"
SERVING: Final = "serving"

_DEVICES: Final = ("auto", "cpu", "cuda")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.\-_\[\]:/]{3,255}")
_OF_REMOTE: Final = ("address", "model", "version", "tls", "timeout_s", "attempts")


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What runs a model. The fields after `join` are for models of other servers.

    `join` lets rows of several requests run in one call, where the model's rows are independent.

    `model` is its name there, by default the same as here. Of its versions the one with the same number is called, or
    with the version "serving" whichever serves there. A call may take `timeout_s` with all of its `attempts`.
    """

    runtime: Runtime = "onnx"
    device: str = ""
    """"" is the server's setting."""
    join: bool = True
    address: str = ""
    model: str = ""
    version: str = SAME
    tls: bool = False
    timeout_s: float = 1.0
    attempts: int = 2

    @property
    def remote(self) -> bool:
        return self.runtime in REMOTE


def parse_runtime(text: str, *, where: str) -> RuntimeChoice:
    """Read the text of `runtime.json`; `where` names the model in errors. Raises BundleCorruptError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _corrupt(where, "is not an object")
    known = [each.name for each in fields(RuntimeChoice)]
    for name in value:
        if name not in known:
            raise _corrupt(where, f"has {name!r}; known are {', '.join(known)}")
    runtime = value.get("runtime")
    if runtime not in RUNTIMES:
        raise _corrupt(where, f"names the runtime {runtime!r}; there are {', '.join(RUNTIMES)}")
    if runtime in REMOTE:
        _check_remote(value, where)
    elif foreign := [name for name in _OF_REMOTE if name in value]:
        raise _corrupt(where, f"has {foreign[0]!r}, which goes with {' and '.join(REMOTE)} only")
    if "device" in value and (runtime != "onnx" or value["device"] not in _DEVICES):
        raise _corrupt(where, f"has 'device', which goes with onnx only and is one of {', '.join(_DEVICES)}")
    if type(value.get("join", True)) is not bool:
        raise _corrupt(where, f"has 'join' {value['join']!r}; write true or false")
    return RuntimeChoice(**(value | {"runtime": cast(Runtime, runtime)}))


def _check_remote(value: dict[str, Any], where: str) -> None:
    address = value.get("address")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _corrupt(where, f"needs 'address', HOST:PORT of the other server, and has {address!r}")
    if not isinstance(value.get("model", ""), str) or type(value.get("tls", False)) is not bool:
        raise _corrupt(where, "has 'model' or 'tls' of a wrong type: a name, and true or false")
    if value.get("version", SAME) not in (SAME, SERVING):
        raise _corrupt(where, f"has the 'version' {value['version']!r}; write {SAME!r} or {SERVING!r}")
    timeout_s = value.get("timeout_s", 1.0)
    if type(timeout_s) not in (int, float) or not (math.isfinite(timeout_s) and 0 < timeout_s <= 600):
        raise _corrupt(where, f"has 'timeout_s' {timeout_s!r}; write seconds, above 0 and up to 600")
    attempts = value.get("attempts", 2)
    if type(attempts) is not int or not 1 <= attempts <= 10:
        raise _corrupt(where, f"has 'attempts' {attempts!r}; write 1 to 10")


def _corrupt(where: str, problem: str) -> BundleCorruptError:
    return BundleCorruptError(f"{where}: {RUNTIME_FILE} {problem}; mend the file or remove it")

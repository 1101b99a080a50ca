"""`runtime.json`: good choices are read, and each bad one is refused with what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.runtime import RuntimeChoice, parse_runtime
from audotics.bundle.store import BundleStore


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ({"runtime": "tensorflow"}, RuntimeChoice("tensorflow")),
        ({"runtime": "tensorflow", "join": False}, RuntimeChoice("tensorflow", join=False)),
        ({"runtime": "onnx", "device": "cuda"}, RuntimeChoice("onnx", device="cuda")),
        (
            {"runtime": "v2", "address": "[::1]:8001", "timeout_s": 0.2, "attempts": 3, "tls": True},
            RuntimeChoice("v2", address="[::1]:8001", timeout_s=0.2, attempts=3, tls=True),
        ),
        (
            {"runtime": "tensorflow_serving", "address": "tfs:8500", "model": "Ranker V2", "version": "serving"},
            RuntimeChoice("tensorflow_serving", address="tfs:8500", model="Ranker V2", version="serving"),
        ),
    ],
)
def test_a_choice_is_read(tmp_path: Path, value: dict[str, Any], choice: RuntimeChoice) -> None:
    store = BundleStore(tmp_path)
    (tmp_path / "ncf").mkdir()
    assert store.runtime("ncf") is None
    (tmp_path / "ncf" / "runtime.json").write_text(json.dumps(value))
    assert store.runtime("ncf") == choice
    assert choice.remote is ("address" in value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not an object"),
        ('{"runtime": "torch"}', "names the runtime 'torch'; there are onnx, tensorflow, v2, tensorflow_serving"),
        ("{}", "names the runtime None"),
        ('{"runtime": "onnx", "gpu": 1}', "has 'gpu'; known are runtime, device, join, address"),
        ('{"runtime": "onnx", "device": "tpu"}', "has 'device', which goes with onnx only and is one of auto, cpu"),
        ('{"runtime": "tensorflow", "device": "cpu"}', "has 'device', which goes with onnx only"),
        ('{"runtime": "tensorflow", "join": 1}', "has 'join' 1; write true or false"),
        ('{"runtime": "onnx", "address": "a:1"}', "has 'address', which goes with v2 and tensorflow_serving only"),
        ('{"runtime": "v2"}', "needs 'address', HOST:PORT of the other server, and has None"),
        ('{"runtime": "v2", "address": "a b"}', "needs 'address'"),
        ('{"runtime": "v2", "address": "a:1", "timeout_s": 0}', "has 'timeout_s' 0; write seconds"),
        ('{"runtime": "v2", "address": "a:1", "timeout_s": NaN}', "has 'timeout_s' nan"),
        ('{"runtime": "v2", "address": "a:1", "attempts": true}', "has 'attempts' True; write 1 to 10"),
        ('{"runtime": "v2", "address": "a:1", "version": 3}', "has the 'version' 3; write 'same' or 'serving'"),
        ('{"runtime": "v2", "address": "a:1", "tls": "yes"}', "of a wrong type"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(BundleCorruptError) as refused:
        parse_runtime(text, where="ncf")
    assert str(refused.value).startswith("ncf: runtime.json ")
    assert reason in str(refused.value)


def test_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "repository" / "ncf").mkdir(parents=True)
    (tmp_path / "elsewhere.json").write_text('{"runtime": "tensorflow"}')
    (tmp_path / "repository" / "ncf" / "runtime.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleCorruptError, match=r"ncf: runtime\.json is a symbolic link"):
        BundleStore(tmp_path / "repository").runtime("ncf")

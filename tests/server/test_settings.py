"""Settings: which source wins, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from audotics.server.options import gpu_placement
from audotics.server.retrieval.backends.gpu import Placement, Spread
from audotics.server.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "HOST", "THREADS", "STATE_DIR", "DATABASE_URL"):
        monkeypatch.delenv(f"AUDOTICS_{name}", raising=False)
    return tmp_path


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 50051)
    assert settings.effective_database_url == "sqlite:///.audotics/state.db"
    assert settings.threads >= 1


def test_flags_beat_variables_beat_the_file_beats_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "audotics.toml").write_text('port = 1\nhost = "file"\ndrain_s = 7\n')
    monkeypatch.setenv("AUDOTICS_PORT", "2")
    monkeypatch.setenv("AUDOTICS_HOST", "variable")
    settings = load_settings(port=3, threads=None)
    assert (settings.port, settings.host, settings.drain_s) == (3, "variable", 7.0)


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_unknown_keys_of_the_file_are_one_error(folder: Path) -> None:
    (folder / "audotics.toml").write_text("prot = 1\n[cache]\nurl = 2\n")
    with pytest.raises(SettingsError, match=r"audotics.toml: no such setting: 'prot', 'cache'; known settings: .*port"):
        load_settings()


def test_a_wrong_value_says_where_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "audotics.toml").write_text("threads = 0\n")
    monkeypatch.setenv("AUDOTICS_PORT", "http")
    with pytest.raises(SettingsError) as caught:
        load_settings(host="")
    message = str(caught.value)
    assert "audotics.toml: threads: Input should be greater than or equal to 1, got 0" in message
    assert "AUDOTICS_PORT: Input should be a valid integer" in message
    assert "--host: String should have at least 1 character" in message


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "audotics.toml").write_text("port =\n")
    with pytest.raises(SettingsError, match=r"audotics\.toml is not a TOML file"):
        load_settings()


@pytest.mark.parametrize(
    ("gpus", "devices"), [(None, (0,)), ("2", (2,)), ("1,0,1", (1, 0)), ("all", ())], ids=["unset", "one", "two", "all"]
)
def test_gpus_are_named_by_number_or_all_of_them(gpus: str | None, devices: tuple[int, ...]) -> None:
    assert gpu_placement(load_settings(retrieval_gpus=gpus)) == Placement(devices, Spread.REPLICATED)
    sharded = load_settings(retrieval_gpus=gpus, retrieval_spread="sharded")
    assert gpu_placement(sharded) == Placement(devices, Spread.SHARDED)


@pytest.mark.parametrize("gpus", ["-1", "0,", "none", "0;1", ""])
def test_gpus_that_are_no_numbers_are_refused(gpus: str) -> None:
    with pytest.raises(SettingsError, match=r"--retrieval-gpus: .*numbers such as 0,1, or all"):
        load_settings(retrieval_gpus=gpus)

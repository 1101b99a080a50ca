"""Settings: defaults, `audotics.toml`, `AUDOTICS_*` variables and flags go in, one frozen value comes out."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from audotics.server.errors import AudoticsError

Device = Literal["auto", "cpu", "cuda"]
LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
VersionPolicyText = Annotated[
    str, Field(pattern=r"^(all|latest:[1-9][0-9]{0,3}|[1-9][0-9]{0,17}(,[1-9][0-9]{0,17})*)$")
]
SETTINGS_FILE: Final = "audotics.toml"


class SettingsError(AudoticsError):
    """A setting is unknown or has a wrong value. The message names it, says where it stands, and what to write."""


class Settings(BaseSettings):
    """All that can be set. Later sources win: defaults, `audotics.toml`, `AUDOTICS_<NAME>`, keyword arguments."""

    model_config = SettingsConfigDict(
        env_prefix="AUDOTICS_", toml_file=SETTINGS_FILE, frozen=True, extra="forbid", env_ignore_empty=True
    )

    repository: Path = Field(Path("repository"), description="folder that `audotics export` writes bundles into")
    repository_poll_s: float = Field(
        2.0, ge=0, le=3600, description="how often the repository is looked at for new versions and labels; 0 is never"
    )
    version_policy: VersionPolicyText = Field(
        "latest:1", description="versions that are loaded: latest:N, all, or numbers such as 3,5"
    )
    version_policies: dict[str, VersionPolicyText] = Field(
        default_factory=dict, description="version_policy of single models, by name"
    )
    model_memory_mib: float | None = Field(
        None, gt=0, description="most that loaded models may take, by the size of their files; unset is no bound"
    )
    tenant_memory_mib: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="most that loaded models of single tenants may take, by tenant"
    )
    shadow_share: float = Field(0.1, ge=0, le=1, description="share of requests that the label shadow answers, too")
    promotion_shadow_requests: int = Field(
        0, ge=0, description="comparisons as a shadow that a version needs before it is promoted"
    )
    promotion_min_overlap: float = Field(
        0.2, ge=0, le=1, description="overlap with the lists in service that a version needs as a shadow"
    )
    probation_s: float = Field(
        600.0, ge=0, description="how long fresh versions are rolled back when they do worse; 0 is never"
    )
    rollback_error_share: float = Field(
        0.05, gt=0, le=1, description="additional share of failed requests that fresh versions are rolled back for"
    )
    rollback_time_ratio: float = Field(
        3.0, gt=1, description="slow-down of the 95th percentile that fresh versions are rolled back for"
    )
    # Loopback, since the administration services ask for no credentials yet: to be reachable from other machines is a
    # decision, `--host 0.0.0.0` or `--host ::`.
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    http_port: int = Field(
        8080, ge=-1, le=65535, description="port of HTTP, for metrics and health; 0 takes a free one, -1 is no HTTP"
    )
    # Not `data_dir`: that is what the data sets' folder is called.
    state_dir: Path = Field(Path(".audotics"), description="folder of the server's own state")
    database_url: str | None = Field(
        None, description="SQLite or PostgreSQL database; unset is the file state.db in the state folder"
    )
    threads: int = Field(
        default_factory=lambda: (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ),
        ge=1,
        le=1024,
        description="threads that run models and searches; unset is the number of processors",
    )
    call_placement: Literal["adaptive", "system"] = Field(
        "adaptive",
        description="where the threads that calls pass through run: adaptive, on one processor while that is enough "
        "for them, or system, wherever the system puts them",
    )
    retrieval_device: Device = Field(
        "auto", description="where vectors are searched: cpu, cuda, or auto, a GPU where FAISS sees one"
    )
    retrieval_gpus: Annotated[str, Field(pattern=r"^(all|[0-9]{1,3}(,[0-9]{1,3})*)$")] = Field(
        "0", description="GPUs that vectors are searched on: numbers such as 0,1, or all"
    )
    retrieval_spread: Literal["replicated", "sharded"] = Field(
        "replicated", description="what each of several GPUs holds: all vectors for a part of the queries, or a part"
    )
    recall_sample_share: float = Field(
        0.001, ge=0, le=1, description="share of searches that are done again exactly to measure recall"
    )
    model_runtime: Literal["onnx", "tensorflow"] = Field(
        "onnx",
        description="what runs models without a runtime.json: their ONNX file, or their SavedModel in TensorFlow",
    )
    model_device: Device = Field(
        "cpu", description="where ONNX models run: cpu, cuda, or auto, a GPU where ONNX Runtime has one"
    )
    gpu_memory_mib: int | None = Field(
        None, ge=1, description="most GPU memory that one ONNX model may take; unset is no bound"
    )
    run_limit_s: float = Field(
        30.0, gt=0, description="longest that a model may take to be opened, to be warmed up, and for one run"
    )
    drain_s: float = Field(30.0, ge=0, le=3600, description="how long requests under way may take after SIGTERM")
    max_connection_age_s: float = Field(
        1800.0, gt=0, description="when clients are asked to connect anew, so that load spreads over servers"
    )
    max_concurrent_requests: int = Field(1000, ge=1, description="requests beyond are refused with RESOURCE_EXHAUSTED")
    max_watchers: int = Field(500, ge=1, description="lists that may be watched at a time, each by a stream of its own")
    max_message_mib: int = Field(16, ge=1, le=1024, description="largest request and answer")
    gzip_answers: bool = Field(False, description="compress answers to clients that take gzip; requests may always be")
    # On, since it costs nothing: its messages are our own, so that TensorFlow is not imported.
    tensorflow_serving: bool = Field(True, description="answer TensorFlow Serving's API on the same port")
    event_retention_days: float | None = Field(
        None, gt=0, description="days for which events are kept; unset is for ever"
    )
    receipt_retention_days: float | None = Field(30.0, gt=0, description="days for which receipts of lists are kept")
    session_retention_days: float | None = Field(
        None,
        gt=0,
        description="days for which group sessions are kept after their last change; unset is for ever",
    )
    model_record_retention_days: float | None = Field(
        None, gt=0, description="days for which records of what happened to models are kept; unset is for ever"
    )
    server_name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=256,
        description="what records call this server; unset is the computer's name",
    )
    # Off, since learning shows some listeners lists that are probably worse, and only feedback that names its list is
    # worth that: to begin is a decision.
    learning: bool = Field(False, description="make lists with tilted weights of the hybrid, and learn which ones earn")
    learning_exploration: float = Field(
        0.1, gt=0, le=1, description="share of lists made with any tilt, whatever was learned"
    )
    learning_interval_s: float = Field(
        600.0, gt=0, description="how often lists are settled, policies watched, and steps proposed"
    )
    learning_window_s: float = Field(1800.0, gt=0, description="how long after a list feedback on it counts")
    learning_min_decisions: int = Field(
        1000, ge=1, description="settled lists since the last proposal that the next one needs"
    )
    learning_max_step: float = Field(
        0.2, gt=0, le=1, description="most that a step changes the tilts of a segment, in total variation"
    )
    user_cache_size: int = Field(50_000, ge=1, description="listeners whose events are kept in memory")
    experiment_holdout_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of listeners that no experiment touches, to compare with",
    )
    experiment_check_s: float = Field(
        10.0, gt=0, le=3600, description="how often the guardrails of experiments are checked"
    )
    batch_window_ms: float = Field(
        1.0, ge=0, le=1000, description="how long requests gather into one scoring batch while another runs"
    )
    batch_rows: int = Field(4096, ge=1, description="most track rows scored in one call of a model")
    queue_rows: int = Field(
        65_536, ge=1, description="track rows that may wait to be scored before requests are refused"
    )
    cache_url: str | None = Field(
        None, description="Redis in which servers share lists, redis://host:port/0; unset is the process's memory alone"
    )
    cache_mib: float = Field(64.0, gt=0, le=65_536, description="memory for lists that were made, in each server")
    cache_ttl_s: float = Field(24 * 3600.0, gt=0, description="how long a list may answer the same question")
    cache_timeout_ms: float = Field(
        100.0, gt=0, le=10_000, description="how long Redis may take before requests go on without it"
    )
    log_format: LogFormat = Field("auto", description="auto (console on a terminal, else JSON), console or json")
    log_level: LogLevel = Field("info", description="debug, info, warning or error")

    @property
    def effective_database_url(self) -> str:
        """`database_url`, or the default file in `state_dir`."""
        return self.database_url or f"sqlite:///{self.state_dir / 'state.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**flags: Any) -> Settings:
    """Read every source; a flag that is None counts as not given. Raises SettingsError."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_problems([dict(item) for item in error.errors()], given))) from error
    except ValueError as error:
        raise SettingsError(f"{SETTINGS_FILE} is not a TOML file: {error}") from error


def _problems(items: list[dict[str, Any]], flags: dict[str, Any]) -> list[str]:
    unknown = [repr(item["loc"][0]) for item in items if item["type"] == "extra_forbidden"]
    problems = [_describe(item, flags) for item in items if item["type"] != "extra_forbidden"]
    if unknown:
        known = ", ".join(sorted(Settings.model_fields))
        problems.append(f"{SETTINGS_FILE}: no such setting: {', '.join(unknown)}; known settings: {known}")
    return problems


def _describe(item: dict[str, Any], flags: dict[str, Any]) -> str:
    name = str(item["loc"][0])
    variable = f"AUDOTICS_{name.upper()}"
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    else:
        where = variable if variable in os.environ else f"{SETTINGS_FILE}: {name}"
    return f"{where}: {item['msg']}, got {item['input']!r} ({Settings.model_fields[name].description})"

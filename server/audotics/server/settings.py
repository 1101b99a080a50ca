"""Settings: defaults, `audotics.toml`, `AUDOTICS_*` variables and flags go in, one frozen value comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from audotics.server.errors import AudoticsError

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
SETTINGS_FILE: Final = "audotics.toml"


class SettingsError(AudoticsError):
    """A setting is unknown or has a wrong value. The message names it, says where it stands, and what to write."""


class Settings(BaseSettings):
    """All that can be set. Later sources win: defaults, `audotics.toml`, `AUDOTICS_<NAME>`, keyword arguments."""

    model_config = SettingsConfigDict(
        env_prefix="AUDOTICS_", toml_file=SETTINGS_FILE, frozen=True, extra="forbid", env_ignore_empty=True
    )

    repository: Path = Field(Path("repository"), description="folder that `audotics export` writes bundles into")
    # Loopback, since the administration services ask for no credentials yet: to be reachable from other machines is a
    # decision, `--host 0.0.0.0` or `--host ::`.
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    # Not `data_dir`: that is what the data sets' folder is called.
    state_dir: Path = Field(Path(".audotics"), description="folder of the server's own state")
    database_url: str | None = Field(None, description="SQLite database; unset is state.db in the state folder")
    threads: int = Field(
        default_factory=lambda: (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ),
        ge=1,
        le=1024,
        description="threads that run models and searches; unset is the number of processors",
    )
    drain_s: float = Field(30.0, ge=0, le=3600, description="how long requests under way may take after SIGTERM")
    max_connection_age_s: float = Field(
        1800.0, gt=0, description="when clients are asked to connect anew, so that load spreads over servers"
    )
    max_concurrent_requests: int = Field(1000, ge=1, description="requests beyond are refused with RESOURCE_EXHAUSTED")
    max_message_mib: int = Field(16, ge=1, le=1024, description="largest request and answer")
    user_cache_size: int = Field(50_000, ge=1, description="listeners whose events are kept in memory")
    batch_window_ms: float = Field(
        1.0, ge=0, le=1000, description="how long requests gather into one scoring batch while another runs"
    )
    batch_rows: int = Field(4096, ge=1, description="most track rows scored in one call of a model")
    queue_rows: int = Field(
        65_536, ge=1, description="track rows that may wait to be scored before requests are refused"
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

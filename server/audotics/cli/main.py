"""The entry point of the `audotics` command. It imports nothing beyond the standard library until it runs.

A package that is not installed ends the command with one line that says which extra brings it.
"""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Final

_TRAIN: Final = "train"
_SERVER: Final = "server,cpu"
_TENSORFLOW: Final = "tensorflow"

EXTRAS: Final = MappingProxyType(
    {
        "alembic": _SERVER,
        "faiss": _SERVER,
        "grpc_health": _SERVER,
        "grpc_channelz": _SERVER,
        "grpc_reflection": _SERVER,
        "grpc_status": _SERVER,
        "keras": _TENSORFLOW,
        "librosa": "audio",
        "numpy": _SERVER,
        "onnx": _TRAIN,
        "optuna": _TRAIN,
        "onnxruntime": _SERVER,
        "psycopg": "postgres",
        "pyarrow": _SERVER,
        "pydantic_settings": _SERVER,
        "rich": _SERVER,
        "scipy": _TRAIN,
        "skl2onnx": _TRAIN,
        "sklearn": _TRAIN,
        "soundfile": "audio",
        "sqlalchemy": _SERVER,
        "structlog": _SERVER,
        "tensorflow": _TENSORFLOW,
        "tf2onnx": _TENSORFLOW,
        "torch": _TRAIN,
        "transformers": "text",
        "typer": _SERVER,
    }
)
"""The extra of pyproject.toml that brings each package which is not part of the base install."""


def main() -> None:
    """Run the command line. Exits with 0, with 1 after an error, or with 2 after a mistake in the arguments."""
    try:
        from audotics.cli.commands import app

        app()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        sys.exit(
            f"error: this command needs {package}, which is not installed: pip install 'audotics[{EXTRAS[package]}]'"
        )


if __name__ == "__main__":
    main()

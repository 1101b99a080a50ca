"""Logs: records of structlog and of stdlib logging go in, one line each comes out on standard error."""

from __future__ import annotations

import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from audotics.server.settings import LogFormat, LogLevel

_HANDLER_NAME: Final = "audotics"


def configure_logs(*, log_format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send every log record of the process to `stream`, standard error unless given. Replaces an earlier call's choice.

    "auto" is for people when `stream` is a terminal, JSON otherwise.
    """
    target = sys.stderr if stream is None else stream
    readable = log_format == "console" or (log_format == "auto" and target.isatty())
    rendering: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(target)
    handler.name = _HANDLER_NAME
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=_common(),
        )
    )
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if handler.name == _HANDLER_NAME]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # On an empty database it would tell of every step that makes the tables.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It counts the changes in the repository's folders; what became of them is said by who looks.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger that takes an event and its fields: `log.info("request", method=…, duration_ms=…)`.

    It goes through stdlib logging, so that without `configure_logs` it obeys the program that embeds the server.
    """
    logger: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def _common() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]

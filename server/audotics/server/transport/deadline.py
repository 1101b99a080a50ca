"""Deadlines: a call's context goes in, a point on the clock of `time.monotonic()` comes out."""

from __future__ import annotations

import math
import time

import grpc


def deadline_of(context: grpc.aio.ServicerContext) -> float | None:
    """When the caller stops waiting; None when it has set no limit."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None or math.isinf(remaining) else time.monotonic() + remaining

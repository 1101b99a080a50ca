"""Threads below PyTorch: an environment goes in, and gets the policy that OpenMP reads when it is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Let OpenMP threads sleep while they wait for each other, unless the environment says otherwise already.

    Call it with `os.environ` before PyTorch is imported. By default they spin, and on a machine that does other things
    too, a training step then waits for whole time slices: on two busy cores an epoch took three to four times as long.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")

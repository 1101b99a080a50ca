"""Who is in which arm: a listener's id goes in, a slot of a layer or an arm comes out, the same at all times.

    h(key, user_id) = BLAKE2b of user_id, keyed, its first 8 bytes as a number, over 2^64             (in [0, 1))
    slot of a layer = floor(10,000 · h("layer:" + layer, user_id))
    arm             = the first whose cumulated share is above h(salt of the experiment, user_id)
    held out        = h("holdout", user_id) below the share that is held out

The key makes the draws of different layers and experiments independent of each other; nothing is stored.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from audotics.server.experiments.experiment import Arm, Experiment
from audotics.server.experiments.traffic import SLOTS

_MOST_KEY_BYTES: Final = 64


def uniform(key: str, user_id: str) -> float:
    """A number in [0, 1) that looks drawn, the same for the same two. `key` has up to 64 bytes."""
    digest = blake2b(user_id.encode(), key=key.encode()[:_MOST_KEY_BYTES], digest_size=8).digest()
    # The upper 53 bits, so that the division is exact and never gives 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def slot_of(layer: str, user_id: str) -> int:
    """The slot of a layer that a listener falls into, from 0 to 9,999."""
    return int(SLOTS * uniform(f"layer:{layer}", user_id))


def is_held_out(user_id: str, share: float) -> bool:
    """Whether a listener is among the share that no experiment touches; a larger share holds the same ones out, too."""
    return share > 0 and uniform("holdout", user_id) < share


def arm_of(experiment: Experiment, user_id: str) -> Arm:
    """The arm that a listener of the experiment draws, whether it is still served or not."""
    drawn, cumulated = uniform(experiment.salt, user_id), 0.0
    for arm in experiment.plan.arms:
        cumulated += arm.share
        if drawn < cumulated:
            return arm
    return experiment.plan.arms[-1]  # the shares sum up to 1 but for rounding

"""A network under training and the running average of its parameters: steps go in, a steadier network comes out."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

WARM_UP_STEPS = 10
"""The average forgets faster in the beginning, when there is little to remember."""


class Averaged(nn.Module, Generic[Network]):
    """`network`, and beside it `average`, the exponential average of its parameters over about 1 / (1 - decay) steps.

    The average ranks better than any single step (Polyak & Juditsky 1992). Both are in a checkpoint of this module.
    """

    steps: Tensor

    def __init__(self, network: Network, decay: float) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.tensor(0))

    @torch.no_grad()
    def follow(self) -> None:
        """Take in the parameters as they are now; to be called once a step."""
        self.steps += 1
        kept = min(self.decay, float(self.steps) / (float(self.steps) + WARM_UP_STEPS))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - kept)

"""Adam (Kingma & Ba 2015): gradients of parameters go in, and the parameters move.

The arithmetic is PyTorch's, and the same to the last bit as that of `torch.optim.AdamW`. Only the class around it is
ours: the first instance of any class in `torch.optim` imports PyTorch's compiler, which takes longer than an epoch on
a small catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

BETA1: Final = 0.9
BETA2: Final = 0.999
EPSILON: Final = 1e-8


class Adam:
    """Steps over `decayed` and `undecayed` parameters; the former shrink by `weight_decay` times the step size (AdamW).

    A parameter without a gradient stays as it is.
    """

    def __init__(
        self,
        decayed: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        undecayed: Iterable[nn.Parameter] = (),
    ) -> None:
        self.learning_rate = learning_rate
        self._groups = [(weight_decay, _Group(decayed)), (0.0, _Group(undecayed))]

    def clear(self) -> None:
        """Forget the gradients of the step before."""
        for _, group in self._groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for weight_decay, group in self._groups:
            adam(
                *group.touched(),
                fused=False,
                foreach=False,
                decoupled_weight_decay=True,
                amsgrad=False,
                beta1=BETA1,
                beta2=BETA2,
                lr=self.learning_rate,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the moments of each group's parameters that were moved, by their places."""
        return {"moments": [group.moments for _, group in self._groups]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError or ValueError when the state is of other parameters."""
        for (_, group), moments in zip(self._groups, state["moments"], strict=True):
            group.load(moments)


class _Group:
    """Parameters that decay alike, and for the place of each that was moved: two running means and the steps taken."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.moments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def touched(self) -> tuple[list[Tensor], ...]:
        """As `adam` takes them: the parameters with a gradient, and beside them what belongs to each."""
        columns: tuple[list[Tensor], ...] = ([], [], [], [], [], [])
        parameters, gradients, means, squares, _, steps = columns
        for place, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            if place not in self.moments:
                self.moments[place] = (torch.zeros_like(parameter), torch.zeros_like(parameter), torch.zeros(()))
            mean, square, taken = self.moments[place]
            parameters.append(parameter)
            gradients.append(parameter.grad)
            means.append(mean)
            squares.append(square)
            steps.append(taken)
        return columns

    def load(self, moments: dict[int, tuple[Tensor, Tensor, Tensor]]) -> None:
        shapes = dict(enumerate(parameter.shape for parameter in self.parameters))
        if any(shapes.get(place) != mean.shape for place, (mean, _, _) in moments.items()):
            raise ValueError("the optimizer's state is of other parameters")
        self.moments = dict(moments)

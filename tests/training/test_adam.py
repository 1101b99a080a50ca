"""Adam takes the steps of PyTorch's own, goes on from a checkpoint, and leaves PyTorch's compiler alone."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from audotics.training.adam import Adam

TRAINS_NCF = """
import sys
from pathlib import Path
import numpy as np
from audotics.models.ncf import NcfOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.ncf import train_ncf
from audotics.training.progress import Quiet
train_ncf([np.arange(9, dtype=np.int32)] * 3, 20, NcfOptions(embedding_size=4, epochs=1, pretrain_epochs=1), seed=0,
          holdout=None, checkpoints=Checkpoints(Path(sys.argv[1])), resume=False, progress=Quiet())
print("torch._dynamo" in sys.modules)
"""


class Two(nn.Module):
    """A parameter that decays, one that does not, and one that no loss touches."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
        self.offset = nn.Parameter(torch.tensor([0.5]))
        self.idle = nn.Parameter(torch.ones(2))

    def loss(self, x: float) -> torch.Tensor:
        return ((self.slope * x + self.offset - 2 * x) ** 2).sum()


def adam_of(model: Two) -> Adam:
    return Adam([model.slope, model.idle], learning_rate=0.1, weight_decay=0.3, undecayed=[model.offset])


def go(model: Two, optimizer: Adam, steps: range) -> None:
    for step in steps:
        optimizer.learning_rate = 0.1 / (step + 1)
        optimizer.clear()
        model.loss(float(step % 3)).backward()
        optimizer.step()


def test_steps_are_those_of_pytorch() -> None:
    ours, theirs = Two(), Two()
    reference = torch.optim.AdamW(
        [{"params": [theirs.slope, theirs.idle], "weight_decay": 0.3}, {"params": [theirs.offset], "weight_decay": 0.0}]
    )

    go(ours, adam_of(ours), range(20))
    for step in range(20):
        for group in reference.param_groups:
            group["lr"] = 0.1 / (step + 1)
        reference.zero_grad()
        theirs.loss(float(step % 3)).backward()
        reference.step()

    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter, theirs.get_parameter(name)), name
    assert torch.equal(ours.idle, torch.ones(2)), "without a gradient nothing decays"


def test_it_goes_on_from_its_state() -> None:
    whole, broken = Two(), Two()
    go(whole, adam_of(whole), range(20))
    optimizer = adam_of(broken)
    go(broken, optimizer, range(8))
    resumed, kept = adam_of(broken), copy.deepcopy(optimizer.state_dict())

    resumed.load_state_dict(kept)
    go(broken, resumed, range(8, 20))

    assert torch.equal(broken.slope, whole.slope)
    assert torch.equal(broken.offset, whole.offset)


def test_a_state_of_other_parameters_is_refused() -> None:
    model = Two()
    optimizer = adam_of(model)
    go(model, optimizer, range(1))

    with pytest.raises(ValueError, match="of other parameters"):
        Adam([nn.Parameter(torch.ones(5))], learning_rate=0.1).load_state_dict(optimizer.state_dict())


def test_training_ncf_does_not_import_the_compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")

    told = subprocess.run([sys.executable, "-c", TRAINS_NCF, str(folder)], check=True, capture_output=True, text=True)

    assert told.stdout.strip() == "False"

"""A batch as modules see it."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from pgrad.rollouts.batch import Batch
from pgrad.torch.devices import to_device
from pgrad.torch.policy import Inputs


class Samples(NamedTuple):
    """A batch as modules see it."""

    obs: Tensor  # [B, *shape]
    action: Tensor  # [B] or [B, D], as drawn
    mask: Tensor | None  # [B, Σ counts]


def loaded(batch: Batch, inputs: Inputs) -> Samples:
    """Move the batch's observations, actions and masks to the device."""
    size = batch.reward.size
    drawn = np.ascontiguousarray(batch.action[..., :size].T)
    action = to_device(drawn if drawn.dtype.kind == "f" else drawn.astype(np.int64), inputs.device)
    mask = None
    if batch.mask.shape[0]:
        mask = to_device(np.ascontiguousarray(batch.mask[:, :size].T), inputs.device)
    return Samples(inputs.prepared(np.ascontiguousarray(batch.obs[:, :size].T)), action, mask)

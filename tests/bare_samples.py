"""Samples without a history: all that the gradient of a batch needs."""

from typing import Any

import numpy as np

from pgrad.estimators import gradient as estimators
from pgrad.estimators.advantages import Advantages
from pgrad.kernels.heads import NO_MASK
from pgrad.rollouts.batch import Batch


def bare_batch(obs: Any, action: Any, mask: Any = NO_MASK) -> Batch:
    """B samples of one trajectory that has not ended; obs [O, ≥ B], action [B] or [D, ≥ B]."""
    size = action.shape[-1]
    ends, number, none = np.zeros(size, np.bool_), np.zeros(size, np.int32), np.empty(0, np.int64)
    return Batch(obs, action, np.zeros(size), ends, ends, number, number, obs[:, :0].copy(), none, 1, mask)


def policy_gradient(policy: Any, obs: Any, action: Any, mask: Any, weight: Any, bonus: float) -> Any:
    """The gradient of bare samples, whose weights and bonus hold the normaliser."""
    advantage = Advantages(weight, 1.0, np.empty(0), np.nan)
    return estimators.policy_gradient(policy, bare_batch(obs, action, mask), advantage, bonus)

"""The estimators as a learner calls them, on plain lists of one or several episodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import InputError
from pgrad.estimators import returns

Floats = npt.NDArray[np.float64]


def _rewards(rewards: npt.ArrayLike, discount: float) -> Floats:
    array = np.asarray(rewards, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"rewards must be one episode's list of numbers, not an array of shape {array.shape}")
    if not 0 <= discount <= 1:
        raise InputError(f"discount must be in [0, 1], not {discount}")
    return array


def discounted_return(rewards: npt.ArrayLike, discount: float = 0.99) -> float:
    """G = Σ_t γ^t r_t of one episode's rewards [T].

    >>> discounted_return([1, 1, 1], discount=0.5)
    1.75
    """
    array = _rewards(rewards, discount)
    return float(rewards_to_go(array, discount)[0]) if array.size else 0.0


def rewards_to_go(rewards: npt.ArrayLike, discount: float = 0.99) -> Floats:
    """G_t = Σ_{k ≥ t} γ^{k-t} r_k for every step of one episode's rewards; [T] to [T].

    >>> rewards_to_go([1, 1, 1], discount=0.5).tolist()
    [1.75, 1.5, 1.0]
    """
    array = _rewards(rewards, discount)
    size = array.size
    one_episode = np.zeros(size, np.int32)
    segment_end = np.zeros(size, np.bool_)
    segment_end[-1:] = True
    return returns.rewards_to_go(array, segment_end, one_episode, np.zeros(size), discount, 1)  # type: ignore[no-any-return]


def estimate_policy_gradient(log_probs: Sequence[Any], returns: Sequence[Any]) -> Any:
    """Σ_t G_t · x_t of one episode, or its mean over episodes where both arguments are lists of episodes.

    With x_t = log π(a_t | s_t) this is the surrogate whose gradient in θ estimates ∇J(θ): give it PyTorch's scalars and
    call `backward()` on the *negative*. With x_t the score ∇ log π(a_t | s_t), a vector, it is the estimate itself.
    The sum runs over the steps and only episodes are averaged: a mean over steps would weigh them by episode length.

    log_probs  [T], or [T, P] for scores; or one such item for each of N episodes
    returns    [T] the return that multiplies each step; or one such list an episode

    Raises InputError where lengths differ or nothing is given. Williams (1992), equation 10.
    """
    if len(returns) == 0:
        raise InputError("returns are empty: there is nothing to estimate from")
    if np.ndim(returns[0]) == 0:
        log_probs, returns = [log_probs], [returns]
    if len(log_probs) != len(returns):
        raise InputError(f"log_probs has {len(log_probs)} episodes, returns has {len(returns)}")
    total: Any = 0.0
    for x, g in zip(log_probs, returns, strict=True):
        if len(x) != len(g):
            raise InputError(f"an episode has {len(x)} log_probs but {len(g)} returns")
        for x_t, g_t in zip(x, g, strict=True):
            total = total + x_t * g_t
    return total / len(returns)

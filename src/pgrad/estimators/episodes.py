"""Estimators on plain lists, of one episode or several: for learning, and to check your own code against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import InputError, as_floats, require_discount
from pgrad.estimators import returns

Floats = npt.NDArray[np.float64]


def _one_episode(values: npt.ArrayLike, what: str) -> Floats:
    array = as_floats(values, what)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"{what} must be one episode's list of finite numbers, not {values!r:.80}")
    return array


def _is_number(value: Any) -> bool:
    return bool(getattr(value, "ndim", hasattr(value, "__len__")) == 0)


def discounted_return(rewards: npt.ArrayLike, discount: float = 0.99) -> float:
    """Return G = Σ_t γ^t r_t of one episode's rewards r [T]; 0 of no rewards.

    `discount` is γ in [0, 1]. Raises InputError for any other arguments. Sutton and Barto (2018), equation 3.8,
    where the first reward is called R_1.

    >>> discounted_return([1, 1, 1], discount=0.5)
    1.75
    """
    to_go = rewards_to_go(rewards, discount)
    return float(to_go[0]) if to_go.size else 0.0


def rewards_to_go(rewards: npt.ArrayLike, discount: float = 0.99) -> Floats:
    """Return G_t = Σ_{k ≥ t} γ^{k-t} r_k for every step of one episode's rewards r; [T] to [T], in units of reward.

    `discount` is γ in [0, 1]. G_t is an unbiased estimate of Q(s_t, a_t). Raises InputError for any other arguments.
    Computed backward by G_t = r_t + γ G_{t+1}: Sutton and Barto (2018), equation 3.9.

    >>> rewards_to_go([1, 1, 1], discount=0.5).tolist()
    [1.75, 1.5, 1.0]
    """
    array = _one_episode(rewards, "rewards")
    discount = require_discount(discount)
    one_trajectory, segment_end = np.zeros(array.size, np.int32), np.zeros(array.size, np.bool_)
    segment_end[-1:] = True
    return returns.rewards_to_go(array, segment_end, one_trajectory, np.zeros(array.size), discount, 1)  # type: ignore[no-any-return]


def estimate_policy_gradient(log_probs: Sequence[Any], returns: Sequence[Any]) -> Any:
    """Return Σ_t G_t · x_t of one episode, or its mean over episodes if both arguments are lists of episodes.

    With x_t = log π(a_t | s_t) this is the surrogate whose gradient in θ estimates ∇J(θ): give it scalar tensors of
    PyTorch and call `backward()` on the *negative*. With x_t the score ∇ log π(a_t | s_t), a vector, it is the estimate
    itself. The sum runs over the steps and only episodes are averaged: a mean over steps would weigh them by episode
    length.

    log_probs  [T], or an array [T, P] for scores; or a list with one such item for each of N episodes
    returns    [T] the return that multiplies each step; or a list with one such item for each episode; or, where
               log_probs is a list of lists, [N] one return for all steps of each episode

    Unbiased if G_t is γ^t times the reward-to-go, or the discounted return G_0 of the whole episode; without γ^t it is
    not the gradient of any objective (Nota and Thomas 2020). Raises InputError where lengths differ, nothing is given,
    returns are not finite numbers, or one array of returns could mean several episodes or one. Williams (1992), section
    5.

    >>> estimate_policy_gradient([[-0.5, -1.0], [-2.0]], [4.0, 1.0])  # (-1.5 · 4 - 2 · 1) / 2
    -4.0
    """
    if getattr(returns, "ndim", 1) > 1:
        raise InputError(
            f"returns of shape {np.shape(returns)} can mean one episode or several: give one episode's [T], or a list "
            "with one such item for each episode"
        )
    if len(returns) == 0:
        raise InputError("returns are empty: there is nothing to estimate from")
    one_each = _is_number(returns[0]) and len(log_probs) > 0 and all(isinstance(x, list | tuple) for x in log_probs)
    if _is_number(returns[0]) and not one_each:
        log_probs, returns = [log_probs], [returns]
    if len(log_probs) != len(returns):
        raise InputError(f"log_probs has {len(log_probs)} episodes, returns has {len(returns)}")
    total: Any = 0.0
    for x, own in zip(log_probs, returns, strict=True):
        g = [own] * len(x) if one_each else own
        size = len(_one_episode(g, "returns"))
        if _is_number(x):
            raise InputError("log_probs are of one episode, returns of a list of episodes: give both alike")
        if len(x) != size:
            raise InputError(f"an episode has {len(x)} log_probs but {size} returns")
        for x_t, g_t in zip(x, g, strict=True):
            total = total + x_t * g_t
    return total / len(returns)

"""From observations to actions, for many environments at once."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.errors import PolicyError
from pgrad.kernels.heads import (
    NO_MASK,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    GSDEHead,
    Policy,
    draw,
    env_actions,
    first_row,
    mode,
    noise_step,
)
from pgrad.kernels.jit import strict
from pgrad.kernels.mlp import BLOCK, forward_block, load_block, new_block
from pgrad.kernels.random import fold_in
from pgrad.kernels.softmax import forbid

f4 = np.float32

Array = Any


@strict
def act_block(
    policy: Policy, rows: Any, mask: Any, keys: Any, steps: Any, greedy: bool, action: Any, at: int, lanes: int
) -> None:
    """Choose an action for each lane from the normalised observations in `rows`; write it to `action` from `at` on.

    It is sampled with the `steps[n]`-th random bits of keys[n] (a head may hold them longer), or with `greedy` the most
    probable one. mask [Σ counts
    or 0, ≥ at + lanes] says which are allowed.
    """
    net = policy.network
    forward_block(net, rows, False, lanes)
    choose_block(policy.head, rows[first_row(policy.head, net) :], mask, keys, steps, greedy, action, at, lanes)


@strict
def choose_block(
    head: Any, outputs: Any, mask: Any, keys: Any, steps: Any, greedy: bool, action: Any, at: int, lanes: int
) -> None:
    """Choose an action for each lane from a policy's outputs [K, ≥ lanes], which are overwritten; see `act_block`."""
    forbid(outputs, mask, at, lanes)
    if greedy:
        mode(head, outputs, action, at, lanes)
        return
    bits = np.empty(lanes, np.uint64)
    for n in range(lanes):
        bits[n] = fold_in(keys[n], noise_step(head, steps[n]))
    draw(head, outputs, bits, action, at, lanes)


@strict
def act(policy: Policy, obs: Array, mask: Array, keys: Array, steps: Array, greedy: bool, action: Array) -> None:
    """Choose an action for each of N observations [O, N]; write it to action [..., N]. See `act_block`."""
    rows = new_block(policy.network, obs.shape[1])
    for start in range(0, obs.shape[1], BLOCK):
        lanes = min(BLOCK, obs.shape[1] - start)
        load_block(policy.network, obs, start, rows, lanes)
        act_block(policy, rows, mask, keys[start:], steps[start:], greedy, action, start, lanes)


@strict
def choose_all(head: Any, outputs: Array, mask: Array, keys: Array, steps: Array, greedy: bool, action: Array) -> None:
    """Choose an action for each column of outputs [K, N], which are overwritten; write it to action [..., N]."""
    choose_block(head, outputs, mask, keys, steps, greedy, action, 0, outputs.shape[1])


@strict
def combined_seed(keys: Array, steps: Array) -> Any:
    """Combine all keys and steps into one seed, in 0 … 2⁶³ - 1."""
    seed: Any = np.uint64(0)
    for n in range(keys.size):
        seed = fold_in(seed ^ np.uint64(keys[n]), steps[n])
    return np.int64(seed >> np.uint64(1))


class OutputsNotFinite(PolicyError):
    """A policy returned NaN or infinity, or a distribution of them; `hint` says what may help."""

    def __init__(self, message: str, hint: str = "a smaller learning_rate may help") -> None:
        super().__init__(message)
        self.hint = hint


class CompiledActor:
    """Acts with a multilayer perceptron in compiled code."""

    def __init__(self, policy: Policy, greedy: bool = False) -> None:
        self.policy, self.greedy = policy, greedy

    def __call__(
        self, obs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None, keys: Array, steps: Array
    ) -> npt.NDArray[Any]:
        """Return the actions as sampled, [N] or [D, N], for obs [N, O], mask [N, Σ counts], keys and steps [N]."""
        action = room_for_actions(self.policy.head, obs.shape[0])
        allowed = NO_MASK if mask is None else np.ascontiguousarray(mask.T)
        act(self.policy, np.ascontiguousarray(obs.T), allowed, keys, steps, self.greedy, action)
        return action

    def env_actions(self, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what the environments receive, [N], or [N, D] within the bounds."""
        return as_env_actions(self.policy.head, action)


def room_for_actions(head: Any, size: int) -> npt.NDArray[Any]:
    """Make room for so many sampled actions, [N] or [D, N]."""
    if isinstance(head, CategoricalHead):
        return np.empty(size, np.int32)
    if isinstance(head, GaussianHead | GSDEHead | BetaHead):
        return np.empty((len(head.bounds), size), f4)
    return np.empty((head.counts.size, size), np.int32)


def as_env_actions(head: Any, action: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the environments receive of sampled actions [N] or [D, N]: [N], or [N, D] within the bounds."""
    if action.ndim == 1:
        return action
    result = np.empty_like(action)
    env_actions(head, action, result)
    return result.T

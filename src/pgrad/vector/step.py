"""The interface of every backend that steps environments, so that callers need not know how each one resets."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.kernels.random import fold_in

Array = npt.NDArray[Any]


class EnvFailure(Exception):
    """A mistake of an environment, raised where it is not yet known at which point of the run it happened."""

    def __init__(self, what: str, env: int | None = None, details: str = "") -> None:
        super().__init__(what, env, details)
        self.what, self.env, self.details = what, env, details  # details: a traceback to show below the message


def env_seed(seed: int, n: int) -> int:
    """Return the seed of the n-th environment, or of the n-th that takes another's place."""
    return fold_in(seed, n) % 2**31


class ResetResult(NamedTuple):
    """The beginning of an episode in every environment."""

    obs: npt.NDArray[np.float32]  # [N, O]
    mask: npt.NDArray[np.bool_] | None  # [N, A] the allowed actions, if the environment has action masks
    restarted: tuple[EnvFailure, ...] = ()  # of environments that failed and were begun anew


class StepResult(NamedTuple):
    """The result of one step. In environments that only reset, all but `obs` and `mask` are meaningless."""

    reward: npt.NDArray[np.float64]  # [N]
    terminated: npt.NDArray[np.bool_]  # [N]
    truncated: npt.NDArray[np.bool_]  # [N]
    after: npt.NDArray[np.float32]  # [N, O] the observation after the action; the final one where the episode ended
    obs: npt.NDArray[np.float32]  # [N, O] the observation to act on next
    mask: npt.NDArray[np.bool_] | None  # [N, A] of `obs`
    resetting: npt.NDArray[np.bool_]  # [N] where the next step only resets
    restarted: tuple[EnvFailure, ...] = ()  # of environments that failed and were begun anew


class Backend(Protocol):
    """A way to step N environments. Methods raise EnvFailure when an environment breaks its contract."""

    def reset(self) -> ResetResult:
        """Begin a new episode everywhere; the first time from the seeds."""

    def step(self, action: Array) -> StepResult:
        """Step all environments with pgrad's action arrays."""

    def close(self) -> None:
        """Release everything. Safe to call after an EnvFailure, and more than once."""

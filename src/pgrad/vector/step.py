"""What every way of stepping environments gives, so that the others need not know how each resets."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Start(NamedTuple):
    """The beginning of an episode in every environment."""

    obs: npt.NDArray[np.float32]  # [N, O]
    mask: npt.NDArray[np.bool_] | None  # [N, A] the actions that are allowed, where the environment says so


class Rows(NamedTuple):
    """What one step gave. Entries of environments that only reset mean nothing, except `obs` and `mask`."""

    reward: npt.NDArray[np.float64]  # [N]
    terminated: npt.NDArray[np.bool_]  # [N]
    truncated: npt.NDArray[np.bool_]  # [N]
    after: npt.NDArray[np.float32]  # [N, O] what the actions led to; the final observation where the episode ended
    obs: npt.NDArray[np.float32]  # [N, O] what to act on next
    mask: npt.NDArray[np.bool_] | None  # [N, A] of `obs`
    resetting: npt.NDArray[np.bool_]  # [N] the next step of these only resets


class Source(Protocol):
    """A way of stepping N environments. Methods raise Failure when an environment does not keep its contract."""

    def reset(self) -> Start:
        """A new episode everywhere; the first time from the seeds."""

    def step(self, action: Array) -> Rows:
        """Step all with pgrad's action arrays."""

    def close(self) -> None:
        """Let everything go; also after a Failure, and more than once."""


class Failure(Exception):
    """What an environment did wrong, before it is known where in the run that was."""

    def __init__(self, what: str, env: int | None = None, details: str = "", where: str = "") -> None:
        super().__init__(what, env, details)
        self.what, self.env, self.details = what, env, details  # details: a traceback, to be read below the message
        self.where = where  # if it was not in a step of the run

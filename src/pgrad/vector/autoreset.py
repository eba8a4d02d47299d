"""A Gymnasium vector environment as a backend, in any of Gymnasium's autoreset modes:

- next-step: the step after the end ignores its action and returns the reset observation; it is never recorded.
- same-step: the ending step returns the reset observation, and the final observation in `info["final_obs"]`.
- disabled: nothing resets until `reset(options={"reset_mask": ...})`.
"""

import contextlib
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from pgrad.vector.masks import Mask, masks_of_batch
from pgrad.vector.spaces import Actions, Observations
from pgrad.vector.step import Array, EnvFailure, ResetResult, StepResult
from pgrad.vector.sync import failed

GymnasiumVectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]


class Autoreset:
    """A backend around a vector environment. `seed` is for its first reset (None: it is already seeded)."""

    def __init__(
        self, envs: GymnasiumVectorEnv, observations: Observations, actions: Actions, seed: int | list[int] | None
    ) -> None:
        self.envs, self.observations, self.actions, self.seed = envs, observations, actions, seed
        self.count = envs.num_envs
        self.mode = AutoresetMode((envs.metadata or {}).get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.resetting = np.zeros(self.count, np.bool_)
        self.mask: Mask | None = None

    def reset(self) -> ResetResult:
        """Begin a new episode everywhere; the first time from the seed."""
        obs, info = self._reset(None)
        self.seed, self.mask = None, None
        self.resetting = np.zeros(self.count, np.bool_)
        self._update_mask(info)
        return ResetResult(self._rows(obs), self.mask)

    def step(self, action: Array) -> StepResult:
        """Step all environments with pgrad's action arrays."""
        try:
            returned = self.envs.step(self.actions.native(action))
        except Exception as error:
            raise failed("raised in step()", error, None) from error
        if not (isinstance(returned, tuple) and len(returned) == 5):
            raise EnvFailure("step() did not return (obs, reward, terminated, truncated, info)")
        given, reward, terminated, truncated, info = returned
        reward, terminated, truncated = self._outcome(reward, terminated, truncated)
        obs = after = self._rows(given)
        ended = terminated | truncated
        self._update_mask(info)
        if self.mode == AutoresetMode.NEXT_STEP:
            self.resetting = ended
        elif ended.any() and self.mode == AutoresetMode.SAME_STEP:
            after = self._with_final(obs.copy(), ended, info)
        elif ended.any():
            reset_obs, reset_info = self._reset(ended)
            obs = np.where(ended[:, None], self._rows(reset_obs), after)
            self._update_mask(reset_info, ended)
        mask = self.mask
        if mask is not None and self.resetting.any():
            mask = mask | self.resetting[:, None]  # a terminal state may allow nothing, and its action is ignored
        return StepResult(reward, terminated, truncated, after.copy(), obs, mask, self.resetting.copy())

    def close(self) -> None:
        """Close the environments."""
        with contextlib.suppress(Exception):  # they are discarded anyway
            self.envs.close()

    def _reset(self, which: Array | None) -> tuple[Any, dict[str, Any]]:
        arguments: dict[str, Any] = {} if self.seed is None else {"seed": self.seed}
        if which is not None:
            arguments["options"] = {"reset_mask": which}
        try:
            obs, info = self.envs.reset(**arguments)
        except Exception as error:
            raise failed("raised in reset()", error, None) from error
        return obs, info

    def _rows(self, obs: Any) -> Array:
        try:
            return self.observations.batch(obs, self.count)
        except ValueError as error:
            raise EnvFailure(str(error)) from error

    def _outcome(self, reward: Any, terminated: Any, truncated: Any) -> tuple[Array, Array, Array]:
        """Return reward, terminated and truncated, zero in environments that this step only reset."""
        reward, terminated, truncated = map(np.asarray, (reward, terminated, truncated))
        for name, values, kinds in [
            ("reward", reward, "biuf"),
            ("terminated", terminated, "b"),
            ("truncated", truncated, "b"),
        ]:
            if values.dtype.kind not in kinds or values.shape != (self.count,):
                wanted = "booleans" if kinds == "b" else "numbers"
                raise EnvFailure(f"{name} is {values.dtype} of shape {values.shape}, expected ({self.count},) {wanted}")
        counted = ~self.resetting
        return np.where(counted, reward, 0.0).astype(np.float64), terminated & counted, truncated & counted

    def _with_final(self, after: Array, ended: Array, info: dict[str, Any]) -> Array:
        final = info.get("final_obs")
        if final is None:
            raise EnvFailure("its autoreset mode is same-step, but its info has no 'final_obs'")
        try:
            if isinstance(final, np.ndarray) and final.dtype == object:
                for n in np.flatnonzero(ended):
                    after[n] = self.observations.one(final[n])
                return after
            return np.where(ended[:, None], self.observations.batch(final, self.count), after)
        except ValueError as error:
            raise EnvFailure(f"info['final_obs']: {error}") from error

    def _update_mask(self, info: dict[str, Any], only: Array | None = None) -> None:
        found = masks_of_batch(info, self.actions.counts, self.count)
        if only is None:
            self.mask = None  # masks of the previous states do not hold here
        if found is not None:
            masks, present = found
            told = present if only is None else present & only
            old = np.ones_like(masks) if self.mask is None else self.mask
            self.mask = np.where(told[:, None], masks, old)

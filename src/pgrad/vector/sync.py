"""Environments stepped one after another in this process, the reference for every other backend.

Gymnasium's SyncVectorEnv converts anything that an environment returns to numbers and booleans, does not say which
environment failed, and confuses the final with the first observation where an environment reuses its array.
"""

import contextlib
import math
import traceback
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from pgrad.errors import EnvError
from pgrad.vector.masks import Mask, mask_of_one, merged
from pgrad.vector.spec import Description
from pgrad.vector.step import Array, EnvFailure, ResetResult, StepResult, env_seed
from pgrad.watchdog import Watchdog


class Group:
    """Some environments, each reset within the step that ends its episode.

    With `restarting`, one that fails is no EnvFailure: a fresh one takes its place, and the step that failed counts as
    one with reward 0 after which the episode was cut, in the state before it.
    """

    def __init__(
        self,
        description: Description,
        seeds: Sequence[int],
        watchdog: Watchdog | None = None,
        restarting: bool = False,
    ) -> None:
        self.description, self.seeds, self.restarting = description, seeds, restarting
        self.next_seed: list[int | None] = list(seeds)  # of each one's next reset; None: its own generator goes on
        self.count_restarted = 0
        self.obs = np.empty((len(seeds), description.observations.size), np.float32)
        self.watchdog = watchdog if watchdog is not None else Watchdog()
        self.envs: list[gymnasium.Env[Any, Any]] = []
        self.masks: list[Mask | None] = [None] * len(seeds)
        self.counts = description.actions.counts
        self.making, self.resetting, self.stepping = (
            f"{call} of '{description.name}'" for call in ("creation", "reset()", "step()")
        )

    def reset(self) -> ResetResult:
        """Begin a new episode everywhere; the first time in new environments, from the seeds."""
        if not self.envs:
            for n in range(len(self.seeds)):
                self.envs.append(self._made(n))
        self.obs = np.empty_like(self.obs)
        restarted = [failure for n in range(len(self.seeds)) for failure in self._reset(n, self.obs[n])]
        return ResetResult(self.obs, merged(self.masks, sum(self.counts)), tuple(restarted))

    def step(self, action: Array) -> StepResult:
        """Step all environments with pgrad's action arrays."""
        return self.step_native(self.description.actions.native(action))

    def step_native(self, action: Array) -> StepResult:
        """Step all environments with actions as they expect them."""
        count = len(self.envs)
        reward, after = np.empty(count), np.empty((count, self.description.observations.size), np.float32)
        terminated, truncated = np.empty(count, np.bool_), np.empty(count, np.bool_)
        restarted: list[EnvFailure] = []
        for n in range(count):
            try:
                reward[n], terminated[n], truncated[n] = self._step(n, action[n], after[n])
            except EnvFailure as failure:
                self._begin_anew(n, failure)
                restarted.append(failure)
                reward[n], terminated[n], truncated[n], after[n] = 0.0, False, True, self.obs[n]
        self.obs = after.copy()
        for n in np.flatnonzero(terminated | truncated).tolist():
            restarted += self._reset(n, self.obs[n])
        mask, resetting = merged(self.masks, sum(self.counts)), np.zeros(count, np.bool_)
        return StepResult(reward, terminated, truncated, after, self.obs, mask, resetting, tuple(restarted))

    def close(self) -> None:
        """Close the environments, whatever state they are in."""
        for env in self.envs:
            with contextlib.suppress(Exception):  # it is discarded anyway
                env.close()
        self.envs = []

    def _made(self, n: int) -> gymnasium.Env[Any, Any]:
        self.watchdog.progress(self.making, n)
        try:
            env = self.description.make()
        except EnvError as error:
            raise EnvFailure(str(error), n, failed("", error.__cause__ or error, n).details) from error
        if any(env.unwrapped is other.unwrapped for other in self.envs):
            raise EnvFailure("the factory returned the same environment twice, expected a new one from each call", n)
        if env.observation_space != self.description.observations.original:
            wanted, found = self.description.observations.original, env.observation_space
        elif env.action_space != self.description.actions.original:
            wanted, found = self.description.actions.original, env.action_space
        else:
            return env
        raise EnvFailure(f"copies have different spaces: {found}, where the first has {wanted}", n)

    def _begin_anew(self, n: int, failure: EnvFailure) -> None:
        """Put a fresh environment in the place of one that failed; raise its failure where that was not asked for."""
        if not self.restarting:
            raise failure
        with contextlib.suppress(Exception):  # it is discarded anyway
            self.envs[n].close()
        self.envs[n] = self._made(n)
        self.count_restarted += 1
        self.next_seed[n] = env_seed(self.seeds[n], self.count_restarted)

    def _reset(self, n: int, row: Array) -> list[EnvFailure]:
        """Begin an episode; return why the environment was replaced, if it was."""
        try:
            self._reset_once(n, row)
        except EnvFailure as failure:
            self._begin_anew(n, failure)
            self._reset_once(n, row)
            return [failure]
        return []

    def _reset_once(self, n: int, row: Array) -> None:
        self.watchdog.progress(self.resetting, n)
        seed, self.next_seed[n] = self.next_seed[n], None
        try:
            returned = self.envs[n].reset(seed=seed)
        except (Exception, SystemExit) as error:
            raise failed("raised in reset()", error, n) from error
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict)):
            raise EnvFailure(f"reset() returned {_shown(returned)}, expected (obs, info)", n)
        self._see(n, *returned, row)

    def _step(self, n: int, action: Any, row: Array) -> tuple[float, bool, bool]:
        self.watchdog.progress(self.stepping, n)
        try:
            returned = self.envs[n].step(action)
        except (Exception, SystemExit) as error:
            raise failed("raised in step()", error, n) from error
        if not (isinstance(returned, tuple) and len(returned) == 5):
            raise EnvFailure(
                f"step() returned {_shown(returned)}, expected (obs, reward, terminated, truncated, info)", n
            )
        obs, reward, terminated, truncated, info = returned
        self._see(n, obs, info, row)
        number = _number(reward, n)
        if self.restarting and not math.isfinite(number):
            raise EnvFailure(f"the reward is {number}", n)
        return number, _boolean("terminated", terminated, n), _boolean("truncated", truncated, n)

    def _see(self, n: int, obs: Any, info: Any, row: Array) -> None:
        try:
            self.description.observations.write(obs, row)
            self.masks[n] = mask_of_one(info, self.counts)
        except ValueError as error:
            raise EnvFailure(str(error), n) from error
        except EnvFailure as failure:
            raise EnvFailure(failure.what, n) from failure
        if self.restarting:  # else whoever steps all looks at all at once
            require_finite(self.description, row[None], [n])


def require_finite(description: Description, obs: Array, envs: Sequence[int] | Array) -> None:
    """Raise EnvFailure where an observation [N, O] of these environments, by their indices, is not finite."""
    if not np.isfinite(obs).all():
        n, index = np.argwhere(~np.isfinite(obs))[0]
        raise EnvFailure(f"{description.observations.component(index)} is {obs[n, index]}", int(envs[n]))


def failed(what: str, error: BaseException, env: int | None) -> EnvFailure:
    """Return the failure that an environment's own exception means, with the traceback below the caller."""
    below = error.__traceback__.tb_next if error.__traceback__ is not None else None
    trace = "".join(traceback.format_exception(type(error), error, below))
    return EnvFailure(f"{what}: {type(error).__name__}: {error}", env, trace.rstrip())


def _number(reward: Any, n: int) -> float:
    if type(reward) is float:
        return reward
    value = np.asarray(reward)
    if value.dtype.kind not in "biuf" or value.size != 1:
        raise EnvFailure(f"the reward is {_shown(reward)}, expected a number", n)
    return float(value.reshape(()))


def _boolean(name: str, value: Any, n: int) -> bool:
    if type(value) is bool:
        return value
    array = np.asarray(value)
    if array.dtype.kind != "b" or array.size != 1:
        raise EnvFailure(f"{name} is {_shown(value)}, expected True or False", n)
    return bool(array.reshape(()))


def _shown(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"{str(value)[:80]!r} ({kind})" if isinstance(value, str) else f"{str(value)[:80]} ({kind})"

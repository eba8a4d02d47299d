"""N environments stepped together, whatever they are and whichever backend steps them."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.errors import EnvError
from pgrad.vector.masks import Mask, require_choices
from pgrad.vector.select import choose_backend, workers_hint
from pgrad.vector.spec import Description
from pgrad.vector.step import Array, Backend, EnvFailure, ResetResult, StepResult, env_seed
from pgrad.vector.sync import Group, require_finite
from pgrad.watchdog import Watchdog

logger = logging.getLogger("pgrad")

TIMED_STEPS = 5  # the fastest of them decides whether to recommend worker processes


class Step(NamedTuple):
    """The result of one step, meaningless in environments that were `resetting`."""

    reward: npt.NDArray[np.float64]  # [N]
    terminated: npt.NDArray[np.bool_]  # [N]
    truncated: npt.NDArray[np.bool_]  # [N] False where terminated
    after: npt.NDArray[np.float32]  # [N, O] the final observation where the episode ended


class VectorEnv:
    """N environments stepped together, which tracks each one's episode and step, and names them in error messages.

    The same description and seed give the same results whether they are stepped in this process or in workers.
    Another thread can call `watchdog.check` to detect a hang, which the thread that hangs cannot.
    """

    def __init__(
        self,
        description: Description,
        num_envs: int,
        seed: int,
        vectorization: str = "auto",
        step_timeout: float | None = 60.0,
        watchdog: Watchdog | None = None,
        restarts: int = 0,
    ) -> None:
        """Make and reset the environments in one of VECTORIZATIONS; `step_timeout` limits a worker's step (seconds).

        So many times, `restarts`, one that fails is not an error: a fresh one takes its place (see sync.Group).
        """
        if num_envs < 1:
            raise EnvError(f"num_envs must be positive, not {num_envs}")
        self.description, self.num_envs = description, num_envs
        self.seeds = [env_seed(seed, n) for n in range(num_envs)]
        self.watchdog = watchdog if watchdog is not None else Watchdog()
        self.restarts, self.restarted = restarts, 0  # allowed, and so far
        self.total_steps = 0  # of all environments so far
        self.episode = np.zeros(num_envs, np.int64)  # index of each environment's episode
        self.time = np.zeros(num_envs, np.int64)  # steps of it so far
        self.resetting: npt.NDArray[np.bool_] = np.zeros(num_envs, np.bool_)
        self._everyone = np.arange(num_envs)
        self._everywhere = np.ones(num_envs, np.bool_)
        self.obs: npt.NDArray[np.float32] = np.empty((num_envs, description.observations.size), np.float32)
        self.mask: Mask | None = None
        self._notes = list(description.notes)
        self._bounded = description.observations.bounded
        self._backend: Backend | None = None
        with self._calling("reset()"):
            how_stepped = (vectorization, step_timeout, self.watchdog, restarts > 0)
            self._backend, how = choose_backend(description, self.seeds, *how_stepped)
            self._notes.append(how)
            self._start(self._backend.reset())
        self._untimed = TIMED_STEPS if isinstance(self._backend, Group) and vectorization != "sync" else 0
        self._fastest = math.inf

    @property
    def note(self) -> str | None:
        """One line for the user: how they are stepped and why, what is left out, what is suspicious."""
        return f"{self.description.name}: {'; '.join(self._notes)}" if self._notes else None

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        assert self._backend is not None, "closed"
        with self._calling("reset()"):
            self.episode += 1
            self._start(self._backend.reset())

    def step(self, action: Array) -> Step:
        """Step all: [N] integers for Discrete, [N, D] for MultiDiscrete, [N, D] numbers within the bounds for Box.

        Afterwards `obs` is the observation to act on next, and `mask` the actions allowed there. Environments that
        were `resetting` have begun a new episode, and their results must not be recorded.
        """
        assert self._backend is not None, "closed"
        began = self.watchdog.clock()
        with self._calling("step()"):
            rows = self._backend.step(action)
            self._allow(rows.restarted)
            self._check(rows)
        if self._untimed:
            self._time_step(self.watchdog.clock() - began)
        counted = ~self.resetting
        ended = (rows.terminated | rows.truncated) & counted
        self.total_steps += int(np.count_nonzero(counted))
        begun = self.resetting | (ended & ~rows.resetting)
        self.episode += begun
        self.time += counted
        self.time *= ~begun
        silent = None if self.mask is None else np.ones_like(self.mask)  # without a mask, everything is allowed
        self.obs, self.mask, self.resetting = rows.obs, rows.mask if rows.mask is not None else silent, rows.resetting
        return Step(rows.reward, rows.terminated, rows.truncated & ~rows.terminated, rows.after)

    def close(self) -> None:
        """Close the environments and end their processes, if any."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _allow(self, failures: tuple[EnvFailure, ...]) -> None:
        """Count environments that were begun anew, and say so; raise the failure of one too many."""
        for failure in failures:
            if self.restarted == self.restarts:
                raise failure
            self.restarted += 1
            where, count = self._where(failure.env), f"{self.restarted} of {self.restarts} times"
            logger.warning("'%s': %s (%s); begun anew, %s", self.description.name, failure.what, where, count)

    def _start(self, start: ResetResult) -> None:
        self._allow(start.restarted)
        require_finite(self.description, start.obs, self._everyone)
        self._look_at_bounds(start.obs)
        require_choices(start.mask, self.description.actions.counts, self._everywhere)
        self.obs, self.mask = start.obs, start.mask
        self.resetting = np.zeros(self.num_envs, np.bool_)
        self.time[:] = 0

    def _time_step(self, seconds: float) -> None:
        """Recommend worker processes once, if even the fastest of the first steps is slow."""
        self._untimed -= 1
        self._fastest = min(self._fastest, seconds)
        if not self._untimed and (hint := workers_hint(self._fastest, self.num_envs)):
            self._notes.append(hint)

    def _check(self, rows: StepResult) -> None:
        finite = np.isfinite(rows.reward) | self.resetting
        if not finite.all():
            n = int(np.argmin(finite))
            raise EnvFailure(f"the reward is {rows.reward[n]}", n)
        require_finite(self.description, rows.after, self._everyone)
        separate = np.flatnonzero((rows.terminated | rows.truncated) & ~rows.resetting)
        require_finite(self.description, rows.obs[separate], separate)
        self._look_at_bounds(rows.after)
        if rows.mask is not None:
            require_choices(rows.mask, self.description.actions.counts, ~rows.resetting)

    def _look_at_bounds(self, obs: Array) -> None:
        """Note once that an observation leaves its space, which is a mistake but does not prevent training."""
        if not self._bounded:
            return
        low, high = self.description.observations.low, self.description.observations.high
        outside = (obs < low) | (obs > high)
        if outside.any():
            n, index = np.argwhere(outside)[0]
            what = self.description.observations.component(index)
            self._notes.append(f"{what} was {obs[n, index]:g}, outside its space [{low[index]:g}, {high[index]:g}]")
            self._bounded = False

    @contextmanager
    def _calling(self, call: str) -> Iterator[None]:
        """Mark the call for watchers, and turn an EnvFailure into an EnvError that says where in the run it was."""
        try:
            with self.watchdog.call(f"{call} of '{self.description.name}'", self._where):
                yield
        except EnvFailure as failure:
            self.close()
            details = f"\n\n{failure.details}" if failure.details else ""
            raise EnvError(
                f"'{self.description.name}': {failure.what} ({self._where(failure.env)}){details}"
            ) from failure
        except BaseException:
            self.close()
            raise

    def _where(self, env: int | None) -> str:
        run = f"step {self.total_steps:,} of the run"
        if env is None or env >= self.num_envs:
            return f"seeds {self.seeds[0]} …, {run}"
        return f"environment {env}, seed {self.seeds[env]}, episode {self.episode[env]}, step {self.time[env]}; {run}"

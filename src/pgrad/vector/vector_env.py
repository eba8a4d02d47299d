"""N environments stepped together: what training needs of them, whatever they are and however they are stepped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.errors import EnvError
from pgrad.kernels.random import fold_in
from pgrad.vector.masks import Mask, require_choices
from pgrad.vector.select import chosen_source
from pgrad.vector.spec import Description
from pgrad.vector.step import Array, Failure, Rows, Source, Start
from pgrad.watchdog import Watchdog


class Step(NamedTuple):
    """What the actions led to. Entries of environments that were `resetting` mean nothing."""

    reward: npt.NDArray[np.float64]  # [N]
    terminated: npt.NDArray[np.bool_]  # [N]
    truncated: npt.NDArray[np.bool_]  # [N] False where terminated
    after: npt.NDArray[np.float32]  # [N, O] the final observation where the episode ended


def env_seed(seed: int, n: int) -> int:
    """The seed of the n-th environment."""
    return fold_in(seed, n) % 2**31


class VectorEnv:
    """N environments stepped together; remembers where each one is, and says what is wrong with it in one message.

    The same description and seed give the same rows whether they are stepped in this process or in workers.
    Another thread can call `watchdog.check` to notice a hang, which no thread can notice of itself.
    """

    def __init__(
        self,
        description: Description,
        num_envs: int,
        seed: int,
        vectorization: str = "auto",
        step_timeout: float | None = 60.0,
        watchdog: Watchdog | None = None,
        num_steps: int | None = None,
    ) -> None:
        """vectorization: one of registry.VECTORIZATIONS. step_timeout: seconds a worker process may take, None: any.

        num_steps: about how often all will be stepped, where that is known to be little.
        """
        if num_envs < 1:
            raise EnvError(f"num_envs must be positive, not {num_envs}")
        self.description, self.num_envs = description, num_envs
        self.seeds = [env_seed(seed, n) for n in range(num_envs)]
        self.watchdog = watchdog if watchdog is not None else Watchdog()
        self.total_steps = 0  # rows so far
        self.episode = np.zeros(num_envs, np.int64)  # which episode each environment is in, from 0
        self.time = np.zeros(num_envs, np.int64)  # steps of it so far
        self.resetting: npt.NDArray[np.bool_] = np.zeros(num_envs, np.bool_)
        self._everywhere = np.ones(num_envs, np.bool_)
        self.obs: npt.NDArray[np.float32] = np.empty((num_envs, description.observations.size), np.float32)
        self.mask: Mask | None = None
        self._notes = list(description.notes)
        self._bounded = description.observations.bounded
        self._source: Source | None = None
        with self._calling("reset()"):
            self._source, how = chosen_source(
                description, self.seeds, vectorization, step_timeout, self.watchdog, num_steps
            )
            self._notes.append(how)
            self._start(self._source.reset())

    @property
    def note(self) -> str | None:
        """One line for the user: how they are stepped and why, what is left out, what is suspicious."""
        return f"{self.description.name}: {'; '.join(self._notes)}" if self._notes else None

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        assert self._source is not None, "closed"
        with self._calling("reset()"):
            self.episode += 1
            self._start(self._source.reset())

    def step(self, action: Array) -> Step:
        """Step all: [N] whole numbers for Discrete, [N, D] for MultiDiscrete, [N, D] numbers within the bounds for Box.

        Afterwards `obs` is what to act on next and `mask` what is allowed there. Environments that were `resetting`
        have begun a new episode, and nothing of them is to be recorded.
        """
        assert self._source is not None, "closed"
        with self._calling("step()"):
            rows = self._source.step(action)
            self._check(rows)
        counted = ~self.resetting
        ended = (rows.terminated | rows.truncated) & counted
        self.total_steps += int(np.count_nonzero(counted))
        begun = self.resetting | (ended & ~rows.resetting)
        self.episode += begun
        self.time += counted
        self.time *= ~begun
        silent = None if self.mask is None else np.ones_like(self.mask)  # all is allowed where nothing is said
        self.obs, self.mask, self.resetting = rows.obs, rows.mask if rows.mask is not None else silent, rows.resetting
        return Step(rows.reward, rows.terminated, rows.truncated & ~rows.terminated, rows.after)

    def close(self) -> None:
        """Let the environments go, and their processes if they have any."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _start(self, start: Start) -> None:
        self._require_finite(start.obs, self._everywhere)
        self._look_at_bounds(start.obs)
        require_choices(start.mask, self.description.actions.counts, self._everywhere)
        self.obs, self.mask = start.obs, start.mask
        self.resetting = np.zeros(self.num_envs, np.bool_)
        self.time[:] = 0

    def _check(self, rows: Rows) -> None:
        finite = np.isfinite(rows.reward) | self.resetting
        if not finite.all():
            n = int(np.argmin(finite))
            raise Failure(f"the reward is {rows.reward[n]}", n)
        self._require_finite(rows.after, self._everywhere)
        separate = (rows.terminated | rows.truncated) & ~rows.resetting
        if separate.any():
            self._require_finite(rows.obs, separate)
        self._look_at_bounds(rows.after)
        if rows.mask is not None:
            require_choices(rows.mask, self.description.actions.counts, ~rows.resetting)

    def _require_finite(self, obs: Array, which: Array) -> None:
        if not np.isfinite(obs).all():
            for n, index in np.argwhere(~np.isfinite(obs)):
                if which[n]:
                    raise Failure(f"{self.description.observations.component(index)} is {obs[n, index]}", int(n))

    def _look_at_bounds(self, obs: Array) -> None:
        """Mention once that an observation leaves its space: that is wrong, but one can train on it."""
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
        """Mark the call for watchers, and turn a Failure into an EnvError that says where in the run it was."""
        try:
            with self.watchdog.calling(f"{call} of '{self.description.name}'", self._where):
                yield
        except Failure as failure:
            self.close()
            details = f"\n\n{failure.details}" if failure.details else ""
            raise EnvError(
                f"'{self.description.name}': {failure.what} ({failure.where or self._where(failure.env)}){details}"
            ) from failure
        except BaseException:
            self.close()
            raise

    def _where(self, env: int | None) -> str:
        run = f"step {self.total_steps:,} of the run"
        if env is None or env >= self.num_envs:
            return f"seeds {self.seeds[0]} …, {run}"
        return f"environment {env}, seed {self.seeds[env]}, episode {self.episode[env]}, step {self.time[env]}; {run}"

"""Act, step, record: environments stepped together from Python, whatever they are and whoever acts."""

import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.random import fold_in
from pgrad.rollouts.batch import Batch, Episodes, concatenated
from pgrad.rollouts.compiled import ACTION_KEY

Array = npt.NDArray[Any]


class Stepped(Protocol):
    """What the actions led to; of environments that were `resetting`, nothing."""

    @property
    def reward(self) -> npt.NDArray[np.float64]:
        """[N]"""

    @property
    def terminated(self) -> npt.NDArray[np.bool_]:
        """[N]"""

    @property
    def truncated(self) -> npt.NDArray[np.bool_]:
        """[N] False where terminated."""

    @property
    def after(self) -> npt.NDArray[np.float32]:
        """[N, O] what was observed then: the final observation where the episode ended."""


class Environments(Protocol):
    """N environments stepped together, such as envs.gymnasium.vector.VectorEnv."""

    num_envs: int
    total_steps: int  # taken so far, resets not counted
    obs: npt.NDArray[np.float32]  # [N, O] what to act on next, a fresh array each step
    mask: npt.NDArray[np.bool_] | None  # [N, Σ counts] the actions allowed there
    resetting: npt.NDArray[np.bool_]  # [N] where the next step only resets

    def restart(self) -> None:
        """Begin a new episode everywhere."""

    def step(self, action: Array) -> Stepped:
        """Step all with actions [N] or [N, D]."""


class Actor(Protocol):
    """Whoever acts, such as acting.CompiledActor."""

    def __call__(self, obs: Array, mask: Array | None, keys: Array, steps: Array) -> Array:
        """What is drawn, [N] or [D, N], with the `steps[n]`-th random bits of keys[n]."""

    def env_actions(self, action: Array) -> Array:
        """What the environments get of what was drawn, [N] or [N, D]."""


class EnvLanes:
    """The episodes in progress in such environments."""

    def __init__(self, envs: Environments, run_key: int) -> None:
        self.envs, self.run_key = envs, run_key
        self.begun = 0  # episodes
        self.keys = np.zeros(envs.num_envs, np.uint64)
        self.steps = np.zeros(envs.num_envs, np.int32)  # of each episode so far
        self.returns = np.zeros(envs.num_envs)
        self._begin(np.ones(envs.num_envs, np.bool_))

    def _begin(self, which: Array) -> None:
        """New episodes, numbered in order, in the chosen environments."""
        for n in np.flatnonzero(which):
            self.keys[n] = fold_in(fold_in(self.run_key, self.begun), ACTION_KEY)
            self.begun += 1
        self.steps[which], self.returns[which] = 0, 0.0

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        self.envs.restart()
        self._begin(np.ones(self.envs.num_envs, np.bool_))

    def act(self, actor: Actor) -> Array:
        """What is drawn for every environment (ignored where it is about to reset)."""
        return actor(self.envs.obs, self.envs.mask, self.keys, self.steps)

    def step(self, action: Array) -> Stepped:
        """Step all."""
        were_resetting = self.envs.resetting
        stepped = self.envs.step(action)
        counted = ~were_resetting
        self.steps[counted] += 1
        self.returns[counted] += stepped.reward[counted]
        ended = (stepped.terminated | stepped.truncated) & counted
        self._begin(were_resetting | (ended & ~self.envs.resetting))
        return stepped


def rollout(
    lanes: EnvLanes,
    actor: Actor,
    num_steps: int = 0,
    episodes: int = 0,
    stopping: threading.Event | None = None,
) -> tuple[Batch, int, Episodes] | None:
    """Act for `num_steps` vector steps, or until exactly `episodes` begun episodes are finished (one of the two is 0).

    Returns the batch, its number of trajectories, and the episodes that ended; None if `stopping` was set meanwhile.
    Whole episodes are begun everywhere first; an environment takes the next as long as fewer than `episodes` have
    begun, and its steps are not recorded after that.
    """
    envs = lanes.envs
    trajectory = np.arange(envs.num_envs)
    begun, finished = envs.num_envs, 0
    if episodes:
        lanes.restart()
        begun = min(episodes, envs.num_envs)
        trajectory[begun:] = -1
    recorder, t = Recorder(), 0
    while finished < episodes if episodes else t < num_steps:
        if stopping is not None and stopping.is_set():
            return None
        counted = (trajectory >= 0) & ~envs.resetting
        obs, mask, steps, returns = envs.obs, envs.mask, lanes.steps.copy(), lanes.returns.copy()
        action = lanes.act(actor)
        stepped = lanes.step(actor.env_actions(action))
        recorder.record(counted, obs, mask, action, stepped, trajectory, steps)
        ended = np.flatnonzero(counted & (stepped.terminated | stepped.truncated))
        recorder.log(returns[ended] + stepped.reward[ended], steps[ended] + 1, envs.total_steps)
        finished, t = finished + ended.size, t + 1
        if episodes:
            for n in ended:
                trajectory[n], begun = (begun, begun + 1) if begun < episodes else (-1, begun)
    batch = recorder.batch(envs.obs, np.zeros(envs.num_envs, np.bool_) if episodes else ~envs.resetting)
    return batch, episodes or envs.num_envs, recorder.episodes()


class Recorder:
    """Collects the rows of a batch, step by step."""

    def __init__(self) -> None:
        self.columns: list[tuple[Array, ...]] = []
        self.masks: list[Array] = []
        self.final_obs: list[Array] = []
        self.final_sample: list[Array] = []
        self.logged: list[Episodes] = []
        self.size = 0

    def record(
        self,
        counted: Array,
        obs: Array,
        mask: Array | None,
        action: Array,
        stepped: Stepped,
        trajectory: Array,
        steps: Array,
    ) -> None:
        """Append the counted environments' rows; keep what the truncated ones observed afterwards."""
        rows = (obs, action.T, stepped.reward, stepped.terminated, stepped.truncated, trajectory.copy(), steps)
        after = stepped.after
        if not counted.all():
            rows = tuple(column[counted] for column in rows)  # type: ignore[assignment]
            after, mask = after[counted], mask if mask is None else mask[counted]
        cut = np.flatnonzero(rows[4])
        if cut.size:
            self.final_obs.append(after[cut])
            self.final_sample.append(self.size + cut)
        self.columns.append(rows)
        if mask is not None:
            self.masks.append(mask)
        self.size += rows[2].size

    def log(self, episode_return: Array, length: Array, total_steps: int) -> None:
        """Append finished episodes."""
        if length.size:
            self.logged.append(Episodes(episode_return, length, np.full(length.size, total_steps, np.int64)))

    def batch(self, obs: Array, cut_at_end: Array) -> Batch:
        """The batch; trajectories of the chosen environments that have not ended are cut, before `obs`."""
        columns = [np.concatenate(column) for column in zip(*self.columns, strict=True)]
        flat_obs, action, reward, terminated, truncated, trajectory, steps = columns
        last = np.full(obs.shape[0], -1)
        if cut_at_end.any():
            last[trajectory] = np.arange(self.size)  # the last assignment wins
        for n in np.flatnonzero(cut_at_end & (last >= 0)):
            if not (terminated[last[n]] or truncated[last[n]]):
                truncated[last[n]] = True
                self.final_obs.append(obs[n : n + 1])
                self.final_sample.append(last[n : n + 1])
        final_obs = np.concatenate([np.empty((0, obs.shape[1]), np.float32), *self.final_obs])
        final_sample = np.concatenate([np.empty(0, np.int64), *self.final_sample])
        return Batch(
            obs=np.ascontiguousarray(flat_obs.T),
            action=np.ascontiguousarray(action.T),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            env=trajectory.astype(np.int32),
            time=steps,
            final_obs=np.ascontiguousarray(final_obs.T),
            final_sample=final_sample.astype(np.int64),
            mask=np.ascontiguousarray(np.concatenate(self.masks).T) if self.masks else NO_MASK,
        )

    def episodes(self) -> Episodes:
        """The finished episodes."""
        return concatenated(self.logged)

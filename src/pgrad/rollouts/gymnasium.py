"""Act, step, record: a Gymnasium vector environment, with compiled acting.

Gymnasium resets an ended environment in one of three ways, and all of them must leave the same batch:
- next-step: the step after the end ignores its action and returns the reset observation; it is not recorded.
- same-step: the ending step returns the reset observation already, and the final one in `info["final_obs"]`.
- disabled: nothing happens until `reset(options={"reset_mask": ...})`.
"""

import threading
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from pgrad.envs.originals import make_gymnasium
from pgrad.envs.registry import Env
from pgrad.errors import EnvError
from pgrad.kernels.random import fold_in
from pgrad.rollouts.acting import CompiledActor
from pgrad.rollouts.batch import Batch, Episodes, concatenated
from pgrad.rollouts.compiled import ACTION_KEY

Array = npt.NDArray[Any]


class VectorEnv:
    """N environments stepped together, whatever their way of resetting; remembers where each one is."""

    def __init__(self, env: Env, num_envs: int, run_key: int) -> None:
        self.env, self.num_envs, self.run_key = env, num_envs, run_key
        self.envs = make_vector(env.id, num_envs)
        self.autoreset = AutoresetMode(self.envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.begun = 0  # episodes
        self.total_steps = 0
        self.keys = np.zeros(num_envs, np.uint64)
        self.steps = np.zeros(num_envs, np.int32)  # of each episode so far
        self.returns = np.zeros(num_envs)
        self.resetting = np.zeros(num_envs, np.bool_)  # the next step only resets
        self.obs = self._observations(self.envs.reset(seed=fold_in(run_key, 0) % 2**31)[0])
        self._begin(np.ones(num_envs, np.bool_))

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def _observations(self, obs: Any) -> Array:
        return np.asarray(obs, dtype=np.float32, order="C").reshape(self.num_envs, self.env.obs_size)

    def _begin(self, which: Array) -> None:
        """New episodes, numbered in order, in the chosen environments."""
        for n in np.flatnonzero(which):
            self.keys[n] = fold_in(fold_in(self.run_key, self.begun), ACTION_KEY)
            self.begun += 1
        self.steps[which], self.returns[which], self.resetting[which] = 0, 0.0, False

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        self.obs = self._observations(self.envs.reset()[0])
        self._begin(np.ones(self.num_envs, np.bool_))

    def act(self, actor: CompiledActor) -> Array:
        """What is drawn for every environment (ignored where it is about to reset)."""
        return actor(self.obs, None, self.keys, self.steps)

    def step(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Step all; returns reward, terminated, truncated and the observations that the actions led to.

        Afterwards `obs` is what to act on next, `resetting` marks environments whose next step only resets.
        """
        try:
            obs, reward, terminated, truncated, info = self.envs.step(action.astype(np.int64))
        except Exception as error:
            raise EnvError(
                f"'{self.env.id}' failed in step {self.total_steps:,} of the run: {type(error).__name__}: {error}"
            ) from error
        after = self._observations(obs)
        counted = ~self.resetting
        ended = (terminated | truncated) & counted
        self._begin(self.resetting)
        self.steps[counted] += 1
        self.returns[counted] += reward[counted]
        self.total_steps += int(counted.sum())
        self.obs = after
        if self.autoreset == AutoresetMode.NEXT_STEP:
            self.resetting = ended
        elif ended.any():
            after, self.obs = self._separate_resets(after, ended, info)
            self._begin(ended)
        return np.asarray(reward, np.float64), terminated, truncated & ~terminated, after

    def _separate_resets(self, obs: Array, ended: Array, info: dict[str, Any]) -> tuple[Array, Array]:
        """The final observations of the ended environments, and the first ones of their next episodes."""
        if self.autoreset == AutoresetMode.DISABLED:
            return obs, self._observations(self.envs.reset(options={"reset_mask": ended})[0])
        final = obs.copy()
        for n in np.flatnonzero(ended):
            final[n] = np.asarray(info["final_obs"][n], np.float32).reshape(-1)
        return final, obs


def make_vector(env_id: str, num_envs: int) -> "gymnasium.vector.VectorEnv[Any, Any, Any]":
    """The environment's own vector form if it has one, else copies in this process."""
    spec = gymnasium.spec(env_id)
    if spec.vector_entry_point is not None:
        return gymnasium.make_vec(env_id, num_envs, vectorization_mode="vector_entry_point")
    return gymnasium.vector.SyncVectorEnv([lambda: make_gymnasium(env_id)] * num_envs)


def rollout(
    envs: VectorEnv,
    actor: CompiledActor,
    num_steps: int = 0,
    episodes: int = 0,
    stopping: threading.Event | None = None,
) -> tuple[Batch, int, Episodes] | None:
    """Act for `num_steps` vector steps, or until exactly `episodes` begun episodes are finished (one of the two is 0).

    Returns the batch, its number of trajectories, and the episodes that ended; None if `stopping` was set meanwhile.
    Whole episodes are begun everywhere first; an environment takes the next as long as fewer than `episodes` have
    begun, and its steps are not recorded after that.
    """
    trajectory = np.arange(envs.num_envs)
    begun, finished = envs.num_envs, 0
    if episodes:
        envs.restart()
        begun = min(episodes, envs.num_envs)
        trajectory[begun:] = -1
    recorder = Recorder(envs.env.obs_size)
    t = 0
    while finished < episodes if episodes else t < num_steps:
        if stopping is not None and stopping.is_set():
            return None
        counted = (trajectory >= 0) & ~envs.resetting
        obs, steps, action = envs.obs, envs.steps.copy(), envs.act(actor)
        returns = envs.returns.copy()
        reward, terminated, truncated, after = envs.step(actor.env_actions(action))
        recorder.record(counted, obs, action, reward, terminated, truncated, trajectory, steps, after)
        ended = np.flatnonzero(counted & (terminated | truncated))
        recorder.log(returns[ended] + reward[ended], steps[ended] + 1, envs.total_steps)
        finished, t = finished + ended.size, t + 1
        if episodes:
            for n in ended:
                trajectory[n], begun = (begun, begun + 1) if begun < episodes else (-1, begun)
    batch = recorder.batch(envs.obs, np.zeros(envs.num_envs, np.bool_) if episodes else ~envs.resetting)
    return batch, episodes or envs.num_envs, recorder.episodes()


class Recorder:
    """Collects the rows of a batch, step by step."""

    def __init__(self, obs_size: int) -> None:
        self.obs_size = obs_size
        self.columns: list[tuple[Array, ...]] = []
        self.final_obs: list[Array] = []
        self.final_sample: list[Array] = []
        self.logged: list[Episodes] = []
        self.size = 0

    def record(
        self,
        counted: Array,
        obs: Array,
        action: Array,
        reward: Array,
        terminated: Array,
        truncated: Array,
        trajectory: Array,
        steps: Array,
        after: Array,
    ) -> None:
        """Append the counted environments' rows; keep what the truncated ones observed `after`."""
        rows: tuple[Array, ...] = (obs, action, reward, terminated, truncated, trajectory, steps)
        if not counted.all():
            rows = tuple(column[counted] for column in rows)
            after = after[counted]
        cut = np.flatnonzero(rows[4])
        if cut.size:
            self.final_obs.append(after[cut])
            self.final_sample.append(self.size + cut)
        self.columns.append(tuple(np.array(column) for column in rows))
        self.size += rows[1].size

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
        final_obs = np.concatenate([np.empty((0, self.obs_size), np.float32), *self.final_obs])
        final_sample = np.concatenate([np.empty(0, np.int64), *self.final_sample])
        return Batch(
            obs=np.ascontiguousarray(flat_obs.T),
            action=action,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            env=trajectory.astype(np.int32),
            time=steps,
            final_obs=np.ascontiguousarray(final_obs.T),
            final_sample=final_sample.astype(np.int64),
        )

    def episodes(self) -> Episodes:
        """The finished episodes."""
        return concatenated(self.logged)

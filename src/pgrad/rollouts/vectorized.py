"""Act, step, record: environments stepped together from Python, whatever they are and whoever acts."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.arrays import Arrays
from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.random import ACTION_KEY, fold_in
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.rollout import Stopped

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
    """N environments stepped together, such as vector.vector_env.VectorEnv."""

    num_envs: int
    total_steps: int  # taken so far, resets not counted
    restarted: int  # environments that failed, and in whose place fresh ones were begun
    obs: npt.NDArray[np.float32]  # [N, O] what to act on next, a fresh array each step
    mask: npt.NDArray[np.bool_] | None  # [N, Σ counts] the actions allowed there
    resetting: npt.NDArray[np.bool_]  # [N] where the next step only resets

    def restart(self) -> None:
        """Begin a new episode everywhere."""

    def step(self, action: Array) -> Stepped:
        """Step all with actions [N] or [N, D]."""

    def close(self) -> None:
        """Close them."""


class Actor(Protocol):
    """Whoever acts, such as actions.CompiledActor."""

    def __call__(self, obs: Array, mask: Array | None, keys: Array, steps: Array) -> Array:
        """Sample actions, [N] or [D, N], with the `steps[n]`-th random bits of keys[n]."""

    def env_actions(self, action: Array) -> Array:
        """Return what the environments receive of sampled actions, [N] or [N, D]."""


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
        """Begin episodes, numbered in order, in the chosen environments."""
        for n in np.flatnonzero(which):
            self.keys[n] = fold_in(fold_in(self.run_key, self.begun), ACTION_KEY)
            self.begun += 1
        self.steps[which], self.returns[which] = 0, 0.0

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        self.envs.restart()
        self._begin(np.ones(self.envs.num_envs, np.bool_))

    def count_from(self, begun: int) -> None:
        """Count the episodes in progress as those that follow the first `begun`."""
        self.begun = begun
        self._begin(np.ones(self.envs.num_envs, np.bool_))

    def act(self, actor: Actor) -> Array:
        """Sample an action for every environment (ignored where it is about to reset)."""
        return actor(self.envs.obs, self.envs.mask, self.keys, self.steps)

    def step(self, action: Array) -> Stepped:
        """Step all."""
        were_resetting = self.envs.resetting
        stepped = self.envs.step(action)
        counted = ~were_resetting
        self.steps += counted
        np.add(self.returns, stepped.reward, out=self.returns, where=counted)
        ended = (stepped.terminated | stepped.truncated) & counted
        begun = were_resetting | (ended & ~self.envs.resetting)
        if begun.any():
            self._begin(begun)
        return stepped


class VectorCollector:
    """Collects batches from environments stepped together."""

    def __init__(
        self,
        envs: Environments,
        run_key: int,
        num_steps: int = 0,
        episodes: int = 0,
        stopping: threading.Event | None = None,
    ) -> None:
        """Collect `num_steps` vector steps a batch, or exactly `episodes` whole episodes (one of the two is 0)."""
        self.envs, self.lanes = envs, EnvLanes(envs, run_key)
        self.num_steps, self.episodes, self.stopping = num_steps, episodes, stopping or threading.Event()

    @property
    def note(self) -> str | None:
        """One line for the user, if something is suspicious."""
        return getattr(self.envs, "note", None)

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""
        return self.envs.total_steps

    @property
    def restarted(self) -> int:
        """Environments that failed, and in whose place fresh ones were begun."""
        return self.envs.restarted

    def collect(self, actor: Actor) -> Batch:
        """Return a batch; raise Stopped where that was asked for meanwhile.

        Whole episodes are begun everywhere first; an environment takes the next as long as fewer than `episodes` have
        begun, and its steps are not recorded after that.
        """
        envs, lanes, episodes = self.envs, self.lanes, self.episodes
        trajectory = np.arange(envs.num_envs)
        begun, finished = envs.num_envs, 0
        if episodes:
            lanes.restart()
            begun = min(episodes, envs.num_envs)
            trajectory[begun:] = -1
        recorder, t = Recorder(), 0
        while finished < episodes if episodes else t < self.num_steps:
            if self.stopping.is_set():
                raise Stopped
            counted = (trajectory >= 0) & ~envs.resetting
            action, number = lanes.act(actor), trajectory.copy()
            before = Before(counted, envs.obs, envs.mask, action, number, lanes.steps.copy(), lanes.returns.copy())
            stepped = lanes.step(actor.env_actions(action))
            recorder.record(before, stepped, envs.total_steps)
            t += 1
            if episodes:
                for n in np.flatnonzero(counted & (stepped.terminated | stepped.truncated)):
                    finished += 1
                    trajectory[n], begun = (begun, begun + 1) if begun < episodes else (-1, begun)
        cut_at_end = np.zeros(envs.num_envs, np.bool_) if episodes else ~envs.resetting
        return recorder.batch(envs.obs, cut_at_end, episodes or envs.num_envs)

    def state(self) -> Arrays:
        """Return what goes on from here: counters. What an environment remembers is its own, and nobody can copy it."""
        counts = {"begun": self.lanes.begun, "total_steps": self.envs.total_steps, "restarted": self.envs.restarted}
        return {name: np.array(count) for name, count in counts.items()}

    def go_on(self, arrays: Arrays) -> None:
        """Count on from another collector's batches; the episodes in progress are new ones."""
        self.envs.total_steps, self.envs.restarted = int(arrays["total_steps"]), int(arrays["restarted"])
        self.lanes.count_from(int(arrays["begun"]))

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()


class Before(NamedTuple):
    """A vector step's rows as it begins."""

    counted: Array  # [N] rows that belong to the batch
    obs: Array  # [N, O]
    mask: Array | None  # [N, Σ counts]
    action: Array  # [N] or [D, N]
    trajectory: Array  # [N]
    time: Array  # [N] steps of the episode before this one
    returns: Array  # [N] of the episode before this one's reward


def stacked(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape [...] as [T, ...]; for many small ones faster than np.stack."""
    return np.concatenate(arrays).reshape(len(arrays), *arrays[0].shape)


class Recorder:
    """Keeps the rows of a batch, step by step, and puts them in order at the end."""

    def __init__(self) -> None:
        self.before: list[Before] = []
        self.stepped: list[Stepped] = []
        self.total_steps: list[int] = []

    def record(self, before: Before, stepped: Stepped, total_steps: int) -> None:
        """Append a step, after which the run had taken so many."""
        self.before.append(before)
        self.stepped.append(stepped)
        self.total_steps.append(total_steps)

    def batch(self, obs: Array, cut_at_end: Array, num_trajectories: int) -> Batch:
        """Return the batch; trajectories of the chosen environments that have not ended are cut, before `obs`."""
        counted = stacked([step.counted for step in self.before])
        reward = stacked([step.reward for step in self.stepped])
        terminated = stacked([step.terminated for step in self.stepped])
        truncated = stacked([step.truncated for step in self.stepped])
        time = stacked([step.time for step in self.before])
        episodes = self._episodes(counted & (terminated | truncated), reward, time)
        number = (counted.cumsum() - 1).reshape(counted.shape)  # of each row's sample
        cut = truncated & counted
        final_obs = [self.stepped[t].after[cut[t]] for t in np.flatnonzero(cut.any(axis=1))]
        final_sample = [number[cut]]
        everyone = np.arange(counted.shape[1])
        last = counted.shape[0] - 1 - counted[::-1].argmax(axis=0)  # each environment's last counted step
        open_at_end = cut_at_end & counted.any(axis=0) & ~(terminated | truncated)[last, everyone]
        truncated[last[open_at_end], everyone[open_at_end]] = True
        final_obs.append(obs[open_at_end])
        final_sample.append(number[last, everyone][open_at_end])
        whole = bool(counted.all())

        def flat(rows: Array) -> Array:
            return rows.reshape(-1, *rows.shape[2:]) if whole else rows[counted]

        masks = self._masks()
        return Batch(
            obs=np.ascontiguousarray(flat(stacked([step.obs for step in self.before])).T),
            action=np.ascontiguousarray(flat(stacked([step.action.T for step in self.before])).T),
            reward=flat(reward),
            terminated=flat(terminated),
            truncated=flat(truncated),
            trajectory=flat(stacked([step.trajectory for step in self.before])).astype(np.int32),
            time=flat(time),
            final_obs=np.ascontiguousarray(np.concatenate(final_obs).T),
            final_sample=np.concatenate(final_sample),
            num_trajectories=num_trajectories,
            mask=np.ascontiguousarray(flat(stacked(masks)).T) if masks else NO_MASK,
            total_steps=self.total_steps[-1],
            episodes=episodes,
        )

    def _masks(self) -> list[Array]:
        """Return the mask of each step, [N, Σ counts], all allowed before the first that was given; [] if none was."""
        given = next((step.mask for step in self.before if step.mask is not None), None)
        return [] if given is None else [np.ones_like(given) if b.mask is None else b.mask for b in self.before]

    def _episodes(self, ended: Array, reward: Array, time: Array) -> Episodes:
        """Return the log of the episodes that ended [T, N]."""
        returns = stacked([step.returns for step in self.before]) + reward
        steps = np.repeat(np.array(self.total_steps, np.int64), ended.sum(axis=1))
        return Episodes(returns[ended], (time + np.int32(1))[ended], steps)

"""One seed's training, a chunk at a time: the loop for compiled environments and the loop for any other."""

import os
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.algorithms.loop import train_chunk
from pgrad.algorithms.update import (
    BAD_GRADIENT,
    BAD_OBS,
    BAD_PARAMETERS,
    BAD_REWARD,
    BAD_VALUES,
    FINE,
    METRICS,
    improve,
)
from pgrad.config import Config
from pgrad.envs.make import Env
from pgrad.errors import ConfigError
from pgrad.kernels.jit import face_for
from pgrad.kernels.mlp import num_parameters
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch, Episodes, concatenated
from pgrad.rollouts.compiled import LOGGED, STEPS, Plan, new_buffer, new_episodes, new_lanes, room_for
from pgrad.rollouts.compiled_stepwise import SteppedLanes
from pgrad.rollouts.user_env_guard import Guard
from pgrad.rollouts.vectorized import Actor, Environments, EnvLanes, rollout
from pgrad.training.build import (
    ENDLESS,
    ROLLOUT_STREAM,
    checkpoints_of,
    new_learner,
    policy_of,
    policy_sizes,
    settings_of,
    value_of,
)
from pgrad.watchdog import Watchdog

if TYPE_CHECKING:
    from pgrad.torch import TorchPolicy, TorchValue

Floats = npt.NDArray[np.float64]

CHUNK_SECONDS = 0.1  # how long a chunk should take: a compromise between overhead and answering Ctrl-C
BYTES_PER_SAMPLE = 80  # of a batch and what is computed from it, observations aside
COPIES_OF_PARAMETERS = 12  # two networks with moments, gradients and copies
LOG_ROOM = 32_768  # episodes that a chunk may log before it ends early
SOLVED_EPISODES = 20  # episodes over which the mean return must reach the environment's threshold

WHAT_WENT_WRONG = {
    BAD_REWARD: "rewards are not finite",
    BAD_OBS: "observations are not finite",
    BAD_GRADIENT: "the policy gradient is not finite; a smaller learning_rate may help",
    BAD_PARAMETERS: "the step would make the policy's parameters infinite; a smaller learning_rate may help",
    BAD_VALUES: "the value network's gradient or parameters are not finite; a smaller value_learning_rate may help",
}


@dataclass(frozen=True)
class History:
    """What a seed's training left behind."""

    metrics: Floats  # [iterations, len(METRICS)]
    episodes: Episodes
    seconds: float

    def solved_at(self, threshold: float | None) -> int | None:
        """Environment steps after which the last 20 episodes' mean return first reached the threshold."""
        returns = self.episodes.episode_return
        if threshold is None or returns.size < SOLVED_EPISODES:
            return None
        sums = np.cumsum(np.concatenate([[0.0], returns]))
        means = (sums[SOLVED_EPISODES:] - sums[:-SOLVED_EPISODES]) / SOLVED_EPISODES
        reached = np.flatnonzero(means >= threshold)
        return int(self.episodes.total_steps[reached[0] + SOLVED_EPISODES - 1]) if reached.size else None


class Trainer(ABC):
    """Trains one seed. `advance` works for about CHUNK_SECONDS; what it does never depends on how long that is."""

    policy: "MLPPolicy | TorchPolicy"
    critic: "MLPValue | TorchValue | None"
    checkpoints: Checkpoints | None = None
    note: str | None = None  # one line for the user, about how the environments are stepped

    def __init__(self, config: Config, env: Env, seed: int, stopping: threading.Event, watchdog: Watchdog) -> None:
        self.config, self.env, self.seed, self.stopping, self.watchdog = config, env, seed, stopping, watchdog
        self.settings = settings_of(config)
        self.run_key = fold_in(seed, ROLLOUT_STREAM)
        self.episodes = config.episodes_per_iteration or 0  # whole ones a batch; 0 for a fixed number of steps
        self.num_steps = config.num_steps or 0
        self.num_envs = min(config.num_envs, self.episodes) if self.episodes else config.num_envs
        self.failure: str | None = None
        self.total_steps = 0
        self.seconds = 0.0
        self.finished = False
        self._metrics: list[Floats] = []
        self._episodes: list[Episodes] = []
        self._prepare()
        self._publish()

    @property
    @abstractmethod
    def iterations(self) -> int:
        """Iterations done."""

    @property
    def history(self) -> History:
        """Everything recorded so far."""
        metrics = np.concatenate([np.empty((0, len(METRICS))), *self._metrics])
        return History(metrics, concatenated(self._episodes), self.seconds)

    @property
    def recent_return(self) -> float:
        """The mean return of the last chunk that ended an episode; NaN before."""
        return next((float(e.episode_return.mean()) for e in reversed(self._episodes) if e.length.size), np.nan)

    def advance(self) -> None:
        """Train for a chunk; sets `finished` at the end of the run or when something stops being finite."""
        began = time.perf_counter()
        try:
            status, more = self._advance()
        finally:  # an environment that fails leaves the policy of the last iteration
            self.seconds += time.perf_counter() - began
            self._publish(total_steps=self.total_steps, iterations=self.iterations)
        if status != FINE and self.failure is None:
            self.failure = f"{WHAT_WENT_WRONG[status]} (seed {self.seed}, iteration {self.iterations + 1})"
        self.finished = status != FINE or not more

    @abstractmethod
    def _prepare(self) -> None:
        """Make what learns."""

    @abstractmethod
    def _publish(self, **metadata: int) -> None:
        """Set `policy` and `critic`, which others may look at, as of the last whole chunk."""

    def close(self) -> None:  # noqa: B027, most have nothing to release
        """Release what the environment holds."""

    def _finished_by_plan(self) -> bool:
        return self.iterations >= self.settings.num_iterations or self.total_steps >= self.settings.total_steps

    @abstractmethod
    def _advance(self) -> tuple[int, bool]:
        """Train for a chunk; returns what went wrong, if anything, and whether there is more to do."""


class CompiledPolicyTrainer(Trainer):
    """Trains multilayer perceptrons in compiled code."""

    def _prepare(self) -> None:
        self.learner = new_learner(self.config, self.env, self.seed, self.episodes or self.num_envs)

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return int(self.learner.iteration[0])

    def _publish(self, **metadata: int) -> None:
        self.policy = policy_of(self.config, self.env, self.learner, seed=self.seed, **metadata)
        self.critic = value_of(self.config, self.learner)
        self.checkpoints = checkpoints_of(self.learner)


class CompiledTrainer(CompiledPolicyTrainer):
    """The loop in one compiled call a chunk."""

    def __init__(self, config: Config, env: Env, seed: int, stopping: threading.Event, watchdog: Watchdog) -> None:
        super().__init__(config, env, seed, stopping, watchdog)
        assert env.dynamics is not None, "session.env_of has looked"
        self.dynamics, limit = env.dynamics, env.max_episode_steps or ENDLESS
        self.plan = Plan(self.episodes, self.num_steps, limit, np.uint64(self.run_key))
        self.lanes = new_lanes(self.dynamics, self.learner.policy, self.num_envs)
        samples, finals = room_for(self.plan, self.num_envs)
        self.buffer = new_buffer(env.obs_size, env.actions, samples, finals, env.has_mask)
        self.log = new_episodes(samples + LOG_ROOM)
        self.like = self.dynamics.reset(0)
        self.guard = Guard(env, self.lanes, self.run_key, seed, watchdog)
        self.chunk = 1  # iterations

    def _advance(self) -> tuple[int, bool]:
        metrics = np.empty((self.chunk, len(METRICS)))
        began = time.perf_counter()
        before = self.total_steps
        try:
            done, status = self.guard.guarded(face_for(train_chunk, self.dynamics))(
                self.dynamics,
                self.like,
                self.settings,
                self.plan,
                self.learner,
                self.lanes,
                self.buffer,
                self.log,
                metrics,
            )
        finally:
            self.total_steps = int(self.lanes.counters[STEPS])
        took = time.perf_counter() - began
        logged = int(self.lanes.counters[LOGGED])
        self._metrics.append(metrics[:done])
        log = self.log
        self._episodes.append(
            Episodes(log.episode_return[:logged].copy(), log.length[:logged].copy(), log.total_steps[:logged].copy())
        )
        last = before if done < 2 else metrics[done - 2, 0]
        samples = int(metrics[done - 1, 0] - last) if done else 0  # of the last batch, which the buffer still holds
        self.guard.look(self.buffer.obs[:, :samples], self.buffer.mask[:, :samples])
        self.note = self.guard.note
        pace = CHUNK_SECONDS / max(took, 1e-6)
        self.chunk = max(1, min(int(self.chunk * min(pace, 8.0)), 10_000))
        return status, not self._finished_by_plan()


class StepwiseTrainer(Trainer):
    """The loop in Python, around anything that steps environments."""

    envs: Environments | SteppedLanes
    actor: Actor

    def _make_envs(self) -> None:
        """Gymnasium's environments, stepped together."""
        from pgrad.vector.vector_env import VectorEnv

        config, described = self.config, self.env.description
        assert described is not None, "an environment without dynamics has a description"
        self.envs = VectorEnv(
            described, self.num_envs, self.run_key, config.vectorization, config.step_timeout, self.watchdog
        )
        self.note, self.lanes = self.envs.note, EnvLanes(self.envs, self.run_key)

    def _rollout(self) -> tuple[Batch, int, Episodes] | None:
        """A batch, its number of trajectories, and the episodes that ended; None when stopped meanwhile."""
        if isinstance(self.envs, SteppedLanes):
            return self.envs.rollout(self.actor, self.stopping)
        return rollout(self.lanes, self.actor, self.num_steps, self.episodes, self.stopping)

    @abstractmethod
    def _improve(self, batch: Batch, num_envs: int, metrics: Floats) -> int:
        """Learn from a batch; returns what went wrong, if anything. Fills the last five of METRICS."""

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def _advance(self) -> tuple[int, bool]:
        began = time.perf_counter()
        while not self._finished_by_plan() and time.perf_counter() - began < CHUNK_SECONDS:
            rolled = self._rollout()
            if rolled is None:
                return FINE, True
            batch, num_envs, episodes = rolled
            metrics = np.full((1, len(METRICS)), np.nan)
            mean_return = episodes.episode_return.mean() if episodes.length.size else np.nan
            self.total_steps = self.envs.total_steps
            metrics[0, :3] = self.total_steps, episodes.length.size, mean_return
            self._episodes.append(episodes)
            status = self._improve(batch, num_envs, metrics[0, 3:])
            if status != FINE:
                return status, False
            self._metrics.append(metrics)
        self.note = getattr(self.envs, "note", None)
        return FINE, not self._finished_by_plan()


class GymnasiumTrainer(CompiledPolicyTrainer, StepwiseTrainer):
    """A compiled policy in Gymnasium's environments."""

    def _prepare(self) -> None:
        super()._prepare()
        self._make_envs()
        self.actor = CompiledActor(self.learner.policy)

    def _improve(self, batch: Batch, num_envs: int, metrics: Floats) -> int:
        return improve(self.settings, self.learner, batch, num_envs, self.total_steps, metrics)


def require_memory(config: Config, env: Env) -> None:
    """Raise ConfigError where batch and networks could not be held in half of the machine's memory."""
    parameters = num_parameters(policy_sizes(config, env))
    limit = env.max_episode_steps or 1
    samples = (config.episodes_per_iteration or 0) * limit or config.num_envs * (config.num_steps or 0)
    lanes = config.num_envs * (4 * env.obs_size + BYTES_PER_SAMPLE)
    needed = samples * (4 * env.obs_size + BYTES_PER_SAMPLE) + lanes + COPIES_OF_PARAMETERS * 4 * parameters
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if needed > available:
        raise ConfigError(
            [
                f"batches of up to {samples:,} steps and networks of {parameters:,} parameters need "
                f"{needed / 2**30:,.0f} GiB, more than half of this machine's memory: lower episodes_per_iteration, "
                "num_envs, num_steps or hidden"
            ]
        )


def new_trainer(
    config: Config,
    env: Env,
    seed: int,
    stopping: threading.Event | None = None,
    watchdog: Watchdog | None = None,
) -> Trainer:
    """The trainer that fits the environment; setting `stopping` ends a chunk early, where it can be.

    `watchdog` tells another thread since when a call into the environment has been running.
    """
    kind = CompiledTrainer if env.compiled else GymnasiumTrainer
    return kind(config, env, seed, stopping or threading.Event(), watchdog or Watchdog())

"""One seed's training, a chunk at a time.

Who learns and where batches come from are two choices, composed in `new_loop`:

|                              | compiled policy          | any torch.nn.Module      |
|------------------------------|--------------------------|--------------------------|
| compiled environment         | FusedChunks              | Chunks(LaneCollector)    |
| any other                    | Chunks(VectorCollector)  | Chunks(VectorCollector)  |
"""

import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.iteration import (
    BAD_GRADIENT,
    BAD_OBS,
    BAD_PARAMETERS,
    BAD_REWARD,
    BAD_VALUES,
    FINE,
    METRICS,
    train_chunk,
)
from pgrad.config import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.errors import ConfigError
from pgrad.kernels.jit import face_for
from pgrad.kernels.mlp import num_parameters
from pgrad.kernels.random import fold_in
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.rollouts.batch import Episodes, concatenated
from pgrad.rollouts.compiled import LOGGED, STEPS, Plan, new_simulation
from pgrad.rollouts.compiled_stepwise import LaneCollector
from pgrad.rollouts.rollout import Stopped, rollout
from pgrad.rollouts.user_env_guard import Guard
from pgrad.rollouts.vectorized import VectorCollector
from pgrad.training.build import ENDLESS, ROLLOUT_STREAM, policy_sizes
from pgrad.training.learners import CompiledLearner, Learner, Trained
from pgrad.watchdog import Watchdog

Floats = npt.NDArray[np.float64]

CHUNK_SECONDS = 0.1  # how long a chunk should take: a compromise between overhead and answering Ctrl-C
BYTES_PER_SAMPLE = 80  # of a batch and what is computed from it, observations aside
COPIES_OF_PARAMETERS = 12  # two networks with moments, gradients and copies
LOG_ROOM = 32_768  # episodes that a chunk may log before it ends early
SOLVED_EPISODES = 20  # episodes over which the mean return must reach the environment's threshold

FAULTS = {
    BAD_REWARD: "rewards are not finite",
    BAD_OBS: "observations are not finite",
    BAD_GRADIENT: "the policy gradient is not finite; a smaller learning_rate may help",
    BAD_PARAMETERS: "the step would make the policy's parameters infinite; a smaller learning_rate may help",
    BAD_VALUES: "the value network's gradient or parameters are not finite; a smaller value_learning_rate may help",
}


@dataclass(frozen=True)
class History:
    """What a seed's training recorded."""

    metrics: Floats  # [iterations, len(METRICS)]
    episodes: Episodes
    seconds: float

    def solved_at(self, threshold: float | None) -> int | None:
        """Return the steps after which the last 20 episodes' mean return first reached the threshold, if it did."""
        returns = self.episodes.episode_return
        if threshold is None or returns.size < SOLVED_EPISODES:
            return None
        sums = np.cumsum(np.concatenate([[0.0], returns]))
        means = (sums[SOLVED_EPISODES:] - sums[:-SOLVED_EPISODES]) / SOLVED_EPISODES
        reached = np.flatnonzero(means >= threshold)
        return int(self.episodes.total_steps[reached[0] + SOLVED_EPISODES - 1]) if reached.size else None


class Records:
    """What chunks have recorded so far."""

    def __init__(self) -> None:
        self.metrics: list[Floats] = []  # of chunks, [iterations, len(METRICS)] each
        self.episodes: list[Episodes] = []

    def history(self, seconds: float) -> History:
        """Join what there is."""
        return History(
            np.concatenate([np.empty((0, len(METRICS))), *self.metrics]), concatenated(self.episodes), seconds
        )

    @property
    def recent_return(self) -> float:
        """The mean return of the last chunk that ended an episode; NaN before."""
        return next((float(e.episode_return.mean()) for e in reversed(self.episodes) if e.length.size), np.nan)


class Trains(Protocol):
    """Trains in chunks."""

    note: str | None  # one line for the user, about the environments

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""

    def train(self, records: Records) -> int:
        """Train for about CHUNK_SECONDS and record it; return the fault that ended it, if any."""

    def close(self) -> None:
        """Release the environments."""


class FusedChunks:
    """A compiled policy in a compiled environment: many iterations in one compiled call."""

    note: str | None = None

    def __init__(self, learner: CompiledLearner, env: Env, plan: Plan, num_envs: int, watchdog: Watchdog) -> None:
        assert env.dynamics is not None, "it is compiled"
        self.learner = learner
        self.simulation = new_simulation(env.dynamics, learner.record.policy, plan, num_envs, LOG_ROOM)
        self.guard = Guard(env, self.simulation.lanes, int(plan.run_key), learner.seed, watchdog)
        self.chunk = self.guard.guarded(face_for(train_chunk, env.dynamics))
        self.iterations = 1  # of the next chunk

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""
        return int(self.simulation.lanes.counters[STEPS])

    def train(self, records: Records) -> int:
        """See Trains; how long a chunk is changes nothing but when others see what it has done."""
        metrics = np.empty((self.iterations, len(METRICS)))
        began, before = time.perf_counter(), self.total_steps
        done, fault = self.chunk(self.learner.settings, self.learner.record, self.simulation, metrics)
        took = time.perf_counter() - began
        records.metrics.append(metrics[:done])
        logged = int(self.simulation.lanes.counters[LOGGED])
        log = self.simulation.buffer.episodes
        records.episodes.append(
            Episodes(log.episode_return[:logged].copy(), log.length[:logged].copy(), log.total_steps[:logged].copy())
        )
        steps = [before, *metrics[:done, 0]]
        samples = int(steps[-1] - steps[-2]) if done else 0  # of the last batch, which the buffer still holds
        buffer = self.simulation.buffer
        self.guard.look(buffer.obs[:, :samples], buffer.mask[:, :samples])
        self.note = self.guard.note
        pace = CHUNK_SECONDS / max(took, 1e-6)
        self.iterations = max(1, min(int(self.iterations * min(pace, 8.0)), 10_000))
        return int(fault)

    def close(self) -> None:
        """Release nothing: the lanes are arrays."""


class Chunks:
    """Any learner, and batches from a collector: the loop in Python."""

    note: str | None = None

    def __init__(self, learner: Learner, collector: LaneCollector | VectorCollector) -> None:
        self.learner, self.collector, self.note = learner, collector, collector.note

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""
        return self.collector.total_steps

    def train(self, records: Records) -> int:
        """See Trains."""
        began = time.perf_counter()
        while time.perf_counter() - began < CHUNK_SECONDS and not finished(self.learner, self.total_steps):
            try:
                batch = rollout(self.collector, self.learner.actor)
            except Stopped:
                break
            records.episodes.append(batch.episodes)
            fault, metrics = self.learner.train_iteration(batch)
            if fault != FINE:
                return fault
            records.metrics.append(np.array([metrics]))
        self.note = self.collector.note
        return FINE

    def close(self) -> None:
        """Close the environments."""
        self.collector.close()


class Loop:
    """Trains one seed. What it does never depends on how long a chunk is."""

    def __init__(self, seed: int, learner: Learner, chunks: Trains) -> None:
        self.seed, self.learner, self.chunks = seed, learner, chunks
        self.records, self.seconds, self.total_steps = Records(), 0.0, 0
        self.failure: str | None = None
        self.finished = False
        self.trained: Trained = learner.trained()

    @property
    def note(self) -> str | None:
        """One line for the user, about the environments."""
        return self.chunks.note

    @property
    def history(self) -> History:
        """What is recorded so far."""
        return self.records.history(self.seconds)

    def advance(self) -> None:
        """Train for a chunk; set `finished` at the end of the run or where something is not finite any more."""
        began, fault = time.perf_counter(), FINE
        try:
            with self.learner.threads():
                fault = self.chunks.train(self.records)
            if fault != FINE:
                self.failure = self._failed(FAULTS[fault])
        except OutputsNotFinite as error:
            self.learner.restore()
            self.failure = self._failed(f"{error}; {error.hint}")
        finally:  # an environment that fails leaves the policy of the last iteration
            self.seconds += time.perf_counter() - began
            self.total_steps = self.chunks.total_steps
            self.trained = self.learner.trained(total_steps=self.total_steps, iterations=self.learner.iterations)
        ended = finished(self.learner, self.total_steps)
        self.finished = self.failure is not None or ended

    def _failed(self, what: str) -> str:
        return f"{what} (seed {self.seed}, iteration {self.learner.iterations + 1})"

    def close(self) -> None:
        """Release the environments."""
        self.chunks.close()


def finished(learner: Learner, total_steps: int) -> bool:
    """Return whether the run's iterations or steps are used up."""
    settings = learner.settings
    return learner.iterations >= settings.num_iterations or total_steps >= settings.total_steps


def new_loop(
    config: Config,
    env: Env,
    seed: int,
    stopping: threading.Event | None = None,
    watchdog: Watchdog | None = None,
    torch_options: TorchOptions | None = None,
) -> Loop:
    """Compose the loop of one seed.

    Setting `stopping` ends a batch early, where it can be. `watchdog` tells another thread since when a call into the
    environment has been running. `torch_options` trains a PyTorch module in place of a compiled policy.
    """
    watchdog = watchdog or Watchdog()
    episodes, num_steps = config.episodes_per_iteration or 0, config.num_steps or 0
    num_envs = min(config.num_envs, episodes) if episodes else config.num_envs
    run_key = fold_in(seed, ROLLOUT_STREAM)
    learner: Any
    if torch_options is None:
        learner = CompiledLearner(config, env, seed, episodes or num_envs)
    else:
        from pgrad.training.module_learner import ModuleLearner

        learner = ModuleLearner(torch_options, config, env, seed, episodes or num_envs)
    chunks: Trains
    if not env.compiled:
        from pgrad.vector.vector_env import VectorEnv

        assert env.description is not None, "an environment without dynamics has a description"
        envs = VectorEnv(env.description, num_envs, run_key, config.vectorization, config.step_timeout, watchdog)
        chunks = Chunks(learner, VectorCollector(envs, run_key, num_steps, episodes, stopping))
    else:
        plan = Plan(episodes, num_steps, env.max_episode_steps or ENDLESS, np.uint64(run_key))
        if torch_options is None:
            chunks = FusedChunks(learner, env, plan, num_envs, watchdog)
        else:
            chunks = Chunks(learner, LaneCollector(env, learner.head, plan, num_envs, seed, stopping, watchdog))
    return Loop(seed, learner, chunks)


def require_memory(config: Config, env: Env) -> None:
    """Raise ConfigError if a batch and the networks do not fit into half of the machine's memory."""
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

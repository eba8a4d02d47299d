"""One seed's training, a chunk at a time.

Who learns and where batches come from are two choices, composed in `new_loop`:

|                      | compiled policy                     | any torch.nn.Module                |
|----------------------|-------------------------------------|------------------------------------|
| compiled environment | CompiledLearner, in one FusedLoop   | ModuleLearner, LaneCollector       |
| any other            | CompiledLearner, VectorCollector    | ModuleLearner, VectorCollector     |
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.iteration import (
    BAD_ADVANTAGES,
    BAD_GRADIENT,
    BAD_OBS,
    BAD_PARAMETERS,
    BAD_REWARD,
    BAD_VALUES,
    FINE,
    METRICS,
    train_chunk,
)
from pgrad.arrays import Arrays, below, copies, put_back, under
from pgrad.config.settings import Config, TorchOptions
from pgrad.envs.make import Env
from pgrad.errors import ConfigError, InputError, nearest
from pgrad.kernels.crew import ALONE, helping, new_crew
from pgrad.kernels.fingerprint import foreign_types
from pgrad.kernels.jit import face_for
from pgrad.kernels.mlp import BLOCK, num_parameters
from pgrad.kernels.random import fold_in
from pgrad.rollouts.actions import OutputsNotFinite
from pgrad.rollouts.batch import Batch, Episodes, concatenated, copied
from pgrad.rollouts.compiled import LOGGED, STEPS, Plan, new_simulation
from pgrad.rollouts.compiled_stepwise import LaneCollector, lane_arrays
from pgrad.rollouts.rollout import Stopped, rollout
from pgrad.rollouts.user_env_guard import Guard
from pgrad.rollouts.vectorized import VectorCollector
from pgrad.runs.failure import Failure, failure_of
from pgrad.runs.journal import Evaluated
from pgrad.runs.state_file import State
from pgrad.training.build import ENDLESS, RESUME_STREAM, ROLLOUT_STREAM, policy_sizes, value_sizes
from pgrad.training.learners import CompiledLearner, Learner
from pgrad.training.postmortem import postmortem
from pgrad.watchdog import Watchdog

Floats = npt.NDArray[np.float64]

CHUNK_SECONDS = 0.1  # how long a chunk should take: a compromise between overhead and answering Ctrl-C
BYTES_PER_SAMPLE = 80  # of a batch and what is computed from it, observations aside
COPYING_SHARE = 0.02  # of the time, at most, goes into copying states
COPIES_OF_PARAMETERS = 6  # of each network: moments, gradient and copies
LOG_ROOM = 32_768  # episodes that a chunk may log before it ends early
SOLVED_EPISODES = 20  # episodes over which the mean return must reach the environment's threshold

FAULTS = {
    BAD_REWARD: "rewards are not finite",
    BAD_OBS: "observations are not finite",
    BAD_ADVANTAGES: "the advantages are not finite; a smaller value_learning_rate may help",
    BAD_GRADIENT: "the policy gradient is not finite; a smaller learning_rate may help",
    BAD_PARAMETERS: "the step would make the policy's parameters infinite; a smaller learning_rate may help",
    BAD_VALUES: "the value network's gradient or parameters are not finite; a smaller value_learning_rate may help",
}


@dataclass(frozen=True)
class History:
    """What a seed's training recorded.

    metrics   [iterations, len(METRICS)] the columns of metrics.csv; `metric` returns one by its name
    episodes  the log of finished episodes: `episode_return`, `length`, and `total_steps` of the run at their end
    seconds   of training, of this seed alone
    """

    metrics: Floats
    episodes: Episodes
    seconds: float

    def metric(self, name: str) -> Floats:
        """Return a metric of every iteration, [iterations], such as "entropy"; raise InputError for no such name."""
        if name not in METRICS:
            raise InputError(f"unknown metric '{name}': {nearest(name, METRICS)}")
        return np.asarray(self.metrics[:, METRICS.index(name)])

    def solved_at(self, threshold: float | None) -> int | None:
        """Return the steps after which the last 20 episodes' mean return first reached the threshold, if it did."""
        returns = self.episodes.episode_return
        if threshold is None or returns.size < SOLVED_EPISODES:
            return None
        sums = np.cumsum(np.concatenate([[0.0], returns]))
        means = (sums[SOLVED_EPISODES:] - sums[:-SOLVED_EPISODES]) / SOLVED_EPISODES
        reached = np.flatnonzero(means >= threshold)
        return int(self.episodes.total_steps[reached[0] + SOLVED_EPISODES - 1]) if reached.size else None


class Past(NamedTuple):
    """What a seed goes on from."""

    state: State
    history: History
    evaluations: tuple[Evaluated, ...] = ()  # along the way, so far


class Loop(ABC):
    """One seed's training. What it does never depends on how long a chunk is."""

    note: str | None = None  # one line for the user, about the environments

    def __init__(self, seed: int, learner: Learner) -> None:
        self.seed, self.learner, self.trained = seed, learner, learner.trained()
        self.metrics: list[Floats] = []  # of chunks or iterations, [iterations, len(METRICS)] each
        self.episodes: list[Episodes] = []
        self.seconds, self.total_steps = 0.0, 0
        self.obs_sizes = np.zeros(0)  # [O] largest magnitudes in the batches looked at, one a chunk
        self.failure: Failure | None = None
        self.stopped = self.finished = False  # early, on request; at all
        self.watcher: Callable[[Loop], bool] | None = None  # is called after each iteration: whether to go on
        self.parts_seen = 0  # of `episodes`, by the watcher
        self.state: State | None = None  # after a whole chunk, the last or one shortly before: replaced, never changed
        self.copying, self.copied = 0.0, 0.0  # how long copying it took, and when that ended

    @property
    def history(self) -> History:
        """What is recorded so far."""
        metrics = np.concatenate([np.empty((0, len(METRICS))), *self.metrics])
        return History(metrics, concatenated(self.episodes), self.seconds)

    @property
    def restarted_envs(self) -> int:
        """Environments that failed, and in whose place fresh ones were begun."""
        return 0

    @property
    def recent_return(self) -> float:
        """The mean return of the last episodes recorded; NaN before the first."""
        return next((float(e.episode_return.mean()) for e in reversed(self.episodes) if e.length.size), np.nan)

    @abstractmethod
    def advance(self) -> None:
        """Train for about CHUNK_SECONDS; set `finished` at the end of the run or where something is not finite."""

    @abstractmethod
    def steps_taken(self) -> int:
        """Return the environment steps so far."""

    @abstractmethod
    def experience_state(self) -> Arrays:
        """Copy what the environments remember from one batch to the next, as far as it can be had."""

    @abstractmethod
    def go_on_experiencing(self, arrays: Arrays) -> None:
        """Let the environments remember it."""

    def go_on(self, past: Past) -> None:
        """Go on from where another loop was; raise RunError where it does not fit."""
        state, history = past.state, past.history
        self.learner.go_on(below("learner", state.arrays), state.about["learner"])
        self.go_on_experiencing(below("experience", state.arrays))
        self.metrics, self.episodes = [history.metrics], [history.episodes]
        self.seconds, self.total_steps = history.seconds, self.steps_taken()
        self.obs_sizes, failure = state.arrays["obs_sizes"].copy(), state.about["failure"]
        self.failure = None if failure is None else failure_of(failure)
        self.stopped = state.about["stopped"]
        self.state = state
        self._publish()

    def _publish(self) -> None:
        """Let others have copies of what is learnt, and say whether that was all."""
        self.trained = self.learner.trained(total_steps=self.total_steps, iterations=self.learner.iterations)
        self.finished = self.failure is not None or self.stopped or self.used_up()

    def keep_state(self) -> None:
        """Copy what going on from here takes; nothing, where the learner keeps what no file of numbers holds."""
        began = time.perf_counter()
        learner = self.learner.state()
        if learner is None:
            self.state = None
            return
        arrays = under("learner", learner[0]) | under("experience", self.experience_state())
        about = {
            "seed": self.seed,
            "iterations": self.learner.iterations,
            "episodes": sum(part.length.size for part in self.episodes),
            "total_steps": self.total_steps,
            "seconds": self.seconds,
            "failure": None if self.failure is None else asdict(self.failure),
            "stopped": self.stopped,
            "learner": learner[1],
        }
        self.state = State({**arrays, "obs_sizes": self.obs_sizes.copy()}, about)
        self.copied = time.perf_counter()
        self.copying = self.copied - began

    def close(self) -> None:  # noqa: B027, lanes are arrays
        """Release the environments."""

    def look(self, obs: npt.NDArray[np.float32]) -> None:
        """Take in the observations [O, B] of a chunk's last batch."""
        if obs.shape[1]:
            sizes = np.maximum(obs.max(axis=1), -obs.min(axis=1)).astype(np.float64)
            self.obs_sizes = np.maximum(self.obs_sizes, sizes) if self.obs_sizes.size else sizes

    def used_up(self) -> bool:
        """Return whether the run has had its iterations or steps."""
        settings = self.learner.settings
        return self.learner.iterations >= settings.num_iterations or self.steps_taken() >= settings.total_steps

    def goes_on(self) -> bool:
        """Let whoever watches look at the iteration just done; return whether there is to be another."""
        wanted = self.watcher is None or self.watcher(self)
        self.parts_seen = len(self.episodes)
        return wanted and not self.used_up()

    def fail(self, fault: int, batch: Batch, samples: int, episodes: bool) -> None:
        """Remember what ended the training, in a batch of so many samples: see postmortem."""
        message = self.told(FAULTS[fault])
        self.failure = postmortem(fault, message, self.seed, batch, samples, self.history.metrics, episodes)

    def told(self, what: str) -> str:
        """Say where in the training something happened."""
        return f"{what} (seed {self.seed}, iteration {self.learner.iterations + 1})"

    @contextmanager
    def chunk(self) -> Iterator[None]:
        """Publish what a chunk has done, also where an environment fails in it: the policy of the last iteration."""
        began = time.perf_counter()
        try:
            with self.learner.threads():
                yield
        except OutputsNotFinite as error:
            self.learner.restore()
            told = self.told(f"{error}; {error.hint}")
            self.failure = Failure("outputs", told, self.seed, self.learner.iterations + 1)
        finally:
            self.seconds += time.perf_counter() - began
            self.total_steps = self.steps_taken()
            self._publish()
        if self.finished or time.perf_counter() - self.copied >= self.copying / COPYING_SHARE:
            self.keep_state()


class FusedLoop(Loop):
    """A compiled policy in a compiled environment: a chunk of iterations is one compiled call."""

    def __init__(
        self, learner: CompiledLearner, env: Env, plan: Plan, num_envs: int, watchdog: Watchdog, threads: int
    ) -> None:
        super().__init__(learner.seed, learner)
        assert env.dynamics is not None, "it is compiled"
        self.record = learner.record
        if foreign_types(env.dynamics):
            threads = 1  # what a user's environment raises on a helper's thread would be lost
        self.crew = new_crew(min(threads, most_workers(num_envs, plan.episodes or num_envs * plan.num_steps)))
        self.simulation = new_simulation(env.dynamics, self.record.policy, plan, num_envs, LOG_ROOM, self.crew)
        self.guard = Guard(env, self.simulation.lanes, int(plan.run_key), learner.seed, watchdog)
        self.train_chunk = self.guard.guarded(face_for(train_chunk, env.dynamics))
        self.iterations = 1  # of the next chunk
        self.called = False

    def steps_taken(self) -> int:
        """Return the environment steps so far."""
        return int(self.simulation.lanes.counters[STEPS])

    def experience_state(self) -> Arrays:
        """Copy the episodes in progress, wholly."""
        return copies(lane_arrays(self.simulation.lanes))

    def go_on_experiencing(self, arrays: Arrays) -> None:
        """Take on another loop's episodes."""
        put_back(arrays, lane_arrays(self.simulation.lanes))

    def advance(self) -> None:
        """See Loop."""
        began = time.perf_counter()
        with self.chunk():
            if self.watcher is None:
                self._train(self.iterations)
            else:
                while self._train(1) and self.goes_on() and time.perf_counter() - began < CHUNK_SECONDS:
                    pass
        pace = CHUNK_SECONDS / max(time.perf_counter() - began, 1e-6)
        self.iterations = max(1, min(int(self.iterations * min(pace, 8.0)), 10_000))

    def _train(self, iterations: int) -> bool:
        """Train for so many iterations in one compiled call; return whether all numbers stayed finite."""
        metrics, before = np.empty((iterations, len(METRICS))), self.total_steps
        with helping(self.crew if self.called else ALONE):  # the first call may have to compile
            done, fault = self.train_chunk(self.learner.settings, self.record, self.simulation, metrics)
        self.called = True
        self._keep(metrics[:done])
        if fault != FINE:
            samples = self.steps_taken() - int(metrics[done - 1, 0] if done else before)
            self.fail(fault, self.simulation.buffer, samples, self.simulation.plan.episodes > 0)
        return self.failure is None

    def _keep(self, metrics: Floats) -> None:
        """Keep a chunk's records, and look at what a user's environment has given in its last batch."""
        buffer, logged = self.simulation.buffer, int(self.simulation.lanes.counters[LOGGED])
        steps = [self.total_steps, *metrics[:, 0]]
        samples = int(steps[-1] - steps[-2]) if len(metrics) else 0  # of the last batch, which the buffer still holds
        self.metrics.append(metrics)
        self.episodes.append(copied(buffer.episodes, logged))
        self.guard.look(buffer.obs[:, :samples], buffer.mask[:, :samples])
        self.look(buffer.obs[:, :samples])
        self.note, self.total_steps = self.guard.note, self.steps_taken()


class CollectingLoop(Loop):
    """Any learner, and batches from a collector: the loop in Python."""

    def __init__(self, seed: int, learner: Learner, collector: LaneCollector | VectorCollector) -> None:
        super().__init__(seed, learner)
        self.collector, self.note = collector, collector.note

    @property
    def restarted_envs(self) -> int:
        """See Loop."""
        return self.collector.restarted

    def steps_taken(self) -> int:
        """Return the environment steps so far."""
        return self.collector.total_steps

    def experience_state(self) -> Arrays:
        """See Loop."""
        return self.collector.state()

    def go_on_experiencing(self, arrays: Arrays) -> None:
        """See Loop."""
        self.collector.go_on(arrays)

    def advance(self) -> None:
        """See Loop; a chunk has at least one iteration, and a rollout that was asked to stop ends it."""
        began = time.perf_counter()
        with self.chunk(), suppress(Stopped):
            while True:
                batch = rollout(self.collector, self.learner.actor)
                self.episodes.append(batch.episodes)
                fault, metrics = self.learner.train_iteration(batch)
                if fault != FINE:
                    self.fail(fault, batch, batch.reward.size, self.collector.episodes > 0)
                    break
                self.metrics.append(np.array([metrics]))
                if not self.goes_on() or time.perf_counter() - began >= CHUNK_SECONDS:
                    self.look(batch.obs[:, : batch.reward.size])
                    break
        self.note = self.collector.note

    def close(self) -> None:
        """Close the environments."""
        self.collector.close()


def new_loop(
    config: Config,
    env: Env,
    seed: int,
    stopping: threading.Event | None = None,
    watchdog: Watchdog | None = None,
    torch_options: TorchOptions | None = None,
    threads: int = 1,
    past: Past | None = None,
) -> Loop:
    """Compose the loop of one seed, which begins at the beginning or goes on from its `past`.

    Setting `stopping` ends a batch early, where it can be. `watchdog` tells another thread since when a call into the
    environment has been running. `torch_options` trains a PyTorch module in place of a compiled policy. `threads`
    share the work of a compiled loop; what comes out does not depend on them.
    """
    watchdog = watchdog or Watchdog()
    episodes, num_steps = config.episodes_per_iteration or 0, config.num_steps or 0
    num_envs = min(config.num_envs, episodes) if episodes else config.num_envs
    learner: Any
    if torch_options is None:
        learner = CompiledLearner(config, env, seed, episodes or num_envs)
    else:
        from pgrad.training.module_learner import ModuleLearner

        learner = ModuleLearner(torch_options, config, env, seed, episodes or num_envs)
    run_key = fold_in(seed, ROLLOUT_STREAM)
    plan = Plan(episodes, num_steps, env.max_episode_steps or ENDLESS, np.uint64(run_key))
    loop: Loop
    if not env.compiled:
        from pgrad.vector.vector_env import VectorEnv

        assert env.description is not None, "an environment without dynamics has a description"
        key = run_key if past is None else fold_in(fold_in(seed, RESUME_STREAM), past.state.about["iterations"])
        how = (config.vectorization, config.step_timeout, watchdog, config.restart_failed_envs)
        envs = VectorEnv(env.description, num_envs, key, *how)
        loop = CollectingLoop(seed, learner, VectorCollector(envs, run_key, num_steps, episodes, stopping))
    elif torch_options is None:
        loop = FusedLoop(learner, env, plan, num_envs, watchdog, threads)
    else:
        loop = CollectingLoop(seed, learner, LaneCollector(env, learner.head, plan, num_envs, seed, watchdog))
    if past is None:
        loop.keep_state()  # a seed that has begun can always go on
    else:
        loop.go_on(past)
    return loop


def most_workers(lanes: int, samples: int) -> int:
    """Return how many threads a run can use: a block of samples or 128 lanes for each."""
    return max(1, samples // BLOCK, lanes // 128)


def require_memory(config: Config, env: Env) -> None:
    """Raise ConfigError if a batch and the networks do not fit into half of the machine's memory."""
    parameters = num_parameters(policy_sizes(config, env)) + num_parameters(value_sizes(config, env))
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
                "num_envs, num_steps, hidden or value_hidden"
            ]
        )

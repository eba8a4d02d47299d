"""Many seeds at once: the threads that advance their loops, and what there is of them at any time."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from pgrad.config.settings import Config, TorchOptions
from pgrad.envs.make import Env, original_of
from pgrad.errors import EnvError, PolicyError
from pgrad.evaluation import Evaluation, evaluate
from pgrad.kernels.compile_clock import COMPILE_CLOCK
from pgrad.kernels.random import fold_in
from pgrad.runs.failure import Failure
from pgrad.training.best import MOST_SEEDS, best_of
from pgrad.training.callbacks import Callbacks, Iteration
from pgrad.training.doctor import GREEDY_EPISODES, GREEDY_SEEDS
from pgrad.training.loops import CHUNK_SECONDS, Loop, Past, new_loop
from pgrad.training.result import Result, SeedResult
from pgrad.watchdog import Watchdog

STOP_SECONDS = 0.4  # how long what cannot be stopped is waited for

logger = logging.getLogger("pgrad")


@dataclass(frozen=True)
class Snapshot:
    """How far a training is, for whoever shows it."""

    seconds: float
    stage: str  # "compiling", "training", "stopping" or "evaluating"
    seeds: int
    finished: int
    solved: int  # seeds that reached the environment's threshold, by their training episodes
    total_steps: int  # taken so far, by all seeds
    planned_steps: int | None  # of all seeds, where the configuration says
    mean_return: float  # of the latest episodes, over seeds; NaN before the first
    recent_steps_per_second: float
    notes: tuple[str, ...] = ()  # lines for the user, about how the environments are stepped


Progress = Callable[[Snapshot], None]


class Look(NamedTuple):
    """An iteration that a seed's thread shows to the main one, and waits."""

    iteration: Iteration
    over: threading.Event


class SeedPool:
    """The loops of all seeds, and the threads that advance them from the moment it is made."""

    def __init__(
        self,
        config: Config,
        env: Env,
        threads: int,
        progress: Progress | None,
        torch_options: TorchOptions | None,
        past: Mapping[int, Past],
        callbacks: Callbacks,
    ) -> None:
        """Start; seeds with a `past` go on from there, the others begin."""
        self.config, self.env, self.progress, self.torch_options = config, env, progress, torch_options
        self.past, self.callbacks = past, callbacks
        self.looks: queue.SimpleQueue[Look | None] = queue.SimpleQueue()
        self.began, self.compiled_before = time.perf_counter(), COMPILE_CLOCK.seconds
        self.loops: list[Loop | None] = [None] * len(config.seeds)
        self.waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(config.seeds)):
            self.waiting.put(index)
        self.stopping = threading.Event()
        self.watchdogs = [Watchdog() for _ in config.seeds]
        self.errors: list[BaseException] = []
        self.env_failure: Failure | None = None
        # Gymnasium's environments and modules run under Python's global lock: more threads would only get in each
        # other's way.
        count = min(threads, len(config.seeds)) if env.compiled and torch_options is None else 1
        self.threads_each = threads // count
        self.ended = [threading.Event() for _ in range(count)]
        self.earlier_steps = sum(past.state.about["total_steps"] for past in self.past.values())
        self.ticks: list[tuple[float, int]] = []
        for ended in self.ended:
            threading.Thread(target=self._work, args=(ended,), daemon=True).start()

    @property
    def begun(self) -> list[Loop]:
        """The loops of the seeds that have begun, in the order of the seeds."""
        return [loop for loop in self.loops if loop is not None]

    def wait(self, save: Callable[[Result], None] | None = None, save_every: float | None = None) -> None:
        """Wait until every seed is trained; every so many seconds, `save` what there is by then."""
        saved = self.began
        # Not Thread.join: interrupted by Ctrl-C it takes a running thread for ended (before Python 3.13).
        while working := [ended for ended in self.ended if not ended.is_set()]:
            if self.callbacks.calls:
                self._call_back()
            else:
                working[0].wait(CHUNK_SECONDS)
            self._look_for_hangs()
            self._report("compiling" if COMPILE_CLOCK.compiling else "training")
            due = save_every is not None and time.perf_counter() - saved >= save_every
            if save is not None and due and any(loop.total_steps for loop in self.begun):
                try:
                    save(self.result())
                except Exception as error:  # the next save may succeed: a disk does not stay full
                    logger.warning("what is trained so far could not be saved: %s", error)
                saved = time.perf_counter()
        if self.errors:
            raise self.errors[0]
        self._report("training")

    def _call_back(self) -> None:
        """Show the callbacks what seeds have to show, for about CHUNK_SECONDS or until a thread has ended."""
        until = time.perf_counter() + CHUNK_SECONDS
        while (left := until - time.perf_counter()) > 0:
            try:
                look = self.looks.get(timeout=left)
            except queue.Empty:
                return
            if look is None:
                return
            try:
                self.callbacks(look.iteration)
            except BaseException:
                self.stopping.set()
                raise
            finally:
                look.over.set()

    def _shown(self, loop: Loop) -> bool:
        """Show the main thread an iteration, on a seed's; return whether the seed is to go on."""
        look = Look(Iteration(loop), threading.Event())
        self.looks.put(look)
        while not (look.over.wait(CHUNK_SECONDS) or self.stopping.is_set()):
            pass
        return not (loop.stopped or self.stopping.is_set())

    def _look_for_hangs(self) -> None:
        for index, watchdog in enumerate(self.watchdogs):
            try:
                watchdog.check(self.config.step_timeout)
            except EnvError as error:
                self._blame(index, error)
                raise

    def _blame(self, index: int, error: EnvError) -> None:
        """Remember that a seed's environment has failed; the first that does ends the training."""
        loop = self.loops[index]
        iteration = 1 if loop is None else loop.learner.iterations + 1
        self.env_failure = self.env_failure or Failure("environment", str(error), self.config.seeds[index], iteration)

    def _work(self, ended: threading.Event) -> None:
        """Train the seeds that are waiting, one after another."""
        index = 0
        try:
            while not self.stopping.is_set():
                index = self.waiting.get_nowait()
                seed, watchdog = self.config.seeds[index], self.watchdogs[index]
                how = (self.stopping, watchdog, self.torch_options, self.threads_each, self.past.get(seed))
                loop = new_loop(self.config, self.env, seed, *how)
                self.loops[index] = loop
                if self.callbacks.calls:
                    loop.watcher = self._shown
                with closing(loop):
                    while not (loop.finished or self.stopping.is_set()):
                        loop.advance()
                    loop.keep_state()
        except queue.Empty:
            pass
        except BaseException as error:
            if isinstance(error, EnvError):
                self._blame(index, error)
            self.errors.append(error)
            self.stopping.set()
        finally:
            ended.set()
            self.looks.put(None)

    def stop(self, patiently: bool = False) -> None:
        """Ask the workers to stop, and wait a little; patiently, until they have finished their iterations.

        Nobody waits long for one that compiles, or whose environment may not return: a batch that is not full is of no
        use there.
        """
        self.stopping.set()
        began, told = time.perf_counter(), False
        for ended in self.ended:
            while not ended.wait(min(CHUNK_SECONDS, STOP_SECONDS)):
                late = time.perf_counter() - began >= STOP_SECONDS
                if late and not (patiently and self._will_end()):
                    return
                if late and not told:
                    self._report("stopping")
                    told = True

    def _will_end(self) -> bool:
        """Return whether the workers' iterations are on their way to an end."""
        try:
            for watchdog in self.watchdogs:
                watchdog.check(STOP_SECONDS)
        except EnvError:
            return False
        return self.env.compiled and not COMPILE_CLOCK.compiling

    def _report(self, stage: str) -> None:
        if self.progress is None:
            return
        now, begun = time.perf_counter(), self.begun
        steps = sum(loop.total_steps for loop in begun)
        self.ticks = (
            [*self.ticks[-10:], (now, steps)] if self.ticks else [(self.began, self.earlier_steps), (now, steps)]
        )
        (since, before), returns = self.ticks[0], [loop.recent_return for loop in begun]
        known = [value for value in returns if not np.isnan(value)]
        planned = self.config.total_steps
        self.progress(
            Snapshot(
                seconds=now - self.began,
                stage=stage,
                seeds=len(self.loops),
                finished=sum(loop.finished for loop in begun),
                solved=sum(self._solved(loop) for loop in begun),
                total_steps=steps,
                planned_steps=planned * len(self.loops) if planned else None,
                mean_return=float(np.mean(known)) if known else np.nan,
                recent_steps_per_second=(steps - before) / max(now - since, 1e-9),
                notes=tuple(dict.fromkeys(loop.note for loop in begun if loop.note)),
            )
        )

    def _solved(self, loop: Loop) -> bool:
        """Return whether a seed has reached the threshold; of one still running, ask only what is cheap to know."""
        threshold = self.env.reward_threshold
        if threshold is not None and not loop.finished:
            return loop.recent_return >= threshold
        return loop.history.solved_at(threshold) is not None

    def result(self) -> Result:
        """Return what there is: every seed that has begun, as of its last whole chunk."""
        begun = [(loop, loop.state) for loop in self.begun]  # histories may be longer than states know, never shorter
        seeds = [
            SeedResult(
                loop.seed,
                loop.trained.policy,
                loop.history,
                loop.failure,
                loop.total_steps,
                finished=loop.finished,
                critic=loop.trained.critic,
                checkpoints=loop.trained.checkpoints,
                obs_sizes=loop.obs_sizes,
                state=state,
                restarted_envs=loop.restarted_envs,
                stopped=loop.stopped,
                evaluations=tuple(self.callbacks.evaluations.get(loop.seed, ())),
            )
            for loop, state in begun
        ]
        seconds, compiling = time.perf_counter() - self.began, COMPILE_CLOCK.seconds - self.compiled_before
        return Result(self.config, self.env, tuple(seeds), seconds, compiling, self.earlier_steps, self.env_failure)

    def evaluated(self, result: Result, episodes: int) -> Result:
        """Return the result with every seed's policy evaluated, the best seen beside it, and a few of them greedily."""
        return replace(result, seeds=tuple(self._evaluated(seed, k, episodes) for k, seed in enumerate(result.seeds)))

    def _evaluated(self, seed: SeedResult, index: int, episodes: int) -> SeedResult:
        self._report("evaluating")
        timeout, original = self.config.step_timeout, original_of(self.env)

        def play(policy: Any, count: int, stream: int = 0, greedy: bool = False) -> Evaluation:
            own = fold_in(seed.seed, stream) % MOST_SEEDS if stream else seed.seed
            return evaluate(policy, original, count, seed=own, greedy=greedy, step_timeout=timeout)

        try:
            evaluation = play(seed.policy, episodes)
        except PolicyError:
            if seed.failure is None:
                raise
            return seed  # a module that failed from the start has no policy that could be played
        greedy = play(seed.policy, min(GREEDY_EPISODES, episodes), greedy=True) if index < GREEDY_SEEDS else None
        best = best_of(seed.policy, seed.history, seed.checkpoints, episodes, play)
        return replace(seed, evaluation=evaluation, greedy=greedy, best=best)

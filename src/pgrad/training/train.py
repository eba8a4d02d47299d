"""Many seeds at once: `train` runs their trainers on all cores, and keeps what they achieved whatever happens."""

import dataclasses
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgrad.config import FIELDS, Config, TorchOptions, resolve
from pgrad.envs.make import AnyEnv, Env, make, original_of
from pgrad.errors import ConfigError, EnvError, PgradError, PolicyError, TrainingDiverged
from pgrad.evaluation import Evaluation, evaluate
from pgrad.spaces import Box, actions_in_words
from pgrad.system import available_cores
from pgrad.training.loops import CHUNK_SECONDS, Trainer, new_trainer, require_memory
from pgrad.training.result import Result, SeedResult
from pgrad.watchdog import Watchdog

MODULES_OWN = ("std", "initial_std")  # settings of compiled policies that no module reads
FOR_COMPILED = ("checkpoint_every",)  # what they alone have
FOR_REAL_ACTIONS = (*MODULES_OWN, "squash")
STOP_SECONDS = 0.4  # how long an interruption waits for running chunks
SAVING_SECONDS = 30.0  # a process that dies, with a simulator or the machine, loses no more than this


@dataclass(frozen=True)
class Snapshot:
    """How far a training is, for whoever shows it."""

    seconds: float
    stage: str  # "training" or "evaluating"
    seeds: int
    finished: int
    solved: int  # seeds that reached the environment's threshold, by their training episodes
    total_steps: int  # taken so far, by all seeds
    planned_steps: int | None  # of all seeds, where the configuration says
    mean_return: float  # of the latest episodes, over seeds; NaN before the first
    recent_steps_per_second: float
    notes: tuple[str, ...] = ()  # lines for the user, about how the environments are stepped


Progress = Callable[[Snapshot], None]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during training, carrying what there was by then."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def train(
    env: AnyEnv | None = None,
    *,
    algorithm: str | None = None,
    seeds: int | Sequence[int] | None = None,
    seed: int | None = None,
    config: Config | None = None,
    threads: int | None = None,
    evaluation_episodes: int = 100,
    progress: Progress | None = None,
    save: Callable[[Result], None] | None = None,
    policy: Any = None,
    value: Any = None,
    optimizer: str | Callable[..., Any] | None = None,
    value_coef: float | None = None,
    device: str | None = None,
    **settings: Any,
) -> Result:
    """Train a policy for every seed, evaluate each as it ends up, and return them with their histories.

    env                  an id like "CartPole-v1", a file like "my_env.py:MyEnv", an environment, or a function that
                         makes one: whatever `pgrad.make` takes, or has returned. Only a whole `config` names its own
    algorithm, settings  a preset and any of Config's fields over it; or a whole `config` instead
    seeds, seed          30 means seeds 0 to 29; or a list; or one
    threads              how many seeds train side by side (default: all cores); results do not depend on it
    evaluation_episodes  per seed, in Gymnasium's own environment with the frozen policy; 0 for none
    progress             called about ten times a second with a Snapshot
    save                 called with what there is every half minute of training, and at its end before evaluation

    A PyTorch module as the policy (`pip install "pgrad[torch]"`), in place of the compiled one:

    policy               a torch.nn.Module that takes observations [N, ...] and returns logits, or mean and log σ, or a
                         torch.distributions.Distribution, or one of these with V(s) (pgrad.torch.module_output has the
                         details). It is not changed: each seed trains a copy, from the parameters it has. Or a function
                         without arguments that makes a module, which gives each seed an initialisation of its own
    value                likewise, for V(s); by default a multilayer perceptron of `hidden` units, where V is read
    optimizer            "adam" or "sgd"; or a class of torch.optim, which gets learning_rate (for a value module of
                         its own value_learning_rate); or a function from parameters to an optimiser
    value_coef           weight of V's mean squared error, where policy and value have parameters in common (0.5)
    device               "cpu" (default), "cuda", or "auto" for a GPU where there is one

    Modules are in evaluation mode while they train: dropout would make the policy that acts another one than the
    policy whose gradient is taken. Result.policies holds them as pgrad.torch.TorchPolicy.

    Raises ConfigError and EnvError before anything starts. A seed whose numbers stop being finite ends with its last
    good policy, the others go on, and TrainingDiverged is raised at the end. An environment that fails raises EnvError,
    Ctrl-C raises Interrupted. All three carry what there was by then as `.result`.
    """
    if isinstance(optimizer, str):
        settings["optimizer"], optimizer = optimizer, None
    modules = _chosen_modules(policy, value, optimizer, value_coef, device, settings)
    chosen = _chosen_config(env, algorithm, seeds, seed, config, threads, evaluation_episodes, settings)
    environment = env_of(chosen, chosen.env if env is None else env)
    if env is not None and not isinstance(env, str):
        chosen = dataclasses.replace(chosen, env=environment.id)
    require_memory(chosen, environment)
    session = Session(chosen, environment, threads or available_cores(), progress, modules)
    try:
        session.run(save)
        result = session.result()
        if save is not None:
            save(result)
        if evaluation_episodes:
            result = session.evaluated(result, evaluation_episodes)
    except KeyboardInterrupt:
        session.stop()
        raise Interrupted(session.result()) from None
    except PgradError as error:
        session.stop()
        error.result = session.result() if any(session.trainers) else None
        raise
    if failures := [seed_result.failure for seed_result in result.seeds if seed_result.failure]:
        diverged = TrainingDiverged("\n".join([*failures, "The last good policy was kept."]))
        diverged.result = result
        raise diverged
    return result


def _chosen_modules(
    policy: Any,
    value: Any,
    optimizer: Callable[..., Any] | None,
    value_coef: float | None,
    device: str | None,
    settings: dict[str, Any],
) -> TorchOptions | None:
    """The modules that train()'s arguments ask for, or None; one ConfigError for all that is wrong with them."""
    given = {"value": value, "optimizer": optimizer, "value_coef": value_coef, "device": device}
    problems = []
    if policy is None:
        problems = [
            f"{name}={argument!r} is for a PyTorch module: give one as policy="
            for name, argument in given.items()
            if argument is not None
        ]
    else:
        problems = [f"{name} is the module's own affair: remove it" for name in MODULES_OWN if name in settings]
        problems += [f"{name} is for compiled policies: remove it" for name in FOR_COMPILED if settings.get(name)]
        if value_coef is not None and not (math.isfinite(value_coef) and value_coef > 0):
            problems.append(f"value_coef must be positive and finite, not {value_coef}")
        if optimizer is not None and not callable(optimizer):
            problems.append(f"optimizer must be a name, a class of torch.optim, or a function, not {optimizer!r}")
    if problems:
        raise ConfigError(problems)
    if policy is None:
        return None
    from pgrad.system import require_torch
    from pgrad.torch.devices import device_of

    require_torch()
    device_of(device or "cpu")
    return TorchOptions(policy, value, optimizer, 0.5 if value_coef is None else value_coef, device or "cpu")


def _chosen_config(
    env: AnyEnv | None,
    algorithm: str | None,
    seeds: int | Sequence[int] | None,
    seed: int | None,
    config: Config | None,
    threads: int | None,
    evaluation_episodes: int,
    settings: dict[str, Any],
) -> Config:
    """The configuration that train()'s arguments ask for; one ConfigError for all that is wrong with them."""
    problems = []
    if env is None and config is None:
        problems.append('no environment: say which, as in pgrad.train("CartPole-v1")')
    if config is not None and (settings or algorithm or seeds is not None or seed is not None):
        problems.append("give either a whole config or settings, not both")
    env_id = env if env is None else name_of(env)
    if config is not None and env_id not in (None, config.env):
        problems.append(f"env is '{env_id}', but the config's is '{config.env}'")
    if seed is not None and seeds is not None:
        problems.append("give either seed or seeds, not both")
    if threads is not None and threads < 1:
        problems.append(f"threads must be positive, not {threads}")
    if evaluation_episodes < 0:
        problems.append(f"evaluation_episodes must not be negative, not {evaluation_episodes}")
    chosen = config
    try:
        asked = {"seeds": seeds if seed is None else [seed]} if seeds is not None or seed is not None else {}
        chosen = config or resolve(env_id, algorithm, {**settings, **asked})
    except ConfigError as error:
        problems += error.problems
    if problems or chosen is None:
        raise ConfigError(problems)
    return chosen


def name_of(env: AnyEnv) -> str:
    """What a configuration calls an environment."""
    if isinstance(env, str | Env):
        return env if isinstance(env, str) else env.id
    named = getattr(getattr(env, "spec", None), "id", None)  # a wrapper's class has a property there, without an id
    return str(named or getattr(env, "__name__", type(env).__name__))


def env_of(config: Config, env: AnyEnv) -> Env:
    """The environment as the configuration wants it; raises EnvError where that cannot be trained on, and ConfigError
    where settings are for other actions than it has."""
    asked = config.backend == "auto" and config.vectorization != "auto"
    made = make(env, "gymnasium" if asked else config.backend, config.max_episode_steps)
    if made.max_episode_steps is None and config.episodes_per_iteration is not None:
        raise EnvError(
            f"'{made.id}' has no time limit, so that whole episodes may never end: set max_episode_steps, or "
            "num_steps in place of episodes_per_iteration"
        )
    if not isinstance(made.actions, Box):
        idle = [name for name in FOR_REAL_ACTIONS if getattr(config, name) != FIELDS[name].default]
        if idle:
            raise ConfigError(
                f"{name} is for real actions, and '{made.id}' has {actions_in_words(made.actions)}: leave it out"
                for name in idle
            )
    return made


class Session:
    """The trainers of all seeds, and the threads that advance them."""

    def __init__(
        self, config: Config, env: Env, threads: int, progress: Progress | None, modules: TorchOptions | None = None
    ) -> None:
        self.config, self.env, self.progress, self.modules = config, env, progress, modules
        self.began = time.perf_counter()
        self.trainers: list[Trainer | None] = [None] * len(config.seeds)
        self.waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(config.seeds)):
            self.waiting.put(index)
        self.stopping = threading.Event()
        self.watchdog = [Watchdog() for _ in config.seeds]
        self.errors: list[BaseException] = []
        # Gymnasium's environments and modules run under Python's global lock: more threads would only get in each
        # other's way.
        count = min(threads, len(config.seeds)) if env.compiled and modules is None else 1
        self.ended = [threading.Event() for _ in range(count)]
        self.workers = [threading.Thread(target=self._work, args=(ended,), daemon=True) for ended in self.ended]
        self.ticks: list[tuple[float, int]] = [(self.began, 0)]

    def run(self, save: Callable[[Result], None] | None = None) -> None:
        """Train every seed to its end; now and then, `save` what there is by then."""
        saved = self.began
        for worker in self.workers:
            worker.start()
        # Not Thread.join: interrupted by Ctrl-C it takes a running thread for ended (before Python 3.13).
        while working := [ended for ended in self.ended if not ended.is_set()]:
            working[0].wait(CHUNK_SECONDS)
            for watchdog in self.watchdog:
                watchdog.check(self.config.step_timeout)
            self._report("training")
            if save is not None and time.perf_counter() - saved >= SAVING_SECONDS:
                save(self.result())
                saved = time.perf_counter()
        if self.errors:
            raise self.errors[0]

    def _work(self, ended: threading.Event) -> None:
        try:
            while not self.stopping.is_set():
                self._train(self.waiting.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:
            self.errors.append(error)
            self.stopping.set()
        finally:
            ended.set()

    def _train(self, index: int) -> None:
        trainer = self._new_trainer(self.config.seeds[index], self.watchdog[index])
        self.trainers[index] = trainer
        try:
            while not (trainer.finished or self.stopping.is_set()):
                trainer.advance()
        finally:
            trainer.close()

    def _new_trainer(self, seed: int, watchdog: Watchdog) -> Trainer:
        if self.modules is None:
            return new_trainer(self.config, self.env, seed, self.stopping, watchdog)
        from pgrad.training.torch_trainer import TorchTrainer

        return TorchTrainer(self.config, self.env, seed, self.stopping, watchdog, self.modules)

    def stop(self) -> None:
        """Ask the workers to stop, and wait a little (one that is compiling cannot)."""
        self.stopping.set()
        deadline = time.perf_counter() + STOP_SECONDS
        for ended in self.ended:
            ended.wait(max(0.0, deadline - time.perf_counter()))

    def _report(self, stage: str) -> None:
        if self.progress is None:
            return
        now, begun = time.perf_counter(), [trainer for trainer in self.trainers if trainer is not None]
        steps = sum(trainer.total_steps for trainer in begun)
        self.ticks = [*self.ticks[-10:], (now, steps)]
        (since, before), returns = self.ticks[0], [trainer.recent_return for trainer in begun]
        known = [value for value in returns if not np.isnan(value)]
        planned = self.config.total_steps
        self.progress(
            Snapshot(
                seconds=now - self.began,
                stage=stage,
                seeds=len(self.trainers),
                finished=sum(trainer.finished for trainer in begun),
                solved=sum(self._solved(trainer) for trainer in begun),
                total_steps=steps,
                planned_steps=planned * len(self.trainers) if planned else None,
                mean_return=float(np.mean(known)) if known else np.nan,
                recent_steps_per_second=(steps - before) / max(now - since, 1e-9),
                notes=tuple(dict.fromkeys(trainer.note for trainer in begun if trainer.note)),
            )
        )

    def _solved(self, trainer: Trainer) -> bool:
        """Whether a seed has reached the threshold; of one still running, only what is cheap to know is asked."""
        threshold = self.env.reward_threshold
        if threshold is not None and not trainer.finished:
            return trainer.recent_return >= threshold
        return trainer.history.solved_at(threshold) is not None

    def result(self) -> Result:
        """What there is: every seed that has begun, as of its last whole chunk."""
        seeds = [
            SeedResult(
                trainer.seed,
                trainer.policy,
                trainer.history,
                trainer.failure,
                trainer.total_steps,
                finished=trainer.finished,
                critic=trainer.critic,
                checkpoints=trainer.checkpoints,
            )
            for trainer in self.trainers
            if trainer is not None
        ]
        return Result(self.config, self.env, tuple(seeds), time.perf_counter() - self.began)

    def evaluated(self, result: Result, episodes: int) -> Result:
        """The result with every seed's policy evaluated."""
        evaluations: list[Evaluation | None] = []
        timeout, original = self.config.step_timeout, original_of(self.env)
        for seed_result in result.seeds:
            self._report("evaluating")
            try:
                evaluations.append(
                    evaluate(seed_result.policy, original, episodes, seed=seed_result.seed, step_timeout=timeout)
                )
            except PolicyError:
                if seed_result.failure is None:
                    raise
                evaluations.append(None)  # a module that failed from the start has no policy that could be played
        return result.with_evaluations(evaluations)

"""One run of a sweep: a setting on a seed, and what the journal keeps of it."""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pgrad.config.settings import Config
from pgrad.envs.make import AnyEnv
from pgrad.errors import PgradError
from pgrad.evaluation import evaluate
from pgrad.experiments.over_seeds import FAILED
from pgrad.experiments.statistics import running_mean
from pgrad.kernels.jit import cache_root
from pgrad.rollouts.batch import NO_EPISODES, Episodes
from pgrad.runs.atomic import write_atomically
from pgrad.runs.folder import located
from pgrad.training.train import train
from pgrad.vector.arguments import split_name

CURVE_POINTS = 100  # of a run's training curve: more than a figure shows apart
DIGITS = 6  # of them
SENT = "sent"  # a folder beside the compile caches, of environments' files from other machines


class Run(NamedTuple):
    """What became of a setting on a seed."""

    key: str  # of the configuration: `key_of`
    seed: int
    mean_return: float | None  # of the frozen policy in its evaluation episodes; None if the run failed
    steps_to_solve: int | None  # environment steps until 20 training episodes averaged the threshold, if ever
    total_steps: int
    curve: dict[str, list[float]]  # of training: `thinned`
    seconds: float
    failure: str | None = None

    @property
    def value(self) -> float:
        """The mean return as statistics take it: of a failed run the worst there is."""
        return FAILED if self.mean_return is None else self.mean_return


def key_of(config: Config, episodes: int) -> str:
    """Return what identifies a run in a journal: a hash of all that decides what it gives, its environment's file too.

    config  with the run's seed alone
    """
    source = source_of(config.env)
    code = None if source is None else hashlib.sha256(source.read_bytes()).hexdigest()
    document = {**vars(config), "env": located(config.env), "code": code, "episodes": episodes}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def source_of(env: str) -> Path | None:
    """Return the file of an environment of one's own, None of any other."""
    source = split_name(located(env))[0].rpartition(":")[0]
    return Path(source) if source.endswith(".py") else None


def make_run(env: AnyEnv, config: Config, episodes: int, key: str) -> Run:
    """Train a configuration's only seed and evaluate its frozen policy; whatever fails is a failed run."""
    began, seed = time.perf_counter(), config.seeds[0]
    mean_return, failure, trained = None, None, None
    try:
        trained = train(env, config=config, threads=1, evaluation_episodes=0, progress=False)
        played = evaluate(trained.policies[0], trained.env, episodes, seed=seed)
        mean_return = float(played.returns.mean())
        if not math.isfinite(mean_return):
            mean_return, failure = None, "its mean return is not finite"
    except Exception as error:
        failure = str(error) if isinstance(error, PgradError) else f"{type(error).__name__}: {error}"
        trained = trained or getattr(error, "result", None)
    history = trained.seeds[0].history if trained is not None and trained.seeds else None
    return Run(
        key,
        seed,
        mean_return,
        None if trained is None or history is None else history.solved_at(trained.env.reward_threshold),
        0 if trained is None else trained.total_steps,
        thinned(NO_EPISODES if history is None else history.episodes),
        round(time.perf_counter() - began, 3),
        failure,
    )


def thinned(episodes: Episodes) -> dict[str, list[float]]:
    """Return a training curve, the running mean of 50 episodes' returns, at no more than CURVE_POINTS of its episodes.

    `episodes` and `steps` say how many there had been at each point of `returns`.
    """
    count = episodes.length.size
    kept = np.unique(np.linspace(0, max(count - 1, 0), min(count, CURVE_POINTS)).round().astype(int))
    means = running_mean(episodes.episode_return)[kept]
    return {
        "episodes": (kept + 1).tolist(),
        "steps": episodes.total_steps[kept].tolist(),
        "returns": [float(f"{value:.{DIGITS}g}") for value in means],
    }


def died(config: Config, key: str, how: str) -> Run:
    """Return the run of a process that died in it."""
    return Run(key, config.seeds[0], None, None, 0, thinned(NO_EPISODES), 0.0, how)


def request_of(env: str, config: Config, episodes: int, key: str) -> dict[str, Any]:
    """Return the arguments of `make_run` as JSON has them, with the code of an environment of one's own."""
    source = source_of(env)
    code = None if source is None else source.read_bytes().decode(errors="surrogateescape")
    return {"env": located(env), "config": vars(config), "episodes": episodes, "key": key, "code": code}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Make the run that `request_of` asks for, in another process."""
    config, env = Config(**request["config"]), request["env"]
    if request["code"] is not None:
        env = env_here(env, request["code"])
    return make_run(env, config, request["episodes"], request["key"])._asdict()


def env_here(env: str, code: str) -> str:
    """Return an environment of one's own as this machine has it: where its file is another or none, with a copy."""
    named, content = source_of(env), code.encode(errors="surrogateescape")
    assert named is not None, "else there is no code"
    source = named
    if not source.is_file() or source.read_bytes() != content:
        folder = cache_root() / SENT / hashlib.sha256(content).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / source.name
        write_atomically(source, content)
    return env.replace(str(named), str(source), 1)


def of_seed(config: Config, seed: int) -> Config:
    """Return a configuration with one seed."""
    return replace(config, seeds=(seed,))

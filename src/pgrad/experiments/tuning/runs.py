"""One run of a trial."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from pgrad.config.settings import Config
from pgrad.envs.make import AnyEnv
from pgrad.errors import PgradError
from pgrad.evaluation import evaluate
from pgrad.training.train import train


class Run(NamedTuple):
    """What became of one seed of a trial. A mean return is None where it was not asked for, or the run failed."""

    trial: int
    seed: int
    steps: int
    sampled: float | None  # mean return of the frozen policy, sampling its actions
    greedy: float | None  # the same, taking the most probable
    seconds: float
    failure: str | None = None


def run_trial(env: AnyEnv, config: Config, episodes: int, kinds: tuple[str, ...], trial: int) -> Run:
    """Train one seed and return what its frozen policy is worth, or why there is none: whatever fails is a bad trial.

    config  whose only seed is trained, and whose total_steps are taken
    kinds   which policies to evaluate, of "sampled" and "greedy"
    """
    began, seed = time.perf_counter(), config.seeds[0]
    returns: dict[str, float] = {}
    failure = None
    try:
        result = train(env, config=config, threads=1, evaluation_episodes=0, progress=False)
        for kind in kinds:
            played = evaluate(result.policies[0], result.env, episodes, seed=seed, greedy=kind == "greedy")
            returns[kind] = float(played.returns.mean())
        if not all(map(math.isfinite, returns.values())):
            failure = "its mean return is not finite"
    except Exception as error:
        failure = str(error) if isinstance(error, PgradError) else f"{type(error).__name__}: {error}"
    sampled, greedy = ((None if failure else returns.get(kind)) for kind in ("sampled", "greedy"))
    steps = config.total_steps or 0
    return Run(trial, seed, steps, sampled, greedy, round(time.perf_counter() - began, 3), failure)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Make the run that `request_of` asks for, in another process."""
    config = Config(**request["config"])
    run = run_trial(request["env"], config, request["episodes"], tuple(request["kinds"]), request["trial"])
    return run._asdict()


def request_of(env: str, config: Config, episodes: int, kinds: tuple[str, ...], trial: int) -> dict[str, Any]:
    """Return the arguments of `run_trial` as JSON has them."""
    return {"env": env, "config": vars(config), "episodes": episodes, "kinds": kinds, "trial": trial}

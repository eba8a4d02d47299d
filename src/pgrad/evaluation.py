"""The return of a frozen policy: an estimate of J(θ) = E[Σ_t γ^t r_t], in Gymnasium's own environment."""

import functools
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pgrad.config.settings import check_arguments
from pgrad.envs.make import AnyEnv, Env, make, make_named, original_of
from pgrad.errors import ConfigError, EnvError, InputError, PolicyError, collecting
from pgrad.experiments.statistics import Estimate, interval_name, mean_interval
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, require_fit
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.vectorized import Actor, EnvLanes
from pgrad.runs.load import load
from pgrad.watchdog import Watchdog, watched

if TYPE_CHECKING:
    from pgrad.torch import TorchPolicy

    Policy: TypeAlias = MLPPolicy | TorchPolicy

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

MAX_ENVS = 256  # side by side
LONGEST_EPISODE = 30_000  # steps where there is no time limit; Atari ends its episodes by itself after 27,000
MANY_STEPS = 1_000_000  # are announced: seconds in a fast environment, and hours in a slow one
EVALUATION_STREAM = 0x4556414C  # keeps evaluation's random numbers apart from training's

logger = logging.getLogger("pgrad")


@dataclass(frozen=True)
class Evaluation:
    """Returns Σ_t γ^t r_t of whole episodes of a frozen policy, and how they were played.

    returns   [episodes] in the environment's own rewards, in the order in which episodes began
    lengths   [episodes] in steps
    discount  γ of the returns
    settings  env, evaluation seed, greedy and max_episode_steps of the evaluation, for whoever keeps it
    """

    returns: Floats
    lengths: npt.NDArray[np.int64]
    discount: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> Estimate:
        """The estimate of J(θ), with its 95 % interval over episodes: experiments.statistics.mean_interval."""
        return mean_interval(self.returns)

    def __str__(self) -> str:
        kind = "return" if self.discount == 1 else f"return (γ = {self.discount:g})"
        return f"mean {kind} {self.mean} ({interval_name(self.returns.size, 'episodes')})"

    def to_csv(self) -> str:
        """Format one line an episode: its return and its length."""
        episodes = zip(self.returns.tolist(), self.lengths.tolist(), strict=True)
        return "\n".join(["return,length", *(f"{total:.10g},{length}" for total, length in episodes)]) + "\n"


def evaluate(
    policy: "Policy | str | os.PathLike[str]",
    env: AnyEnv | None = None,
    episodes: int = 100,
    discount: float = 1.0,
    seed: int = 0,
    greedy: bool = False,
    max_episode_steps: int | None = None,
    step_timeout: float | None = 60.0,
    trust: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Estimate J(θ) = E_{τ~π_θ} [Σ_t γ^t r_t] of a frozen policy as the mean return of whole episodes.

    policy             an MLPPolicy or TorchPolicy, a run folder (its first seed), or a policy.safetensors
    env                whatever `pgrad.make` takes; by default what the policy was trained on, by its name
    episodes           how many, all of them played to their end
    discount           γ in [0, 1]; 1 is the undiscounted return that the field reports
    seed               of the environment's and the policy's random numbers: the same seed gives the same returns
    greedy             take the most probable action (of a Gaussian, the mean), which is another policy than π_θ
    max_episode_steps  a time limit in place of the environment's own, which counts as part of the problem: rewards
                       after it do not. By default the one of training
    step_timeout       seconds after which a step of the environment counts as hanging; None for never
    trust              whether to import, and run, the code that the policy's file names as its environment
    progress           called with the number of finished episodes, and of all, whenever one has ended

    Returns an Evaluation. The estimate is unbiased, as every episode that begins counts, and its interval is over
    episodes: it says how well this policy is known, and nothing of other seeds of training. Gymnasium's own environment
    runs, not its compiled port; one that Gymnasium does not have runs through its Gymnasium adapter.

    It ends: after at most `episodes` times the time limit, or where there is none, LONGEST_EPISODE (30,000) steps. That
    is announced through Python's logging ("pgrad") where there is no limit, or for more than a million steps.

    Raises ConfigError for arguments out of range, InputError for what is no policy, RunError for a file that is none,
    PolicyError for parameters that are not finite, and EnvError for an environment that cannot be made, does not fit
    the policy, fails, hangs, or has an episode that does not end.
    """
    frozen, original, asked = ready(
        policy,
        env,
        episodes=episodes,
        discount=discount,
        seed=seed,
        greedy=greedy,
        max_episode_steps=max_episode_steps,
        step_timeout=step_timeout,
        trust=trust,
    )
    announce(original, asked["episodes"])
    watchdog, timeout = Watchdog(), asked["step_timeout"]
    evaluation = watched(functools.partial(_played, frozen, original, asked, watchdog, progress), watchdog, timeout)
    settings = {"env": original.id, "evaluation_seed": asked["seed"], "greedy": asked["greedy"]}
    return replace(evaluation, settings={**settings, "max_episode_steps": original.max_episode_steps})


def ready(
    policy: "Policy | str | os.PathLike[str]", env: AnyEnv | None, **arguments: Any
) -> tuple["Policy", Env, dict[str, Any]]:
    """Return the policy, the environment to report on and the arguments, once all are right; raises as `evaluate`."""
    if isinstance(policy, str | os.PathLike):
        policy = load(policy)
    if not hasattr(policy, "metadata"):
        raise InputError(f"a policy is an MLPPolicy, a TorchPolicy, a run folder or a policy file, not {policy!r:.80}")
    problems: list[str] = []
    asked: dict[str, Any] = {}
    if env is None and policy.env is None:
        problems.append("env must be given: the policy does not say what it was trained on")
    with collecting(problems):
        asked = check_arguments(**arguments)
    if problems:
        raise ConfigError(problems)
    require_finite(policy)
    if asked["max_episode_steps"] is None and env is None:
        asked["max_episode_steps"] = trained_limit(policy)
    return policy, original_for(policy, env, asked["max_episode_steps"], asked["trust"]), asked


def original_for(policy: "Policy", env: AnyEnv | None, max_episode_steps: int | None, trust: bool) -> Env:
    """Return the environment to report on, `env` or what the policy names; raise EnvError where there is none."""
    if env is not None:
        return original_of(make(env, max_episode_steps=max_episode_steps))
    assert policy.env is not None, "else env is asked for"
    return original_of(make_named(policy.env, trust, max_episode_steps=max_episode_steps))


def announce(original: Env, episodes: int) -> None:
    """Warn of an evaluation that may take long, before it begins."""
    limit = original.max_episode_steps
    most = episodes * (limit or LONGEST_EPISODE)
    if limit is None:
        warn_once(
            f"'{original.id}' has no time limit: evaluation gives up where an episode has not ended after "
            f"{LONGEST_EPISODE:,} steps, and may take {most:,} steps until then; max_episode_steps sets a limit"
        )
    elif most > MANY_STEPS:
        warn_once(
            f"evaluation may take {most:,} steps ({episodes} episodes of '{original.id}', of at most {limit:,} each): "
            "fewer episodes or a smaller max_episode_steps make it shorter"
        )


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, once a process: thirty seeds are evaluated one after the other."""
    logger.warning(message)


def _played(
    policy: "Policy", original: Env, asked: dict[str, Any], watchdog: Watchdog, progress: Progress | None
) -> Evaluation:
    """Play the episodes side by side in as many environments as there are episodes, at most MAX_ENVS."""
    actor, episodes = actor_for(policy, original, asked["greedy"]), asked["episodes"]
    with lanes_of(original, min(episodes, MAX_ENVS), asked, watchdog) as (lanes, longest):
        return played(lanes, actor, episodes, asked["discount"], longest, progress)


@contextmanager
def lanes_of(original: Env, count: int, asked: dict[str, Any], watchdog: Watchdog) -> Iterator[tuple[EnvLanes, int]]:
    """Yield `count` environments to play in, and the steps at which an episode counts as endless."""
    from pgrad.vector.vector_env import VectorEnv

    description, key = original.description, fold_in(asked["seed"], EVALUATION_STREAM)
    assert description is not None, "every original has one"
    vectorization = "gymnasium" if description.original else "envpool"
    longest = max(original.max_episode_steps or 0, LONGEST_EPISODE)
    envs = VectorEnv(description, count, key, vectorization, asked["step_timeout"], watchdog)
    try:
        yield EnvLanes(envs, key), longest
    except Endless as endless:
        raise EnvError(
            f"an episode of '{original.id}' has not ended after {longest:,} steps: set max_episode_steps"
        ) from endless
    finally:
        envs.close()


class Endless(Exception):
    """An episode that does not end."""


def played(
    lanes: EnvLanes,
    actor: Actor,
    episodes: int,
    discount: float,
    longest: float = math.inf,
    progress: Progress | None = None,
) -> Evaluation:
    """Play exactly `episodes` whole episodes, in the order of their beginnings; raise Endless where one is too long.

    Observations are not kept: of images, a hundred episodes would fill the memory.
    """
    lanes.restart()
    envs, begun = lanes.envs, min(episodes, lanes.envs.num_envs)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    episode = np.where(np.arange(envs.num_envs) < begun, np.arange(envs.num_envs), -1)  # [N] in which each one is
    finished = 0
    while (episode >= 0).any():
        counted = np.flatnonzero((episode >= 0) & ~envs.resetting)
        time = lanes.steps[counted]
        stepped = lanes.step(actor.env_actions(lanes.act(actor)))
        returns[episode[counted]] += stepped.reward[counted] * discount**time
        lengths[episode[counted]] += 1
        ended = counted[(stepped.terminated | stepped.truncated)[counted]]
        for n in ended:
            episode[n], begun = (begun, begun + 1) if begun < episodes else (-1, begun)
        if ended.size and progress is not None:
            finished += ended.size
            progress(finished, episodes)
        if (episode >= 0).any() and lengths[episode[episode >= 0]].max() >= longest:
            raise Endless
    return Evaluation(returns, lengths, discount)


def require_finite(policy: "Policy") -> None:
    """Raise PolicyError where a policy has parameters that are not finite: its actions would mean nothing."""
    if isinstance(policy, MLPPolicy):
        arrays = {"parameters": policy.parameters, "shift": policy.shift, "scale": policy.scale}
    else:
        parameters = policy.module.named_parameters()
        arrays = {name: parameter.detach().float().cpu().numpy() for name, parameter in parameters}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise PolicyError(f"{policy!r} cannot be evaluated: its {name} are not all finite")


def trained_limit(policy: "Policy") -> int | None:
    """Return the time limit that a policy was trained with in place of its environment's own."""
    kept = policy.metadata.get("max_episode_steps")
    return None if kept is None else int(kept)


def actor_for(policy: "Policy", env: Env, greedy: bool) -> Actor:
    """Return what acts with the policy; raise EnvError where the environment is another than it was made for."""
    if isinstance(policy, MLPPolicy):
        require_fit(policy, env)
        return CompiledActor(policy.compiled, greedy)
    from pgrad.torch.actor import TorchActor

    policy.require_fit(env)
    return TorchActor(policy, greedy)

"""What a frozen policy is worth: an estimate of J(θ) = E[Σ_t γ^t r_t], in Gymnasium's own environment."""

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pgrad.envs.make import AnyEnv, Env, make, original_of
from pgrad.errors import ConfigError, EnvError
from pgrad.experiments.statistics import Estimate, bootstrap
from pgrad.kernels.random import fold_in
from pgrad.policies.mlp import MLPPolicy, require_fit
from pgrad.rollouts.actions import CompiledActor, act
from pgrad.rollouts.vectorized import Actor, EnvLanes
from pgrad.watchdog import Watchdog, watched

if TYPE_CHECKING:
    from pgrad.torch import TorchPolicy

Floats = npt.NDArray[np.float64]

MAX_ENVS = 256  # side by side
LONGEST_EPISODE = 200_000  # steps; longer than any environment's own limit that we know of
EVALUATION_STREAM = 0x4556414C  # keeps evaluation's random numbers apart from training's


@dataclass(frozen=True)
class Evaluation:
    """Returns of whole episodes."""

    returns: Floats  # [episodes]
    lengths: npt.NDArray[np.int64]  # [episodes] steps
    discount: float

    @property
    def mean(self) -> Estimate:
        """The estimate of J(θ) with its 95 % bootstrap interval over episodes."""
        return bootstrap(self.returns)

    def __str__(self) -> str:
        kind = "return" if self.discount == 1 else f"return (γ = {self.discount:g})"
        return f"mean {kind} {self.mean} over {self.returns.size} episodes"


def evaluate(
    policy: "MLPPolicy | TorchPolicy",
    env: AnyEnv | None = None,
    episodes: int = 100,
    discount: float = 1.0,
    seed: int = 0,
    greedy: bool = False,
    max_episode_steps: int | None = None,
    step_timeout: float | None = 60.0,
) -> Evaluation:
    """Run `episodes` whole episodes with the policy as it is, and report their (discounted) returns.

    `env` is whatever `pgrad.make` takes, or where None the environment the policy was trained on. It is Gymnasium's own
    environment that runs, not its compiled twin; one that Gymnasium does not have runs through its Gymnasium face. The
    policy samples its actions, or with `greedy` takes the most probable ones. Without a time limit (the environment's,
    or max_episode_steps) an episode may never end. Raises ConfigError and EnvError.
    """
    target = policy.env if env is None else env
    problems = []
    if target is None:
        problems.append("env must be given: the policy does not say what it was trained on")
    if episodes < 1:
        problems.append(f"episodes must be positive, not {episodes}")
    if not 0 <= discount <= 1:
        problems.append(f"discount must be in [0, 1], not {discount}")
    if seed < 0:
        problems.append(f"seed must not be negative, not {seed}")
    if max_episode_steps is not None and max_episode_steps < 1:
        problems.append(f"max_episode_steps must be positive, not {max_episode_steps}")
    if step_timeout is not None and not step_timeout > 0:
        problems.append(f"step_timeout must be positive, not {step_timeout:g}")
    if problems or target is None:
        raise ConfigError(problems)
    limit = trained_limit(policy, env) if max_episode_steps is None else max_episode_steps
    try:
        original = original_of(make(target, max_episode_steps=limit))
    except EnvError as error:
        if env is not None:
            raise
        raise EnvError(
            f"the policy's environment cannot be made from its name: {error}; if it was an object, pass that as env"
        ) from error
    description = original.description
    assert description is not None, "every original has one"
    actor = actor_for(policy, original, greedy)
    from pgrad.vector.vector_env import VectorEnv

    key, count, watchdog = fold_in(seed, EVALUATION_STREAM), min(episodes, MAX_ENVS), Watchdog()
    vectorization = "gymnasium" if description.original else "envpool"

    def run() -> Evaluation:
        envs = VectorEnv(description, count, key, vectorization, step_timeout, watchdog)
        try:
            return played(EnvLanes(envs, key), actor, episodes, discount)
        except Endless as endless:
            raise EnvError(
                f"an episode of '{original.id}' has not ended after {LONGEST_EPISODE:,} steps: set max_episode_steps"
            ) from endless
        finally:
            envs.close()

    return watched(run, watchdog, step_timeout)


class Endless(Exception):
    """An episode that does not end."""


def played(lanes: EnvLanes, actor: Actor, episodes: int, discount: float) -> Evaluation:
    """Exactly `episodes` whole episodes, in the order of their beginnings. Observations are not kept: of pictures, a
    hundred episodes would fill the memory."""
    lanes.restart()
    envs, begun = lanes.envs, min(episodes, lanes.envs.num_envs)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    episode = np.where(np.arange(envs.num_envs) < begun, np.arange(envs.num_envs), -1)  # [N] in which each one is
    while (episode >= 0).any():
        counted = np.flatnonzero((episode >= 0) & ~envs.resetting)
        time = lanes.steps[counted]
        stepped = lanes.step(actor.env_actions(lanes.act(actor)))
        returns[episode[counted]] += stepped.reward[counted] * discount**time
        lengths[episode[counted]] += 1
        for n in counted[(stepped.terminated | stepped.truncated)[counted]]:
            episode[n], begun = (begun, begun + 1) if begun < episodes else (-1, begun)
        if lengths.max() > LONGEST_EPISODE:
            raise Endless
    return Evaluation(returns, lengths, discount)


def trained_limit(policy: "MLPPolicy | TorchPolicy", env: AnyEnv | None) -> int | None:
    """The time limit that a policy was trained with in place of its environment's own."""
    kept = policy.metadata.get("max_episode_steps") if env is None else None
    return None if kept is None else int(kept)


def actor_for(policy: "MLPPolicy | TorchPolicy", env: Env, greedy: bool) -> Actor:
    """What acts with the policy; raises EnvError where the environment is another than it was made for."""
    if isinstance(policy, MLPPolicy):
        require_fit(policy, env)
        return CompiledActor(policy.compiled, greedy)
    from pgrad.torch.actor import TorchActor

    policy.require_fit(env)
    return TorchActor(policy, greedy)


def compile_beside() -> None:
    """Where nothing is compiled yet, have another process compile what evaluation needs while this one compiles the
    training loop: Numba compiles one function at a time, and there is another core."""
    if not cast(Any, act).in_cache:
        command = [sys.executable, "-c", f"import {__name__} as e; e.compile_here()"]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compile_here() -> None:
    """Compile what evaluation needs, into the cache."""
    evaluate(MLPPolicy(np.zeros(10, np.float32), (4, 2), env="CartPole-v1"), episodes=1)

"""Check any Gymnasium environment from outside: play it, repeat it, and step it as training does."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env, data_equivalence

from pgrad.env_check.interpreted import shown
from pgrad.env_check.report import Findings
from pgrad.errors import EnvError
from pgrad.user_code import own_traceback
from pgrad.vector.masks import KEY, mask_of_one
from pgrad.vector.spaces import actions_of
from pgrad.vector.spec import Description
from pgrad.vector.step import EnvFailure
from pgrad.vector.vector_env import VectorEnv
from pgrad.watchdog import Watchdog

EPISODES, MOST_STEPS, TRAINED_STEPS = 5, 2_000, 500
ADVICE = (
    "whatever the action, step(action) returns (obs, reward, terminated, truncated, info); "
    "reset(seed=None, options=None) returns (obs, info)"
)
TRAINED_SECONDS = 5.0  # or fewer steps, of a slow environment
COLOURS = "\x1b[33m", "\x1b[0m", "WARN: "

UNITS = "symmetric and normalized space"  # in check_env's advice about a Box of actions
WRAPPED = "is different from the unwrapped version"  # in check_env's warning about wrappers

Make = Callable[[], "gymnasium.Env[Any, Any]"]


class Watched(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wrapper that reports its calls to a watchdog and knows where it is, for messages."""

    def __init__(self, env: "gymnasium.Env[Any, Any]", watchdog: Watchdog) -> None:
        super().__init__(env)
        self.watchdog, self.where, self.steps = watchdog, "", 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Forward to the wrapped environment."""
        self.where, self.seed, self.steps = f"in reset(seed={seed})", seed, 0
        with self.watchdog.call(f"reset(seed={seed})"):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Forward to the wrapped environment."""
        self.steps += 1
        self.where = f"at step {self.steps} of seed {self.seed}, action {action}"
        with self.watchdog.call(f"step({action}), {self.where},"):
            return self.env.step(action)


class OnlyAllowed(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Wrapper that replaces each action by an allowed one: check_env knows nothing of masks."""

    def __init__(self, env: "gymnasium.Env[Any, Any]") -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.info: Any = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Forward to the wrapped environment."""
        obs, self.info = self.env.reset(seed=seed, options=options)
        return obs, self.info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step with an allowed action, always the same one for the same mask."""
        action = random_action(self.env.action_space, self.info, np.random.default_rng(0))
        obs, reward, terminated, truncated, self.info = self.env.step(action)
        return obs, reward, terminated, truncated, self.info


def random_action(space: "gymnasium.Space[Any]", info: Any, random: np.random.Generator) -> Any:
    """Return a random action among those that `info` allows."""
    actions = actions_of(space, "it")
    mask = mask_of_one(info, actions.counts)
    return actions.native(actions.random(1, random, None if mask is None else mask[None]))[0]


def run_check_env(make: Make, findings: Findings) -> None:
    """Run Gymnasium's own check: what it raises is a problem, what it warns of a hint."""
    env = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            env.action_space.seed(0)
            masked = KEY in env.reset(seed=0)[1]
            check_env(OnlyAllowed(env.unwrapped) if masked else env.unwrapped, skip_render_check=True)
        except (Exception, SystemExit) as error:
            message = (
                str(error) if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: {error}"
            )
            findings.add(
                "check_env", f"Gymnasium's check_env: {message}", "see Gymnasium's documentation of gymnasium.Env"
            )
        finally:
            env.close()
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, UserWarning) and WRAPPED not in text:
            for colour in COLOURS:
                text = text.replace(colour, "")
            findings.add(text, f"Gymnasium's check_env warns: {text}", what_of(text), hint=True)


def what_of(warning: str) -> str:
    """Return what a warning of Gymnasium's check means for training with pgrad."""
    if UNITS in warning:
        return "no need with pgrad: its policies begin at the middle of the bounds, with a scale of half their width"
    return "this is Gymnasium's advice; pgrad trains on it anyway"


def play(
    make: Make, findings: Findings, watchdog: Watchdog, seed: int = 0
) -> tuple[list[int], list[float], float | None]:
    """Play random episodes with two copies; return lengths, returns, and the steps per second of one copy."""
    lengths, returns, seconds = [], [], 0.0
    env, copy = Watched(make(), watchdog), Watched(make(), watchdog)
    try:
        for episode in range(EPISODES):
            env.action_space.seed(seed + episode)
            length, total, took = play_episode(env, copy, findings, seed + episode)
            lengths.append(length)
            returns.append(total)
            seconds += took
            if sum(lengths) >= MOST_STEPS:
                break
    except EnvFailure as failure:
        findings.add("raised", f"{failure.what} {env.where}", "mend that first: training would meet the same")
    except (Exception, SystemExit) as error:
        trace = own_traceback(error).replace("\n", "\n    ")
        findings.add("raised", f"it raised {type(error).__name__} {env.where}:\n    {trace}", ADVICE)
    finally:
        env.close()
        copy.close()
    if lengths and set(lengths) == {1} and not findings.problems:
        findings.add(
            "one step", "every episode ended at its first step", "check the condition behind `terminated`", hint=True
        )
    return lengths, returns, sum(lengths) / seconds if seconds else None


def train_on(described: Description, findings: Findings, watchdog: Watchdog, seed: int = 0) -> None:
    """Take random steps as training does, and note what training would refuse."""
    random, actions = np.random.default_rng(seed), described.actions
    try:
        envs = VectorEnv(described, 2, seed, "sync", None, watchdog)
        try:
            until = time.perf_counter() + TRAINED_SECONDS
            for _ in range(TRAINED_STEPS):
                if time.perf_counter() > until:
                    break
                envs.step(actions.random(2, random, envs.mask))
        finally:
            envs.close()
    except EnvError as error:
        findings.add("training", f"training would stop here: {error}", "mend that first: nothing else was looked at")


def play_episode(env: Watched, copy: Watched, findings: Findings, seed: int) -> tuple[int, float, float]:
    """Play one episode; return its length, its return, and the seconds that the first copy took."""
    repeat = "draw every random number from self.np_random, which reset(seed=...) seeds"
    (obs, info), (obs_again, _) = env.reset(seed=seed), copy.reset(seed=seed)
    if not data_equivalence(obs, obs_again):
        findings.add(
            "reset repeats", f"two resets with seed {seed} returned {shown(obs)} and {shown(obs_again)}", repeat
        )
        return 0, 0.0, 0.0
    total, seconds, random = 0.0, 0.0, np.random.default_rng(seed)
    for _ in range(MOST_STEPS):
        action = random_action(env.action_space, info, random) if KEY in info else env.action_space.sample()
        began = time.perf_counter()
        obs, reward, terminated, truncated, info = env.step(action)
        seconds += time.perf_counter() - began
        obs_again, reward_again, *ends, _ = copy.step(action)
        where = env.where
        check_values(env, findings, obs, reward, where)
        total += float(reward)
        if not data_equivalence(obs, obs_again) or (reward, terminated, truncated) != (reward_again, *ends):
            same = (obs, float(reward), terminated, truncated), (obs_again, float(reward_again), *ends)
            findings.add("step repeats", f"two copies returned {same[0]} and {same[1]} {where}", repeat)
            break
        if terminated or truncated:
            break
    return env.steps, total, seconds


def check_values(env: "gymnasium.Env[Any, Any]", findings: Findings, obs: Any, reward: Any, where: str) -> None:
    """Note an observation or reward that is not finite or outside its space."""
    if not all(np.isfinite(numbers).all() for numbers in leaves(obs)):
        findings.add(
            "obs finite", f"the observation is {shown(obs)} {where}", "look for a division by zero or unbounded growth"
        )
    elif not env.observation_space.contains(obs):
        way_out = f"observation_space is {env.observation_space}: widen it, or keep values and dtype inside"
        findings.add("obs inside", f"the observation {shown(obs)} is outside its space {where}", way_out)
    if (not np.isscalar(reward) and np.ndim(reward) > 0) or not math.isfinite(reward):
        findings.add("reward finite", f"the reward is {reward} {where}", "it must be a finite number")


def leaves(obs: Any) -> Iterator[Any]:
    """Yield the arrays of numbers in an observation of any structure."""
    if isinstance(obs, dict):
        obs = tuple(obs.values())
    if isinstance(obs, tuple | list):
        for part in obs:
            yield from leaves(part)
    elif np.asarray(obs).dtype.kind in "fiub":
        yield np.asarray(obs)

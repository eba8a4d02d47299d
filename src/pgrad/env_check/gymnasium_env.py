"""What can be found out about any Gymnasium environment from outside."""

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

WRAPPED = "is different from the unwrapped version"  # check_env's words on wrappers

Make = Callable[[], "gymnasium.Env[Any, Any]"]


class Told(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says where it is, to a watcher and in messages."""

    def __init__(self, env: "gymnasium.Env[Any, Any]", watchdog: Watchdog) -> None:
        super().__init__(env)
        self.watchdog, self.where, self.steps = watchdog, "", 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As it is."""
        self.where, self.seed, self.steps = f"in reset(seed={seed})", seed, 0
        with self.watchdog.call(f"reset(seed={seed})"):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As it is."""
        self.steps += 1
        self.where = f"at step {self.steps} of seed {self.seed}, action {action}"
        with self.watchdog.call(f"step({action}), {self.where},"):
            return self.env.step(action)


class Allowed(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Takes an allowed action in place of the given one: check_env knows nothing of masks."""

    def __init__(self, env: "gymnasium.Env[Any, Any]") -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self.info: Any = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As it is."""
        obs, self.info = self.env.reset(seed=seed, options=options)
        return obs, self.info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """With an action that is allowed; the same one whenever the same ones are."""
        action = random_action(self.env.action_space, self.info, np.random.default_rng(0))
        obs, reward, terminated, truncated, self.info = self.env.step(action)
        return obs, reward, terminated, truncated, self.info


def random_action(space: "gymnasium.Space[Any]", info: Any, random: np.random.Generator) -> Any:
    """One of the actions that `info` allows."""
    actions = actions_of(space, "it")
    mask = mask_of_one(info, actions.counts)
    return actions.native(actions.random(1, random, None if mask is None else mask[None]))[0]


def run_check_env(make: Make, findings: Findings) -> None:
    """Gymnasium's own check; what it raises is a problem, what it warns of a hint."""
    env = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            env.action_space.seed(0)
            masked = KEY in env.reset(seed=0)[1]
            check_env(Allowed(env.unwrapped) if masked else env.unwrapped, skip_render_check=True)
        except (Exception, SystemExit) as error:
            told = (
                str(error) if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: {error}"
            )
            findings.add("check_env", f"Gymnasium's check_env: {told}", "see Gymnasium's documentation of Env")
        finally:
            env.close()
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, UserWarning) and WRAPPED not in text:
            for colour in COLOURS:
                text = text.replace(colour, "")
            findings.add(
                text, f"Gymnasium's check_env warns: {text}", "Gymnasium's advice; pgrad does not mind", hint=True
            )


def play(
    make: Make, findings: Findings, watchdog: Watchdog, seed: int = 0
) -> tuple[list[int], list[float], float | None]:
    """Random episodes of two copies side by side; returns lengths, returns and steps a second of one copy."""
    lengths, returns, seconds = [], [], 0.0
    env, copy = Told(make(), watchdog), Told(make(), watchdog)
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
        findings.add("raised", f"{failure.what} {env.where}", "see docs/environments.md")
    except (Exception, SystemExit) as error:
        trace = own_traceback(error).replace("\n", "\n    ")
        findings.add("raised", f"it raised {type(error).__name__} {env.where}:\n    {trace}", ADVICE)
    finally:
        env.close()
        copy.close()
    if lengths and set(lengths) == {1} and not findings.problems:
        findings.add("one step", "every episode ended at its first step", "look at `terminated`", hint=True)
    return lengths, returns, sum(lengths) / seconds if seconds else None


def train_on(described: Description, findings: Findings, watchdog: Watchdog, seed: int = 0) -> None:
    """Random steps as training takes them, with all that it insists on; what it refuses is a problem."""
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
        findings.add("training", f"training would end here: {error}", "docs/environments.md says what it needs")


def play_episode(env: Told, copy: Told, findings: Findings, seed: int) -> tuple[int, float, float]:
    """One episode; returns its length, its return and the seconds of the first copy."""
    repeat = "draw every random number from self.np_random, which reset(seed=...) seeds"
    (obs, info), (twin, _) = env.reset(seed=seed), copy.reset(seed=seed)
    if not data_equivalence(obs, twin):
        findings.add("reset repeats", f"two resets with seed {seed} gave {shown(obs)} and {shown(twin)}", repeat)
        return 0, 0.0, 0.0
    total, seconds, random = 0.0, 0.0, np.random.default_rng(seed)
    for _ in range(MOST_STEPS):
        action = random_action(env.action_space, info, random) if KEY in info else env.action_space.sample()
        began = time.perf_counter()
        obs, reward, terminated, truncated, info = env.step(action)
        seconds += time.perf_counter() - began
        twin, twin_reward, *ends, _ = copy.step(action)
        where = env.where
        look(env, findings, obs, reward, where)
        total += float(reward)
        if not data_equivalence(obs, twin) or (reward, terminated, truncated) != (twin_reward, *ends):
            same = (obs, float(reward), terminated, truncated), (twin, float(twin_reward), *ends)
            findings.add("step repeats", f"two copies gave {same[0]} and {same[1]} {where}", repeat)
            break
        if terminated or truncated:
            break
    return env.steps, total, seconds


def look(env: "gymnasium.Env[Any, Any]", findings: Findings, obs: Any, reward: Any, where: str) -> None:
    """Note what is not finite or outside its space."""
    if not all(np.isfinite(numbers).all() for numbers in leaves(obs)):
        findings.add("obs finite", f"the observation is {shown(obs)} {where}", "look for a division by zero or growth")
    elif not env.observation_space.contains(obs):
        way_out = f"observation_space is {env.observation_space}: widen it, or keep values and dtype inside"
        findings.add("obs inside", f"the observation {shown(obs)} is outside its space {where}", way_out)
    if (not np.isscalar(reward) and np.ndim(reward) > 0) or not math.isfinite(reward):
        findings.add("reward finite", f"the reward is {reward} {where}", "it must be a finite number")


def leaves(obs: Any) -> Iterator[Any]:
    """The arrays of numbers in an observation of any form."""
    if isinstance(obs, dict):
        obs = tuple(obs.values())
    if isinstance(obs, tuple | list):
        for part in obs:
            yield from leaves(part)
    elif np.asarray(obs).dtype.kind in "fiub":
        yield np.asarray(obs)

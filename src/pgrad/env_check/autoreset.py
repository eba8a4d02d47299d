"""Test that a vector environment loses, adds or mixes up no row when it resets.

    from gymnasium.vector import AutoresetMode, SyncVectorEnv
    check_autoreset(lambda make, n: SyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP))

Every row is compared with what arithmetic says it must be: the probe's observation says which environment, episode
and step it belongs to. Its episodes terminate, are truncated, or both at once; some have a single step.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from pgrad.vector.autoreset import Autoreset, GymnasiumVectorEnv
from pgrad.vector.spaces import actions_of, observations_of
from pgrad.vector.step import Array, Backend

NUM_ACTIONS = 5
NAMES = 997  # a seed modulo this names an environment: integers up to 2²⁴ are exact in float32

# How the probe's episodes end, in turn: their steps, terminated, truncated.
EPISODES = ((3, True, False), (1, False, True), (5, False, True), (1, True, False), (2, True, True), (4, False, True))


class Probe(gymnasium.Env[Any, Any]):
    """Observes (its name, episode, step). The reward is 1000 · episode + 10 · step + action; one action is forbidden.

    Its name is its first seed modulo NAMES. `reuse` makes it return the same array every time, as fast environments do.
    """

    observation_space = gymnasium.spaces.Box(0, np.inf, (3,), np.float64)
    action_space = gymnasium.spaces.Discrete(NUM_ACTIONS)

    def __init__(self, reuse: bool = False) -> None:
        self.reuse, self.obs = reuse, np.array([-1.0, -1.0, 0.0])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode."""
        if seed is not None:
            self.obs[0] = seed % NAMES
        self.obs[1:] = self.obs[1] + 1, 0
        return self._seen()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take the next step."""
        self.obs[2] += 1
        name, episode, step = map(int, self.obs)
        length, terminated, truncated = EPISODES[(name + episode) % len(EPISODES)]
        reward, last = 1000.0 * episode + 10.0 * step + int(action), step == length
        obs, info = self._seen()
        return obs, reward, last and terminated, last and truncated, info

    def _seen(self) -> tuple[Array, dict[str, Any]]:
        return self.obs if self.reuse else self.obs.copy(), {"action_mask": allowed(self.obs[1], self.obs[2])}


def allowed(episode: float, step: float) -> Array:
    """Return the probe's mask in that state."""
    mask: Array = np.arange(NUM_ACTIONS) != (3 * episode + step) % NUM_ACTIONS
    return mask


class Row(NamedTuple):
    """One step of one environment."""

    obs: tuple[float, ...]
    action: int
    reward: float
    terminated: bool
    truncated: bool
    after: tuple[float, ...]
    mask: tuple[bool, ...] | None  # of obs


def check_autoreset(
    make_vector: Callable[[Callable[[], Probe], int], GymnasiumVectorEnv], num_envs: int = 4, num_steps: int = 60
) -> None:
    """Raise AssertionError if that vector environment loses, adds or mixes up a row.

    make_vector: from a function that makes a probe and a number N to N of them as one vector environment, whose
        `metadata["autoreset_mode"]` says how it resets. `reset(seed=s)` is to give them the seeds s, s + 1, ...
    """
    envs = make_vector(Probe, num_envs)
    observations, actions = observations_of(Probe.observation_space, "Probe"), actions_of(Probe.action_space, "Probe")
    source = Autoreset(envs, observations, actions, 0)
    try:
        check_rows(source, range(num_envs), num_steps)
    finally:
        source.close()


def check_rows(source: Backend, seeds: Sequence[int], num_steps: int = 60) -> None:
    """Raise AssertionError if a backend of probes with these seeds gives a wrong row, before or after a restart."""
    random = np.random.default_rng(0)
    first = [0] * len(seeds)
    for _ in range(2):
        seen, last_obs = recorded(source, len(seeds), num_steps, random)
        for n, seed in enumerate(seeds):
            expected = expected_rows(seed % NAMES, first[n], [row.action for row in seen[n]])
            for t, (row, right) in enumerate(zip(seen[n], expected, strict=True)):
                assert row == right, f"environment {n}, its row {t}: {row}, expected {right}"
            assert len(seen[n]) >= num_steps // 2, f"environment {n} gave {len(seen[n])} rows in {num_steps} steps"
            first[n] = int(last_obs[n, 1]) + 1


def recorded(
    source: Backend, num_envs: int, num_steps: int, random: np.random.Generator
) -> tuple[list[list[Row]], Array]:
    """Return the rows of each environment under random actions, and the observations after the last."""
    rows: list[list[Row]] = [[] for _ in range(num_envs)]
    obs, mask, _ = source.reset()
    resetting = np.zeros(num_envs, np.bool_)
    for _ in range(num_steps):
        action = random.integers(0, NUM_ACTIONS, num_envs).astype(np.int32)
        step = source.step(action)
        for n in np.flatnonzero(~resetting).tolist():
            rows[n].append(
                Row(
                    tuple(obs[n].tolist()),
                    int(action[n]),
                    float(step.reward[n]),
                    bool(step.terminated[n]),
                    bool(step.truncated[n]),
                    tuple(step.after[n].tolist()),
                    None if mask is None else tuple(mask[n].tolist()),
                )
            )
        obs, mask, resetting = step.obs, step.mask, step.resetting
    return rows, obs


def expected_rows(name: int, episode: int, actions: Sequence[int]) -> list[Row]:
    """Return the probe's rows from the beginning of an episode under these actions."""
    rows, step = [], 0
    for action in actions:
        length, terminated, truncated = EPISODES[(name + episode) % len(EPISODES)]
        mask = tuple(allowed(episode, step).tolist())
        reward, last = 1000.0 * episode + 10.0 * (step + 1) + action, step + 1 == length
        obs, after = (float(name), float(episode), float(step)), (float(name), float(episode), step + 1.0)
        rows.append(Row(obs, action, reward, last and terminated, last and truncated, after, mask))
        episode, step = (episode + 1, 0) if last else (episode, step + 1)
    return rows

"""What every rung of the ladder learns on the probes, whose values and best actions are known."""

import itertools
from typing import Any

import gymnasium
import numpy as np
import pytest
from torch import nn

import pgrad
from pgrad.algorithms import ALGORITHMS
from pgrad.envs.gymnasium_adapter import GymnasiumAdapter
from pgrad.envs.probes import DISCOUNT, LEAVE, LIMIT, PROBES, STAY, Aim, together

ALL = together()
STATES = ALL.start.size
OBS = np.eye(STATES, dtype=np.float32)
CHOICES = np.flatnonzero(ALL.best >= 0)  # states where actions differ; the last is that of the time limit
TOLERANCE = 0.05  # of V; a wrong V is off by 0.09 at least
ITERATIONS = 150
WITH_V = [name for name in ALGORITHMS if ALGORITHMS[name].get("baseline", "value") == "value"]


def settings(algorithm: str, lanes: int) -> dict[str, Any]:
    """As many samples from one rung as from another, and rates for a small problem where the preset's are not."""
    chosen: dict[str, Any] = {"algorithm": algorithm, "num_iterations": ITERATIONS, "num_envs": lanes, "hidden": 16}
    if ALGORITHMS[algorithm].get("episodes_per_iteration") is None:
        chosen["num_steps"] = 256 // lanes
    else:
        chosen["episodes_per_iteration"] = 128
    if algorithm in ("natural", "trpo"):
        chosen["value_learning_rate"] = 0.005  # of each of its twenty steps
    elif algorithm != "ppo":  # V ahead of the policy, which else leaves for good before it knows what staying is worth
        chosen |= {"learning_rate": 0.015, "value_learning_rate": 0.05, "learning_rate_schedule": "linear"}
    return {**chosen, "discount": DISCOUNT, "evaluation_episodes": 0}


def gymnasium_env(dynamics: Any) -> Any:
    """A function that makes the environment with Gymnasium's interface and time limit."""
    return lambda: gymnasium.wrappers.TimeLimit(GymnasiumAdapter(dynamics), LIMIT)


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(STATES, 16), nn.Tanh(), nn.Linear(16, 2))


def learnt(corner: str, algorithm: str) -> tuple[Any, Any]:
    """P(better action) in the states with a choice, and the error of V in all of them; None for rungs without V."""
    asked = settings(algorithm, 16 if corner == "gymnasium" else 64)
    if corner == "module":
        asked["policy"] = module
        if algorithm in ("ppo", "natural", "trpo"):  # a step takes autograd a millisecond
            asked["num_iterations"] = ITERATIONS // 3
    result = pgrad.train(gymnasium_env(ALL.env) if corner == "gymnasium" else ALL.env, seed=0, **asked)
    probabilities, critic = result.policies[0].probabilities(OBS), result.seeds[0].critic
    error = None if critic is None else critic.value(OBS) - ALL.values(probabilities)
    return probabilities[CHOICES, ALL.best[CHOICES]], error


# Steps of autograd, and compilations that no other test shares: in `make proofs`.
CORNERS = ("compiled", "gymnasium", "module")
LONG = [*itertools.product(CORNERS, ("ppo", "natural", "trpo"))]
RUNGS = [
    pytest.param(corner, name, marks=[pytest.mark.slow] if (corner, name) in LONG else [], id=f"{corner}-{name}")
    for corner in CORNERS
    for name in ALGORITHMS
]


@pytest.mark.parametrize(("corner", "algorithm"), RUNGS)
def test_every_rung_gets_every_probe_right(corner: str, algorithm: str) -> None:
    right, error = learnt(corner, algorithm)
    assert right[:-1].min() > 0.97
    assert (error is not None) == (algorithm in WITH_V)
    if error is None:  # its returns end with the time limit: leaving is better
        assert right[-1] < 0.2
    else:
        assert right[-1] > 0.97
        assert np.abs(error).max() < TOLERANCE


def test_the_values_are_those_of_the_table() -> None:
    best = np.eye(2)[np.where(ALL.best < 0, 0, ALL.best)]
    expected = [1, 1, -1, DISCOUNT, 1, 1, 1, 1, STAY / (1 - DISCOUNT)]
    np.testing.assert_allclose(ALL.values(best), expected)
    alone = [one.values(np.full((one.start.size, 2), 0.5)) for one in PROBES.values()]
    np.testing.assert_allclose(np.concatenate(alone), ALL.values(np.full((STATES, 2), 0.5)))


def test_staying_is_better_for_ever_and_worse_until_the_time_limit() -> None:
    """What a policy that stays with probability q gets within two steps is largest near q = 0."""
    q = np.linspace(0, 1, 101)
    within = q * (STAY + DISCOUNT * (q * STAY + (1 - q) * LEAVE)) + (1 - q) * LEAVE
    assert STAY / (1 - DISCOUNT) > LEAVE and q[within.argmax()] < 0.1


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_of_its_own_is_an_environment_as_the_table_says(name: str) -> None:
    """Every state, action and end of its Gymnasium form."""
    one = PROBES[name]
    env, rng = gymnasium_env(one.env)(), np.random.default_rng(0)
    for episode in range(20):
        state = int(env.reset(seed=episode)[0].argmax())
        assert one.start[state] > 0
        for t in range(LIMIT):
            action = int(rng.integers(2))
            following, reward, terminated, truncated, _ = env.step(action)
            ended = one.following[state, action] < 0
            assert (reward, terminated, truncated) == (one.reward[state, action], ended, t == LIMIT - 1)
            if ended or truncated:
                break
            state = int(one.following[state, action])
            assert following.argmax() == state and following.sum() == 1


@pytest.mark.parametrize("algorithm", ["actor-critic", pytest.param("ppo", marks=pytest.mark.slow)])
def test_a_gaussian_finds_the_target(algorithm: str) -> None:
    asked = {**settings(algorithm, 16), "num_iterations": 150, "discount": 0.99}
    result = pgrad.train(gymnasium_env(Aim()), seed=0, **asked)
    obs, policy = np.array([[0.5], [-0.5]], np.float32), result.policies[0]
    mean, spread = policy.outputs(obs)[:, 0], float(np.exp(policy.log_std[0]))
    np.testing.assert_allclose(mean, [0.5, -0.5], atol=0.1)
    critic = result.seeds[0].critic
    assert critic is not None
    drawn = mean[:, None] + spread * np.random.default_rng(0).normal(size=(2, 20_000))
    expected = (1 - (np.clip(drawn, -1, 1) - obs) ** 2).mean(axis=1)
    np.testing.assert_allclose(critic.value(obs), expected, atol=0.05)

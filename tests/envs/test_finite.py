"""A finite Markov decision process as a compiled environment: against the arrays it is made of."""

from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.envs.dynamics import observe, reset, step
from pgrad.envs.finite import FiniteMDP, draw, finite
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in

DRAWS = 20_000
MODEL = exact.garnet(5, 3, 3, seed=4, discount=0.9)
OBS = np.random.default_rng(0).normal(size=(5, 4))
ENV = finite(MODEL.start, MODEL.transition, MODEL.reward, MODEL.terminal, OBS)


@strict
def compiled_starts(env: Any, like: Any, key: int, states: Any, seen: Any) -> None:
    for k in range(states.size):
        state = reset(env, fold_in(key, k))
        states[k] = state[0]
        obs = observe(env, state)
        seen[0, k], seen[1, k], seen[2, k], seen[3, k] = obs[0], obs[1], obs[2], obs[3]


@strict
def compiled_steps(env: Any, state: int, action: int, key: int, states: Any, rewards: Any, ends: Any) -> None:
    for k in range(states.size):
        following, rewards[k], ends[k] = step(env, (float(state),), action, fold_in(key, k))
        states[k] = following[0]


def starts(env: FiniteMDP, key: int, count: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    states, seen = np.empty(count), np.empty((4, count))
    compiled_starts(env, env.reset(0), key, states, seen)
    return states.astype(int), seen


def steps(state: int, action: int, key: int, count: int = DRAWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    states, rewards, ends = np.empty(count), np.empty(count), np.empty(count, np.bool_)
    compiled_steps(ENV, state, action, key, states, rewards, ends)
    return states.astype(int), rewards, ends


def require_frequencies(drawn: np.ndarray, probabilities: np.ndarray) -> None:
    frequencies = np.bincount(drawn, minlength=probabilities.size) / drawn.size
    assert not frequencies[probabilities == 0].any()
    error = np.sqrt(probabilities * (1 - probabilities) / drawn.size)
    assert (np.abs(frequencies - probabilities) <= 5 * error + 1e-12).all()


def test_starts_are_drawn_as_the_model_says_and_features_observed() -> None:
    states, seen = starts(ENV, 1)
    require_frequencies(states, MODEL.start)
    np.testing.assert_array_equal(seen, OBS[states].T)


@pytest.mark.parametrize("state", np.flatnonzero(~MODEL.terminal).tolist())
@pytest.mark.parametrize("action", range(3))
def test_steps_are_drawn_as_the_model_says(state: int, action: int) -> None:
    states, rewards, ends = steps(state, action, 2)
    require_frequencies(states, MODEL.transition[state, action])
    np.testing.assert_array_equal(rewards, MODEL.reward[state, action, states])
    np.testing.assert_array_equal(ends, MODEL.terminal[states])
    mean, error = rewards.mean(), rewards.std() / np.sqrt(DRAWS)
    assert abs(mean - MODEL.expected_reward[state, action]) <= 5 * error


def test_some_steps_end_an_episode() -> None:
    ends = [steps(s, a, 3)[2] for s in np.flatnonzero(~MODEL.terminal).tolist() for a in range(3)]
    assert any(end.any() for end in ends)
    assert not all(end.all() for end in ends)


def test_interpreted_it_is_the_same() -> None:
    states, seen = starts(ENV, 5, 200)
    for k in range(200):
        state = ENV.reset(fold_in(5, k))
        assert state == (states[k],)
        assert tuple(ENV.observe(state)) == tuple(seen[:, k]) == tuple(OBS[states[k]])
    for state in range(4):
        following, rewards, ends = steps(state, 1, 6, 100)
        for k in range(100):
            assert ENV.step((float(state),), 1, fold_in(6, k)) == ((following[k],), rewards[k], ends[k])


def test_the_arrays_given_may_be_lists_and_stay_as_they_are() -> None:
    reward = np.ones((2, 1, 2))
    env = finite([1, 0], [[[0, 1]], [[0, 1]]], reward, [False, True], [[1, 2], [3, 4]])
    assert env.reset(0) == (0.0,)
    assert env.step((0.0,), 0, 0) == ((1.0,), 1.0, True)
    assert (env.observe((0.0,)), env.observe((1.0,))) == ((1.0, 2.0), (3.0, 4.0))
    assert not np.shares_memory(env.reward, reward)


@pytest.mark.parametrize(
    ("probabilities", "number", "index"),
    [
        ([0.25, 0.25, 0.5], 0.0, 0),
        ([0.25, 0.25, 0.5], 0.2499999, 0),
        ([0.25, 0.25, 0.5], 0.25, 1),
        ([0.25, 0.25, 0.5], 0.5, 2),
        ([0.25, 0.25, 0.5], 1 - 2.0**-53, 2),
        ([0, 0, 1], 0.0, 2),
        ([0, 0.5, 0, 0.5, 0], 0.0, 1),
        ([0, 0.5, 0, 0.5, 0], 0.5, 3),
        ([0, 0.5, 0, 0.5, 0], 1 - 2.0**-53, 3),
        ([1, 0, 0], 1 - 2.0**-53, 0),
        ([1], 1 - 2.0**-53, 0),
    ],
)
def test_the_index_drawn_by_hand(probabilities: list[float], number: float, index: int) -> None:
    assert draw(np.cumsum(probabilities), number) == index


@pytest.mark.parametrize("zeros", [1, 3])
@pytest.mark.parametrize("count", [6, 10])
def test_what_has_probability_zero_is_never_drawn_though_the_sum_rounds_below_one(count: int, zeros: int) -> None:
    """Ten tenths make 1 - 2⁻⁵³, which a number in [0, 1) can be."""
    require_none_of_probability_zero(count, zeros)


@pytest.mark.parametrize("zeros", [0, 1, 3])
@pytest.mark.parametrize("count", [1, 3, 49, 107])
def test_what_has_probability_zero_is_never_drawn(count: int, zeros: int) -> None:
    require_none_of_probability_zero(count, zeros)


def require_none_of_probability_zero(count: int, zeros: int) -> None:
    size = count + zeros
    probabilities = np.array([1 / count] * count + [0.0] * zeros)
    model = np.broadcast_to(probabilities, (size, 1, size))
    env = finite(probabilities, model, np.zeros((size, 1, size)), np.zeros(size), np.zeros((size, 1)))
    for cumulative in (env.start, env.transition[0, 0]):
        assert probabilities[draw(cumulative, 1 - 2.0**-53)] > 0
        assert probabilities[draw(cumulative, 0.0)] > 0

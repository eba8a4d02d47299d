"""A finite Markov decision process as a compiled environment: against the arrays it is made of."""

from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.envs.dynamics import has_mask, mask, mask_into, observe, observe_into, reset, step
from pgrad.envs.finite_mdp import FiniteMDP, cumulative, draw, finite
from pgrad.errors import MDPError
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in
from pgrad.spaces import Box, Discrete

DRAWS = 20_000
MODEL = exact.garnet(5, 3, 3, seed=4, discount=0.9)
OBS = np.random.default_rng(0).normal(size=(5, 4))
ENV = finite(MODEL.start, MODEL.transition, MODEL.reward, MODEL.terminal, OBS)


@strict
def compiled_starts(env: Any, like: Any, key: int, states: Any, seen: Any) -> None:
    for k in range(states.size):
        state = reset(env, fold_in(key, k))
        states[k] = state[0]
        observe_into(env, state, seen, k)


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
        assert observe(ENV, state) == tuple(seen[:, k]) == tuple(OBS[states[k]])
        rows = np.zeros((4, 2))
        observe_into(ENV, state, rows, 1)
        assert (tuple(rows[:, 1]), rows[:, 0].any()) == (tuple(OBS[states[k]]), False)
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
    dense = cumulative(probabilities)
    for number in (0.0, 1 - 2.0**-53):
        assert probabilities[draw(dense, number)] > 0
        assert probabilities[env.start_state[draw(env.start, number)]] > 0
        assert probabilities[env.following[0, 0, draw(env.transition[0, 0], number)]] > 0


def uneven_model() -> np.ndarray:
    """Rows with one to seven outcomes, [40, 3, 40]."""
    rng = np.random.default_rng(6)
    model = np.zeros((40, 3, 40))
    for s, a in np.ndindex(40, 3):
        count = int(rng.integers(1, 8))
        model[s, a, rng.choice(40, count, replace=False)] = rng.dirichlet(np.ones(count))
    return model


def test_the_same_number_draws_the_state_that_a_scan_of_all_states_would() -> None:
    """Numbers between the edges, on each of them, and on either side."""
    model = uneven_model()
    env = finite(model[0, 0], model, np.arange(4800.0).reshape(40, 3, 40), np.zeros(40), np.eye(40))
    assert env.following.shape == (40, 3, 7)
    assert env.start.size == np.count_nonzero(model[0, 0]) < 40
    dense, rng = cumulative(model), np.random.default_rng(7)
    for s, a in np.ndindex(40, 3):
        edges = dense[s, a]
        numbers = np.concatenate([rng.random(50), edges, np.nextafter(edges, 0), np.nextafter(edges, 1), [0.0]])
        for number in numbers[numbers < 1]:
            outcome, state = draw(env.transition[s, a], number), draw(edges, number)
            assert env.following[s, a, outcome] == state
            assert env.reward[s, a, outcome] == 120 * s + 40 * a + state
    for number in rng.random(200):
        assert env.start_state[draw(env.start, number)] == draw(dense[0, 0], number)


ALLOWED = [[True, False, True], [False, True, False], [True] * 3, [False, False, True], [False] * 3]


@strict
def compiled_masks(env: Any, like: Any, rows: Any) -> None:
    for s in range(rows.shape[1]):
        mask_into(env, (float(s),), rows, s)


def test_actions_are_allowed_as_given() -> None:
    masked = finite(MODEL.start, MODEL.transition, MODEL.reward, MODEL.terminal, OBS, ALLOWED)
    assert MODEL.terminal.tolist() == [False] * 4 + [True], "the last state may forbid everything"
    for env, allowed in ((masked, np.array(ALLOWED)), (ENV, np.ones((5, 3), np.bool_))):
        assert has_mask(env) == (not allowed.all())
        rows = np.zeros((3, 5), np.bool_)
        compiled_masks(env, env.reset(0), rows)
        np.testing.assert_array_equal(rows, allowed.T)
        for s in range(5):
            assert mask(env, (float(s),)) == tuple(allowed[s])
            mask_into(env, (float(s),), rows, 0)
            np.testing.assert_array_equal(rows[:, 0], allowed[s])


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([[True] * 3] * 4, r"allowed must have shape \(5, 3\), states by actions, not \(4, 3\)"),
        ([*ALLOWED[:3], [False] * 3, [True] * 3], "state 3 has none"),
    ],
)
def test_masks_that_do_not_fit_are_named(allowed: Any, message: str) -> None:
    with pytest.raises(MDPError, match=message):
        finite(MODEL.start, MODEL.transition, MODEL.reward, MODEL.terminal, OBS, allowed)


def test_what_it_shows_and_accepts() -> None:
    parts = MODEL.start, MODEL.transition, MODEL.reward, MODEL.terminal
    assert ENV.observation_space == Box(-np.inf, np.inf, 4)
    assert (ENV.action_space, ENV.max_episode_steps) == (Discrete(3), 0)
    assert finite(*parts, np.eye(3)[[0, 1, 2, 1, 0]], max_episode_steps=7).observation_space == Discrete(3)
    assert finite(*parts, np.eye(5), max_episode_steps=7).max_episode_steps == 7
    for other in (np.zeros((5, 3)), np.ones((5, 2)), np.eye(5) / 2 + 0.1):
        assert isinstance(finite(*parts, other).observation_space, Box)

"""Gymnasium's tabular environments as compiled ones: against the models that Gymnasium publishes, and its own steps."""

from collections import Counter
from typing import Any

import gymnasium
import numpy as np
import pytest

from pgrad import exact
from pgrad.envs import tabular as toy_text
from pgrad.envs.dynamics import has_mask, mask, mask_into, observe, observe_into, reset, step
from pgrad.envs.finite_mdp import FiniteMDP, cumulative
from pgrad.errors import EnvError
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in
from pgrad.spaces import Discrete

IDS = ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4"]
CASES: list[tuple[str, dict[str, Any]]] = [
    *((env_id, {}) for env_id in IDS),
    ("CliffWalking-v1", {"is_slippery": True}),
    ("FrozenLake-v1", {"is_slippery": False}),
]
DRAWS = 2000  # of each state and action that has more than one outcome; four of the others


@strict
def compiled_starts(env: Any, key: int, states: Any) -> None:
    for k in range(states.size):
        states[k] = reset(env, fold_in(key, k))[0]


@strict
def compiled_steps(
    env: Any, like: Any, state: int, action: int, key: int, states: Any, rewards: Any, ends: Any
) -> None:
    for k in range(states.size):
        following, rewards[k], ends[k] = step(env, (float(state),), action, fold_in(key, k))
        states[k] = following[0]


@strict
def compiled_looks(env: Any, like: Any, seen: Any, allowed: Any) -> None:
    for s in range(seen.shape[1]):
        observe_into(env, (float(s),), seen, s)
        mask_into(env, (float(s),), allowed, s)


def original_of(env_id: str, options: dict[str, Any]) -> Any:
    return gymnasium.make(env_id, **options).unwrapped


def looks(env: FiniteMDP, compiled: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """What each state shows and allows: [O, S] and [A, S]."""
    size, actions = len(env.terminal), env.action_space.n
    seen, allowed = np.full((env.features.shape[1], size), np.nan, np.float32), np.zeros((actions, size), np.bool_)
    (compiled_looks if compiled else compiled_looks.outer.py_func)(env, env.reset(0), seen, allowed)  # type: ignore[attr-defined]
    return seen, allowed


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=str)
def test_each_state_and_action_has_the_outcomes_published(env_id: str, options: dict[str, Any]) -> None:
    """Next state, reward and end together. Frequencies within 4.5 standard errors: of some 1,800 numbers none is off
    by chance in 98 of 100 seeds."""
    env, original = toy_text.load(env_id, **options), original_of(env_id, options)
    shown = looks(env)[0].argmax(axis=0)
    met, drawn_twice = set(), 0
    for s in range(len(original.P)):
        if env.terminal[s]:
            continue
        for a in range(env.action_space.n):
            expected: Counter[tuple[int, float, bool]] = Counter()
            for probability, t, reward, terminated in original.P[s][a]:
                expected[int(t), float(reward), bool(terminated)] += probability
            draws = DRAWS if len(expected) > 1 else 4
            states, rewards, ends = np.empty(draws, np.int64), np.empty(draws), np.empty(draws, np.bool_)
            compiled_steps(env, env.reset(0), s, a, np.uint64(fold_in(7, 10 * s + a)), states, rewards, ends)
            np.testing.assert_array_equal(ends, env.terminal[states])
            found = Counter(zip(shown[states].tolist(), rewards.tolist(), ends.tolist(), strict=True))
            assert set(found) == {outcome for outcome, probability in expected.items() if probability > 0}
            for outcome, probability in expected.items():
                error = np.sqrt(max(probability * (1 - probability), 0) / draws)
                assert abs(found[outcome] / draws - probability) <= 4.5 * error + 1e-12
            met |= set(states[ends].tolist())
            drawn_twice += len(expected) > 1
    assert met == set(np.flatnonzero(env.terminal).tolist())
    assert (drawn_twice > 0) == ("Slippery" in env_id or options.get("is_slippery", "FrozenLake" in env_id))


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=str)
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreted"])
def test_states_are_shown_one_hot_as_gymnasiums_number(env_id: str, options: dict[str, Any], compiled: bool) -> None:
    env, original = toy_text.load(env_id, **options), original_of(env_id, options)
    seen, _ = looks(env, compiled)
    size = int(original.observation_space.n)
    assert env.observation_space == Discrete(size)
    assert env.action_space == Discrete(int(original.action_space.n))
    np.testing.assert_array_equal(seen[:, :size], np.eye(size))
    assert (seen.sum(axis=0) == 1).all()
    assert observe(env, (1.0,)) == tuple(np.eye(size)[1])


@pytest.mark.parametrize("env_id", IDS)
def test_episodes_start_where_gymnasium_starts_them(env_id: str) -> None:
    """No frequency is off by more than 4.5 standard errors, which of 300 one is in 500 seeds; nothing else is met."""
    env, original = toy_text.load(env_id), original_of(env_id, {})
    start, draws = original.initial_state_distrib, 30_000
    states = np.empty(draws, np.int64)
    compiled_starts(env, 8, states)
    counts = np.bincount(states, minlength=len(start))
    error = np.sqrt(draws * start * (1 - start))
    assert (np.abs(counts - draws * start)[: len(start)] <= 4.5 * error).all()
    assert [int(env.reset(fold_in(8, k))[0]) for k in range(50)] == states[:50].tolist()
    original.reset(seed=0)
    assert all(start[original.reset()[0]] > 0 for _ in range(20))


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "interpreted"])
def test_taxi_allows_what_gymnasiums_mask_allows(compiled: bool) -> None:
    env, original = toy_text.load("Taxi-v4"), gymnasium.make("Taxi-v4")
    allowed = looks(env, compiled)[1]
    assert has_mask(env)
    rng, compared = np.random.default_rng(0), 0
    for episode in range(60):
        s, info = original.reset(seed=episode)
        for _ in range(200):
            np.testing.assert_array_equal(allowed[:, s], info["action_mask"])
            assert mask(env, (float(s),)) == tuple(allowed[:, s].tolist())
            compared += 1
            s, _, terminated, _, info = original.step(int(rng.choice(np.flatnonzero(info["action_mask"]))))
            if terminated:
                break
    assert compared > 5000
    model: Any = original.unwrapped
    for s in range(500):
        np.testing.assert_array_equal(allowed[:, s], model.action_mask(s))
    assert not allowed.all()


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if env_id != "Taxi-v4"])
def test_the_others_allow_everything(env_id: str) -> None:
    env = toy_text.load(env_id)
    assert not has_mask(env)
    assert looks(env)[1].all()


@pytest.mark.parametrize("env_id", IDS)
def test_limits_thresholds_and_names_are_gymnasiums(env_id: str) -> None:
    model, spec = toy_text.read(env_id), gymnasium.spec(env_id)
    assert toy_text.load(env_id).max_episode_steps == (spec.max_episode_steps or 0)
    assert (model.max_episode_steps, model.reward_threshold) == (spec.max_episode_steps, spec.reward_threshold)
    assert len(model.action_names) == model.num_actions


@pytest.mark.parametrize(
    ("env_id", "name", "before", "after"),
    [
        ("FrozenLake-v1", "down", 0, 4),
        ("FrozenLake-v1", "right", 0, 1),
        ("FrozenLake-v1", "left", 9, 8),
        ("FrozenLake-v1", "up", 9, 5),
        ("FrozenLake8x8-v1", "down", 0, 8),
        ("CliffWalking-v1", "up", 36, 24),
        ("CliffWalking-v1", "down", 12, 24),
        ("CliffWalking-v1", "left", 13, 12),
        ("CliffWalking-v1", "right", 12, 13),
        ("Taxi-v4", "south", 0, 100),
        ("Taxi-v4", "north", 100, 0),
        ("Taxi-v4", "east", 0, 20),
        ("Taxi-v4", "west", 20, 0),
        ("Taxi-v4", "pick up", 1, 17),
        ("Taxi-v4", "drop off", 17, 1),
    ],
)
def test_actions_do_what_they_are_called(env_id: str, name: str, before: int, after: int) -> None:
    options = {"is_slippery": False} if env_id.startswith("FrozenLake") else {}
    env, names = toy_text.load(env_id, **options), toy_text.read(env_id).action_names
    assert step(env, (float(before),), names.index(name), 0)[0] == (float(after),)


def test_a_passenger_set_down_is_in_a_terminal_copy() -> None:
    """Passenger in the taxi, at the red square where they want to go: 16, which becomes 0, which has a copy."""
    env = toy_text.load("Taxi-v4")
    (state,), reward, terminated = step(env, (16.0,), 5, 0)
    assert (state, reward, terminated) == (500.0, 20.0, True)
    assert observe(env, (500.0,)) == observe(env, (0.0,))
    assert not env.terminal[0]


def test_a_slippery_cliff_keeps_both_rewards_of_one_next_state() -> None:
    """From the start, down and the wall pay -1 and the cliff -100, all for staying there."""
    env = toy_text.load("CliffWalking-v1", is_slippery=True)
    assert env.reward[36, 2].tolist() == [-100.0, -1.0, 0.0]
    np.testing.assert_allclose(env.transition[36, 2], [1 / 3, 1, 1], rtol=1e-15)


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=str)
def test_the_exact_problem_and_the_compiled_one_are_the_same(env_id: str, options: dict[str, Any]) -> None:
    env, mdp = toy_text.load(env_id, **options), exact.from_gymnasium(env_id, **options)
    probability = np.diff(env.transition, axis=-1, prepend=0.0)
    dense, paid = np.zeros(mdp.transition.shape), np.zeros(mdp.transition.shape[:2])
    for s, a in np.ndindex(paid.shape):
        np.add.at(dense[s, a], env.following[s, a], probability[s, a])
        paid[s, a] = probability[s, a] @ env.reward[s, a]
    acting = ~mdp.terminal
    np.testing.assert_array_equal(env.terminal, mdp.terminal)
    np.testing.assert_allclose(dense[acting], mdp.transition[acting], rtol=0, atol=1e-15)
    np.testing.assert_allclose(paid[acting], mdp.expected_reward[acting], rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(env.start, cumulative(mdp.start[mdp.start > 0]))


def test_rain_spreads_taxis_moves() -> None:
    try:
        env = toy_text.load("Taxi-v4", is_rainy=True)
    except EnvError:
        pytest.skip("this Gymnasium has no rain")
    assert env.following.shape[2] == 3


def test_what_cannot_be_loaded_is_named() -> None:
    with pytest.raises(EnvError, match="'CartPole-v1' has no model"):
        toy_text.load("CartPole-v1")
    with pytest.raises(EnvError, match="did you mean 'FrozenLake-v1'"):
        toy_text.load("FrozenLace-v1")
    with pytest.raises(EnvError, match="cannot be made with slippery=1"):
        toy_text.load("FrozenLake-v1", slippery=1)

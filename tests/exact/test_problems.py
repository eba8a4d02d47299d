"""The problems to learn and test on, by hand and against the real environments."""

import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from pgrad import exact
from pgrad.envs.tabular import Outcomes, add_terminal_copies
from pgrad.errors import EnvError, InputError, MDPError
from pgrad.exact.from_gymnasium import _tables


def uniform(mdp: exact.MDP) -> exact.SoftmaxPolicy:
    return exact.SoftmaxPolicy(
        np.zeros((mdp.num_states, mdp.num_actions)), np.zeros((mdp.num_states, mdp.num_actions, 1))
    )


def test_bandit() -> None:
    mdp = exact.bandit([1, 2, 6])
    assert (mdp.num_states, mdp.num_actions) == (2, 3)
    solution = exact.solve(mdp, uniform(mdp))
    assert solution.action_value[0].tolist() == [1, 2, 6]
    assert solution.performance == pytest.approx(3, rel=1e-15)


def test_noise_of_a_bandit_is_one_reward_above_and_one_below() -> None:
    mdp = exact.bandit([1, 2], noise=[0, 3], discount=0.5)
    assert exact.solve(mdp, uniform(mdp)).action_value[0].tolist() == [1, 2]
    trajectories, probabilities = exact.enumerate_trajectories(mdp, uniform(mdp))
    rewards = sorted((int(t.actions[0]), float(t.rewards[0])) for t in trajectories)
    assert rewards == [(0, 1), (0, 1), (1, -1), (1, 5)]
    assert probabilities.tolist() == [0.25] * 4


def test_short_corridor_turns_round_in_the_second_state() -> None:
    mdp = exact.short_corridor()
    following = mdp.transition[:3].argmax(axis=-1)
    assert following.tolist() == [[0, 1], [2, 0], [1, 3]]
    assert exact.short_corridor_features().tolist() == [[[0, 1], [1, 0]]] * 4


def test_chain_is_as_long_as_it_says() -> None:
    best = exact.optimal_values(exact.chain(6))
    assert best.value.tolist() == [-6, -5, -4, -3, -2, -1, 0]
    assert best.policy[:6].tolist() == [1] * 6
    slippery = exact.chain(3, slip=0.25, discount=0.9)
    assert slippery.transition[1].tolist() == [[0.75, 0, 0.25, 0], [0.25, 0, 0.75, 0]]
    assert slippery.transition[0].tolist() == [[0.75, 0.25, 0, 0], [0.25, 0.75, 0, 0]]
    assert slippery.transition[2].tolist() == [[0, 0.75, 0, 0.25], [0, 0.25, 0, 0.75]]


def test_gridworld_by_hand() -> None:
    mdp = exact.gridworld(2, 3)
    best = exact.optimal_values(mdp)
    assert best.value.tolist() == [-3, -2, -1, -2, -1, 0]
    assert mdp.transition[0].argmax(axis=-1).tolist() == [0, 1, 3, 0], "up and left are walls"
    assert mdp.transition[4].argmax(axis=-1).tolist() == [1, 5, 4, 3]
    assert exact.gridworld(7, 7).transition[24].argmax(axis=-1).tolist() == [17, 25, 31, 23]
    slippery = exact.gridworld(3, 3, slip=0.2)
    assert slippery.transition[4, 0, [1, 3, 5, 7]] == pytest.approx([0.8, 0.1, 0.1, 0])


def test_garnet_has_the_branches_it_says() -> None:
    mdp = exact.garnet(7, 3, 2, seed=5, discount=0.9, time_limit=4, num_terminal=2)
    assert ((mdp.transition[:5] > 0).sum(axis=-1) == 2).all()
    assert mdp.terminal.tolist() == [False] * 5 + [True] * 2
    assert (mdp.start > 0).sum() == 2
    starts = [exact.garnet(7, 3, 2, seed, 0.9, num_terminal=2).start for seed in range(10)]
    assert all((start[:5] > 0).sum() == 2 and (start[5:] == 0).all() for start in starts)
    assert (mdp.time_limit, mdp.discount) == (4, 0.9)
    again, other = (exact.garnet(7, 3, 2, seed, 0.9, 4, 2) for seed in (5, 6))
    np.testing.assert_array_equal(mdp.transition, again.transition)
    assert (mdp.transition != other.transition).any()


@pytest.mark.parametrize("seed", range(4))
def test_layered_ends_at_different_lengths(seed: int) -> None:
    mdp = exact.layered(seed=seed)
    trajectories, probabilities = exact.enumerate_trajectories(mdp, uniform(mdp))
    assert len(trajectories) == 22
    assert {len(t) for t in trajectories} == {1, 2, 3}
    assert all(t.terminated for t in trajectories)
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_layered_of_one_layer_is_a_bandit() -> None:
    mdp = exact.layered(num_actions=3, depth=1)
    assert len(exact.enumerate_trajectories(mdp, uniform(mdp))[0]) == 3


ENVIRONMENTS: list[tuple[str, dict[str, Any]]] = [
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"is_slippery": False}),
    ("CliffWalking-v1", {}),
    ("CliffWalking-v1", {"is_slippery": True}),
]


@pytest.mark.parametrize(("env_id", "options"), ENVIRONMENTS[:3], ids=str)  # in the fourth, rewards are averaged
def test_gymnasiums_own_steps_follow_the_model(env_id: str, options: dict[str, Any]) -> None:
    """Of every step the model knows the probability, the reward and whether it ends the episode."""
    mdp = exact.from_gymnasium(env_id, **options)
    env = gymnasium.make(env_id, **options)
    rng = np.random.default_rng(0)
    seen = set()
    for episode in range(60):
        s, _ = env.reset(seed=episode)
        assert mdp.start[s] > 0
        for _ in range(100):
            a = int(rng.integers(mdp.num_actions))
            t, reward, terminated, truncated, _ = env.step(a)
            assert mdp.transition[s, a, t] > 0
            assert mdp.reward[s, a, t] == pytest.approx(float(reward))
            assert mdp.terminal[t] == terminated
            seen.add((s, a, t))
            if terminated or truncated:
                break
            s = t
    env.close()
    assert len(seen) > 20


@pytest.mark.parametrize(("env_id", "options"), ENVIRONMENTS, ids=str)
def test_transitions_and_rewards_are_those_published(env_id: str, options: dict[str, Any]) -> None:
    mdp = exact.from_gymnasium(env_id, **options)
    env = gymnasium.make(env_id, **options)
    model = env.unwrapped.P
    env.close()
    for s in np.flatnonzero(~mdp.terminal):
        for a in range(mdp.num_actions):
            expected, chance = 0.0, np.zeros(mdp.num_states)
            for probability, t, reward, _ in model[s][a]:
                expected += probability * reward
                chance[t] += probability
            np.testing.assert_allclose(mdp.transition[s, a], chance, atol=1e-15)
            assert mdp.expected_reward[s, a] == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_time_limit_is_the_environments() -> None:
    assert exact.from_gymnasium("FrozenLake-v1").time_limit is None
    assert exact.from_gymnasium("FrozenLake-v1", time_limit=True).time_limit == 100
    assert exact.from_gymnasium("FrozenLake-v1", discount=0.5).discount == 0.5


def test_cliff_walking_by_hand() -> None:
    """Thirteen steps along the edge; −100 for a fall, which does not end the episode."""
    mdp = exact.from_gymnasium("CliffWalking-v1", discount=1.0)
    assert mdp.start @ exact.optimal_values(mdp).value == -13
    assert mdp.reward[36, 1, 36] == -100
    assert np.flatnonzero(mdp.terminal).tolist() == [47]


def test_taxi_has_terminal_copies() -> None:
    """A passenger set down ends the episode; one who waits where they want to go, in the same state, does not."""
    taxi = max(name for name in gymnasium.registry if name.startswith("Taxi-"))
    mdp = exact.from_gymnasium(taxi)
    assert mdp.num_states == 504
    assert np.flatnonzero(mdp.terminal).tolist() == [500, 501, 502, 503]
    assert (mdp.transition[:500, :, 500:].sum(axis=(0, 1)) == 1).all()
    best = exact.optimal_values(mdp)
    delivered = np.argwhere(mdp.transition[:500, 5, 500:] > 0)[:, 0]
    assert best.value[delivered].tolist() == pytest.approx([20] * 4)


def test_entries_are_merged_and_states_split_by_hand() -> None:
    """Two outcomes into state 1 pay 0 and 4; state 2 ends the episode when entered from 0, not from 1."""
    outcomes: Outcomes = [
        (0, 0, 1, False, 0.25, 0.0),
        (0, 0, 1, False, 0.25, 4.0),
        (0, 0, 2, True, 0.5, 1.0),
        (1, 0, 2, False, 1.0, 2.0),
        (2, 0, 3, True, 1.0, 3.0),
        (3, 0, 3, True, 1.0, 0.0),
    ]
    states = add_terminal_copies(outcomes, np.eye(4)[0])
    transition, reward = _tables(states.outcomes, 5, 1)
    assert states.shown.tolist() == [0, 1, 2, 3, 2]
    assert states.terminal.tolist() == [False, False, False, True, True]
    assert transition[0, 0].tolist() == [0, 0.5, 0, 0, 0.5]
    assert reward[0, 0].tolist() == [0, 2, 0, 0, 1]
    assert transition[1, 0].tolist() == [0, 0, 1, 0, 0]


def test_a_start_is_no_end() -> None:
    outcomes: Outcomes = [(0, 0, 0, False, 0.5, 0.0), (0, 0, 0, True, 0.5, 1.0)]
    states = add_terminal_copies(outcomes, np.ones(1))
    transition, reward = _tables(states.outcomes, 2, 1)
    assert states.terminal.tolist() == [False, True]
    assert transition[0, 0].tolist() == [0.5, 0.5]
    assert reward[0, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact.from_gymnasium("Blackjack-v1"), "'Blackjack-v1' has no model"),
        (lambda: exact.from_gymnasium("CartPole-v1"), "'CartPole-v1' has no model"),
        (lambda: exact.from_gymnasium("FrozenLace-v1"), "did you mean 'FrozenLake-v1'"),
        (lambda: exact.from_gymnasium("FrozenLake-v1", slippery=1), r"cannot be made with slippery=1"),
        (lambda: exact.from_gymnasium("CliffWalking-v1", time_limit=True), "has no max_episode_steps"),
    ],
)
def test_environments_that_cannot_be_had(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(EnvError, match=message):
        make()


def test_models_that_are_none_name_the_environment() -> None:
    with pytest.raises(MDPError, match="'FrozenLake-v1': discount must be"):
        exact.from_gymnasium("FrozenLake-v1", discount=7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact.bandit([]), "one number for each arm"),
        (lambda: exact.bandit([[1, 2]]), r"not of shape \(1, 2\)"),
        (lambda: exact.bandit([1, 2], noise=-1), "noise must be"),
        (lambda: exact.bandit([1, 2], noise=[1, 1, 1]), "one for each of 2 arms"),
        (lambda: exact.bandit([1, math.nan]), "reward must be finite"),
        (lambda: exact.bandit([1, 2], discount=3), "discount must be"),
        (lambda: exact.chain(0), "length must be an integer, at least 1, not 0"),
        (lambda: exact.chain(3, slip=2), "slip must be a probability"),
        (lambda: exact.chain(10**6), "GiB"),
        (lambda: exact.gridworld(1, 1), "at least two cells"),
        (lambda: exact.gridworld(2.5, 2), "rows must be an integer"),  # type: ignore[arg-type]
        (lambda: exact.gridworld(1000, 1000), "GiB"),
        (lambda: exact.garnet(3, 2, 4, 0, 0.9), "branching must be at most num_states = 3, not 4"),
        (lambda: exact.garnet(3, 2, 2, 0, 0.9, num_terminal=3), "num_terminal must be less than num_states = 3"),
        (lambda: exact.garnet(3, 2, 2, 0, 1.0, num_terminal=0), "can never reach a terminal state"),
        (lambda: exact.garnet(10**6, 2, 2, 0, 0.9), "GiB"),
        (lambda: exact.layered(depth=0), "depth must be an integer"),
        (lambda: exact.layered(seed=-1), "seed must be an integer, at least 0"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((MDPError, InputError), match=message):
        make()

"""The estimators as a learner calls them."""

import doctest
import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.errors import InputError
from pgrad.estimators import episodes as teaching
from pgrad.estimators.episodes import discounted_return, estimate_policy_gradient, rewards_to_go
from pgrad.policies.softmax import score, softmax

Floats = npt.NDArray[np.float64]


def test_the_examples_in_the_docstrings() -> None:
    result = doctest.testmod(teaching)
    assert result.attempted >= 2 and result.failed == 0


@pytest.mark.parametrize(
    ("rewards", "discount", "expected"),
    [
        ([1, 1, 1], 0.5, 1.75),
        ([1, 2, 3], 1.0, 6.0),
        ([5, 100], 0.0, 5.0),
        ([0, 0, 8], 0.5, 2.0),
        ([-1], 0.9, -1.0),
        ([], 0.9, 0.0),
        (np.array([2, 2]), 0.5, 3.0),
    ],
)
def test_discounted_return_by_hand(rewards: Any, discount: float, expected: float) -> None:
    result = discounted_return(rewards, discount)
    assert result == expected and type(result) is float


@pytest.mark.parametrize(
    ("rewards", "discount", "expected"),
    [
        ([1, 1, 1], 0.5, [1.75, 1.5, 1.0]),
        ([1, 2, 3], 1.0, [6, 5, 3]),
        ([1, 2, 3], 0.0, [1, 2, 3]),
        ([0, 0, 8], 0.5, [2, 4, 8]),
        ([], 0.5, []),
    ],
)
def test_rewards_to_go_by_hand(rewards: Any, discount: float, expected: list[float]) -> None:
    assert rewards_to_go(rewards, discount).tolist() == expected


def test_the_first_reward_to_go_is_the_return() -> None:
    rewards = np.random.default_rng(0).normal(size=50)
    result = rewards_to_go(rewards)
    assert result[0] == discounted_return(rewards)
    np.testing.assert_allclose(result[:-1], rewards[:-1] + 0.99 * result[1:], rtol=1e-12)
    assert result[0] == pytest.approx(sum(0.99**t * r for t, r in enumerate(rewards)))


@pytest.mark.parametrize("function", [discounted_return, rewards_to_go])
@pytest.mark.parametrize(
    ("rewards", "discount", "named"),
    [
        ([[1, 2], [3, 4]], 0.9, r"one episode's list of finite numbers, not \[\[1, 2"),
        (1.0, 0.9, "one episode's list of finite numbers, not 1.0"),
        ([1, None, 2], 0.9, r"real numbers, not \[1, None, 2\]"),
        ([1, math.nan, 2], 0.9, r"finite numbers, not \[1, nan, 2\]"),
        ([1, math.inf], 0.9, "finite numbers"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), 0.9, "real numbers"),
        ([1, 2j], 0.9, "real numbers"),
        (["1"], 0.9, "real numbers"),
        ([[1], [2, 3]], 0.9, "real numbers"),
        ([1], 1.1, "1.1"),
        ([1], -0.1, "-0.1"),
        ([1], np.nan, "nan"),
    ],
)
def test_what_cannot_be_summed_is_named(function: Any, rewards: Any, discount: float, named: str) -> None:
    with pytest.raises(InputError, match=named):
        function(rewards, discount)


@pytest.mark.parametrize(
    ("log_probs", "returns", "expected"),
    [
        ([-1.0, -2.0], [10.0, 1.0], -12.0),
        ([[-1.0, -2.0], [-3.0]], [[10.0, 1.0], [2.0]], (-12 - 6) / 2),
        ([[-1.0] * 8, [-1.0] * 2], [[1.0] * 8, [1.0] * 2], -5.0),
        (np.array([-1.0, -2.0]), np.array([10.0, 1.0]), -12.0),
        ([[]], [[]], 0.0),
        ([[-1.0, -2.0], [-3.0]], [10.0, 2.0], (-30 - 6) / 2),
        ([(-1.0, -2.0), (-3.0, -4.0)], np.array([10.0, 2.0]), (-30 - 14) / 2),
    ],
)
def test_the_surrogate_by_hand(log_probs: Any, returns: Any, expected: float) -> None:
    """Summed over steps and averaged over episodes: long episodes count for all their steps."""
    assert estimate_policy_gradient(log_probs, returns) == expected


def test_scores_give_the_estimate_itself() -> None:
    scores = [np.array([[1.0, -1.0], [0.5, -0.5]]), np.array([[-2.0, 2.0]])]
    assert estimate_policy_gradient(scores, [[2.0, 4.0], [1.0]]).tolist() == [1.0, -1.0]
    assert estimate_policy_gradient(scores[0], [2.0, 4.0]).tolist() == [4.0, -4.0]


def test_the_surrogates_gradient_is_the_estimate() -> None:
    """PyTorch's scalars one way, scores the other."""
    preferences, temperature = np.array([0.3, -0.2, 1.0]), 0.7
    leaf = torch.tensor(preferences, requires_grad=True)
    episodes, returns = [[0, 2, 1], [1, 1]], [[3.0, 2.0, 0.5], [-1.0, 4.0]]
    log_policy = torch.log_softmax(leaf / temperature, dim=0)
    estimate_policy_gradient([[log_policy[a] for a in actions] for actions in episodes], returns).backward()
    scores = [[score(preferences, a, temperature) for a in actions] for actions in episodes]
    np.testing.assert_allclose(leaf.grad, estimate_policy_gradient(scores, returns), rtol=1e-12)


def test_equal_episodes_can_be_rows_of_an_array_in_a_list() -> None:
    """A list of rows is a list of episodes, whatever their lengths."""
    assert estimate_policy_gradient(list(np.ones((5, 1))), list(np.ones((5, 1)))) == 1.0
    assert estimate_policy_gradient(np.ones((5, 1)), np.ones(5)) == 5.0


def test_a_tensor_of_log_probs_works_like_a_list() -> None:
    log_probs = torch.log_softmax(torch.tensor([0.3, -0.2]), dim=0)
    assert float(estimate_policy_gradient(log_probs, torch.tensor([2.0, 3.0]))) == pytest.approx(
        2 * float(log_probs[0]) + 3 * float(log_probs[1])
    )


def expected_return(preferences: Floats, reward: Floats, discount: float) -> float:
    """J of three steps, each with the same two actions, by enumeration; the reward depends on step and action."""
    p, total = softmax(preferences), 0.0
    for actions in itertools.product(range(2), repeat=3):
        total += np.prod(p[list(actions)]) * discounted_return(reward[range(3), actions], discount)
    return float(total)


@pytest.mark.parametrize("psi", ["total return", "reward-to-go"])
def test_its_expectation_is_the_gradient(psi: str) -> None:
    """Over all eight episodes, against central differences of J. Without γ^t the estimate would not be ∇J_γ."""
    preferences, discount, h = np.array([0.4, -0.3]), 0.8, 1e-5
    reward = np.random.default_rng(0).normal(size=(3, 2))
    exact = [
        (
            expected_return(preferences + h * e, reward, discount)
            - expected_return(preferences - h * e, reward, discount)
        )
        / (2 * h)
        for e in np.eye(2)
    ]
    p, mean_estimate = softmax(preferences), np.zeros(2)
    for actions in itertools.product(range(2), repeat=3):
        rewards = reward[range(3), actions]
        weights = discount ** np.arange(3) * rewards_to_go(rewards, discount)
        if psi == "total return":
            weights = np.full(3, discounted_return(rewards, discount))
        scores = score(np.tile(preferences, (3, 1)), np.array(actions))
        mean_estimate += np.prod(p[list(actions)]) * estimate_policy_gradient(scores, weights)
    np.testing.assert_allclose(mean_estimate, exact, rtol=1e-7)


@pytest.mark.parametrize(
    ("log_probs", "returns", "named"),
    [
        ([], [], "empty"),
        ([-1.0], [], "empty"),
        ([-1.0, -2.0], [1.0], "2 log_probs but 1 returns"),
        ([-1.0], [1.0, 2.0], "1 log_probs but 2 returns"),
        ([[-1.0], [-2.0]], [[1.0]], "2 episodes, returns has 1"),
        ([[-1.0], [-2.0, -3.0]], [[1.0], [2.0]], "2 log_probs but 1 returns"),
        ([-1.0, -2.0], [[1.0], [2.0]], "log_probs are of one episode"),
        (np.ones((5, 1)), np.ones((5, 1)), r"shape \(5, 1\) can mean one episode or several"),
        (torch.ones(5, 3), torch.ones(5, 3), r"shape .*5, 3.* can mean one episode or several"),
        ([-1.0, -2.0], [1.0, None], "returns must be real numbers"),
        ([-1.0, -2.0], [1.0, math.nan], "finite"),
        ([[-1.0], [-2.0]], [[1.0], [math.inf]], "finite"),
        ([[-1.0], [-2.0]], [1.0], "log_probs has 2 episodes, returns has 1"),
        ([[-1.0]], [1.0, 2.0], "log_probs has 1 episodes, returns has 2"),
        ([[-1.0], [-2.0]], [1.0, math.nan], "finite"),
        ([-1.0], torch.ones(1, requires_grad=True), "real numbers"),
    ],
)
def test_what_is_no_estimate_is_named(log_probs: Any, returns: Any, named: str) -> None:
    with pytest.raises(InputError, match=named):
        estimate_policy_gradient(log_probs, returns)

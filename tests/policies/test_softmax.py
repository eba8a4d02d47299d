"""The softmax for learning and looking: tables, identities, PyTorch."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from pgrad.errors import InputError
from pgrad.policies.softmax import entropy, log_softmax, sample, score, softmax

TEMPERATURES = [0.1, 1.0, 7.0]
PREFERENCES = np.random.default_rng(0).normal(0, 3, (6, 4))


@pytest.mark.parametrize(
    ("preferences", "temperature", "expected"),
    [
        ([0, 0], 1.0, [1 / 2, 1 / 2]),
        ([5.0], 1.0, [1.0]),
        ([math.log(1), math.log(2), math.log(5)], 1.0, [1 / 8, 2 / 8, 5 / 8]),
        ([math.log(9), 0], 2.0, [3 / 4, 1 / 4]),
        ([math.log(3), 0], 0.5, [9 / 10, 1 / 10]),
        ([0, -math.inf], 1.0, [1.0, 0.0]),
        ([[0, 0], [math.log(3), 0]], 1.0, [[1 / 2, 1 / 2], [3 / 4, 1 / 4]]),
    ],
)
def test_softmax_by_hand(preferences: Any, temperature: float, expected: Any) -> None:
    np.testing.assert_allclose(softmax(preferences, temperature), expected, rtol=1e-15)


def test_score_by_hand() -> None:
    """onehot - π, over τ: with π = (¾, ¼) at τ = 2, action 0 has (¼, -¼) / 2."""
    np.testing.assert_allclose(score([math.log(9), 0], 0, 2.0), [1 / 8, -1 / 8], rtol=1e-14)
    np.testing.assert_allclose(score([[0, 0], [0, 0]], [0, 1]), [[0.5, -0.5], [-0.5, 0.5]])


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ([0, 0, 0, 0], math.log(4)),
        ([3.0], 0.0),
        ([0, -math.inf], 0.0),
        ([math.log(3), 0], 2 * math.log(2) - 0.75 * math.log(3)),
    ],
)
def test_entropy_by_hand(preferences: Any, expected: float) -> None:
    assert entropy(preferences) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_everything_is_pytorchs(temperature: float) -> None:
    leaf = torch.tensor(PREFERENCES, requires_grad=True)
    actions = torch.tensor([0, 1, 2, 3, 0, 1])
    policy = torch.distributions.Categorical(logits=leaf / temperature)
    policy.log_prob(actions).sum().backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(softmax(PREFERENCES, temperature), policy.probs.detach(), rtol=1e-12)
    np.testing.assert_allclose(log_softmax(PREFERENCES, temperature), policy.logits.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(entropy(PREFERENCES, temperature), policy.entropy().detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(score(PREFERENCES, actions.numpy(), temperature), leaf.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_score_is_the_slope_of_the_log_probability(temperature: float) -> None:
    """Central differences with step h err by h² times the third derivative."""
    h, preferences = 1e-5, PREFERENCES[0]
    for action in range(4):
        slope = [
            (log_softmax(preferences + h * unit, temperature) - log_softmax(preferences - h * unit, temperature))[
                action
            ]
            / (2 * h)
            for unit in np.eye(4)
        ]
        np.testing.assert_allclose(score(preferences, action, temperature), slope, atol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_identities(temperature: float) -> None:
    p = softmax(PREFERENCES, temperature)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-15)
    np.testing.assert_allclose(np.exp(log_softmax(PREFERENCES, temperature)), p, rtol=1e-12)
    np.testing.assert_allclose(softmax(PREFERENCES + 100, temperature), p, rtol=1e-10, err_msg="shifts change nothing")
    scores = np.stack([score(PREFERENCES, np.full(6, action), temperature) for action in range(4)], axis=1)
    np.testing.assert_allclose(scores.sum(axis=-1), 0, atol=1e-13, err_msg="each row of a score sums to zero")
    np.testing.assert_allclose((p[:, :, None] * scores).sum(axis=1), 0, atol=1e-14, err_msg="the mean score is zero")
    assert (entropy(PREFERENCES, temperature) < math.log(4)).all() and (entropy(PREFERENCES, temperature) >= 0).all()


def test_temperature_goes_from_greedy_to_uniform() -> None:
    preferences = [1.0, 2.0, 0.0]
    np.testing.assert_allclose(softmax(preferences, 1e-3), [0, 1, 0], atol=1e-300)
    np.testing.assert_allclose(softmax(preferences, 1e6), [1 / 3] * 3, rtol=1e-5)
    entropies = [float(entropy(preferences, temperature)) for temperature in (0.1, 0.5, 1, 5, 50)]
    assert entropies == sorted(entropies)


@pytest.mark.parametrize("scale", [1e3, 1e150, 1e300])
def test_no_preference_is_too_large(scale: float) -> None:
    preferences = np.array([scale, -scale, scale])
    assert softmax(preferences).tolist() == [0.5, 0.0, 0.5]
    assert log_softmax(preferences).tolist() == pytest.approx([-math.log(2), -2 * scale - math.log(2), -math.log(2)])
    assert entropy(preferences) == pytest.approx(math.log(2))
    assert score(preferences, 0).tolist() == [0.5, 0.0, -0.5]


def test_log_softmax_does_not_round_a_small_probability_to_zero() -> None:
    assert log_softmax([0.0, -1000.0])[1] == -1000.0


@pytest.mark.parametrize(
    ("preferences", "temperature", "named"),
    [
        ([], 1.0, "at least one action"),
        (3.0, 1.0, "at least one action"),
        (np.zeros((2, 0)), 1.0, r"\(2, 0\)"),
        ([0.0, math.nan], 1.0, "finite"),
        ([0.0, math.inf], 1.0, "finite"),
        ([-math.inf, -math.inf], 1.0, "all are -inf"),
        ([[0.0, 1.0], [-math.inf, -math.inf]], 1.0, "all are -inf"),
        ([0.0, 1.0], 0.0, "temperature"),
        ([0.0, 1.0], -1.0, "-1"),
        ([0.0, 1.0], math.inf, "temperature"),
        ([0.0, 1.0], math.nan, "temperature"),
        ([1 + 2j, 0.0], 1.0, "real numbers"),
        (np.ma.array([0.0, 1.0], mask=[True, False]), 1.0, "real numbers"),
        ([0.0, None], 1.0, "real numbers"),
        ([[0.0, 1.0], [0.0]], 1.0, "real numbers"),
        ("ab", 1.0, "real numbers, not 'ab'"),
    ],
)
def test_what_has_no_softmax_is_named(preferences: Any, temperature: float, named: str) -> None:
    for function in (softmax, log_softmax, entropy):
        with pytest.raises(InputError, match=named):
            function(preferences, temperature)


@pytest.mark.parametrize("action", [-1, 2, 1.0, [0, 2], True])
def test_actions_must_exist(action: Any) -> None:
    preferences = np.zeros((2, 2)) if isinstance(action, list) else np.zeros(2)
    with pytest.raises(InputError, match="actions must be integers in 0 … 1"):
        score(preferences, action)


def test_sampling_frequencies_are_the_probabilities() -> None:
    """A frequency among n draws has standard error √(p (1 - p) / n)."""
    n, p = 200_000, np.array([0.5, 0.0, 0.03, 0.47])
    frequency = np.bincount(sample(np.tile(p, (n, 1)), np.random.default_rng(0)), minlength=4) / n
    assert (np.abs(frequency - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()


def test_each_row_is_sampled_by_its_own_probabilities() -> None:
    rng = np.random.default_rng(0)
    certain = np.eye(3)[[2, 0, 1, 1]]
    assert sample(certain, rng).tolist() == [2, 0, 1, 1]
    assert sample(certain.reshape(2, 2, 3), rng).tolist() == [[2, 0], [1, 1]]
    assert sample([0.0, 1.0], rng).shape == ()


class Extreme:
    """A generator of one number, the lowest or the highest that NumPy's can give."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self, shape: tuple[int, ...]) -> Any:
        return np.full(shape, self.number)


@pytest.mark.parametrize("number", [0.0, 2.0**-53, 1 - 2.0**-53])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_an_action_of_probability_zero_is_never_drawn(number: float, count: int) -> None:
    """At either end, also where rounding makes the sum of the probabilities differ from one."""
    inner = softmax(np.random.default_rng(count).normal(size=(500, count)))
    padded = np.concatenate([np.zeros((500, 1)), inner, np.zeros((500, 1))], axis=1)
    drawn = sample(padded, Extreme(number))  # type: ignore[arg-type]
    assert drawn.min() >= 1 and drawn.max() <= count

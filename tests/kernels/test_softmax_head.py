"""The softmax head over lanes: sampling, and the gradient at the logits."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.kernels.random import GOLDEN, MASK, MIX_1, MIX_2, fold_in
from pgrad.kernels.softmax import largest, logits_gradient, normalise, sample
from pgrad.policies import softmax

Array = npt.NDArray[Any]

LOWEST, HIGHEST = 0, MASK


def key_with_first_number(bits: int) -> int:
    """The key for which fold_in(key, 0) = bits: every step of SplitMix64 can be undone."""
    z = bits ^ (bits >> 31) ^ (bits >> 62)
    z = (z * pow(MIX_2, -1, 1 << 64)) & MASK
    z = z ^ (z >> 27) ^ (z >> 54)
    z = (z * pow(MIX_1, -1, 1 << 64)) & MASK
    z = z ^ (z >> 30) ^ (z >> 60)
    return (z - GOLDEN) & MASK


def bits_of(keys: Any, steps: Any) -> Any:
    return np.array([fold_in(int(key), int(step)) for key, step in zip(keys, steps, strict=True)], np.uint64)


def actions_drawn(logits: Any, keys: Any, temperature: float = 1.0) -> Array:
    """One action a key, all from the same logits [A]."""
    lanes = len(keys)
    columns = np.repeat(np.asarray(logits, np.float32)[:, None], lanes, axis=1)
    action = np.full(lanes, -1, np.int32)
    sample(columns, 1 / temperature, bits_of(keys, np.zeros(lanes, np.int32)), action, lanes)
    return action


def test_keys_can_be_made_to_order() -> None:
    for bits in (LOWEST, HIGHEST, 12345678901234567890):
        assert fold_in(key_with_first_number(bits), 0) == bits


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("actions", [1, 2, 3, 5])
def test_normalise(actions: int, temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (actions, 40)).astype(np.float32)
    shifted, weights, total = logits.copy(), np.empty_like(logits), np.empty(40, np.float32)
    normalise(shifted, weights, total, 1 / temperature, 40)
    np.testing.assert_allclose(shifted, (logits - logits.max(axis=0)) / temperature, rtol=1e-6)
    np.testing.assert_allclose((weights / total).T, softmax.softmax(logits.T, temperature), rtol=2e-6)


def test_the_largest_is_the_first_of_equals() -> None:
    action = np.full(5, -1, np.int32)
    largest(np.float32([[1, 0, 2, -1, 9], [0, 1, 2, -1, 9], [0, 1, 1, 0, 9]]), action, 4)
    assert action.tolist() == [0, 1, 0, 2, -1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("logits", [[0.3], [0.0, 0.0], [1.5, -0.5], [0.1, -2.0, 1.0], [0.0, 3.0, -1.0, 1.0, 2.0]])
def test_sampling_frequencies_are_the_probabilities(logits: list[float], temperature: float) -> None:
    """A frequency among n draws has standard error √(p (1 - p) / n)."""
    n = 200_000
    frequency = np.bincount(actions_drawn(logits, np.arange(n), temperature), minlength=len(logits)) / n
    p = softmax.softmax(logits, temperature)
    assert (np.abs(frequency - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()


def test_each_lane_draws_with_its_own_key_step_and_logits() -> None:
    """Against the rule in Python: count the cumulative probabilities that the number reaches."""
    rng = np.random.default_rng(1)
    lanes, logits = 300, rng.normal(size=(4, 300)).astype(np.float32)
    keys, steps = rng.integers(0, 2**64, lanes, np.uint64), rng.integers(0, 500, lanes).astype(np.int32)
    action = np.empty(lanes, np.int32)
    sample(logits.copy(), 2.0, bits_of(keys, steps), action, lanes)
    cumulative = np.cumsum(softmax.softmax(logits.T, 0.5), axis=1)
    number = np.array([(fold_in(int(k), int(t)) >> 41) * 2.0**-23 for k, t in zip(keys, steps, strict=True)])
    assert np.abs(cumulative[:, :-1] - number[:, None]).min() > 1e-6, (
        "no number lies on an edge, where rounding decides"
    )
    assert action.tolist() == (number[:, None] >= cumulative[:, :-1]).sum(axis=1).tolist()


@pytest.mark.parametrize("bits", [HIGHEST, HIGHEST ^ (1 << 41), 1 << 63, 1 << 41])
@pytest.mark.parametrize(
    ("logits", "possible"),
    [([0, -np.inf], {0}), ([0, 0, -np.inf], {0, 1}), ([1, -np.inf, 1], {0, 2}), ([-np.inf, 0, 0.3], {1, 2})],
)
def test_an_action_of_probability_zero_is_never_drawn(logits: list[float], possible: set[int], bits: int) -> None:
    assert set(actions_drawn(logits, [key_with_first_number(bits)]).tolist()) <= possible


@pytest.mark.parametrize("logits", [[-np.inf, 0.0], [-500.0, 0.0, 1.0]])
def test_nor_is_the_first_action_by_the_lowest_number(logits: list[float]) -> None:
    assert actions_drawn(logits, [key_with_first_number(LOWEST)])[0] != 0


def test_a_number_on_the_edge_belongs_to_the_next_action() -> None:
    """Of two equally probable actions, the lower half of the 2²³ numbers draws the first, the upper half the second."""
    middle = 1 << 63
    assert actions_drawn([0, 0], [key_with_first_number(bits) for bits in (middle - 1, middle)]).tolist() == [0, 1]


def test_the_highest_number_stays_below_every_total() -> None:
    """The sum of the probabilities is rounded; the last action, here impossible, must not be drawn for it."""
    key = key_with_first_number(HIGHEST)
    for logits in np.random.default_rng(2).normal(0, 2, (200, 4)).astype(np.float32):
        assert actions_drawn([*logits, -np.inf], [key])[0] < 4


def oracle(
    logits: Array, action: Array, weight: Array, temperature: float, entropy_weight: float
) -> tuple[Array, float]:
    leaf = torch.tensor(logits.T.astype(np.float64), requires_grad=True)
    policy = torch.distributions.Categorical(logits=leaf / temperature)
    surrogate = torch.tensor(weight.astype(np.float64)) * policy.log_prob(torch.tensor(action))
    (surrogate + entropy_weight * policy.entropy()).sum().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy().T, float(policy.entropy().detach().sum())


@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("actions", [1, 2, 3, 5])
@pytest.mark.parametrize("lanes", [1, 37])
def test_the_gradient_at_the_logits_is_autograds(
    actions: int, lanes: int, temperature: float, entropy_weight: float
) -> None:
    rng = np.random.default_rng(actions)
    logits, weight = (rng.normal(0, 2, shape).astype(np.float32) for shape in ((actions, lanes), lanes))
    action = rng.integers(0, actions, lanes).astype(np.int32)
    delta = np.empty_like(logits)
    entropy = logits_gradient(logits.copy(), delta, action, weight, 1 / temperature, entropy_weight, lanes)
    expected, expected_entropy = oracle(logits, action, weight, temperature, entropy_weight)
    np.testing.assert_allclose(delta, expected, rtol=0, atol=4e-6)
    assert entropy == pytest.approx(expected_entropy, abs=2e-6 * lanes)
    np.testing.assert_allclose(delta.sum(axis=0), 0, atol=4e-6, err_msg="scores sum to zero over actions")


def test_the_gradient_of_equal_preferences_by_hand() -> None:
    """Two actions, π = ½ each, weight 4, τ = 2: (onehot - ½) · 4 / 2. Entropy is at its maximum: no gradient."""
    delta, action = np.empty((2, 1), np.float32), np.array([1], np.int32)
    entropy = logits_gradient(np.zeros((2, 1), np.float32), delta, action, np.full(1, 4, np.float32), 0.5, 0.7, 1)
    np.testing.assert_allclose(delta[:, 0], [-1, 1], atol=1e-6)
    assert entropy == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("scale", [1e3, 1e6, 1e30])
def test_large_preferences_do_not_overflow(scale: float) -> None:
    logits = np.array([[scale], [-scale], [0]], np.float32)
    delta = np.empty_like(logits)
    entropy = logits_gradient(logits, delta, np.array([1], np.int32), np.ones(1, np.float32), 1.0, 0.1, 1)
    np.testing.assert_allclose(delta[:, 0], [-1, 1, 0], atol=1e-6)
    assert entropy == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_nan_reaches_the_gradient_of_its_lane_alone(row: int) -> None:
    logits = np.zeros((3, 5), np.float32)
    logits[row, 2] = np.nan
    delta = np.empty_like(logits)
    logits_gradient(logits, delta, np.zeros(5, np.int32), np.ones(5, np.float32), 1.0, 0.0, 5)
    assert np.isnan(delta).any(axis=0).tolist() == [False, False, True, False, False]

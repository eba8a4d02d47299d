"""Continuous distributions as Python sees them, against torch.distributions."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.errors import InputError
from pgrad.policies.distributions import BETA, BetaDistribution, GaussianDistribution, checked_actions, distribution_of
from pgrad.spaces import Box, Discrete, MultiDiscrete

BOUNDS = Box((-2.0, 0.0), (2.0, 3.0))
LOW, HIGH = torch.tensor([-2.0, 0.0], dtype=torch.float64), torch.tensor([2.0, 3.0], dtype=torch.float64)
MEAN, LOG_STD = np.array([[0.3, -0.2], [-1.0, 2.0]]), np.array([[-0.5, 0.4], [0.1, -1.0]])


def reference(squash: bool) -> torch.distributions.Distribution:
    """The same of each component."""
    normal = torch.distributions.Normal(torch.tensor(MEAN), torch.tensor(np.exp(LOG_STD)))
    to_bounds = torch.distributions.AffineTransform((LOW + HIGH) / 2, (HIGH - LOW) / 2)
    tanh = [torch.distributions.TanhTransform()] if squash else []
    return torch.distributions.TransformedDistribution(normal, [*tanh, to_bounds])


def actions(count: int) -> npt.NDArray[np.float64]:
    """Actions that lie everywhere within the bounds, [count, 2, 2]."""
    share = np.random.default_rng(0).uniform(0.001, 0.999, (count, 2, 2))
    return LOW.numpy() + share * (HIGH - LOW).numpy()


@pytest.mark.parametrize("squash", [False, True])
def test_the_density_is_torchs(squash: bool) -> None:
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, squash)
    for action in actions(50):
        expected = reference(squash).log_prob(torch.tensor(action)).sum(-1)
        np.testing.assert_allclose(ours.log_prob(action), expected, rtol=1e-9)


def test_without_bounds_on_both_sides_an_action_is_the_number_drawn() -> None:
    """Nor where they leave no room, or are those of float32, which mean none."""
    bounds = Box((-np.inf, 0.0, 3.0, -3e38), (np.inf, np.inf, 3.0, 3e38))
    ours = GaussianDistribution(np.array([[0.5, 0.5, 0.5, 0.5]]), np.zeros((1, 4)), bounds, False)
    assert ours.mode().tolist() == [[0.5, 0.5, 3.0, 0.5]]
    assert ours.log_prob(np.full((1, 4), 0.5)) == pytest.approx(-2 * np.log(2 * np.pi))
    assert ours.entropy() == pytest.approx(2 * np.log(2 * np.pi * np.e))


def test_at_the_bounds_and_outside_a_squashed_density_is_zero() -> None:
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, True)
    for outside in ([-2.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, -0.1]):
        assert ours.log_prob(np.array([outside, [0.0, 1.0]])).tolist()[0] == -np.inf
        assert np.isfinite(ours.log_prob(np.array([outside, [0.0, 1.0]]))[1])


@pytest.mark.parametrize("squash", [False, True])
def test_the_entropy_is_the_mean_of_minus_the_log_density(squash: bool) -> None:
    """Integrated over u by the trapezoidal rule, which converges fast: the integrand is smooth and vanishes outside."""
    z = torch.linspace(-9, 9, 2001, dtype=torch.float64)[:, None, None]
    u = torch.tensor(MEAN) + torch.tensor(np.exp(LOG_STD)) * z
    normal = torch.distributions.Normal(torch.tensor(MEAN), torch.tensor(np.exp(LOG_STD)))
    log_density = normal.log_prob(u) - torch.log((HIGH - LOW) / 2)
    if squash:
        log_density = log_density - 2 * (np.log(2) - u - torch.nn.functional.softplus(-2 * u))
    expected = -torch.trapezoid(normal.log_prob(u).exp() * log_density, u, dim=0).sum(-1)
    ours = GaussianDistribution(MEAN, LOG_STD, BOUNDS, squash)
    np.testing.assert_allclose(ours.entropy(), expected, rtol=1e-6)


ALPHA, BETA_PARAMETER = np.array([[1.0, 1.7], [3.0, 40.0]]), np.array([[1.2, 9.0], [2.5, 1.0]])


def beta_reference() -> torch.distributions.Distribution:
    beta = torch.distributions.Beta(torch.tensor(ALPHA), torch.tensor(BETA_PARAMETER))
    return torch.distributions.TransformedDistribution(beta, [torch.distributions.AffineTransform(LOW, HIGH - LOW)])


def test_a_betas_density_entropy_and_mean_are_torchs() -> None:
    ours, theirs = BetaDistribution(ALPHA, BETA_PARAMETER, BOUNDS), beta_reference()
    for action in actions(50):
        expected = theirs.log_prob(torch.tensor(action)).sum(-1)
        np.testing.assert_allclose(ours.log_prob(action), expected, rtol=1e-9)
    entropy = torch.distributions.Beta(torch.tensor(ALPHA), torch.tensor(BETA_PARAMETER)).entropy()
    np.testing.assert_allclose(ours.entropy(), (entropy + torch.log(HIGH - LOW)).sum(-1), rtol=1e-9)
    share = ALPHA / (ALPHA + BETA_PARAMETER)
    np.testing.assert_allclose(ours.mode(), LOW.numpy() + share * (HIGH - LOW).numpy(), rtol=1e-12)


def test_what_training_draws_has_a_betas_density() -> None:
    """Of u, of which tanh u = 2 x - 1."""
    ours = BetaDistribution(ALPHA, BETA_PARAMETER, BOUNDS)
    beta = torch.distributions.Beta(torch.tensor(ALPHA), torch.tensor(BETA_PARAMETER))
    stretched = torch.distributions.TransformedDistribution(beta, [torch.distributions.AffineTransform(-1.0, 2.0)])
    for u in np.random.default_rng(1).normal(0, 1.5, (50, 2, 2)):
        expected = stretched.log_prob(torch.tanh(torch.tensor(u))).sum(-1)
        np.testing.assert_allclose(ours.log_prob_drawn(u), expected, rtol=1e-9)


def test_at_the_bounds_and_outside_a_betas_density_is_zero() -> None:
    ours = BetaDistribution(ALPHA, BETA_PARAMETER, BOUNDS)
    for outside in ([-2.0, 1.0], [2.0, 1.0], [2.5, 1.0], [0.0, 3.0], [0.0, 0.0], [0.0, -0.1]):
        density = ours.log_prob(np.array([outside, [0.0, 1.0]]))
        assert density[0] == -np.inf and np.isfinite(density[1])


def test_beta_draws_have_its_mean_and_spread() -> None:
    ours = BetaDistribution(np.tile(ALPHA[:1], (100_000, 1)), np.tile(BETA_PARAMETER[:1], (100_000, 1)), BOUNDS)
    drawn = ours.sample(np.random.default_rng(0))
    beta = torch.distributions.Beta(torch.tensor(ALPHA[0]), torch.tensor(BETA_PARAMETER[0]))
    deviation = ((HIGH - LOW) * beta.stddev).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), ours.mode()[0], atol=5 * deviation.max() / np.sqrt(100_000))
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.02)


def test_outputs_are_read_as_alpha_and_then_beta_of_every_component() -> None:
    outputs = np.array([[-30.0, 0.0, 3.0, 100.0]])
    ours = distribution_of(outputs, BOUNDS, action_distribution=BETA)
    assert isinstance(ours, BetaDistribution)
    np.testing.assert_allclose(ours.alpha, [[1.0, 1 + np.log(2)]], rtol=1e-12)
    np.testing.assert_allclose(ours.beta, [[1 + np.log1p(np.exp(3)), 101.0]], rtol=1e-12)


def test_multi_discrete_draws_are_a_row_for_each_state() -> None:
    logits = np.array([[50.0, 0, 0, 0, 50], [0, 50, 50, 0, 0], [50, 0, 0, 50, 0]])
    ours = distribution_of(logits, MultiDiscrete((2, 3)))
    expected = [[0, 2], [1, 0], [0, 1]]
    assert ours.sample(np.random.default_rng(0)).tolist() == ours.mode().tolist() == expected


def test_a_temperature_is_1_where_none_is_given() -> None:
    ours: Any = distribution_of(np.array([[0.0, np.log(3)]]), Discrete(2))
    assert ours.probabilities().tolist() == [pytest.approx([0.25, 0.75])]


@pytest.mark.parametrize("action", [[2], [-1], [0.5]])
def test_actions_outside_their_space_are_named(action: Any) -> None:
    with pytest.raises(InputError, match=r"actions must be integers from 0 on, below 2, not \["):
        checked_actions(action, Discrete(2), 1)
    with pytest.raises(InputError, match=r"below 2 × 3"):
        checked_actions([[*action, 0]], MultiDiscrete((2, 3)), 1)

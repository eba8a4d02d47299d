"""The classroom's signature: a surrogate of log-probabilities and returns, judged as an estimator."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pgrad import exact
from pgrad.errors import EstimatorError
from pgrad.verify import diagnose_estimator, from_surrogate
from pgrad.verify.diagnosis import RIGHT
from pgrad.verify.zoo import DESCENT, SUMMED

Rows = list[list[float]]


def right(log_probs: Rows, returns: list[float]) -> float:
    return sum(g * sum(row) for row, g in zip(log_probs, returns, strict=True)) / len(returns)


def in_torch(log_probs: Rows, returns: list[float]) -> torch.Tensor:
    return torch.stack([torch.tensor(row).sum() * g for row, g in zip(log_probs, returns, strict=True)]).mean()


def mean_over_steps(log_probs: Rows, returns: list[float]) -> float:
    return float(np.mean([g * np.mean(row) for row, g in zip(log_probs, returns, strict=True)]))


def descending(log_probs: Rows, returns: list[float]) -> float:
    return -right(log_probs, returns)


def summed(log_probs: Rows, returns: list[float]) -> float:
    return right(log_probs, returns) * len(returns)


@pytest.mark.parametrize(
    ("surrogate", "name"),
    [
        (right, RIGHT),
        (in_torch, RIGHT),
        (descending, DESCENT),
        (summed, SUMMED),
        (mean_over_steps, "mean of log-probabilities times total return"),
    ],
)
def test_a_surrogate_is_judged_by_its_gradient(surrogate: Callable[..., float], name: str) -> None:
    assert diagnose_estimator(from_surrogate(surrogate), problems=1, seed=0).name == name


def test_its_mean_is_the_gradient() -> None:
    mdp = exact.layered(2, 2, 3, 0.8)
    policy = exact.Tabular(mdp.num_states, mdp.num_actions)(np.linspace(-1, 1, mdp.num_states * mdp.num_actions))
    mean = exact.moments(mdp, policy, from_surrogate(right), 2).mean
    np.testing.assert_allclose(mean, exact.solve(mdp, policy).gradient, rtol=1e-10)


def test_what_is_no_weighted_sum_is_refused() -> None:
    def product(log_probs: Rows, returns: list[float]) -> float:
        return sum(g * np.exp(sum(row)) for row, g in zip(log_probs, returns, strict=True))

    with pytest.raises(EstimatorError, match="product is no weighted sum of the log-probabilities"):
        diagnose_estimator(from_surrogate(product), problems=1, seed=0)

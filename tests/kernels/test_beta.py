"""The Beta head's own loops, against torch.distributions and the moments of gamma variates."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.kernels import beta
from pgrad.kernels.gaussian import bound_of
from pgrad.kernels.heads import BetaHead, divergence, fisher_product
from pgrad.kernels.jit import strict
from pgrad.kernels.random import fold_in

PARTS, LANES = 2, 3
Array = npt.NDArray[Any]


def outputs_of(seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 2, (2 * PARTS, LANES)).astype(np.float32)


def distributions(outputs: torch.Tensor) -> torch.distributions.Beta:
    """Of the outputs [2 D, L]: independent numbers, [D, L]."""
    alpha, concentration = (1 + torch.nn.functional.softplus(part) for part in outputs.chunk(2))
    return torch.distributions.Beta(alpha, concentration)


def test_the_fisher_matrix_is_the_curvature_of_the_divergence() -> None:
    outputs, tangent = outputs_of(0), outputs_of(1)
    product = np.full_like(outputs, np.nan)
    beta.fisher_product(outputs, tangent, product, LANES)
    old = torch.tensor(outputs.astype(np.float64))

    def divergence(moved: torch.Tensor) -> torch.Tensor:
        return torch.distributions.kl_divergence(distributions(old), distributions(moved)).sum()

    direction = torch.tensor(tangent.astype(np.float64))
    expected = torch.autograd.functional.hvp(divergence, old, direction)[1]  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(product, expected, rtol=2e-5, atol=1e-6)


def test_the_head_passes_them_on() -> None:
    outputs, tangent, nothing = outputs_of(0), outputs_of(1), np.empty((0, LANES), np.float32)
    head = BetaHead((bound_of(-1.0, 1.0),) * PARTS)
    product, expected = np.full_like(outputs, np.nan), np.full_like(outputs, np.nan)
    fisher_product(head, outputs, tangent, nothing, product, nothing, LANES)
    beta.fisher_product(outputs, tangent, expected, LANES)
    np.testing.assert_array_equal(product, expected)
    assert divergence(head, outputs, nothing, tangent, LANES) == beta.divergence(outputs, tangent, LANES)


def test_the_divergence_is_torchs() -> None:
    old, new = outputs_of(2), outputs_of(3)
    theirs = [distributions(torch.tensor(outputs.astype(np.float64))) for outputs in (old, new)]
    expected = torch.distributions.kl_divergence(*theirs).sum().item()
    assert beta.divergence(old, new, LANES) == pytest.approx(expected, rel=1e-5)
    assert beta.divergence(old, old, LANES) == pytest.approx(0.0, abs=1e-9)


@strict
def powers(shape: float, count: int) -> Array:
    """Return the sums of x, x² and log x over gamma variates."""
    sums = np.zeros(3)
    for k in range(count):
        log_x = beta.log_gamma_variate(shape, fold_in(np.uint64(7), k))
        x = np.exp(log_x)
        sums[0] += x
        sums[1] += x * x
        sums[2] += log_x
    return sums


@pytest.mark.parametrize("shape", [1.0, 4.5])
def test_gamma_variates_have_their_moments(shape: float) -> None:
    """E xᵏ = Γ(shape + k) / Γ(shape), E log x = ψ(shape); within four and a half standard errors."""
    count = 40_000
    first, second, logarithm = powers(shape, count) / count
    concentration = torch.tensor(shape, dtype=torch.float64)
    moments = [float(torch.exp(torch.lgamma(concentration + k) - torch.lgamma(concentration))) for k in range(5)]
    error = 4.5 / np.sqrt(count)
    assert first == pytest.approx(moments[1], abs=error * np.sqrt(moments[2] - moments[1] ** 2))
    assert second == pytest.approx(moments[2], abs=error * np.sqrt(moments[4] - moments[2] ** 2))
    spread = float(torch.polygamma(1, concentration)) ** 0.5
    assert logarithm == pytest.approx(float(torch.digamma(concentration)), abs=error * spread)

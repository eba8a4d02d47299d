"""The Gaussian head's Fisher matrix and divergence, against torch.distributions."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.kernels import gaussian
from pgrad.kernels.random import fold_in

LANES = 3
Array = npt.NDArray[Any]


def outputs_of(seed: int, parts: int, by_state: bool) -> tuple[Array, Array]:
    """Means, and log σ below them or in an array of their own."""
    rng = np.random.default_rng(seed)
    outputs = 0.6 * rng.normal(size=(parts * (2 if by_state else 1), LANES)).astype(np.float32)
    return outputs, np.empty(0, np.float32) if by_state else rng.normal(size=parts).astype(np.float32)


def distributions(outputs: torch.Tensor, log_std: torch.Tensor) -> torch.distributions.Normal:
    mean, own = (outputs, log_std[:, None]) if log_std.numel() else outputs.chunk(2)
    return torch.distributions.Normal(mean, own.expand(mean.shape).exp())


def doubled(*arrays: Array) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(array.astype(np.float64)) for array in arrays)


@pytest.mark.parametrize("by_state", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_fisher_matrix_is_the_curvature_of_the_divergence(parts: int, by_state: bool) -> None:
    outputs, log_std = outputs_of(0, parts, by_state)
    tangent, extra_tangent = outputs_of(1, parts, by_state)
    product, extra = np.full_like(outputs, np.nan), np.full((log_std.size, LANES), np.nan, np.float32)
    gaussian.fisher_product(outputs, log_std, tangent, extra_tangent, product, extra, LANES)
    at = doubled(outputs, log_std)

    def divergence(*moved: torch.Tensor) -> torch.Tensor:
        return torch.distributions.kl_divergence(distributions(*at), distributions(*moved)).sum()

    hvp: Any = torch.autograd.functional.hvp
    expected = hvp(divergence, at, doubled(tangent, extra_tangent), strict=False)[1]
    np.testing.assert_allclose(product, expected[0], rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(extra.sum(axis=1), expected[1], rtol=2e-5, atol=1e-5)


def test_beyond_its_bounds_the_networks_log_std_does_not_move() -> None:
    outputs, tangent = np.zeros((2, LANES), np.float32), np.ones((2, LANES), np.float32)
    outputs[1] = [-6.0, 0.5, 3.0]
    product, nothing = np.full_like(outputs, np.nan), np.empty((0, LANES), np.float32)
    gaussian.fisher_product(outputs, nothing[:, 0], tangent, nothing[:, 0], product, nothing, LANES)
    np.testing.assert_allclose(product, [np.exp([10.0, -1.0, -4.0]), [0.0, 2.0, 0.0]], rtol=1e-5)


def test_the_least_likely_bits_give_a_finite_number() -> None:
    """23 zeros for the radius: √(-2 log 2⁻²⁴) = 5.77. Bits 5,618,432 are the first with them."""
    bits, action = np.array([5_618_432], np.uint64), np.empty((2, 1), np.float32)
    assert fold_in(5_618_432, 0) >> 41 == 0
    gaussian.sample(np.zeros((2, 1), np.float32), np.zeros(2, np.float32), bits, action, 0, 1)
    assert float(np.hypot(*action[:, 0])) == pytest.approx(np.sqrt(48 * np.log(2)), rel=1e-5)


@pytest.mark.parametrize("by_state", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_divergence_is_torchs(parts: int, by_state: bool) -> None:
    old, new = outputs_of(2, parts, by_state), outputs_of(3, parts, by_state)
    expected = torch.distributions.kl_divergence(distributions(*doubled(*old)), distributions(*doubled(*new)))
    assert gaussian.divergence(*old, *new, LANES) == pytest.approx(expected.sum().item(), rel=1e-5)

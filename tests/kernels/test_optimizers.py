"""Steps along a gradient, against PyTorch's optimisers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.kernels.optimizers import ADAM, OPTIMIZERS, SGD, ascend, global_norm

Floats = npt.NDArray[np.float32]


def gradients(count: int, size: int) -> Floats:
    """Of very different magnitudes, with zeros among them."""
    rng = np.random.default_rng(0)
    g = rng.normal(size=(count, size)) * 10.0 ** rng.integers(-4, 3, size)
    g[:, 0] = 0
    return g.astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize(("name", "oracle"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_many_steps_are_pytorchs(name: str, oracle: Any, scale: float) -> None:
    start = np.random.default_rng(1).normal(size=11).astype(np.float32)
    parameters, moments = start.copy(), np.zeros((2, 11), np.float32)
    leaf = torch.tensor(start.astype(np.float64), requires_grad=True)
    optimizer = oracle([leaf], lr=0.02, maximize=True)
    for count, gradient in enumerate(gradients(60, 11), start=1):
        ascend(OPTIMIZERS[name], parameters, gradient, moments, count, 0.02, scale)
        leaf.grad = torch.tensor(gradient.astype(np.float64) * scale)
        optimizer.step()
    expected = leaf.detach().numpy()
    np.testing.assert_allclose(parameters - start, expected - start, rtol=2e-5, atol=2e-6)


def test_sgd_goes_up_by_hand() -> None:
    parameters, gradient = np.array([1, 2], np.float32), np.array([4, -8], np.float32)
    ascend(SGD, parameters, gradient, np.zeros((2, 2), np.float32), 1, 0.5, 0.25)
    assert parameters.tolist() == [1.5, 1.0]
    assert gradient.tolist() == [4, -8]


@pytest.mark.parametrize("magnitude", [1e-3, 1.0, 1e4])
def test_adams_first_step_is_the_learning_rate_towards_the_gradients_sign(magnitude: float) -> None:
    parameters, gradient = np.zeros(3, np.float32), np.array([magnitude, -magnitude, 0], np.float32)
    ascend(ADAM, parameters, gradient, np.zeros((2, 3), np.float32), 1, 0.01, 1.0)
    np.testing.assert_allclose(parameters, [0.01, -0.01, 0], rtol=3e-5)


def test_adam_keeps_its_moments() -> None:
    gradient, moments = np.array([2.0], np.float32), np.zeros((2, 1), np.float32)
    ascend(ADAM, np.zeros(1, np.float32), gradient, moments, 1, 0.01, 0.5)
    np.testing.assert_allclose(moments[:, 0], [0.1 * 1.0, 0.001 * 1.0], rtol=1e-6)
    ascend(ADAM, np.zeros(1, np.float32), gradient, moments, 2, 0.01, 0.5)
    np.testing.assert_allclose(moments[:, 0], [0.19, 0.001999], rtol=1e-6)


def test_adam_reaches_the_top_of_a_hill() -> None:
    """The gradient of -½ Σ c (x - x*)², with curvatures c from 0.1 to 100."""
    top, curvature = np.array([3, -2, 0.5], np.float32), np.array([0.1, 1, 100], np.float32)
    x, moments = np.zeros(3, np.float32), np.zeros((2, 3), np.float32)
    for count in range(1, 2001):
        ascend(ADAM, x, curvature * (top - x), moments, count, 0.02, 1.0)
    np.testing.assert_allclose(x, top, atol=1e-2)


@pytest.mark.parametrize("size", [0, 1, 5, 1000])
def test_global_norm_is_pytorchs(size: int) -> None:
    g = np.random.default_rng(size).normal(size=size).astype(np.float32)
    assert global_norm(g) == pytest.approx(float(torch.linalg.vector_norm(torch.tensor(g).double())), rel=1e-12)


def test_global_norm_by_hand() -> None:
    assert global_norm(np.array([3, -4], np.float32)) == 5.0


def test_the_norm_is_finite_wherever_the_elements_are() -> None:
    assert global_norm(np.full(4, 3e38, np.float32)) == pytest.approx(6e38, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_the_norm_of_what_is_not_finite_is_not_finite(bad: float, place: int) -> None:
    g = np.ones(9, np.float32)
    g[place] = bad
    assert not np.isfinite(global_norm(g))

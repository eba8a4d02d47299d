"""PyTorch's optimisers as pgrad makes them take the steps of its own."""

import math

import numpy as np
import pytest
import torch

from pgrad.algorithms.iteration import FINE
from pgrad.algorithms.learner import Settings
from pgrad.estimators.spec import EstimatorSpec
from pgrad.kernels.optimizers import ADAM, SGD
from pgrad.torch.optimizers import new_optimizer


@pytest.mark.parametrize("max_grad_norm", [math.inf, 0.5])
@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0])
def test_both_take_the_same_steps(optimizer: int, max_grad_norm: float, size: float) -> None:
    """Float64 parameters are torch.optim's, float32 ones pgrad's; gradients as small as ε tell where that stands."""
    settings = Settings(EstimatorSpec(), 0.0, optimizer, 0.1, 0.1, max_grad_norm, False, 10, 1000)
    start, rng = np.zeros(5), np.random.default_rng(0)
    theirs, ours = (torch.nn.Parameter(torch.tensor(start, dtype=kind)) for kind in (torch.float64, torch.float32))
    steppers = [new_optimizer([parameter], None, settings, 0.1) for parameter in (theirs, ours)]
    assert type(steppers[0]) is not type(steppers[1])
    for factor in (1.0, 0.5, 0.25):
        gradient = rng.normal(0, size, 5)
        for stepper, parameter in zip(steppers, (theirs, ours), strict=True):
            fault, norm = stepper.step([torch.tensor(gradient, dtype=parameter.dtype)], factor)
            assert fault == FINE
            assert norm == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    moved = theirs.detach().numpy()
    np.testing.assert_allclose(ours.detach().numpy(), moved, rtol=0, atol=1e-5 * np.abs(moved).max())

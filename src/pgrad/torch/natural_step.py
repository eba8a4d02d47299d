"""The natural gradient's step for modules: algorithms.natural_step with autograd in place of compiled products."""

import numpy as np
import torch
from torch import Tensor, nn

from pgrad.algorithms.epochs import Part, Step
from pgrad.algorithms.iteration import BAD_GRADIENT, FINE, first_cause
from pgrad.algorithms.natural_step import HALVINGS, NaturalStep
from pgrad.torch.devices import beside
from pgrad.torch.learner import TorchLearner
from pgrad.torch.module_output import ActionDistribution
from pgrad.torch.optimizers import Gradients
from pgrad.torch.samples import Samples, loaded


def natural_step(learner: TorchLearner, part: Part, gradients: Gradients) -> Step:
    """Step along the natural gradient; take the step back where it is refused.

    A gradient that is not finite takes the last step back.
    """
    step, optimizer = learner.settings.step, learner.optimizer
    assert isinstance(step, NaturalStep)
    gradient = flat(gradients, optimizer.parameters)
    norm = float(gradient.norm())
    if not np.isfinite(norm):
        optimizer.restore()
        return Step(first_cause(BAD_GRADIENT, part), norm, 0.0, np.nan)
    optimizer.remember()
    samples = loaded(part.batch, learner.policy.inputs)
    with torch.no_grad():
        old = learner.policy.forward(samples.obs).distribution
        before = old.log_prob_and_entropy(samples.action, samples.mask, False)[0]
    direction = conjugate_gradient(learner, samples, old, gradient)
    curvature = float(direction @ fisher_vector_product(learner, samples, old, direction))
    length = np.sqrt(2.0 * step.max_kl / curvature) if curvature > 0 else 0.0
    weight, start = beside(part.advantage.weight, before), flat(list(optimizer.parameters), optimizer.parameters)
    for _ in range(1 + HALVINGS * step.line_search):
        place(optimizer.parameters, start + length * direction)
        with torch.no_grad():
            new = learner.policy.forward(samples.obs).distribution
            kl = float(new.divergence(old, samples.mask).mean())  # type: ignore[arg-type]
            log_prob = new.log_prob_and_entropy(samples.action, samples.mask, False)[0]
            gain = float((weight * torch.expm1(log_prob - before)).sum())
        if np.isfinite(kl) and (not step.line_search or (kl <= step.max_kl and gain >= 0)):
            return Step(FINE, norm, length, kl)
        length *= 0.5
    optimizer.restore()
    return Step(FINE, norm, 0.0, 0.0)


def fisher_vector_product(learner: TorchLearner, samples: Samples, old: ActionDistribution, vector: Tensor) -> Tensor:
    """Return (F + damping · I) v in float64, [P]: the second derivative of the mean KL(π_old ‖ π) at π_old."""
    step, parameters = learner.settings.step, learner.optimizer.parameters
    assert isinstance(step, NaturalStep)
    new = learner.policy.forward(samples.obs).distribution
    kl = new.divergence(old, samples.mask).mean()  # type: ignore[arg-type]
    slope = torch.autograd.grad(kl, parameters, create_graph=True, allow_unused=True)
    parts = torch.split(vector, [p.numel() for p in parameters])
    along = torch.stack([s.reshape(-1) @ v.to(s) for s, v in zip(slope, parts, strict=True) if s is not None]).sum()
    product = torch.autograd.grad(along, parameters, allow_unused=True)
    return flat(list(product), parameters) + step.damping * vector


def conjugate_gradient(learner: TorchLearner, samples: Samples, old: ActionDistribution, gradient: Tensor) -> Tensor:
    """Return an approximation of (F + damping · I)⁻¹ g in float64, [P]: see estimators.fisher."""
    assert isinstance(learner.settings.step, NaturalStep)
    x, residual, direction = torch.zeros_like(gradient), gradient.clone(), gradient.clone()
    square = start = float(residual @ residual)
    for _ in range(learner.settings.step.iterations):
        if square <= 1e-20 * start:
            break
        product = fisher_vector_product(learner, samples, old, direction)
        curvature = float(direction @ product)
        if not curvature > 0:
            break
        x += square / curvature * direction
        residual -= square / curvature * product
        before, square = square, float(residual @ residual)
        direction = residual + square / before * direction
    return x


def flat(tensors: Gradients, parameters: list[nn.Parameter]) -> Tensor:
    """Return tensors of the parameters' shapes as one vector in float64, [P]; zeros for None."""
    both = zip(tensors, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if t is None else t).detach().reshape(-1).double() for t, p in both])


def place(parameters: list[nn.Parameter], vector: Tensor) -> None:
    """Set the parameters to the numbers of a vector [P]."""
    with torch.no_grad():
        for parameter, part in zip(parameters, torch.split(vector, [p.numel() for p in parameters]), strict=True):
            parameter.copy_(part.reshape(parameter.shape))

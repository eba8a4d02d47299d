"""Identities that hold without sampling error: each function returns how far one case deviates from its identity."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from pgrad import exact
from pgrad.exact.mdp import Floats
from pgrad.verify.cases import Case
from pgrad.verify.check import Check, relative

if TYPE_CHECKING:
    import torch

SMALL = 1e-5  # the step of a finite difference
RATIO_CLIP = 0.2


def identity_checks(cases: list[Case]) -> Iterator[Check]:
    """Yield a check of each identity: its largest deviation over all cases."""
    for name, deviation, tolerance in IDENTITIES:
        yield Check(name, max(deviation(case) for case in cases), tolerance)
    name, tolerance = "∇J by linear algebra = by PyTorch's autograd", 1e-10
    if importlib.util.find_spec("torch") is None:
        yield Check(name, np.nan, tolerance, skipped="PyTorch is not installed")
    else:
        yield Check(name, max(autograd(case) for case in cases), tolerance)


def central_differences(function: Callable[[Floats], Floats | float], theta: Floats) -> Floats:
    """Return ∂ function / ∂θ; [P, ...]."""
    shifts = SMALL * np.eye(theta.size)
    return np.array([(function(theta + shift) - function(theta - shift)) / (2 * SMALL) for shift in shifts])


def score_mean(case: Case) -> float:
    """Return the largest |Σ_a π(a|s) ∇log π(a|s)|, which is 0 in every state."""
    mean = np.einsum("sa,sap->sp", case.policy.probabilities, case.policy.scores)
    return float(np.abs(mean).max())


def score_rows(case: Case) -> float:
    """Return the largest |Σ_k ∂ log π(a|s) / ∂ logit_k|; the score at the logits, onehot(a) - π, sums to 0."""
    tabular = exact.Tabular(case.problem.num_states, case.problem.num_actions)(case.policy.logits)
    return float(np.abs(tabular.scores.sum(axis=-1)).max())


def baseline(case: Case) -> float:
    """Return ‖E[Σ_t γ^t b(s_t) ∇log π(a_t|s_t)]‖, 0 for any baseline b(s), over its standard deviation."""
    table = np.random.default_rng(0).normal(size=case.problem.num_states)

    def pushed(trajectories: list[exact.Trajectory]) -> Floats:
        (trajectory,) = trajectories
        weight = trajectory.discount ** np.arange(len(trajectory)) * table[trajectory.states]
        return np.asarray(weight @ trajectory.scores)

    moments = exact.moments(case.problem, case.policy, pushed)
    return float(np.linalg.norm(moments.mean) / np.sqrt(np.trace(moments.covariance)))


def log_derivative(case: Case) -> float:
    """Compare ∇p(ω), by central differences, with p(ω) Σ_t ∇log π(a_t|s_t) for all trajectories ω."""
    trajectories, probability = exact.enumerate_trajectories(case.problem, case.policy)
    by_trick = np.array([p * t.scores.sum(axis=0) for t, p in zip(trajectories, probability, strict=True)])
    differences = central_differences(
        lambda theta: exact.enumerate_trajectories(case.problem, case.family(theta))[1], case.theta
    )
    return relative(differences.T, by_trick)


def enumeration(case: Case) -> float:
    """Compare Σ_ω p(ω) G_0(ω) Σ_t ∇log π(a_t|s_t), summed over all trajectories ω, with ∇J."""
    total = np.zeros(case.theta.size)
    for trajectory, p in zip(*exact.enumerate_trajectories(case.problem, case.policy), strict=True):
        returned = trajectory.discount ** np.arange(len(trajectory)) @ trajectory.rewards
        total += p * returned * trajectory.scores.sum(axis=0)
    return relative(total, case.solution.gradient)


def finite_differences(case: Case) -> float:
    """Compare finite differences of J with ∇J."""
    return relative(exact.finite_difference_gradient(case.problem, case.family, case.theta), case.solution.gradient)


def ratio_gradient(case: Case) -> float:
    """Compare ∇ E[Σ_t γ^t min(ρ_t A_t, clip(ρ_t) A_t)] at ρ = π_θ / π_old = 1 with ∇J: PPO's first step ascends J.

    By central differences over θ, with the trajectories and advantages of π_old. Schulman et al. (2017), equation 7.
    """
    slope = central_differences(lambda theta: _clipped_surrogate(case, case.family(theta)), case.theta)
    return relative(slope, case.solution.gradient)


def _clipped_surrogate(case: Case, new: exact.SoftmaxPolicy) -> float:
    ratio = new.probabilities / case.policy.probabilities
    advantage, occupancy = over_time(case.solution.advantage, 3), over_time(case.solution.occupancy, 2)
    clipped = np.minimum(ratio * advantage, np.clip(ratio, 1 - RATIO_CLIP, 1 + RATIO_CLIP) * advantage)
    return float(np.einsum("ts,sa,tsa->", occupancy, case.policy.probabilities, clipped))


def over_time(array: Floats, axes: int) -> Floats:
    """Return the array with a leading time axis, of length one if the problem has no time limit."""
    return array if array.ndim == axes else array[None]


def natural(case: Case) -> float:
    """Compare F · (natural gradient) with ∇J."""
    return relative(case.solution.fisher @ case.solution.natural_gradient, case.solution.gradient)


def fisher(case: Case) -> float:
    """Compare -Σ_s η(s) Σ_a π(a|s) ∇² log π(a|s), by central differences of the score, with F."""
    weight = np.atleast_2d(case.solution.occupancy).sum(axis=0)[:, None] * case.policy.probabilities
    slope = central_differences(lambda theta: case.family(theta).scores, case.theta)
    return relative(-np.einsum("sa,ksap->kp", weight, slope), case.solution.fisher)


def performance_difference(case: Case) -> float:
    """Compare Σ_s η_π'(s) Σ_a π'(a|s) A_π(s, a) with J(π') - J(π). Kakade and Langford (2002), lemma 6.1."""
    other = case.family(case.theta + np.random.default_rng(1).normal(size=case.theta.size))
    there = exact.solve(case.problem, other)
    advantage, occupancy = over_time(case.solution.advantage, 3), over_time(there.occupancy, 2)
    gain = float(np.einsum("ts,sa,tsa->", occupancy, other.probabilities, advantage))
    return abs(gain - (there.performance - case.solution.performance)) / abs(gain)


def autograd(case: Case) -> float:
    """Compare PyTorch's gradient of J in float64, through the policy and the linear solve for V, with ∇J."""
    import torch

    theta = torch.tensor(case.theta, requires_grad=True)
    pi = torch.softmax(_torch_logits(case, theta), dim=1)
    problem = case.problem
    transition, reward = torch.tensor(problem.transition), torch.tensor(problem.expected_reward)
    alive = torch.tensor(~problem.terminal, dtype=torch.float64)
    step = torch.einsum("sa,sat->st", pi, transition) * alive[:, None]
    earned = (pi * reward).sum(1) * alive
    if problem.time_limit is None:
        value = torch.linalg.solve(torch.eye(len(earned), dtype=torch.float64) - problem.discount * step, earned)
    else:
        value = torch.zeros_like(earned)
        for _ in range(problem.time_limit):
            value = earned + problem.discount * step @ value
    (gradient,) = torch.autograd.grad(torch.tensor(problem.start) @ value, theta)
    return relative(gradient.numpy(), case.solution.gradient)


def _torch_logits(case: Case, theta: "torch.Tensor") -> "torch.Tensor":
    import torch

    units, start, sizes = torch.tensor(case.obs), 0, case.family.sizes
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weight = theta[start : start + outputs * inputs].reshape(outputs, inputs)
        start += outputs * (inputs + 1)
        units = units @ weight.T + theta[start - outputs : start]
        units = torch.tanh(units) if k < len(sizes) - 2 else units
    return units


IDENTITIES: tuple[tuple[str, Callable[[Case], float], float], ...] = (
    ("the score has mean zero", score_mean, 1e-14),
    ("the score's components at the logits sum to zero", score_rows, 1e-14),
    ("a baseline of the state leaves the mean alone", baseline, 1e-12),
    ("log-derivative trick: ∇p(ω) = p(ω) ∇log p(ω)", log_derivative, 1e-8),
    ("∇J by linear algebra = by enumeration", enumeration, 1e-10),
    ("∇J by linear algebra = by finite differences", finite_differences, 1e-8),
    ("the clipped ratio's gradient at ratio 1 = ∇J", ratio_gradient, 1e-8),
    ("Fisher matrix = -E[∇² log π], the curvature by finite differences", fisher, 1e-8),
    ("Fisher matrix · natural gradient = ∇J", natural, 1e-8),
    ("performance difference lemma", performance_difference, 1e-10),
)

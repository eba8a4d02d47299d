"""The training's estimators as functions of trajectories: against a textbook's, and against the float32 of training."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from pgrad import exact
from pgrad.algorithms.iteration import advantages
from pgrad.estimators.catalogue import CATALOGUE, Named
from pgrad.estimators.gradient import policy_gradient
from pgrad.estimators.spec import (
    BY_BATCH,
    BY_EPISODE,
    CONSTANT,
    GAE,
    LEAVE_ONE_OUT,
    MEAN,
    OPTIMAL,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)
from pgrad.exact.trajectories import Trajectory
from pgrad.verify.as_estimator import as_batch, as_function
from pgrad.verify.cases import Case, cases
from pgrad.verify.sampling import settings_of

CASES = cases(seed=5)


def textbook(spec: EstimatorSpec, trajectories: list[Trajectory]) -> np.ndarray:
    """Every estimator of the catalogue, one number at a time."""
    gamma, count = trajectories[0].discount, len(trajectories)
    psi, kept = [textbook_psi(spec, one) for one in trajectories], []
    for one in trajectories:
        keeps = spec.exact_discounting and spec.psi != TOTAL_RETURN
        kept.append([gamma**t if keeps else 1.0 for t in range(len(one))])
    if spec.baseline == CONSTANT:
        psi = [[x - spec.constant for x in row] for row in psi]
    if spec.baseline in (MEAN, LEAVE_ONE_OUT):
        means = []
        for n in range(count):
            chosen = psi if spec.baseline == MEAN else psi[:n] + psi[n + 1 :]
            numbers = [row[0] for row in chosen] if spec.psi == TOTAL_RETURN else list(itertools.chain(*chosen))
            means.append(math.fsum(numbers) / len(numbers))
        psi = [[x - mean for x in row] for row, mean in zip(psi, means, strict=True)]
    if spec.baseline == OPTIMAL:
        constants = []
        for n in range(count):
            product = square = 0.0
            for m in set(range(count)) - {n}:
                scores = trajectories[m].scores
                g = sum(kept[m][t] * psi[m][t] * scores[t] for t in range(len(scores)))
                u = sum(kept[m][t] * scores[t] for t in range(len(scores)))
                product, square = product + g @ u, square + u @ u
            constants.append(product / square)
        psi = [[x - constant for x in row] for row, constant in zip(psi, constants, strict=True)]
    if spec.standardize == BY_BATCH:
        every = list(itertools.chain(*psi))
        psi = [[(x - np.mean(every)) / np.std(every) for x in row] for row in psi]
    if spec.standardize == BY_EPISODE:
        psi = [[(x - np.mean(row)) / np.std(row) if np.ptp(row) > 0 else 0.0 for x in row] for row in psi]
    total = np.zeros(trajectories[0].scores.shape[1])
    for n, one in enumerate(trajectories):
        for t in range(len(one)):
            total += kept[n][t] * psi[n][t] * one.scores[t]
    return total / (count if spec.per_episode else sum(map(len, trajectories)))


def textbook_psi(spec: EstimatorSpec, one: Trajectory) -> list[float]:
    gamma, steps, reads = one.discount, len(one), spec.baseline == VALUE
    rewards, values = one.rewards.tolist(), one.values.tolist()
    tail = values[-1] if reads and one.truncated else 0.0
    if spec.psi == GAE:
        errors = [rewards[t] + gamma * (values[t + 1] if t + 1 < steps else tail) - values[t] for t in range(steps)]
        decay = gamma * spec.gae_lambda
        return [math.fsum(decay ** (k - t) * errors[k] for k in range(t, steps)) for t in range(steps)]
    to_go = [
        math.fsum(gamma ** (k - t) * rewards[k] for k in range(t, steps)) + gamma ** (steps - t) * tail
        for t in range(steps)
    ]
    if spec.psi == TOTAL_RETURN:
        return [to_go[0]] * steps
    return [g - v for g, v in zip(to_go, values, strict=False)] if reads else to_go


def batch_of(case: Case, count: int, seed: int) -> list[Trajectory]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=case.problem.num_states)
    return exact.sample_trajectories(case.problem, case.policy, count, rng, values)


@pytest.mark.parametrize("named", CATALOGUE, ids=lambda named: named.name)
def test_every_estimator_is_the_textbooks(named: Named) -> None:
    for case in CASES[3:]:
        for count in (2, 3, 7):
            trajectories = batch_of(case, count, seed=count)
            found = as_function(named.spec)(trajectories)
            expected = textbook(named.spec, trajectories)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max() + 1e-14)


def test_discount_and_values_come_with_the_trajectories() -> None:
    case, spec = CASES[-1], CATALOGUE[13].spec
    trajectories = batch_of(case, 3, seed=0)
    found = as_function(spec)(trajectories)
    np.testing.assert_array_equal(as_function(spec._replace(discount=0.123))(trajectories), found)
    other = exact.sample_trajectories(case.problem, case.policy, 3, np.random.default_rng(0), case.values)
    assert np.abs(as_function(spec)(other) - found).max() > 1e-3


def as_training_has_it(case: Case, trajectories: list[Trajectory], rng: np.random.Generator) -> tuple[Any, Any]:
    """The batch with what is observed, its samples in the order of time as the rollout leaves them, and that order."""
    batch = as_batch(trajectories)
    order = np.lexsort((rng.permutation(batch.time.size), batch.time))
    place = np.argsort(order)
    states = np.concatenate([one.states for one in trajectories])
    cut = np.flatnonzero(batch.truncated)
    last = np.array([final_state(case, one) for one in trajectories if one.truncated], dtype=int)
    mixed = batch._replace(
        obs=np.ascontiguousarray(case.obs[states[order]].T.astype(np.float32)),
        action=batch.action[order],
        reward=batch.reward[order],
        terminated=batch.terminated[order],
        truncated=batch.truncated[order],
        trajectory=batch.trajectory[order],
        num_trajectories=batch.num_trajectories,
        time=batch.time[order],
        final_obs=np.ascontiguousarray(case.obs[last].T.astype(np.float32)),
        final_sample=place[cut],
    )
    return mixed, states[order]


def final_state(case: Case, one: Trajectory) -> int:
    """The only non-terminal state of that value."""
    return int(np.abs(np.where(case.problem.terminal, np.inf, case.values) - one.values[-1]).argmin())


def torch_log_probs(case: Case, theta: torch.Tensor, states: np.ndarray, actions: np.ndarray) -> torch.Tensor:
    units, start, sizes = torch.tensor(case.obs[states]), 0, case.family.sizes
    for k in range(len(sizes) - 1):
        end = start + sizes[k] * sizes[k + 1]
        weight, bias = theta[start:end].reshape(sizes[k + 1], sizes[k]), theta[end : end + sizes[k + 1]]
        units = units @ weight.T + bias
        start = end + sizes[k + 1]
        if k < len(sizes) - 2:
            units = torch.tanh(units)
    return torch.log_softmax(units, 1)[torch.arange(len(actions)), torch.tensor(actions, dtype=torch.int64)]


@pytest.mark.parametrize("named", CATALOGUE, ids=lambda named: named.name)
def test_training_multiplies_by_the_same_and_pytorch_has_the_same_scores(named: Named) -> None:
    """In float32, from observations and samples in the order of time, with a critic of the true values."""
    for case in (CASES[4], CASES[11], CASES[14]):
        rng = np.random.default_rng(3)
        trajectories = exact.sample_trajectories(case.problem, case.policy, 5, rng, case.values)
        spec = named.spec._replace(discount=case.problem.discount)
        batch, states = as_training_has_it(case, trajectories, rng)
        policy, critic = case.compiled_policy.compiled, case.compiled_value.network
        weighed = advantages(settings_of(spec), policy, critic, batch)
        gradient, _ = policy_gradient(policy, batch, weighed, 0.0)
        theta = torch.tensor(case.theta, requires_grad=True)
        (torch.tensor(weighed.weight) @ torch_log_probs(case, theta, states, batch.action)).backward()  # type: ignore[no-untyped-call]
        assert theta.grad is not None
        expected, scale = as_function(spec)(trajectories), float(np.abs(case.values).max())
        np.testing.assert_allclose(gradient, theta.grad.numpy(), rtol=0, atol=3e-6 * scale, err_msg=case.name)
        np.testing.assert_allclose(theta.grad.numpy(), expected, rtol=0, atol=3e-6 * scale, err_msg=case.name)


@pytest.mark.parametrize("case", [CASES[4], CASES[14]], ids=lambda case: case.name)
def test_a_batch_holds_the_trajectories_one_after_the_other(case: Case) -> None:
    trajectories = batch_of(case, 6, seed=1)
    batch = as_batch(trajectories)
    assert batch.trajectory.dtype == batch.time.dtype == batch.action.dtype == np.int32
    for n, one in enumerate(trajectories):
        own = batch.trajectory == n
        np.testing.assert_array_equal(batch.action[own], one.actions)
        np.testing.assert_array_equal(batch.reward[own], one.rewards)
        np.testing.assert_array_equal(batch.time[own], np.arange(len(one)))
        ends = np.arange(len(one)) == len(one) - 1
        np.testing.assert_array_equal(batch.terminated[own], ends & one.terminated)
        np.testing.assert_array_equal(batch.truncated[own], ends & one.truncated)
    np.testing.assert_array_equal(batch.final_sample, np.flatnonzero(batch.truncated))
    assert (np.diff(batch.trajectory) >= 0).all()

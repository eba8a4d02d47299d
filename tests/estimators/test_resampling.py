"""One backward pass serves every baseline, scale and batch size: groups against training's own functions."""

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from pgrad.algorithms.iteration import advantages
from pgrad.diagnostics.trajectories import Block, analysed, joined, rolled_out, spec_of
from pgrad.envs.make import make
from pgrad.estimators.catalogue import CATALOGUE, Named
from pgrad.estimators.gradient import policy_gradient
from pgrad.estimators.resampling import group_estimate, group_statistics
from pgrad.estimators.spec import GAE, TOTAL_RETURN, VALUE, EstimatorSpec
from pgrad.policies.mlp import MLPPolicy, MLPValue, initial_parameters
from pgrad.rollouts.batch import Batch
from pgrad.verify.sampling import settings_of

PARTS = [20, 20, 7]
SIZE = sum(PARTS)
DISCOUNT, LIMIT = 0.97, 20
GROUPS = [(0, 2), (31, 2), (7, 5), (18, 5), (38, 5), (0, SIZE), (12, 1)]  # within parts, across them, and all
EVERY = pytest.mark.parametrize("named", CATALOGUE, ids=[named.name for named in CATALOGUE])


class Problem(NamedTuple):
    policy: MLPPolicy
    critic: MLPValue
    batches: list[Batch]
    block: Block


def parameters(sizes: tuple[int, ...], seed: int) -> np.ndarray:
    return initial_parameters(sizes, "orthogonal", 1.0, np.random.default_rng(seed))


@pytest.fixture(
    scope="module",
    params=[((4, 16, 2), "tanh", 1.0), ((4, 2), "tanh", 0.6), ((4, 8, 8, 2), "relu", 2.0)],
    ids=["16 tanh", "linear", "8, 8 relu"],
)
def problem(request: pytest.FixtureRequest) -> Problem:
    sizes, activation, temperature = request.param
    policy = MLPPolicy(parameters(sizes, 2), sizes, activation, temperature)
    critic = MLPValue(10 * parameters((4, 6, 1), 1), (4, 6, 1), "relu")
    env = dataclasses.replace(make("CartPole-v1"), max_episode_steps=LIMIT)
    batches = [copy.deepcopy(batch) for batch in rolled_out(env, policy, PARTS, 5)]  # the next overwrites each
    cut = np.concatenate([batch.truncated for batch in batches]).sum()
    assert 0.1 * SIZE < cut < 0.9 * SIZE, "some episodes have to reach the time limit, and some not"
    specs = [spec_of(named, DISCOUNT, 3.3) for named in CATALOGUE]
    parts = [analysed(batch, n, policy, critic, specs) for batch, n in zip(batches, PARTS, strict=True)]
    return Problem(policy, critic, batches, joined(parts))


def batch_of(batches: list[Batch], lowest: int, size: int) -> Batch:
    """Exactly those trajectories, as one batch; laid out as they come."""
    kept, before, samples = [], 0, 0
    for batch, number in zip(batches, PARTS, strict=True):
        chosen = np.flatnonzero((batch.trajectory + before >= lowest) & (batch.trajectory + before < lowest + size))
        finals = np.flatnonzero(np.isin(batch.final_sample, chosen))
        kept.append(
            batch._replace(
                obs=batch.obs[:, chosen],
                **{name: getattr(batch, name)[chosen] for name in ("action", "reward", "terminated", "truncated")},
                trajectory=(batch.trajectory[chosen] + before - lowest).astype(np.int32),
                num_trajectories=size,
                time=batch.time[chosen],
                final_obs=batch.final_obs[:, finals],
                final_sample=samples + np.searchsorted(chosen, batch.final_sample[finals]),
            )
        )
        before, samples = before + number, samples + chosen.size
    arrays = [name for name, value in kept[0]._asdict().items() if isinstance(value, np.ndarray)]
    joined_arrays = {name: np.concatenate([getattr(part, name) for part in kept], axis=-1) for name in arrays}
    return kept[0]._replace(**{name: np.ascontiguousarray(array) for name, array in joined_arrays.items()})


def trained_on(problem: Problem, spec: EstimatorSpec, lowest: int, size: int) -> np.ndarray:
    """What training makes of a batch of these trajectories."""
    settings = settings_of(spec)
    batch = batch_of(problem.batches, lowest, size)
    advantage = advantages(settings, problem.policy.compiled, problem.critic.network, batch)
    return policy_gradient(problem.policy.compiled, batch, advantage, settings.entropy_coef)[0]


def grouped(block: Block, spec: EstimatorSpec, lowest: int, size: int) -> np.ndarray:
    estimate = np.full(block.of(spec).a.shape[1], np.nan, np.float32)
    group_estimate(spec, block.of(spec), lowest, size, estimate)
    return estimate


@EVERY
def test_a_group_is_what_training_makes_of_these_trajectories(problem: Problem, named: Named) -> None:
    spec = spec_of(named, DISCOUNT, 3.3)
    for lowest, size in GROUPS:
        if size == 1 and "leave-one-out" in named.name:
            continue
        expected = trained_on(problem, spec, lowest, size)
        bare = trained_on(problem, spec._replace(baseline=spec.baseline if named.needs_value else 0), lowest, size)
        tolerance = 2e-5 * max(np.linalg.norm(expected), np.linalg.norm(bare))  # baselines cancel digits
        np.testing.assert_allclose(grouped(problem.block, spec, lowest, size), expected, rtol=0, atol=tolerance)
        assert size < SIZE or np.linalg.norm(expected) > 100 * tolerance


def test_a_whole_block_is_the_group_of_all(problem: Problem) -> None:
    for named in CATALOGUE:
        spec = spec_of(named, DISCOUNT, 3.3)
        np.testing.assert_array_equal(problem.block.estimate(spec), grouped(problem.block, spec, 0, SIZE))


def test_gae_of_1_is_the_value_baseline_to_the_bit(problem: Problem) -> None:
    value, gae = (EstimatorSpec(psi, VALUE, discount=DISCOUNT) for psi in (1, GAE))
    assert problem.block.of(gae) is problem.block.of(value)
    np.testing.assert_array_equal(problem.block.estimate(gae), problem.block.estimate(value))


def test_v_enters_groups_too(problem: Problem) -> None:
    blind = problem._replace(critic=MLPValue(0 * problem.critic.parameters, (4, 6, 1), "relu"))
    spec = EstimatorSpec(baseline=VALUE, discount=DISCOUNT)
    seeing, unseeing = (trained_on(each, spec, 0, SIZE) for each in (problem, blind))
    assert np.linalg.norm(seeing - unseeing) > 0.01 * np.linalg.norm(seeing)
    np.testing.assert_allclose(grouped(problem.block, spec, 0, SIZE), seeing, rtol=0, atol=np.abs(seeing).max() / 1e4)


def test_trajectories_before_and_after_a_group_do_not_matter(problem: Problem) -> None:
    for named in CATALOGUE:
        spec = spec_of(named, DISCOUNT, 3.3)
        pieces = problem.block.of(spec)
        spoilt = pieces._replace(a=pieces.a.copy(), u=pieces.u.copy(), overlap=pieces.overlap.copy())
        for array in (spoilt.a, spoilt.u, spoilt.overlap.T):
            array[:7], array[12:] = np.nan, np.nan
        estimate = np.empty(pieces.a.shape[1], np.float32)
        group_estimate(spec, spoilt, 7, 5, estimate)
        np.testing.assert_array_equal(estimate, grouped(problem.block, spec, 7, 5))


@pytest.mark.parametrize("size", [2, 5, 10])  # 47 trajectories: what is left over belongs to no group
def test_statistics_are_averages_over_groups(problem: Problem, size: int) -> None:
    reference = np.random.default_rng(size).standard_normal(problem.policy.num_parameters).astype(np.float32)
    for named in CATALOGUE:
        spec = spec_of(named, DISCOUNT, 3.3)
        mean, square, cosine = group_statistics(spec, problem.block.of(spec), size, reference)
        groups = np.stack([grouped(problem.block, spec, g * size, size) for g in range(SIZE // size)])
        lengths = np.linalg.norm(groups.astype(np.float64), axis=1)
        cosines = groups.astype(np.float64) @ reference / lengths / np.linalg.norm(reference)
        np.testing.assert_allclose(mean, groups.mean(axis=0), rtol=0, atol=1e-6 * lengths.max())
        assert (square, cosine) == pytest.approx(((lengths**2).mean(), cosines.mean()), rel=1e-6, abs=1e-6)


def test_an_estimate_or_reference_of_length_zero_counts_as_orthogonal(problem: Problem) -> None:
    spec = EstimatorSpec(TOTAL_RETURN, discount=DISCOUNT)
    pieces, some = problem.block.of(spec), np.ones(problem.policy.num_parameters, np.float32)
    half = pieces.a.copy()
    half[: SIZE // 2] = 0.0
    nothing, square, cosine = group_statistics(spec, pieces._replace(a=0 * half, u=0 * half), 2, some)
    assert (np.abs(nothing).max(), square, cosine) == (0, 0, 0)
    assert group_statistics(spec, pieces, 2, 0 * some)[2] == 0
    other = half[SIZE // 2 :].astype(np.float64)
    cosines = other @ some / np.linalg.norm(other, axis=1) / np.linalg.norm(some)
    of_all = group_statistics(spec, pieces._replace(a=half), 1, some)[2]
    assert of_all == pytest.approx(cosines.sum() / SIZE, abs=1e-6)

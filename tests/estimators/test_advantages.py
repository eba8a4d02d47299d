"""What multiplies the score, with every baseline and standardisation: tables by hand, and identities."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.algorithms.iteration import advantages
from pgrad.algorithms.learner import Settings
from pgrad.estimators.advantages import Multipliers, corrections, multipliers, normaliser, weights
from pgrad.estimators.baselines import summarise
from pgrad.estimators.spec import (
    BASELINES,
    BY_BATCH,
    BY_EPISODE,
    CONSTANT,
    GAE,
    LEAVE_ONE_OUT,
    MEAN,
    NO_BASELINE,
    NOT_STANDARDIZED,
    OPTIMAL,
    REWARD_TO_GO,
    STANDARDIZATIONS,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)
from pgrad.kernels.heads import CategoricalHead, Policy
from pgrad.kernels.mlp import network
from pgrad.kernels.optimizers import SGD
from pgrad.rollouts.batch import Batch

Array = npt.NDArray[Any]

# Four trajectories of two samples: Ψ is (2, 4), (5, 9), (4, 4) and (5, 7); together its mean is 5, its deviation 2.
PSI = np.array([2.0, 5, 4, 5, 4, 4, 7, 9])
ENV = np.array([0, 1, 2, 3, 0, 2, 3, 1], np.int32)
KEPT = np.array([1.0, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
OVERLAP = np.array([[0.0, 6, 3, 3], [1, 2, 1, 2]])  # of the others: 12/5, 6/4, 9/5, 9/4


def weigh(by: Array, **specs: Any) -> Array:
    multiplied = Multipliers(by, KEPT, np.full_like(by, np.nan))
    result: Array = weights(EstimatorSpec(**specs), multiplied, BATCH, OVERLAP)
    return result


LESS_THE_OPTIMAL = np.array([-0.4, 3.5, 2.2, 2.75, 1.6, 2.2, 4.75, 7.5])
BATCH_STANDARDIZED = [-1.5, 0, -0.5, 0, -0.5, -0.5, 1, 2]
EPISODE_STANDARDIZED = [-1, -1, 0, -1, 1, 0, 1, 1]
# Six times Ψ less the mean of the others' six; its mean is 0 and that of its squares 214.
LESS_THE_OTHERS = np.array([-22, 4, -8, 2, -10, -8, 14, 28])


@pytest.mark.parametrize("per_episode", [True, False])
@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ({}, PSI),
        ({"baseline": CONSTANT, "constant": 4.0}, [-2, 1, 0, 1, 0, 0, 3, 5]),
        ({"baseline": CONSTANT, "constant": -1.0}, PSI + 1),
        ({"baseline": MEAN}, [-3, 0, -1, 0, -1, -1, 2, 4]),
        ({"baseline": LEAVE_ONE_OUT}, LESS_THE_OTHERS / 6),
        ({"baseline": OPTIMAL}, LESS_THE_OPTIMAL),
        ({"standardize": BY_BATCH}, BATCH_STANDARDIZED),
        ({"standardize": BY_BATCH, "baseline": CONSTANT, "constant": 4.0}, BATCH_STANDARDIZED),
        ({"standardize": BY_BATCH, "baseline": MEAN}, BATCH_STANDARDIZED),
        ({"standardize": BY_BATCH, "baseline": LEAVE_ONE_OUT}, LESS_THE_OTHERS / math.sqrt(214)),
        ({"standardize": BY_BATCH, "baseline": OPTIMAL}, (LESS_THE_OPTIMAL - 24.1 / 8) / LESS_THE_OPTIMAL.std()),
        ({"standardize": BY_EPISODE}, EPISODE_STANDARDIZED),
        ({"standardize": BY_EPISODE, "baseline": LEAVE_ONE_OUT}, EPISODE_STANDARDIZED),
        ({"standardize": BY_EPISODE, "baseline": OPTIMAL}, EPISODE_STANDARDIZED),
    ],
    ids=str,
)
def test_weights_by_hand(specs: dict[str, Any], expected: Any, per_episode: bool) -> None:
    """One number a trajectory makes no difference to what is standardised by episode."""
    result = weigh(PSI, per_episode=per_episode, **specs)
    np.testing.assert_allclose(result, np.array(expected) * KEPT / (4 if per_episode else 8), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("baseline", [NO_BASELINE, LEAVE_ONE_OUT, OPTIMAL])
def test_total_returns_are_one_number_an_episode_and_standardised_by_it_nothing_is_left(baseline: int) -> None:
    returns = np.array([3.0, 7, 0.1, 9])[ENV]
    assert not weigh(returns, psi=TOTAL_RETURN, baseline=baseline, standardize=BY_EPISODE).any()
    assert weigh(returns, psi=TOTAL_RETURN, baseline=baseline, standardize=BY_BATCH).all()


SETTINGS = Settings(EstimatorSpec(baseline=OPTIMAL, discount=0.5), 0.0, SGD, 0.1, 0.1, math.inf, False, 10, 1000)
NO_CRITIC = network(np.full(2, np.nan, np.float32), (1, 1), "relu")


def batch_of(env: Any, reward: Any, obs: Any = None, action: Any = None) -> Batch:
    """One episode a trajectory, ending at a terminal state."""
    env, size = np.array(env, np.int32), len(env)
    time = np.array([(env[:b] == env[b]).sum() for b in range(size)], np.int32)
    return Batch(
        obs=np.array(np.zeros(size) if obs is None else obs, np.float32)[None],
        action=np.array(np.zeros(size) if action is None else action, np.int32),
        reward=np.array(reward, np.float64),
        terminated=np.array([env[b] not in env[b + 1 :] for b in range(size)]),
        truncated=np.zeros(size, np.bool_),
        trajectory=env,
        num_trajectories=int(env.max()) + 1,
        time=time,
        final_obs=np.empty((1, 0), np.float32),
        final_sample=np.empty(0, np.int64),
    )


BATCH = batch_of(ENV, np.zeros(8))  # of which `weights` reads the trajectories alone

# Between two equal preferences the score is ±½ (s, -s, 1, -1): 2‖u‖² is 1 at s = 0, 2 at s = 1, 5 at s = 2.
THREE = batch_of([0, 1, 0, 2], [3, 5, 2, 2], obs=[1, 0, 1, 2], action=[0, 0, 1, 1])


@pytest.mark.parametrize("inverse_temperature", [1.0, 4.0])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [4 - 15 / 6, 5 - 13 / 5.5, (2 - 15 / 6) / 2, 2 - 8 / 1.5]),
        ({"exact_discounting": False}, [4 - 15 / 6, 5 - 2, 2 - 15 / 6, 2 - 5]),
        ({"psi": TOTAL_RETURN}, [4 - 15 / 6, 5 - 2, 4 - 15 / 6, 2 - 5]),
    ],
)
def test_the_optimal_baseline_of_three_trajectories_by_hand(
    changes: dict[str, Any], expected: list[float], inverse_temperature: float
) -> None:
    """Twice g · u and ‖u‖² are 5 and 1 of the second trajectory, 10 and 5 of the third. The first one's two scores are
    opposite: with Ψ = 4, 2 and γ = ½ they make 2 · (4 - 1) · (1 - ½) = 3 and 2 · (1 - ½)² = ½; without γ^t, 0 and 0."""
    settings = SETTINGS._replace(estimator=SETTINGS.estimator._replace(**changes))
    policy = Policy(network(np.zeros(4, np.float32), (1, 2), "relu"), CategoricalHead(inverse_temperature))
    weight = advantages(settings, policy, NO_CRITIC, THREE).weight
    np.testing.assert_allclose(weight, np.array(expected) / 3, rtol=1e-6)


def test_without_scores_the_optimal_baseline_is_zero() -> None:
    """A policy that has no spec: every score is zero, and so is what would be divided by."""
    policy = Policy(network(np.ones(2, np.float32), (1, 1), "relu"), CategoricalHead(1.0))
    weight = advantages(SETTINGS, policy, NO_CRITIC, THREE._replace(action=np.zeros(4, np.int32))).weight
    np.testing.assert_allclose(weight, np.array([4, 5, 1, 2]) / 3, rtol=1e-14)


def interleaved(lengths: list[int], seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    env = rng.permutation(np.repeat(np.arange(len(lengths)), lengths))
    return batch_of(env, rng.normal(size=env.size))


NOTHING = np.empty(0)
UNKNOWN = np.full(30, np.nan)


@pytest.mark.parametrize("exact_discounting", [True, False])
def test_multipliers_are_the_return_and_the_power_of_the_discount(exact_discounting: bool) -> None:
    """And values are read with a value baseline only."""
    batch = interleaved([7, 1, 12, 4])
    gamma, size = 0.9, batch.reward.size
    to_go, whole = np.zeros(size), np.zeros(size)
    for b in range(size):
        own = batch.trajectory == batch.trajectory[b]
        later = own & (batch.time >= batch.time[b])
        to_go[b] = (gamma ** (batch.time[later] - batch.time[b]) * batch.reward[later]).sum()
        whole[b] = (gamma ** batch.time[own] * batch.reward[own]).sum()
    for psi, expected in ((REWARD_TO_GO, to_go), (TOTAL_RETURN, whole)):
        estimator = EstimatorSpec(psi=psi, discount=gamma, exact_discounting=exact_discounting)
        result = multipliers(estimator, batch, UNKNOWN, UNKNOWN)
        kept = gamma**batch.time if exact_discounting and psi == REWARD_TO_GO else np.ones(size)
        np.testing.assert_allclose(result.psi, expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(result.discount_power, kept, rtol=1e-14)
        np.testing.assert_allclose(result.target, to_go, rtol=1e-12, atol=1e-14)


def specs() -> list[EstimatorSpec]:
    """Everything that can be chosen together."""
    every = itertools.product(
        (REWARD_TO_GO, TOTAL_RETURN, GAE), BASELINES.values(), STANDARDIZATIONS.values(), (True, False), (True, False)
    )
    return [
        EstimatorSpec(psi, baseline, 0.7 if baseline == CONSTANT else 0.0, standardize, 0.9, 0.8, exact, per_episode)
        for psi, baseline, standardize, exact, per_episode in every
        if psi != GAE or baseline == VALUE
    ]


def test_weights_are_the_product_of_their_parts() -> None:
    batch, rng = interleaved([7, 1, 12, 4]), np.random.default_rng(1)
    value, overlap = rng.normal(size=24), rng.uniform(0.1, 1.0, size=(2, 4))
    for estimator in specs():
        multiplied = multipliers(estimator, batch, value, NOTHING)
        baseline, scale = corrections(estimator, summarise(multiplied.psi, batch.trajectory, 4), overlap)
        assert baseline.shape == scale.shape == (4,)
        expected = (multiplied.psi - baseline[batch.trajectory]) * scale[batch.trajectory] * multiplied.discount_power
        expected *= normaliser(estimator, 24, 4)
        result = weights(estimator, multiplied, batch, overlap)
        np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-16, err_msg=str(estimator))
        assert np.isfinite(result).all()


@pytest.mark.parametrize("per_episode", [True, False])
@pytest.mark.parametrize("exact_discounting", [True, False])
@pytest.mark.parametrize("psi", [REWARD_TO_GO, TOTAL_RETURN])
@pytest.mark.parametrize("constant", [-3.0, 0.0, 12.5])
def test_a_constant_is_subtracted_before_discounting(
    constant: float, psi: int, exact_discounting: bool, per_episode: bool
) -> None:
    batch = interleaved([7, 1, 12, 4])
    estimator = EstimatorSpec(psi=psi, discount=0.9, exact_discounting=exact_discounting, per_episode=per_episode)
    plain, lowered = (
        weights(chosen, multipliers(chosen, batch, NOTHING, NOTHING), batch, OVERLAP)
        for chosen in (estimator, estimator._replace(baseline=CONSTANT, constant=constant))
    )
    kept = 0.9**batch.time if exact_discounting and psi == REWARD_TO_GO else np.ones(24)
    np.testing.assert_allclose(plain - lowered, constant * kept / (4 if per_episode else 24), rtol=1e-12, atol=1e-15)


def test_only_a_constant_baseline_reads_the_constant_and_only_the_optimal_one_the_overlaps() -> None:
    unread = np.full((2, 4), np.nan)
    multiplied = Multipliers(PSI, KEPT, PSI)
    for baseline in set(BASELINES.values()) - {CONSTANT, OPTIMAL}:
        one, other = (EstimatorSpec(baseline=baseline, constant=constant) for constant in (0.0, np.nan))
        assert weights(other, multiplied, BATCH, unread).tolist() == weights(one, multiplied, BATCH, OVERLAP).tolist()


@pytest.mark.parametrize("standardize", [BY_BATCH, BY_EPISODE])
@pytest.mark.parametrize("baseline", [NO_BASELINE, CONSTANT, MEAN, LEAVE_ONE_OUT])
@pytest.mark.parametrize(("factor", "offset"), [(7.0, 0.0), (1.0, -20.0), (0.01, 5.0), (-2.0, 3.0)])
def test_standardised_weights_do_not_know_the_units_of_psi(
    factor: float, offset: float, baseline: int, standardize: int
) -> None:
    chosen = {"baseline": baseline, "standardize": standardize}
    np.testing.assert_allclose(
        weigh(factor * PSI + offset, **chosen), np.sign(factor) * weigh(PSI, **chosen), rtol=1e-10, atol=1e-13
    )


def of_rewards(batch: Batch, **chosen: Any) -> Array:
    estimator = EstimatorSpec(**chosen)
    result: Array = weights(estimator, multipliers(estimator, batch, NOTHING, NOTHING), batch, OVERLAP)
    return result


@pytest.mark.parametrize("baseline", [NO_BASELINE, LEAVE_ONE_OUT])
@pytest.mark.parametrize(
    ("lengths", "chosen", "same"),
    [
        ([6, 6, 6], {"psi": TOTAL_RETURN, "discount": 0.9, "standardize": BY_BATCH}, True),
        ([6, 3, 9], {"psi": TOTAL_RETURN, "discount": 0.9, "standardize": BY_BATCH}, False),
        ([6, 6, 6], {"psi": TOTAL_RETURN, "discount": 0.9, "standardize": NOT_STANDARDIZED}, False),
        ([6, 3, 9], {"discount": 0.0, "standardize": BY_BATCH, "exact_discounting": False}, True),
        ([6, 3, 9], {"discount": 0.0, "standardize": BY_EPISODE, "exact_discounting": False}, True),
        ([6, 3, 9], {"discount": 0.9, "standardize": BY_EPISODE}, False),
    ],
    ids=str,
)
def test_another_unit_and_zero_of_the_rewards(
    lengths: list[int], chosen: dict[str, Any], same: bool, baseline: int
) -> None:
    """They cancel where the same number is added to every Ψ: to total returns of equal length, to single rewards."""
    batch = interleaved(lengths)
    before = of_rewards(batch, baseline=baseline, **chosen)
    after = of_rewards(batch._replace(reward=3 * batch.reward + 2), baseline=baseline, **chosen)
    if same:
        np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-13)
    else:
        assert np.abs(after - before).max() > 0.01

"""One iteration's mathematics: the conventions of an estimate, clipping, decay, and what happens to bad numbers."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pgrad.algorithms.epochs import Part
from pgrad.algorithms.iteration import (
    BAD_ADVANTAGES,
    BAD_GRADIENT,
    BAD_OBS,
    BAD_PARAMETERS,
    BAD_REWARD,
    BAD_VALUES,
    FINE,
    METRICS,
    advantages,
    ascend,
    rates_after,
    step_along,
    train_iteration,
)
from pgrad.algorithms.learner import Checkpoints, Learner, OptimizerState, Settings, new_optimizer_state
from pgrad.algorithms.natural_step import NaturalStep, natural_step
from pgrad.algorithms.normalization import new_normalization
from pgrad.algorithms.signal_to_noise import new_signal
from pgrad.estimators.advantages import Advantages
from pgrad.estimators.gradient import policy_gradient, value_gradient
from pgrad.estimators.ratio import ON_POLICY
from pgrad.estimators.spec import (
    BY_BATCH,
    BY_EPISODE,
    GAE,
    LEAVE_ONE_OUT,
    MEAN,
    NO_BASELINE,
    NOT_STANDARDIZED,
    OPTIMAL,
    REWARD_TO_GO,
    TOTAL_RETURN,
    VALUE,
    EstimatorSpec,
)
from pgrad.kernels.gaussian import bound_of
from pgrad.kernels.heads import CategoricalHead, GaussianHead, Policy
from pgrad.kernels.jit import Included, Omitted
from pgrad.kernels.mlp import MLP, network, num_parameters
from pgrad.kernels.optimizers import ADAM, SGD
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch

Array = npt.NDArray[Any]

SETTINGS = Settings(
    estimator=EstimatorSpec(discount=0.5, gae_lambda=0.5),
    entropy_coef=0.0,
    optimizer=SGD,
    learning_rate=0.1,
    value_learning_rate=0.01,
    max_grad_norm=math.inf,
    linear_decay=False,
    num_iterations=10,
    total_steps=1000,
)


def changed(settings: Settings, **changes: Any) -> Settings:
    """Settings with some of their own and of their estimator's fields replaced."""
    own = {name: value for name, value in changes.items() if name in Settings._fields}
    inner = {name: value for name, value in changes.items() if name not in own}
    return settings._replace(estimator=settings.estimator._replace(**inner), **own)


# V(s) = 2s + 1, and a critic that must not be asked.
CRITIC = network(np.array([2, 1], np.float32), (1, 1), "relu")
NO_CRITIC = network(np.full(2, np.nan, np.float32), (1, 1), "relu")
UNASKED = Policy(NO_CRITIC, CategoricalHead(1.0))


def make_batch(
    obs: Any,
    action: Any,
    reward: Any,
    env: Any,
    time: Any,
    terminated: Iterable[int] = (),
    final_obs: Mapping[int, Any] | None = None,
) -> Batch:
    """A batch with `terminated` samples, and after truncated ones their final observations; obs [B, O]."""
    size, finals = len(reward), final_obs or {}
    at = np.arange(size)
    columns = np.array(obs, np.float32).reshape(size, -1).T
    return Batch(
        obs=np.ascontiguousarray(columns),
        action=np.array(action, np.int32),
        reward=np.array(reward, np.float64),
        terminated=np.isin(at, list(terminated)),
        truncated=np.isin(at, list(finals)),
        trajectory=np.array(env, np.int32),
        time=np.array(time, np.int32),
        final_obs=np.ascontiguousarray(np.array(list(finals.values()), np.float32).reshape(-1, len(columns)).T),
        final_sample=np.array(list(finals), np.int64),
        num_trajectories=int(max(env)) + 1,
        total_steps=size,
    )


def two_trajectories(terminated: Iterable[int] = (2,), final_obs: Mapping[int, Any] | None = None) -> Batch:
    """Trajectory 0: rewards 1, 2, terminal. Trajectory 1: rewards 10, 20, 40, then a time limit at s = 3."""
    finals = {4: [3.0]} if final_obs is None else final_obs
    return make_batch(range(5), [0] * 5, [1, 10, 2, 20, 40], [0, 1, 0, 1, 1], [0, 0, 1, 1, 2], terminated, finals)


RETURNS = np.array([2.0, 30, 2, 40, 40])  # with γ = ½, ending at the time limit
KEPT = 0.5 ** np.array([0, 0, 1, 1, 2])  # γ^t


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, RETURNS * KEPT / 2),
        ({"exact_discounting": False}, RETURNS / 2),
        ({"per_episode": False}, RETURNS * KEPT / 5),
        ({"per_episode": False, "exact_discounting": False}, RETURNS / 5),
        ({"psi": TOTAL_RETURN}, np.array([2, 30, 2, 30, 30]) / 2),
        ({"psi": TOTAL_RETURN, "exact_discounting": False}, np.array([2, 30, 2, 30, 30]) / 2),
        ({"psi": TOTAL_RETURN, "baseline": MEAN}, np.array([-14, 14, -14, 14, 14]) / 2),
        ({"psi": TOTAL_RETURN, "baseline": LEAVE_ONE_OUT}, np.array([-28, 28, -28, 28, 28]) / 2),
        ({"baseline": MEAN}, (RETURNS - 114 / 5) * KEPT / 2),
        ({"baseline": LEAVE_ONE_OUT}, (RETURNS - np.array([110 / 3, 2, 110 / 3, 2, 2])) * KEPT / 2),
        ({"discount": 1.0}, np.array([3, 70, 2, 60, 40]) / 2),
        ({"discount": 0.0}, np.array([1, 10, 0, 0, 0]) / 2),
        ({"discount": 0.0, "exact_discounting": False}, np.array([1, 10, 2, 20, 40]) / 2),
    ],
)
def test_weights_without_a_critic_by_hand(changes: dict[str, Any], expected: Array) -> None:
    settings = changed(SETTINGS, **changes)
    result = advantages(settings, UNASKED, NO_CRITIC, two_trajectories())
    assert result.weight.dtype == np.float64
    np.testing.assert_allclose(result.weight, expected, rtol=1e-6)
    assert result.step_weight == 1 / (2 if settings.estimator.per_episode else 5)
    assert np.isnan(result.explained_variance)


@pytest.mark.parametrize(
    ("changes", "psi"),
    [
        ({}, [1, 27.875, -3, 34.75, 34.5]),
        ({"psi": GAE, "gae_lambda": 1.0}, [1, 27.875, -3, 34.75, 34.5]),
        ({"psi": GAE, "gae_lambda": 0.0}, [2.5, 10.5, -3, 17.5, 34.5]),
        ({"psi": GAE, "gae_lambda": 0.5}, [1.75, 10.5 + 0.25 * 26.125, -3, 26.125, 34.5]),
    ],
)
def test_weights_with_a_critic_by_hand(changes: dict[str, Any], psi: list[float]) -> None:
    """V = 1, 3, 5, 7, 9 along the batch and 7 after the time limit, where trajectory 1 bootstraps."""
    settings = changed(SETTINGS, baseline=VALUE, **changes)
    result = advantages(settings, UNASKED, CRITIC, two_trajectories())
    np.testing.assert_allclose(result.weight, np.array(psi) * KEPT / 2, rtol=1e-6)
    target = np.array(psi) + [1, 3, 5, 7, 9]
    np.testing.assert_allclose(result.target, target, rtol=1e-12)
    assert result.explained_variance == pytest.approx(1 - np.var(psi) / np.var(target), rel=1e-12)


@pytest.mark.parametrize("estimator", [REWARD_TO_GO, GAE])
def test_a_terminal_state_is_worth_nothing_and_a_time_limit_what_the_critic_says(estimator: int) -> None:
    settings = changed(SETTINGS, baseline=VALUE, psi=estimator, gae_lambda=1.0)
    ended = advantages(settings, UNASKED, CRITIC, two_trajectories((2, 4), {})).target
    cut = advantages(settings, UNASKED, CRITIC, two_trajectories((2,), {4: [3.0]})).target
    np.testing.assert_allclose(ended, RETURNS, rtol=1e-12)
    np.testing.assert_allclose(cut - ended, [0, 7 / 8, 0, 7 / 4, 7 / 2], rtol=1e-12)


@pytest.mark.parametrize("estimator", [TOTAL_RETURN, REWARD_TO_GO])
def test_without_a_critic_a_time_limit_is_part_of_the_problem(estimator: int) -> None:
    settings = changed(SETTINGS, psi=estimator)
    ended = advantages(settings, UNASKED, NO_CRITIC, two_trajectories((2, 4), {}))
    cut = advantages(settings, UNASKED, NO_CRITIC, two_trajectories((2,), {4: [np.nan]}))
    assert cut.weight.tolist() == ended.weight.tolist()


def test_each_truncated_sample_has_its_own_final_observation() -> None:
    """In any order, and with room to spare that is not read."""
    batch = two_trajectories((), {4: [3.0], 2: [0.0]})
    batch = batch._replace(final_obs=np.array([[3, 0, np.nan]], np.float32))
    settings = changed(SETTINGS, baseline=VALUE, discount=1.0)
    result = advantages(settings, UNASKED, CRITIC, batch)
    assert result.target.tolist() == [1 + 2 + 1, 70 + 7, 2 + 1, 60 + 7, 40 + 7]


def test_two_episodes_of_one_trajectory_do_not_mix() -> None:
    """As in a batch of a fixed number of steps: the second episode starts at time 0 and is cut by the batch's end."""
    batch = make_batch(range(4), [0] * 4, [1, 2, 4, 8], [0] * 4, [7, 8, 0, 1], [1], {3: [0.0]})
    settings = changed(SETTINGS, psi=GAE, baseline=VALUE, gae_lambda=1.0, exact_discounting=False)
    result = advantages(settings, UNASKED, CRITIC, batch)
    assert result.target.tolist() == [1 + 1, 2, 4 + 4 + 0.25, 8 + 0.5]


def test_the_target_of_the_critic_is_the_return_from_its_state_on() -> None:
    settings = changed(SETTINGS, psi=TOTAL_RETURN, baseline=VALUE)
    assert advantages(settings, UNASKED, CRITIC, two_trajectories((2, 4), {})).target.tolist() == RETURNS.tolist()


@pytest.mark.parametrize("baseline", [NO_BASELINE, MEAN, VALUE])
def test_standardisation_comes_before_discounting(baseline: int) -> None:
    plain = changed(SETTINGS, baseline=baseline)
    psi = advantages(plain, UNASKED, CRITIC, two_trajectories()).weight.astype(float) / KEPT
    standard = changed(plain, standardize=BY_BATCH)
    result = advantages(standard, UNASKED, CRITIC, two_trajectories())
    expected = (psi - psi.mean()) / psi.std()
    np.testing.assert_allclose(result.weight, expected * KEPT / 2, rtol=1e-5)
    dropped = changed(standard, exact_discounting=False)
    weight = advantages(dropped, UNASKED, CRITIC, two_trajectories()).weight * 2
    assert weight.mean() == pytest.approx(0, abs=1e-6) and weight.std() == pytest.approx(1, rel=1e-6)


def random_batch(size: int = 37, num_envs: int = 3, obs_size: int = 2, actions: int = 3, seed: int = 0) -> Batch:
    """Interleaved trajectories with terminal states and time limits; the last sample of each is cut."""
    rng = np.random.default_rng(seed)
    env = np.concatenate([np.arange(num_envs), rng.integers(0, num_envs, size - num_envs)])
    ends = rng.random(size) < 0.2
    for n in range(num_envs):
        ends[np.flatnonzero(env == n)[-1]] = True
    time, clock = [], [0] * num_envs
    for b, n in enumerate(env):
        time.append(clock[n])
        clock[n] = 0 if ends[b] else clock[n] + 1
    terminated = ends & (rng.random(size) < 0.5)
    finals = {int(b): rng.normal(size=obs_size) for b in np.flatnonzero(ends & ~terminated)}
    obs, action, reward = rng.normal(size=(size, obs_size)), rng.integers(0, actions, size), rng.normal(size=size)
    return make_batch(obs, action, reward, env, time, np.flatnonzero(terminated), finals)


def test_a_network_as_critic_values_every_sample_by_its_own_observation() -> None:
    """λ = 0: the TD error, sample by sample, with V from PyTorch."""
    batch, sizes = random_batch(600, 5), (2, 7, 1)
    parameters = np.random.default_rng(1).normal(size=num_parameters(sizes)).astype(np.float32)

    def value(obs: Array) -> Array:
        w, b, v, c = np.split(parameters.astype(float), [14, 21, 28])
        result: Array = v @ np.tanh(w.reshape(7, 2) @ obs + b[:, None]) + c
        return result

    v, after = value(batch.obs), np.zeros(600)
    after[batch.final_sample] = value(batch.final_obs)
    for b in np.flatnonzero(~(batch.terminated | batch.truncated)):
        after[b] = v[b + 1 :][batch.trajectory[b + 1 :] == batch.trajectory[b]][0]
    settings = changed(SETTINGS, psi=GAE, baseline=VALUE, gae_lambda=0.0, discount=0.9, exact_discounting=False)
    result = advantages(settings, UNASKED, network(parameters, sizes, "tanh"), batch)
    np.testing.assert_allclose(result.weight, (batch.reward + 0.9 * after - v) / 5, rtol=0, atol=2e-6)


# --- the expectation of an estimate, by enumeration

REWARD_0, REWARD_1 = np.array([1.0, -0.5]), np.array([[2.0, 0.0], [-1.0, 3.0]])
POLICY = np.array([0.4, -0.2, 0.1, 0.3], np.float32)  # two actions, linear in one observation


def state_after(action: int) -> float:
    return 0.5 if action == 0 else -1.0


def log_probs(theta: torch.Tensor, obs: float) -> torch.Tensor:
    return torch.log_softmax(theta[:2] * obs + theta[2:], dim=0)


def exact_gradient(discount: float) -> Array:
    theta = torch.tensor(POLICY.astype(np.float64), requires_grad=True)
    p = log_probs(theta, 1.0).exp()
    following = [log_probs(theta, state_after(a)).exp() @ torch.tensor(REWARD_1[a]) for a in range(2)]
    sum(p[a] * (REWARD_0[a] + discount * following[a]) for a in range(2)).backward()
    return theta.grad.numpy()  # type: ignore[union-attr]


def expected_estimate(settings: Settings) -> Array:
    """The mean of the estimate from two episodes, over all sixteen pairs of episodes of two steps."""
    policy, total = Policy(network(POLICY.copy(), (1, 2), "relu"), CategoricalHead(1.0)), np.zeros(4)
    theta = torch.tensor(POLICY.astype(np.float64))
    for a, b, c, d in itertools.product(range(2), repeat=4):
        batch = make_batch(
            [1.0, 1.0, state_after(a), state_after(b)],
            [a, b, c, d],
            [REWARD_0[a], REWARD_0[b], REWARD_1[a, c], REWARD_1[b, d]],
            [0, 1, 0, 1],
            [0, 0, 1, 1],
            [2, 3],
        )
        first, second = log_probs(theta, 1.0), [log_probs(theta, state_after(x)) for x in (a, b)]
        probability = float(torch.exp(first[a] + first[b] + second[0][c] + second[1][d]))
        gradient, _ = policy_gradient(policy, batch, advantages(settings, policy, CRITIC, batch), settings.entropy_coef)
        total += probability * gradient
    return total


@pytest.mark.parametrize(
    "changes",
    [
        {"psi": TOTAL_RETURN},
        {"psi": TOTAL_RETURN, "baseline": LEAVE_ONE_OUT},
        {"psi": TOTAL_RETURN, "baseline": VALUE},
        {},
        {"baseline": LEAVE_ONE_OUT},
        {"baseline": VALUE},
        {"baseline": OPTIMAL, "scores": Included()},
        {"psi": GAE, "baseline": VALUE, "gae_lambda": 1.0},
        {"discount": 1.0, "exact_discounting": False},
    ],
)
def test_an_unbiased_estimate_is_the_gradient_on_average(changes: dict[str, Any]) -> None:
    settings = changed(SETTINGS, **changes)
    np.testing.assert_allclose(expected_estimate(settings), exact_gradient(settings.estimator.discount), atol=3e-7)


@pytest.mark.parametrize(
    "changes",
    [
        {"exact_discounting": False},
        {"baseline": MEAN},
        {"psi": GAE, "baseline": VALUE, "gae_lambda": 0.0},
        {"standardize": BY_BATCH},
    ],
)
def test_a_biased_estimate_is_not(changes: dict[str, Any]) -> None:
    assert np.abs(expected_estimate(changed(SETTINGS, **changes)) - exact_gradient(0.5)).max() > 0.01


def test_the_mean_of_two_episodes_as_baseline_halves_the_gradient() -> None:
    settings = changed(SETTINGS, psi=TOTAL_RETURN, baseline=MEAN)
    np.testing.assert_allclose(expected_estimate(settings), exact_gradient(0.5) / 2, atol=3e-7)


def test_per_step_divides_by_the_length_of_equal_episodes() -> None:
    settings = changed(SETTINGS, per_episode=False)
    np.testing.assert_allclose(expected_estimate(settings), exact_gradient(0.5) / 2, atol=3e-7)


# --- the step


def random_network(sizes: tuple[int, ...], seed: int) -> MLP:
    parameters = np.random.default_rng(seed).normal(size=num_parameters(sizes)).astype(np.float32)
    return network(parameters, sizes, "tanh")


def room(every: int, size: int = 8) -> Checkpoints:
    """Room for checkpoints of the random learner."""
    policy, critic = np.zeros((size, 33), np.float32), np.zeros((size, 17), np.float32)
    nothing = np.zeros((size, 0), np.float32)
    return Checkpoints(
        np.zeros(size, np.int64),
        policy,
        critic,
        nothing,
        nothing,
        np.zeros(size),
        np.zeros(1, np.int64),
        np.array([every]),
    )


def random_policy(temperature: float = 1.0) -> Policy:
    return Policy(random_network((2, 5, 3), 1), CategoricalHead(1 / temperature))


def random_learner() -> Learner:
    policy, critic = random_policy(), random_network((2, 4, 1), 2)
    return Learner(
        policy,
        critic,
        new_optimizer_state(policy.network.parameters),
        new_optimizer_state(critic.parameters),
        new_normalization(0, 0),
        np.zeros(1, np.int64),
        room(0),
        new_signal(policy.network.parameters.size),
    )


def test_the_entropy_bonus_has_the_normaliser_of_the_returns() -> None:
    settings, batch, policy = changed(SETTINGS, entropy_coef=0.3), random_batch(), random_policy(temperature=0.5)
    advantage = Advantages(np.linspace(-1, 1, 37, dtype=np.float32), 0.25, np.zeros(37), np.nan)
    gradient, entropy = policy_gradient(policy, batch, advantage, settings.entropy_coef)
    expected, expected_entropy = policy_gradient(policy, batch, advantage._replace(step_weight=1.0), 0.3 * 0.25)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-6)
    assert entropy == pytest.approx(expected_entropy, rel=1e-6)


@pytest.mark.parametrize(
    ("linear", "iteration", "steps", "expected"),
    [
        (False, 7, 900, 1.0),
        (True, 0, 0, 1.0),
        (True, 5, 0, 0.5),
        (True, 0, 750, 0.25),
        (True, 5, 750, 0.25),
        (True, 8, 750, 0.2),
        (True, 10, 0, 0.0),
        (True, 0, 5000, 0.0),
    ],
)
def test_decay_by_hand(linear: bool, iteration: int, steps: int, expected: float) -> None:
    settings = changed(SETTINGS, linear_decay=linear)
    rates = rates_after(settings, iteration, steps)
    assert rates.decay == pytest.approx(expected, abs=1e-15)
    assert rates[1:3] == pytest.approx((0.1 * expected, 0.01 * expected))


@pytest.mark.parametrize("max_grad_norm", [0.1, 5.0, 50.0, math.inf])
def test_clipping_is_pytorchs(max_grad_norm: float) -> None:
    net = random_network((2, 5, 3), 1)
    start, gradient = net.parameters.copy(), np.random.default_rng(3).normal(size=33).astype(np.float32)
    settings = changed(SETTINGS, max_grad_norm=max_grad_norm)
    status, norm = step_along(settings, net, new_optimizer_state(net.parameters), gradient, 1.0)
    leaf = torch.zeros(33, requires_grad=True)
    leaf.grad = torch.tensor(gradient)
    expected_norm = torch.nn.utils.clip_grad_norm_([leaf], max_grad_norm)
    assert status == FINE and norm == pytest.approx(float(expected_norm), rel=1e-6)
    np.testing.assert_allclose(net.parameters - start, leaf.grad, rtol=2e-5, atol=1e-6)


def test_a_gradient_of_zero_is_no_division_by_zero() -> None:
    net = random_network((2, 5, 3), 1)
    before = net.parameters.copy()
    settings = changed(SETTINGS, max_grad_norm=0.5)
    assert step_along(settings, net, new_optimizer_state(net.parameters), np.zeros(33, np.float32), 1.0) == (FINE, 0.0)
    assert net.parameters.tolist() == before.tolist()


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 16, 32])
def test_a_gradient_that_is_not_finite_touches_nothing(index: int, bad: float, optimizer: int) -> None:
    net, gradient = random_network((2, 5, 3), 1), np.ones(33, np.float32)
    before = net.parameters.copy()
    state = OptimizerState(np.ones((2, 33), np.float32), before.copy(), np.array([2]))
    gradient[index] = bad
    settings = changed(SETTINGS, optimizer=optimizer)
    status, _ = step_along(settings, net, state, gradient, 0.1)
    assert status == BAD_GRADIENT
    assert net.parameters.tobytes() == before.tobytes() and (state.moments == 1).all() and state.steps[0] == 2


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
def test_parameters_that_would_not_be_finite_are_put_back(optimizer: int) -> None:
    net, gradient = random_network((2, 5, 3), 1), np.zeros(33, np.float32)
    before = net.parameters.copy()
    gradient[20] = 1e3
    settings = changed(SETTINGS, optimizer=optimizer)
    status, norm = step_along(settings, net, new_optimizer_state(net.parameters), gradient, 1e39)
    assert (status, norm) == (BAD_PARAMETERS, 1000.0)
    assert net.parameters.tobytes() == before.tobytes()


# --- the iteration


def improved(settings: Settings, learner: Learner, batch: Batch, steps: int = 37) -> tuple[int, dict[str, float]]:
    status, metrics = train_iteration(settings, learner, batch._replace(total_steps=steps))
    return status, metrics._asdict()


@pytest.mark.parametrize("baseline", [NO_BASELINE, VALUE])
def test_an_iteration_is_the_diagram(baseline: int) -> None:
    """Advantages, gradient, ascend; and a step of the critic, if there is one, to the same iteration's targets."""
    learner, reference, batch = random_learner(), random_learner(), random_batch()
    settings = changed(SETTINGS, baseline=baseline, max_grad_norm=0.2, entropy_coef=0.01, linear_decay=True)
    learner.iteration[0] = learner.policy_state.steps[0] = learner.critic_state.steps[0] = 2
    reference.policy_state.steps[0] = reference.critic_state.steps[0] = 2
    status, metrics = improved(settings, learner, batch, steps=37 + 400)
    advantage = advantages(settings, reference.policy, reference.critic, batch)
    gradient, entropy = policy_gradient(reference.policy, batch, advantage, settings.entropy_coef)
    _, norm = step_along(settings, reference.policy.network, reference.policy_state, gradient, 0.1 * 0.6)
    value_loss = np.nan
    if baseline == VALUE:
        gradient, value_loss = value_gradient(reference.critic, batch.obs, advantage.target)
        step_along(settings, reference.critic, reference.critic_state, gradient, 0.01 * 0.6)
    assert status == FINE and learner.iteration[0] == 3
    np.testing.assert_allclose(
        learner.policy.network.parameters, reference.policy.network.parameters, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(learner.critic.parameters, reference.critic.parameters, rtol=0, atol=1e-6)
    assert (learner.policy.network.parameters != random_learner().policy.network.parameters).any()
    assert (learner.critic.parameters != random_learner().critic.parameters).any() == (baseline == VALUE)
    expected = [entropy, norm, 0.1 * 0.6, value_loss, advantage.explained_variance, np.nan, np.nan]
    expected += [advantage.spread, np.nan, np.nan]
    assert list(metrics) == list(METRICS)
    assert metrics["total_steps"] == 437 and metrics["episodes"] == 0
    np.testing.assert_allclose(list(metrics.values())[3:], expected, rtol=1e-5)


@pytest.mark.parametrize("line_search", [False, True])
def test_a_natural_step_takes_the_optimisers_place(line_search: bool) -> None:
    """Its length is the rate and its KL the metric; what was before it is kept, and the signal sees its gradient."""
    learner, reference, batch = random_learner(), random_learner(), random_batch()
    step = NaturalStep(0.02, 0.1, 5, line_search)
    settings, before = changed(SETTINGS, step=step), reference.policy.network.parameters.copy()
    learner.policy_state.before[:] = 9.0  # of the step before
    status, metrics = improved(settings, learner, batch)
    advantage = advantages(settings, reference.policy, reference.critic, batch)
    gradient, _ = policy_gradient(reference.policy, batch, advantage, 0.0)
    length, kl = natural_step(step, reference.policy, batch, advantage.weight, gradient)
    assert (status, metrics["learning_rate"], metrics["kl"]) == (FINE, length, kl)
    assert 0 < kl < 0.05 and length > 0 and metrics["clip_fraction"] == 0
    assert metrics["gradient_norm"] == pytest.approx(np.linalg.norm(gradient))
    np.testing.assert_array_equal(learner.policy.network.parameters, reference.policy.network.parameters)
    np.testing.assert_array_equal(learner.policy_state.before, before)
    np.testing.assert_array_equal(learner.signal.gradient, gradient)


def test_a_natural_step_along_no_number_takes_the_last_step_back() -> None:
    learner, batch = random_learner(), random_batch()
    learner.policy_state.before[:] = 0.25
    settings = changed(SETTINGS, step=NaturalStep(0.02, 0.1, 5, False))
    advantage = Advantages(np.full(batch.reward.size, 1e300), 1.0, np.empty(0), np.nan)
    part = Part(batch, advantage, ON_POLICY, np.empty(0))
    gradient = np.full(learner.policy.network.parameters.size, np.nan, np.float32)
    taken = ascend(settings.step, settings, learner, part, gradient, 0.1)
    assert (taken.fault, taken.rate) == (BAD_GRADIENT, 0.0)
    assert np.isnan(taken.norm) and np.isnan(taken.kl)
    assert (learner.policy.network.parameters == 0.25).all()


def test_an_iteration_takes_its_observations_into_the_statistics() -> None:
    batch = random_batch()
    learner = random_learner()._replace(normalization=new_normalization(batch.obs.shape[0], 0))
    assert improved(SETTINGS, learner, batch)[0] == FINE
    np.testing.assert_allclose(learner.normalization.shift, batch.obs.mean(axis=1), rtol=1e-5)


def test_the_share_of_clipped_actions_is_recorded() -> None:
    bounds = (bound_of(-1.0, 1.0),)
    net = random_network((2, 5, 1), 1)
    parameters = np.append(net.parameters, np.float32(0.0))  # log σ
    learner = random_learner()._replace(
        policy=Policy(net._replace(parameters=parameters), GaussianHead(parameters[-1:], bounds, False)),
        policy_state=new_optimizer_state(parameters),
        signal=new_signal(parameters.size),
        checkpoints=room(0),
    )
    batch = random_batch()
    action = np.linspace(-2.0, 2.0, batch.reward.size, dtype=np.float32)[None]
    settings = changed(SETTINGS, baseline=NO_BASELINE, scores=Omitted())
    status, metrics = improved(settings, learner, batch._replace(action=action))
    assert status == FINE
    assert metrics["actions_clipped"] == pytest.approx((np.abs(action) > 1).mean())


def test_adam_counts_the_iterations() -> None:
    """Three iterations against PyTorch's Adam, which corrects its moments' bias by their count."""
    learner, batch = random_learner(), random_batch()
    settings = changed(SETTINGS, optimizer=ADAM, baseline=VALUE, value_learning_rate=0.05)
    policy, critic = (torch.tensor(net.parameters.copy()) for net in (learner.policy.network, learner.critic))
    optimizers = [
        torch.optim.Adam([policy], lr=0.1, maximize=True),
        torch.optim.Adam([critic], lr=0.05, maximize=True),
    ]
    for _ in range(3):
        advantage = advantages(settings, learner.policy, learner.critic, batch)
        policy.grad = torch.tensor(policy_gradient(learner.policy, batch, advantage, settings.entropy_coef)[0])
        critic.grad = torch.tensor(value_gradient(learner.critic, batch.obs, advantage.target)[0])
        for optimizer in optimizers:
            optimizer.step()
        assert improved(settings, learner, batch)[0] == FINE
    np.testing.assert_allclose(learner.policy.network.parameters, policy, atol=1e-5)
    np.testing.assert_allclose(learner.critic.parameters, critic, atol=1e-5)


def test_rewarded_actions_become_probable() -> None:
    """Reward 1 for action 1 where the first feature is positive, and for action 0 elsewhere."""
    learner, batch = random_learner(), random_batch()
    right = (batch.obs[0] > 0).astype(np.int32)
    batch = batch._replace(reward=(batch.action == right).astype(float))
    settings = changed(SETTINGS, optimizer=ADAM, discount=0.0, exact_discounting=False, per_episode=False)
    for _ in range(200):
        assert improved(settings, learner, batch)[0] == FINE
    probabilities = MLPPolicy(learner.policy.network.parameters, (2, 5, 3)).probabilities(batch.obs.T)
    assert probabilities[np.arange(37), right][batch.reward == 1].min() > 0.9


def test_the_critic_learns_rewards_that_depend_on_the_state() -> None:
    learner, batch = random_learner(), random_batch()
    batch = batch._replace(reward=np.where(batch.obs[0] > 0, 1.0, 0.0))
    settings = changed(SETTINGS, optimizer=ADAM, baseline=VALUE, discount=0.0, value_learning_rate=0.03)
    history = [improved(settings, learner, batch)[1] for _ in range(300)]
    assert history[-1]["value_loss"] < 0.1 * history[0]["value_loss"]
    assert history[-1]["explained_variance"] > 0.8


def spoilt(array: Array, place: Any, value: float) -> Array:
    result = array.copy()
    result[place] = value
    return result


BAD_NUMBERS = [np.nan, np.inf, -np.inf]


def bytes_of(learner: Learner) -> tuple[bytes, ...]:
    networks = (learner.policy.network.parameters, learner.critic.parameters)
    return tuple(array.tobytes() for array in (*networks, learner.policy_state.moments, learner.critic_state.moments))


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("standardize", [NOT_STANDARDIZED, BY_BATCH, BY_EPISODE])
@pytest.mark.parametrize("baseline", [NO_BASELINE, MEAN, VALUE])
@pytest.mark.parametrize("bad", BAD_NUMBERS)
def test_bad_numbers_in_a_batch_change_no_parameter(
    bad: float, baseline: int, standardize: int, optimizer: int
) -> None:
    settings = changed(SETTINGS, baseline=baseline, standardize=standardize, optimizer=optimizer)
    learner, batch = random_learner(), random_batch()
    before = bytes_of(learner)
    for b in (0, 11, 36):
        assert improved(settings, learner, batch._replace(reward=spoilt(batch.reward, b, bad)))[0] == BAD_REWARD
        for row in range(2):
            assert improved(settings, learner, batch._replace(obs=spoilt(batch.obs, (row, b), bad)))[0] == BAD_OBS
    assert bytes_of(learner) == before


def test_an_iteration_that_a_fault_stops_still_says_what_it_saw() -> None:
    batch = random_batch()
    metrics = improved(SETTINGS, random_learner(), batch._replace(reward=spoilt(batch.reward, 0, np.nan)))[1]
    assert metrics["total_steps"] == batch.total_steps > 0 == metrics["episodes"]
    assert np.isnan([*metrics.values()][2:]).all()


def test_infinities_that_cancel_are_still_seen() -> None:
    settings, learner, batch = SETTINGS, random_learner(), random_batch()
    reward = spoilt(spoilt(batch.reward, 3, np.inf), 4, -np.inf)
    obs = spoilt(spoilt(batch.obs, (1, 3), np.inf), (1, 4), -np.inf)
    assert improved(settings, learner, batch._replace(reward=reward))[0] == BAD_REWARD
    assert improved(settings, learner, batch._replace(obs=obs))[0] == BAD_OBS


def test_only_the_observations_of_the_batch_are_looked_at() -> None:
    learner, batch = random_learner(), random_batch()
    wide = np.concatenate([batch.obs, np.full((2, 9), np.nan, np.float32)], axis=1)
    assert improved(SETTINGS, learner, batch._replace(obs=wide))[0] == FINE


def test_large_observations_are_finite() -> None:
    learner, batch = random_learner(), random_batch()
    assert improved(SETTINGS, learner, batch._replace(obs=np.full_like(batch.obs, 3e38)))[0] == FINE


@pytest.mark.parametrize("standardize", [NOT_STANDARDIZED, BY_BATCH, BY_EPISODE])
@pytest.mark.parametrize("estimator", [REWARD_TO_GO, GAE])
def test_a_bad_final_observation_changes_no_parameter(estimator: int, standardize: int) -> None:
    settings = changed(SETTINGS, baseline=VALUE, psi=estimator, standardize=standardize)
    learner, batch = random_learner(), random_batch()
    before = bytes_of(learner)
    batch = batch._replace(final_obs=spoilt(batch.final_obs, (0, 0), np.nan))
    assert improved(settings, learner, batch)[0] == BAD_ADVANTAGES
    assert bytes_of(learner) == before


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("bad", BAD_NUMBERS)
@pytest.mark.parametrize("index", [0, 12, 15, 29, 32])
def test_a_bad_weight_of_the_policy_is_noticed_and_its_step_taken_back(index: int, bad: float, optimizer: int) -> None:
    """The parameters before the step that led to a gradient that is not finite are the last good ones. tanh may squash
    what an infinite weight (of its layer: 0, 12) makes of its inputs; then the next step is refused."""
    learner, batch = random_learner(), random_batch()
    good = learner.policy_state.before.tobytes()
    learner.policy.network.parameters[index] = bad
    bad_bytes, critic = learner.policy.network.parameters.tobytes(), learner.critic.parameters.tobytes()
    settings = changed(SETTINGS, optimizer=optimizer, baseline=VALUE)
    squashed = np.isinf(bad) and index in (0, 12)
    assert improved(settings, learner, batch)[0] == (BAD_PARAMETERS if squashed else BAD_GRADIENT)
    assert learner.policy.network.parameters.tobytes() == (bad_bytes if squashed else good)
    assert learner.critic.parameters.tobytes() == critic


def test_a_bad_weight_of_the_critic_never_reaches_the_policy() -> None:
    learner, batch = random_learner(), random_batch()
    learner.critic.parameters[3] = np.nan
    before = bytes_of(learner)
    assert improved(changed(SETTINGS, baseline=VALUE), learner, batch)[0] == BAD_ADVANTAGES
    assert bytes_of(learner) == before


def test_a_policy_step_out_of_range_is_taken_back() -> None:
    learner, batch = random_learner(), random_batch()
    before = bytes_of(learner)
    settings = changed(SETTINGS, learning_rate=1e39, baseline=VALUE)
    assert improved(settings, learner, batch)[0] == BAD_PARAMETERS
    assert bytes_of(learner) == before


def test_a_critic_step_out_of_range_is_taken_back_and_named() -> None:
    learner, batch = random_learner(), random_batch()
    before = learner.critic.parameters.tobytes()
    settings = changed(SETTINGS, value_learning_rate=1e39, baseline=VALUE)
    assert improved(settings, learner, batch)[0] == BAD_VALUES
    assert learner.critic.parameters.tobytes() == before
    assert np.isfinite(learner.policy.network.parameters).all()

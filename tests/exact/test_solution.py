"""Values, occupancies and gradients, against tables worked by hand, enumeration, finite differences and autograd."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pgrad import exact
from pgrad.errors import InputError, MDPError

S, A = 5, 2
OBS = np.random.default_rng(0).normal(size=(S, 3))
FAMILIES: dict[str, exact.Family] = {
    "tabular": exact.Tabular(S, A),
    "linear": exact.Linear(np.random.default_rng(1).normal(size=(S, A, 4))),
    "two layers of ReLU": exact.Perceptron(OBS, (4, 3), A, "relu"),
    "tanh": exact.Perceptron(OBS, (4,), A),
}
LIMITS = [None, 4]
CORRIDOR = exact.Linear(exact.short_corridor_features())


def garnet(time_limit: int | None = None, discount: float = 0.9, seed: int = 0) -> exact.MDP:
    return exact.garnet(S, A, 2, seed, discount, time_limit)


def parameters(family: exact.Family, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=family.num_parameters)


def tabular(mdp: exact.MDP, seed: int = 2) -> exact.SoftmaxPolicy:
    family = exact.Tabular(mdp.num_states, mdp.num_actions)
    return family(parameters(family, seed))


def biased(p: float) -> exact.SoftmaxPolicy:
    """The policy in the short corridor that goes right with probability p."""
    return CORRIDOR([math.log(p), math.log1p(-p)])


def returns_to_go(trajectory: exact.Trajectory) -> np.ndarray:
    powers = trajectory.discount ** np.arange(len(trajectory))
    return np.array([powers[: len(trajectory) - t] @ trajectory.rewards[t:] for t in range(len(trajectory))])


def enumerated_gradient(mdp: exact.MDP, policy: exact.SoftmaxPolicy, dropped: bool = False) -> np.ndarray:
    """Σ_τ p(τ) Σ_t γ^t G_t ∇ log π(a_t | s_t)."""
    total = np.zeros(policy.num_parameters)
    for trajectory, probability in zip(*exact.enumerate_trajectories(mdp, policy), strict=True):
        powers = 1.0 if dropped else mdp.discount ** np.arange(len(trajectory))
        total += probability * ((powers * returns_to_go(trajectory)) @ trajectory.scores)
    return total


def relative(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


# By hand


@pytest.mark.parametrize("p", [0.05, 0.3, 0.586, 0.95])
def test_short_corridor_has_its_closed_form(p: float) -> None:
    """J(p) = (2p − 4) / (p (1 − p)) and, by the chain rule, dJ/dh = dJ/dp · p (1 − p)."""
    solution = exact.solve(exact.short_corridor(), biased(p))
    assert solution.performance == pytest.approx((2 * p - 4) / (p * (1 - p)), rel=1e-12)
    slope = 2 / (p * (1 - p)) - (2 * p - 4) * (1 - 2 * p) / (p * (1 - p)) ** 2
    rise = slope * p * (1 - p)
    np.testing.assert_allclose(solution.gradient, [rise, -rise], rtol=1e-9, atol=1e-9)


def test_short_corridor_is_the_books() -> None:
    """Example 13.1: −44 and −82 for the two ε-greedy policies, −11.6 for the best stochastic one."""
    mdp = exact.short_corridor()
    assert exact.solve(mdp, biased(0.95)).performance == pytest.approx(-44.2, abs=0.05)
    assert exact.solve(mdp, biased(0.05)).performance == pytest.approx(-82.1, abs=0.05)
    best = exact.solve(mdp, biased(2 - math.sqrt(2)))
    assert best.performance == pytest.approx(-11.66, abs=0.005)
    np.testing.assert_allclose(best.gradient, 0, atol=1e-12)


def test_values_and_occupancy_of_a_loop_by_hand() -> None:
    """One state, which pays 1 and is left with chance 1/2: V = 1 / (1 − γ/2), and η the same."""
    mdp = exact.MDP([[[0.5, 0.5]], [[0, 1]]], [[1], [0]], [1, 0], [0, 1], 0.8)
    solution = exact.solve(mdp, exact.Tabular(2, 1)([0.0, 0.0]))
    np.testing.assert_allclose(solution.value, [1 / 0.6, 0], rtol=1e-15)
    np.testing.assert_allclose(solution.occupancy, [1 / 0.6, 0], rtol=1e-15)
    np.testing.assert_allclose(solution.visits, [2, 0], rtol=1e-15)


def test_values_and_occupancy_under_a_time_limit_by_hand() -> None:
    mdp = exact.MDP([[[0.5, 0.5]], [[0, 1]]], [[1], [0]], [1, 0], [0, 1], 0.8, time_limit=3)
    solution = exact.solve(mdp, exact.Tabular(2, 1)([0.0, 0.0]))
    np.testing.assert_allclose(solution.value, [[1.56, 0], [1.4, 0], [1, 0]], rtol=1e-15)
    np.testing.assert_allclose(solution.action_value[:, 0, 0], [1.56, 1.4, 1], rtol=1e-15)
    np.testing.assert_allclose(solution.occupancy, [[1, 0], [0.4, 0], [0.16, 0]], rtol=1e-15)
    np.testing.assert_allclose(solution.visits, [[1, 0], [0.5, 0], [0.25, 0]], rtol=1e-15)
    assert solution.performance == pytest.approx(1.56, rel=1e-15)


def test_gradient_and_fisher_of_a_bandit_by_hand() -> None:
    """π = (1/4, 3/4) and rewards 4, 8: J = 7 and ∂J/∂θ_a = π_a (r_a − J); F = diag(π) − π πᵀ."""
    mdp = exact.bandit([4, 8])
    solution = exact.solve(mdp, exact.Tabular(2, 2)([0, math.log(3), 0, 0]))
    assert solution.performance == pytest.approx(7, rel=1e-15)
    np.testing.assert_allclose(solution.advantage[0], [-3, 1], rtol=1e-14)
    np.testing.assert_allclose(solution.gradient, [-0.75, 0.75, 0, 0], rtol=1e-14)
    np.testing.assert_allclose(solution.fisher[:2, :2], [[3 / 16, -3 / 16], [-3 / 16, 3 / 16]], rtol=1e-14)
    np.testing.assert_allclose(solution.natural_gradient, [-2, 2, 0, 0], atol=1e-14)


def test_an_end_after_two_steps_shows_where_the_discount_goes() -> None:
    """The choice comes at t = 1 and pays 1 or 0: the gradient has γ, the dropped one has not."""
    transition = np.zeros((3, 2, 3))
    transition[0, :, 1] = transition[1:, :, 2] = 1
    mdp = exact.MDP(transition, [[0, 0], [1, 0], [0, 0]], [1, 0, 0], [0, 0, 1], 0.5)
    solution = exact.solve(mdp, exact.Tabular(3, 2)(np.zeros(6)))
    np.testing.assert_allclose(solution.gradient, [0, 0, 0.125, -0.125, 0, 0], atol=1e-16)
    np.testing.assert_allclose(solution.gradient_dropped, [0, 0, 0.25, -0.25, 0, 0], atol=1e-16)
    np.testing.assert_allclose(solution.gradient_cut(1), 0, atol=1e-16)
    np.testing.assert_allclose(solution.gradient_cut(2), solution.gradient, rtol=1e-14)
    np.testing.assert_allclose(solution.gradient_cut(2, dropped=True), solution.gradient_dropped, rtol=1e-14)


# Identities


@pytest.mark.parametrize("limit", LIMITS)
def test_bellmans_equations(limit: int | None) -> None:
    mdp = garnet(limit)
    policy = tabular(mdp)
    solution = exact.solve(mdp, policy)
    following = solution.value if limit is None else np.concatenate([solution.value[1:], np.zeros((1, S))])
    np.testing.assert_allclose((policy.probabilities * solution.action_value).sum(-1), solution.value, rtol=1e-12)
    expected = np.einsum("sat,...sat->...sa", mdp.transition, mdp.reward + mdp.discount * following[..., None, None, :])
    np.testing.assert_allclose(solution.action_value, expected, rtol=1e-12)
    np.testing.assert_allclose((policy.probabilities * solution.advantage).sum(-1), 0, atol=1e-13)
    rewards = (policy.probabilities * mdp.expected_reward).sum(-1)
    assert (solution.occupancy @ rewards).sum() == pytest.approx(solution.performance, rel=1e-12)


def test_a_long_time_limit_is_none() -> None:
    mdp, policy = garnet(), tabular(garnet())
    endless, long = exact.solve(mdp, policy), exact.solve(dataclasses.replace(mdp, time_limit=600), policy)
    np.testing.assert_allclose(long.value[0], endless.value, rtol=1e-12)
    np.testing.assert_allclose(long.occupancy.sum(axis=0), endless.occupancy, rtol=1e-12)
    np.testing.assert_allclose(long.visits.sum(axis=0), endless.visits, rtol=1e-10)
    np.testing.assert_allclose(long.gradient_dropped, endless.gradient_dropped, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(long.fisher, endless.fisher, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(long.natural_gradient, endless.natural_gradient, rtol=1e-9, atol=1e-12)
    for dropped, gradient in ((False, endless.gradient), (True, endless.gradient_dropped)):
        np.testing.assert_allclose(endless.gradient_cut(600, dropped), gradient, rtol=1e-9, atol=1e-12)


def test_without_discounting_nothing_is_dropped() -> None:
    mdp = exact.chain(4, slip=0.2)
    solution = exact.solve(mdp, tabular(mdp))
    np.testing.assert_allclose(solution.visits, solution.occupancy, rtol=1e-12)
    np.testing.assert_allclose(solution.gradient_dropped, solution.gradient, rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("limit", LIMITS)
def test_natural_gradient_solves_fishers_equation(name: str, limit: int | None) -> None:
    family = FAMILIES[name]
    solution = exact.solve(garnet(limit), family(parameters(family)))
    np.testing.assert_allclose(solution.fisher @ solution.natural_gradient, solution.gradient, atol=1e-12)
    expected = np.linalg.pinv(solution.fisher, rcond=1e-11, hermitian=True) @ solution.gradient
    np.testing.assert_allclose(solution.natural_gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("logits", [(20, 0, 0), (0, 25, 0), (40, 20, 0), (0, 0, 50), (300, 0, 0), (700, 0, 0)])
def test_a_policy_that_is_almost_certain_keeps_all_digits(logits: tuple[float, ...]) -> None:
    """w = r − mean(r) solves F w = ∇J, and its sum is zero, so it is the shortest; ∂J/∂θ_a = π(a) Σ_k π(k) (r_a − r_k).

    Neither formula subtracts nearly equal numbers. 1e-13: hundreds of roundings.
    """
    solution = exact.solve(exact.bandit([1.0, 2.0, 3.0]), exact.Tabular(2, 3)([logits, (0, 0, 0)]))
    np.testing.assert_allclose(solution.natural_gradient, [-1, 0, 1, 0, 0, 0], atol=1e-13)
    weight = np.exp(np.array(logits) - max(logits))
    rewards = np.array([1.0, 2.0, 3.0])
    expected = weight / weight.sum() ** 2 * ((rewards[:, None] - rewards) @ weight)
    np.testing.assert_allclose(solution.gradient[:3], expected, rtol=1e-13)


def test_a_state_that_is_never_reached_has_no_part_in_the_natural_gradient() -> None:
    transition = np.zeros((3, 2, 3))
    transition[0, :, 1] = transition[2, :, 1] = 1  # from 0 and from 2, where no episode comes, to the end
    mdp = exact.MDP(transition, [[1, 3], [0, 0], [5, 6]], [1, 0, 0], [0, 1, 0], 0.9)
    solution = exact.solve(mdp, exact.Tabular(3, 2)(np.zeros(6)))
    np.testing.assert_allclose(solution.natural_gradient, [-1, 1, 0, 0, 0, 0], atol=1e-13)


def test_what_is_rarer_still_is_left_alone() -> None:
    """The third action is e^56 = 2e24 times as rare as the second: only those two are told apart, by [−1/2, 1/2]."""
    solution = exact.solve(exact.bandit([1.0, 2.0, 3.0]), exact.Tabular(2, 3)([(112, 56, 0), (0, 0, 0)]))
    np.testing.assert_allclose(solution.natural_gradient, [-0.5, 0.5, 0, 0, 0, 0], atol=1e-13)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_natural_gradient_of_a_table_is_the_advantage(scale: float) -> None:
    """Up to a constant a state, where every state is visited. Kakade (2001)."""
    mdp = dataclasses.replace(garnet(), start=[0.25] * 4 + [0])
    solution = exact.solve(mdp, exact.Tabular(S, A)(scale * tabular(mdp).logits))
    difference = solution.natural_gradient.reshape(S, A)[:4] - solution.advantage[:4]
    np.testing.assert_allclose(difference[:, 0], difference[:, 1], atol=1e-11)
    assert np.abs(solution.advantage).max() > 0.1


# Independent oracles


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize("discount", [0.6, 1.0])
def test_gradients_are_those_of_all_trajectories(name: str, limit: int, discount: float) -> None:
    family = FAMILIES[name]
    mdp = garnet(limit, discount)
    policy = family(parameters(family))
    solution = exact.solve(mdp, policy)
    assert relative(solution.gradient, enumerated_gradient(mdp, policy)) < 1e-10
    assert relative(solution.gradient_dropped, enumerated_gradient(mdp, policy, dropped=True)) < 1e-10
    if limit > 1 and discount < 1:
        assert relative(solution.gradient_dropped, solution.gradient) > 1e-3


def test_gradients_are_those_of_all_trajectories_without_a_time_limit() -> None:
    mdp = exact.layered()
    policy = tabular(mdp)
    solution = exact.solve(mdp, policy)
    assert relative(solution.gradient, enumerated_gradient(mdp, policy)) < 1e-10
    assert relative(solution.gradient_dropped, enumerated_gradient(mdp, policy, dropped=True)) < 1e-10


@pytest.mark.parametrize("dropped", [False, True])
def test_gradient_cut_is_that_of_bootstrapping_estimates(dropped: bool) -> None:
    """Over the trajectories of three steps: G_t ends in γ^{T−t} V(s_T), V that of the problem without a limit."""
    mdp = garnet(3)
    policy = tabular(mdp)
    total = np.zeros(policy.num_parameters)
    for trajectory, probability in zip(*exact.enumerate_trajectories(mdp, policy), strict=True):
        steps = len(trajectory)
        ahead = mdp.discount ** (steps - np.arange(steps)) * trajectory.values[-1]
        weight = returns_to_go(trajectory) + ahead
        if not dropped:
            weight = weight * mdp.discount ** np.arange(steps)
        total += probability * (weight @ trajectory.scores)
    assert relative(exact.solve(mdp, policy).gradient_cut(3, dropped), total) < 1e-10
    assert relative(exact.solve(garnet(), policy).gradient_cut(3, dropped), total) < 1e-10


@pytest.mark.parametrize("limit", [4])
def test_values_and_occupancies_are_those_of_all_trajectories(limit: int) -> None:
    mdp = garnet(limit)
    policy = tabular(mdp)
    solution = exact.solve(mdp, policy)
    performance, visits = 0.0, np.zeros((limit, S))
    for trajectory, probability in zip(*exact.enumerate_trajectories(mdp, policy), strict=True):
        performance += probability * returns_to_go(trajectory)[0]
        visits[np.arange(len(trajectory)), trajectory.states] += probability
    assert solution.performance == pytest.approx(performance, rel=1e-12)
    np.testing.assert_allclose(solution.visits, visits, rtol=1e-12)
    np.testing.assert_allclose(solution.occupancy, visits * (0.9 ** np.arange(limit))[:, None], rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("limit", LIMITS)
def test_gradient_is_that_of_finite_differences(name: str, limit: int | None) -> None:
    family = FAMILIES[name]
    theta = parameters(family)
    mdp = garnet(limit)
    gradient = exact.solve(mdp, family(theta)).gradient
    assert relative(exact.finite_difference_gradient(mdp, family, theta), gradient) < 1e-10


def test_finite_differences_are_extrapolated() -> None:
    """From steps as wide as 0.3, so that nothing is lost to rounding."""
    mdp, family = exact.bandit([1, 2]), exact.Tabular(2, 2)
    gradient = exact.finite_difference_gradient(mdp, family, [0.3, -0.2, 0, 0])
    assert relative(gradient, exact.solve(mdp, family([0.3, -0.2, 0, 0])).gradient) < 1e-13


def torch_performance(mdp: exact.MDP, logits: torch.Tensor) -> torch.Tensor:
    """J, differentiable in the logits, through PyTorch's own linear solver or recursion."""
    probabilities = torch.softmax(logits, dim=-1)
    alive = torch.tensor(~mdp.terminal, dtype=torch.float64)
    step = torch.einsum("sa,sat->st", probabilities, torch.tensor(mdp.transition)) * alive[:, None]
    reward = torch.einsum("sa,sat,sat->s", probabilities, torch.tensor(mdp.transition), torch.tensor(mdp.reward))
    if mdp.time_limit is None:
        value = torch.linalg.solve(torch.eye(S, dtype=torch.float64) - mdp.discount * step, reward)
    else:
        value = torch.zeros(S, dtype=torch.float64)
        for _ in range(mdp.time_limit):
            value = reward + mdp.discount * step @ value
    return torch.tensor(mdp.start) @ value


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("limit", LIMITS)
def test_gradient_is_autograds(name: str, limit: int | None) -> None:
    family = FAMILIES[name]
    policy = family(parameters(family))
    mdp = garnet(limit)
    solution = exact.solve(mdp, policy)
    logits = torch.tensor(policy.logits, requires_grad=True)
    performance = torch_performance(mdp, logits)
    performance.backward()
    assert logits.grad is not None
    gradient = np.einsum("sa,sap->p", logits.grad.numpy(), policy.jacobian)  # held to autograd in test_policies.py
    assert solution.performance == pytest.approx(performance.item(), rel=1e-12)
    assert relative(solution.gradient, gradient) < 1e-10


def test_fisher_is_the_curvature_of_the_divergence() -> None:
    """Σ_s η(s) KL(π_θ ‖ π_θ') has F as its second derivative in θ' at θ' = θ."""
    family = FAMILIES["linear"]
    theta = parameters(family)
    solution = exact.solve(garnet(), family(theta))
    eta, old = torch.tensor(solution.occupancy), torch.tensor(solution.policy.probabilities)

    def divergence(other: torch.Tensor) -> torch.Tensor:
        log_probs = torch.log_softmax(torch.tensor(solution.policy.jacobian) @ other, dim=-1)
        return (eta[:, None] * old * (old.log() - log_probs)).sum()

    np.testing.assert_allclose(
        solution.fisher, torch.autograd.functional.hessian(divergence, torch.tensor(theta)), atol=1e-13
    )


# Optimal values and ascent


@pytest.mark.parametrize("limit", LIMITS)
def test_optimal_values_by_brute_force(limit: int | None) -> None:
    """Over the deterministic policies; under a time limit, those that do not depend on time can only do worse."""
    mdp = garnet(limit)
    best = exact.optimal_values(mdp)
    found = []
    for actions in itertools.product(range(A), repeat=S):
        logits = np.where(np.eye(A)[list(actions)] > 0, 0.0, -np.inf)
        value = exact.solve(mdp, exact.SoftmaxPolicy(logits, np.zeros((S, A, 1)))).value
        found.append(value if limit is None else value[0])
    highest = np.max(found, axis=0)
    if limit is None:
        np.testing.assert_allclose(best.value, highest, rtol=1e-12)
    else:
        assert (best.value[0] >= highest - 1e-12).all()
        assert best.value.shape == best.policy.shape == (limit, S)
        np.testing.assert_allclose(best.value[-1], mdp.expected_reward.max(axis=1), rtol=1e-14)
    np.testing.assert_allclose(best.action_value.max(axis=-1), best.value, rtol=1e-12)
    np.testing.assert_array_equal(best.policy, best.action_value.argmax(axis=-1))


@pytest.mark.parametrize(("map_name", "steps"), [("4x4", 6), ("8x8", 14)])
def test_optimal_values_of_frozen_lake(map_name: str, steps: int) -> None:
    """Reward 1 on the last of the fewest steps that lead there: V* = γ^(steps − 1)."""
    mdp = exact.from_gymnasium("FrozenLake-v1", discount=0.9, is_slippery=False, map_name=map_name)
    assert exact.optimal_values(mdp).value[0] == pytest.approx(0.9 ** (steps - 1), rel=1e-12)
    limited = exact.optimal_values(dataclasses.replace(mdp, time_limit=steps))
    assert limited.value[:2, 0].tolist() == pytest.approx([0.9 ** (steps - 1), 0])


def test_optimal_values_without_discounting() -> None:
    assert exact.optimal_values(exact.chain(5)).value[0] == -5
    loop = exact.MDP([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[1, 0], [0, 0]], [1, 0], [0, 1], 1.0)
    with pytest.raises(MDPError, match="the optimum may be infinite"):
        exact.optimal_values(loop)


def test_the_best_policy_without_discounting_does_not_go_round() -> None:
    """On a lake that is not slippery every way that avoids the holes is worth 1, those that never end included."""
    for slippery in (False, True):
        mdp = exact.from_gymnasium("FrozenLake-v1", discount=1.0, is_slippery=slippery)
        best = exact.optimal_values(mdp)
        preferences = np.where(np.eye(mdp.num_actions)[best.policy] > 0, 0.0, -np.inf)
        policy = exact.Tabular(mdp.num_states, mdp.num_actions)(preferences)
        np.testing.assert_allclose(exact.solve(mdp, policy).value, best.value, atol=1e-8)


def test_optimal_values_where_everything_is_alike() -> None:
    mdp = exact.MDP(np.full((3, 2, 3), 1 / 3), np.ones((3, 2)), [1, 0, 0], [0, 0, 0], 0.9)
    np.testing.assert_allclose(exact.optimal_values(mdp).value, 10, rtol=1e-12)


def test_exact_ascent_on_a_bandit_closes_the_gap_as_one_over_t() -> None:
    """log (J* − J_t) falls with slope −1 in log t. Mei et al. (2020), theorem 2."""
    mdp = exact.bandit([1.0, 0.5, 0.0])
    path = exact.ascend(mdp, exact.Tabular(2, 3), np.zeros(6), learning_rate=0.4, num_iterations=4000)
    assert path.parameters.shape == (4001, 6)
    assert path.performance.shape == (4001,)
    gap = 1.0 - path.performance
    assert (np.diff(path.performance) > 0).all()
    assert math.log(gap[4000] / gap[2000]) / math.log(2) == pytest.approx(-1, abs=0.03)


def test_ascent_takes_the_steps_it_says() -> None:
    mdp = garnet()
    family = FAMILIES["tanh"]
    theta = parameters(family)
    for natural in (False, True):
        path = exact.ascend(mdp, family, theta, 0.1, 1, natural)
        solution = exact.solve(mdp, family(theta))
        step = solution.natural_gradient if natural else solution.gradient
        np.testing.assert_array_equal(path.parameters, [theta, theta + 0.1 * step])
        assert path.performance[0] == solution.performance
        assert path.performance[1] > path.performance[0]


def test_natural_ascent_is_faster() -> None:
    plain, natural = (
        exact.ascend(exact.short_corridor(), CORRIDOR, [2.0, 0.0], 0.01, 50, natural) for natural in (False, True)
    )
    assert exact.ascend(exact.short_corridor(), CORRIDOR, [2.0, 0.0], 0.01, 0).performance.shape == (1,)
    assert -11.7 < plain.performance[-1] < -11.65
    assert natural.performance[-1] > natural.performance[0]
    table = exact.Tabular(4, 2)
    assert exact.ascend(exact.chain(3), table, np.zeros((4, 2)), 0.1, 2).parameters.shape == (3, 8)


# What is wrong


def test_small_chances_to_end_keep_their_digits() -> None:
    """Leaving with chance 1e-9: 1 − P(s, s) would have only seven digits."""
    family = exact.Tabular(2, 2)
    mdp = exact.MDP([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[1, 1], [0, 0]], [1, 0], [0, 1], 1.0)
    chance = family([0, math.log(1e-9), 0, 0]).probabilities[0, 1]
    solution = exact.solve(mdp, family([0, math.log(1e-9), 0, 0]))
    assert solution.performance == pytest.approx(1 / chance, rel=1e-14)
    assert solution.visits[0] == pytest.approx(1 / chance, rel=1e-14)


@pytest.mark.parametrize("preference", [-math.inf, -1000.0])
def test_a_policy_that_never_ends_is_refused(preference: float) -> None:
    mdp = exact.chain(3)
    logits = [[0, preference], [0, 0], [0, 0], [0, 0]]
    with pytest.raises(MDPError, match="under this policy state 0 can never"):
        exact.solve(mdp, exact.Tabular(4, 2)(logits))
    discounted = exact.solve(dataclasses.replace(mdp, discount=0.9), exact.Tabular(4, 2)(logits))
    np.testing.assert_allclose(discounted.value[0], -10, rtol=1e-12)
    with pytest.raises(MDPError, match="episodes may never end: from state 0 "):
        _ = discounted.visits
    with pytest.raises(MDPError, match="episodes may never end"):
        _ = discounted.gradient_dropped
    assert np.isfinite(discounted.gradient).all()


def test_a_policy_that_hardly_ever_ends_is_refused() -> None:
    policy = exact.Tabular(4, 2)([[0, -30], [0, 0], [0, 0], [0, 0]])
    with pytest.raises(MDPError, match=r"more than 1e\+10 expected steps"):
        exact.solve(exact.chain(3), policy)
    discounted = exact.solve(exact.chain(3, discount=0.9), policy)
    with pytest.raises(MDPError, match=r"more than 1e\+10 expected steps"):
        _ = discounted.visits


def test_states_never_reached_do_not_make_visits_endless() -> None:
    transition = np.zeros((3, 1, 3))
    transition[0, 0, 2] = transition[1, 0, 1] = transition[2, 0, 2] = 1
    mdp = exact.MDP(transition, np.ones((3, 1)), [1, 0, 0], [0, 0, 1], 0.9)
    assert exact.solve(mdp, exact.Tabular(3, 1)(np.zeros(3))).visits.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact.solve(garnet(), exact.Tabular(3, 2)(np.zeros(6))), r"policy has \(3, 2\).*problem \(5, 2\)"),
        (
            lambda: exact.solve(garnet(), tabular(garnet())).gradient_cut(0),
            "num_steps must be an integer, at least 1",
        ),
        (lambda: exact.solve(garnet(10**9), tabular(garnet())), "action values over time of .* GiB"),
        (lambda: exact.solve(garnet(), tabular(garnet())).gradient_cut(10**9), "distribution of states over time"),
        (lambda: exact.solve(garnet(), FAMILIES["tabular"]), "policy must be a SoftmaxPolicy, not Tabular"),  # type: ignore[arg-type]
        (lambda: exact.finite_difference_gradient(garnet(), FAMILIES["tabular"], [0.0]), r"θ must have shape \(10,\)"),
        (
            lambda: exact.finite_difference_gradient(garnet(), FAMILIES["tabular"], [-np.inf] + [0.0] * 9),
            "finite differences need finite logits",
        ),
        (lambda: exact.ascend(garnet(), FAMILIES["tabular"], np.zeros(10), 0.0, 1), "learning_rate must be positive"),
        (lambda: exact.ascend(garnet(), FAMILIES["tabular"], np.zeros(10), 0.1, -1), "num_iterations must be"),
        (lambda: exact.ascend(garnet(), FAMILIES["tabular"], np.zeros(9), 0.1, 1), r"θ must have shape \(10,\)"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((MDPError, InputError), match=message):
        make()


def test_repr_is_short() -> None:
    assert repr(exact.solve(exact.bandit([1, 3]), exact.Tabular(2, 2)(np.zeros(4)))).startswith(
        "<Solution: performance 2 "
    )

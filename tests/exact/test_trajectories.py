"""What estimators are given, and their exact mean and covariance."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pgrad import exact
from pgrad.errors import EstimatorError, InputError, MDPError


def garnet(time_limit: int | None = 3, discount: float = 0.9) -> exact.MDP:
    return exact.garnet(4, 2, 2, 1, discount, time_limit)


def tabular(mdp: exact.MDP) -> exact.SoftmaxPolicy:
    family = exact.Tabular(mdp.num_states, mdp.num_actions)
    return family(np.random.default_rng(0).normal(size=family.num_parameters))


def reinforce(trajectories: list[exact.Trajectory]) -> np.ndarray:
    """The mean over trajectories of Σ_t γ^t G_t ∇ log π(a_t | s_t): unbiased."""
    total = np.zeros(trajectories[0].scores.shape[1])
    for trajectory in trajectories:
        powers = trajectory.discount ** np.arange(len(trajectory))
        ahead = np.cumsum((powers * trajectory.rewards)[::-1])[::-1]  # γ^t G_t
        total += ahead @ trajectory.scores
    return total / len(trajectories)


ONE_STEP = exact.bandit([1, 2])
UNIFORM = tabular(ONE_STEP)


def one() -> exact.Trajectory:
    return exact.enumerate_trajectories(ONE_STEP, UNIFORM)[0][0]


# Enumeration


def test_trajectories_of_a_small_problem_by_hand() -> None:
    """From 0 the action decides between the end and state 1, from where everything leads back; at most two steps."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 2] = transition[0, 1, 1] = transition[1, :, 0] = 1
    mdp = exact.MDP(transition, [[5, 6], [7, 8], [0, 0]], [1, 0, 0], [0, 0, 1], 0.5, time_limit=2)
    policy = exact.Tabular(3, 2)([0, math.log(3), 0, 0, 0, 0])
    trajectories, probabilities = exact.enumerate_trajectories(mdp, policy, values=[10, 20, 30])
    np.testing.assert_allclose(probabilities, [0.25, 0.375, 0.375], rtol=1e-15)
    assert [t.states.tolist() for t in trajectories] == [[0], [0, 1], [0, 1]]
    assert [t.actions.tolist() for t in trajectories] == [[0], [1, 0], [1, 1]]
    assert [t.rewards.tolist() for t in trajectories] == [[5], [6, 7], [6, 8]]
    assert [t.values.tolist() for t in trajectories] == [[10, 0], [10, 20, 10], [10, 20, 10]]
    assert [(t.terminated, t.truncated) for t in trajectories] == [(True, False), (False, True), (False, True)]
    assert [len(t) for t in trajectories] == [1, 2, 2]
    last = trajectories[2]
    assert last.discount == 0.5
    np.testing.assert_array_equal(last.scores, policy.scores[[0, 1], [1, 1]])
    np.testing.assert_array_equal(last.all_scores, policy.scores[[0, 1]])
    np.testing.assert_array_equal(last.probabilities, policy.probabilities[[0, 1]])
    assert repr(last) == "<Trajectory: 2 steps, rewards [6.0, 8.0], truncated>"


def test_an_end_on_the_last_step_is_no_cut() -> None:
    trajectories, _ = exact.enumerate_trajectories(dataclasses.replace(ONE_STEP, time_limit=1), UNIFORM)
    assert all(t.terminated and not t.truncated for t in trajectories)


@pytest.mark.parametrize("mdp", [garnet(1), garnet(4), exact.layered(), exact.layered(3, 3, 7)], ids=repr)
def test_probabilities_sum_to_one_and_no_trajectory_comes_twice(mdp: exact.MDP) -> None:
    trajectories, probabilities = exact.enumerate_trajectories(mdp, tabular(mdp))
    assert abs(probabilities.sum() - 1) < 1e-12
    assert (probabilities > 0).all()
    paths = {(*t.states, *t.actions, *t.rewards) for t in trajectories}
    assert len(paths) == len(trajectories)


def test_actions_of_probability_zero_are_left_out() -> None:
    policy = exact.Tabular(2, 2)([0, -np.inf, 0, 0])
    trajectories, probabilities = exact.enumerate_trajectories(ONE_STEP, policy)
    assert [t.actions.tolist() for t in trajectories] == [[0]]
    assert probabilities.tolist() == [1]


def test_values_are_those_without_the_time_limit() -> None:
    mdp, policy = garnet(3), tabular(garnet(3))
    endless = exact.solve(garnet(None), policy).value
    for trajectory in exact.enumerate_trajectories(mdp, policy)[0]:
        np.testing.assert_array_equal(trajectory.values[:-1], endless[trajectory.states])
        assert (trajectory.values[-1] == 0) == trajectory.terminated


def test_values_are_zero_where_they_would_be_infinite() -> None:
    loop = exact.MDP(np.ones((1, 1, 1)), np.ones((1, 1)), [1], [0], 1.0, time_limit=2)
    (trajectory,), _ = exact.enumerate_trajectories(loop, exact.Tabular(1, 1)([0.0]))
    assert trajectory.values.tolist() == [0, 0, 0]


def test_behaviour_draws_the_actions_and_scores_remain_the_policys() -> None:
    trajectories, probabilities = exact.enumerate_trajectories(ONE_STEP, UNIFORM, behaviour=[[0.9, 0.1], [0.5, 0.5]])
    np.testing.assert_allclose(probabilities, [0.9, 0.1], rtol=1e-15)
    for t in trajectories:
        np.testing.assert_array_equal(t.probabilities, UNIFORM.probabilities[:1])
        np.testing.assert_array_equal(t.scores[0], UNIFORM.scores[0, t.actions[0]])


def test_too_many_trajectories_are_counted_beforehand() -> None:
    mdp = exact.gridworld(4, 4, discount=0.9)
    policy = tabular(mdp)
    with pytest.raises(MDPError, match=r"the problem has 1,024 trajectories, more than 1,000: .*exact\.solve"):
        exact.enumerate_trajectories(dataclasses.replace(mdp, time_limit=5), policy, max_trajectories=1000)
    assert len(exact.enumerate_trajectories(dataclasses.replace(mdp, time_limit=5), policy)[0]) == 1024
    with pytest.raises(MDPError, match=r"about 10\^"):
        exact.enumerate_trajectories(dataclasses.replace(mdp, time_limit=100), policy)
    with pytest.raises(MDPError, match=r"about 10\^300"):
        exact.enumerate_trajectories(dataclasses.replace(mdp, time_limit=10**6), policy)


def test_infinitely_many_trajectories_are_refused() -> None:
    mdp = garnet(None)
    with pytest.raises(MDPError, match="infinitely many trajectories, as it has a cycle and no time_limit"):
        exact.enumerate_trajectories(mdp, tabular(mdp))
    leading_nowhere = exact.MDP(np.eye(2)[:, None, ::-1], np.zeros((2, 1)), [1, 0], [0, 0], 0.9)  # 0 → 1 → 0
    with pytest.raises(MDPError, match="infinitely many trajectories"):
        exact.enumerate_trajectories(leading_nowhere, tabular(leading_nowhere))
    elsewhere = np.zeros((3, 1, 3))
    elsewhere[0, 0, 1] = elsewhere[2, 0, 2] = 1  # a cycle that no episode reaches
    out_of_reach = exact.MDP(elsewhere, np.zeros((3, 1)), [1, 0, 0], [0, 1, 0], 0.9)
    assert len(exact.enumerate_trajectories(out_of_reach, tabular(out_of_reach))[0]) == 1
    straight = exact.Tabular(4, 2)([[-np.inf, 0]] * 3 + [[0, 0]])
    assert len(exact.enumerate_trajectories(exact.chain(3), straight)[0]) == 1, "the policy can cut a cycle"


# Sampling


def test_samples_are_as_frequent_as_they_are_probable() -> None:
    """χ² of 4000 samples over 22 trajectories: 21 degrees of freedom, mean 21, standard deviation 6.5."""
    mdp = exact.layered()
    policy = tabular(mdp)
    trajectories, probabilities = exact.enumerate_trajectories(mdp, policy)
    paths = {(*t.states, *t.actions, *t.rewards): k for k, t in enumerate(trajectories)}
    sample = exact.sample_trajectories(mdp, policy, 4000, np.random.default_rng(0))
    counts = np.bincount([paths[(*t.states, *t.actions, *t.rewards)] for t in sample], minlength=len(paths))
    expected = 4000 * probabilities
    assert ((counts - expected) ** 2 / expected).sum() < 21 + 4 * 6.5
    like = trajectories[paths[(*sample[0].states, *sample[0].actions, *sample[0].rewards)]]
    for field in dataclasses.fields(like):
        np.testing.assert_array_equal(getattr(sample[0], field.name), getattr(like, field.name))


def test_samples_are_cut_by_the_time_limit() -> None:
    mdp = exact.chain(50, discount=0.9)
    (sample,) = exact.sample_trajectories(
        dataclasses.replace(mdp, time_limit=7), tabular(mdp), 1, np.random.default_rng(0)
    )
    assert len(sample) == 7
    assert sample.truncated
    with pytest.raises(MDPError, match="not end within max_steps = 20 steps"):
        exact.sample_trajectories(mdp, tabular(mdp), 1, np.random.default_rng(0), max_steps=20)


def test_another_way_of_drawing_actions() -> None:
    sample = exact.sample_trajectories(
        exact.chain(3), tabular(exact.chain(3)), 2, np.random.default_rng(0), act=lambda p, rng: np.int64(len(p) - 1)
    )
    assert [t.actions.tolist() for t in sample] == [[1, 1, 1]] * 2


def broken_act(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    raise RuntimeError("no idea")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda p, rng: 2, r"must return an action, an integer in 0 … 1, not 2"),
        (lambda p, rng: -1, "not -1"),
        (lambda p, rng: 0.5, "an integer in 0 … 1, not 0.5"),
        (lambda p, rng: None, "an integer in 0 … 1, not None"),
        (broken_act, "broken_act raised RuntimeError: no idea"),
    ],
)
def test_what_act_returns_is_checked(act: Callable[..., Any], message: str) -> None:
    with pytest.raises(MDPError, match=message):
        exact.sample_trajectories(ONE_STEP, UNIFORM, 1, np.random.default_rng(0), act=act)


# Moments


@pytest.mark.parametrize("mdp", [garnet(3), exact.layered(), exact.bandit([1, 2, 3], noise=1)], ids=repr)
def test_the_mean_of_an_unbiased_estimate_is_the_gradient(mdp: exact.MDP) -> None:
    policy = tabular(mdp)
    gradient = exact.solve(mdp, policy).gradient
    np.testing.assert_allclose(exact.moments(mdp, policy, reinforce).mean, gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("constant", [0.0, 3.0, -1.5])
def test_covariance_on_a_two_armed_bandit_by_hand(constant: float) -> None:
    """At θ = 0 the estimate is r_a (±1/2, ∓1/2): its mean is ((r_0 − r_1) / 4) (1, −1), and each of the two entries
    has variance (r_0² + r_1²) / 8 − (r_0 − r_1)² / 16 = ((r_0 + r_1) / 4)²: a constant c adds to it as a square."""
    first, second = 1.0 + constant, 2.0 + constant
    moments = exact.moments(exact.bandit([first, second]), exact.Tabular(2, 2)(np.zeros(4)), reinforce)
    np.testing.assert_allclose(moments.mean, [-0.25, 0.25, 0, 0], atol=1e-15)
    variance = ((first + second) / 4) ** 2
    np.testing.assert_allclose(moments.covariance[:2, :2], [[variance, -variance], [-variance, variance]], atol=1e-15)
    assert np.trace(moments.covariance) == pytest.approx((3 + 2 * constant) ** 2 / 8, abs=1e-14)


def test_two_independent_trajectories_halve_the_covariance() -> None:
    mdp = exact.layered()
    policy = tabular(mdp)
    single, double = (exact.moments(mdp, policy, reinforce, n) for n in (1, 2))
    np.testing.assert_allclose(double.mean, single.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(double.covariance, single.covariance / 2, rtol=1e-11, atol=1e-15)
    assert np.trace(single.covariance) > 0.1


def test_batches_come_in_every_order() -> None:
    """An estimator that looks at the first trajectory alone has the covariance of one."""
    policy = exact.Tabular(2, 2)(np.zeros(4))
    first = exact.moments(ONE_STEP, policy, lambda batch: reinforce(batch[:1]), 2)
    last = exact.moments(ONE_STEP, policy, lambda batch: reinforce(batch[1:]), 2)
    single = exact.moments(ONE_STEP, policy, reinforce)
    for moments in (first, last):
        np.testing.assert_allclose(moments.covariance, single.covariance, atol=1e-15)


@pytest.mark.parametrize("trajectories", [2, 3])
def test_no_trajectory_of_a_batch_is_one_object_twice(trajectories: int) -> None:
    """So that a baseline of `the others` can be written with `is not`."""
    mdp = exact.layered(2, 2)
    policy = tabular(mdp)

    def leave_one_out(batch: list[exact.Trajectory]) -> np.ndarray:
        others = [[reinforce([u]) for u in batch if u is not t] for t in batch]
        assert [len(rest) for rest in others] == [trajectories - 1] * trajectories
        assert len({id(t.rewards) for t in batch}) == trajectories
        return reinforce(batch)

    moments = exact.moments(mdp, policy, leave_one_out, trajectories)
    np.testing.assert_allclose(moments.mean, exact.solve(mdp, policy).gradient, rtol=1e-10, atol=1e-13)


def test_behaviour_without_correction_is_biased_and_with_it_is_not() -> None:
    mdp = garnet(2)
    policy = tabular(mdp)
    behaviour = np.full((4, 2), 0.5)
    gradient = exact.solve(mdp, policy).gradient

    def corrected(batch: list[exact.Trajectory]) -> np.ndarray:
        ratio = np.prod([p[a] / 0.5 for p, a in zip(batch[0].probabilities, batch[0].actions, strict=True)])
        return ratio * reinforce(batch)

    assert np.abs(exact.moments(mdp, policy, reinforce, behaviour=behaviour).mean - gradient).max() > 1e-2
    np.testing.assert_allclose(exact.moments(mdp, policy, corrected, behaviour=behaviour).mean, gradient, atol=1e-13)


def test_values_reach_the_estimator() -> None:
    moments = exact.moments(ONE_STEP, UNIFORM, lambda batch: np.full(4, batch[0].values[0]), values=[7.0, 9.0])
    np.testing.assert_allclose(moments.mean, 7)
    np.testing.assert_allclose(moments.covariance, 0, atol=1e-25)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: exact.moments(ONE_STEP, UNIFORM, reinforce, 20),
            "there are 1,048,576 batches of 20, more than 200,000",
        ),
        (lambda: exact.moments(ONE_STEP, UNIFORM, reinforce, 0), "num_trajectories must be an integer, at least 1"),
        (lambda: exact.moments(garnet(None), tabular(garnet()), reinforce), "infinitely many"),
        (lambda: exact.enumerate_trajectories(ONE_STEP, UNIFORM, values=[1.0]), r"values must be .*\(2,\).*not \(1,\)"),
        (
            lambda: exact.enumerate_trajectories(ONE_STEP, UNIFORM, behaviour=[0.5, 0.5]),
            r"behaviour must have shape \(2, 2\)",
        ),
        (
            lambda: exact.enumerate_trajectories(ONE_STEP, UNIFORM, behaviour=[[0.5, 0.4], [0.5, 0.5]]),
            "behaviour of state 0 sums to 0.9, not 1",
        ),
        (lambda: exact.enumerate_trajectories(garnet(), UNIFORM), r"policy has \(2, 2\)"),
    ],
)
def test_what_is_wrong_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((MDPError, InputError), match=message):
        make()


# Calling an estimator


@pytest.mark.parametrize(
    "returned",
    [
        [1, 2, 3, 4],
        (1.0, 2.0, 3.0, 4.0),
        np.arange(1, 5, dtype=np.float32),
        torch.arange(1, 5),
        torch.arange(1.0, 5.0, requires_grad=True),
        [torch.tensor(float(k)) for k in range(1, 5)],
    ],
    ids=str,
)
def test_anything_like_an_array_will_do(returned: Any) -> None:
    estimate = exact.checked_call(lambda batch: returned, [one()], 4)
    assert estimate.dtype == np.float64
    assert estimate.tolist() == [1, 2, 3, 4]


def test_pytorch_takes_the_arrays_without_a_warning() -> None:
    def estimator(batch: list[exact.Trajectory]) -> torch.Tensor:
        return torch.as_tensor(batch[0].rewards) @ torch.from_numpy(batch[0].scores)

    np.testing.assert_array_equal(exact.checked_call(estimator, [one()], 4), reinforce([one()]))


def raises(batch: list[exact.Trajectory]) -> np.ndarray:
    return np.ones(batch[0].no_such_name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (raises, "^raises raised AttributeError: .*no_such_name"),
        (lambda batch: None, "returned None: is a `return` missing"),
        (lambda batch: 3.0, r"must return an array of shape \(4,\), not \(\)"),
        (lambda batch: np.zeros((1, 4)), r"not \(1, 4\)"),
        (lambda batch: [1, 2], r"not \(2,\)"),
        (lambda batch: [1, 2, 3, math.nan], "must return finite numbers, not .*nan"),
        (lambda batch: [1, 2, 3, math.inf], "must return finite numbers"),
        (lambda batch: np.zeros(4, np.complex128), r"must return 4 real numbers, not array.*0\.j"),
        (lambda batch: "abcd", "must return 4 real numbers, not 'abcd'"),
        (lambda batch: [[1, 2], [3]], r"must return 4 real numbers, not \[\[1, 2\], \[3\]\]"),
    ],
)
def test_what_an_estimator_returns_is_checked(estimator: Callable[..., Any], message: str) -> None:
    with pytest.raises(EstimatorError, match=message):
        exact.checked_call(estimator, [one()], 4)


def test_what_it_raised_is_kept() -> None:
    with pytest.raises(EstimatorError) as caught:
        exact.checked_call(raises, [one()], 4)
    assert isinstance(caught.value.__cause__, AttributeError)


@pytest.mark.parametrize("name", ["states", "actions", "rewards", "scores", "all_scores", "probabilities", "values"])
def test_a_change_of_the_input_is_named_and_undone(name: str) -> None:
    def changes(batch: list[exact.Trajectory]) -> np.ndarray:
        getattr(batch[1], name)[-1:] += 1
        return np.zeros(4)

    batch = exact.enumerate_trajectories(ONE_STEP, UNIFORM)[0]
    before = getattr(batch[1], name).copy()
    with pytest.raises(EstimatorError, match=f"changes changes its input: {name}. Work on a copy"):
        exact.checked_call(changes, batch, 4)
    np.testing.assert_array_equal(getattr(batch[1], name), before)


def test_an_assignment_in_place_is_a_change_of_the_input_whatever_it_raises() -> None:
    def scales(batch: list[exact.Trajectory]) -> np.ndarray:
        batch[0].rewards *= 2  # type: ignore[misc]
        return np.zeros(4)

    batch = exact.enumerate_trajectories(ONE_STEP, UNIFORM)[0]
    before = batch[0].rewards.copy()
    with pytest.raises(EstimatorError, match="scales changes its input: rewards"):
        exact.checked_call(scales, batch, 4)
    np.testing.assert_array_equal(batch[0].rewards, before)


def reverses(batch: list[exact.Trajectory]) -> np.ndarray:
    batch.reverse()
    return np.zeros(4)


def empties(batch: list[exact.Trajectory]) -> np.ndarray:
    batch.pop()
    return np.zeros(4)


@pytest.mark.parametrize("estimator", [reverses, empties])
def test_a_change_of_the_list_is_named(estimator: Callable[..., Any]) -> None:
    batch = exact.enumerate_trajectories(ONE_STEP, UNIFORM)[0]
    with pytest.raises(EstimatorError, match="changes its input: the list of trajectories"):
        exact.checked_call(estimator, batch, 4)
    assert len(batch) == 2


def test_an_estimate_may_be_part_of_the_input() -> None:
    trajectory = one()
    estimate = exact.checked_call(lambda batch: batch[0].scores[0], [trajectory], 4)
    estimate[:] = 7
    assert np.abs(trajectory.scores).max() < 1


def test_moments_report_what_an_estimator_does_wrong() -> None:
    with pytest.raises(EstimatorError, match="raises raised AttributeError"):
        exact.moments(ONE_STEP, UNIFORM, raises)


def test_an_act_is_given_the_probabilities_of_the_state_it_is_in() -> None:
    mdp, given = exact.chain(3), list[float]()
    policy = exact.Tabular(4, 2)([[0.1, 0], [0.2, 0], [0.3, 0], [0.4, 0]])

    def act(probabilities: np.ndarray, rng: np.random.Generator) -> int:
        given.append(float(probabilities[0]))
        return 1

    (trajectory,) = exact.sample_trajectories(mdp, policy, 1, np.random.default_rng(0), act=act)
    assert given == [policy.probabilities[s, 0] for s in trajectory.states[:3]]

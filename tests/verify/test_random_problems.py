"""The problems on which means are taken: their trajectories, and what is left out of them."""

import dataclasses

import numpy as np

from pgrad import exact
from pgrad.verify.random_problems import LARGE, LONG, THREE, TWO, UNBIASED, random_problems, tree, truncated_problem
from pgrad.verify.zoo import Form


def test_trees_have_the_lengths_of_their_branches() -> None:
    """The lengths of all paths from the root, of those that forced states let through."""
    rng = np.random.default_rng(0)
    expected = {TWO: [1, 3], THREE: [1, 2, 4], LONG: [3, 6, 7, 10, 12]}
    for shape, lengths in expected.items():
        mdp = tree(shape, rng)
        probabilities = np.eye(mdp.num_actions)[np.zeros(mdp.num_states, dtype=int)]
        decides = np.ptp(mdp.transition, axis=1).any(axis=1)
        probabilities[decides] = 1 / mdp.num_actions
        policy = exact.Tabular(mdp.num_states, mdp.num_actions)(np.zeros((mdp.num_states, mdp.num_actions)))
        found, chances = exact.enumerate_trajectories(mdp, policy, behaviour=probabilities)
        assert sorted(len(one) for one in found) == lengths
        assert chances.sum() == 1


def test_means_are_taken_in_batches_of_one_two_three_and_five_and_over_long_episodes() -> None:
    problems = random_problems(np.random.default_rng(3))
    assert {size for problem in problems for size in problem.sizes} == {1, 2, 3, 5}
    assert max(len(one) for problem in problems for one in problem.possible[0]) == 12
    for problem in problems:
        assert abs(sum(problem.possible[1]) - 1) < 1e-12
        assert np.linalg.norm(problem.truth) >= 0.99 * LARGE * problem.scale


def test_the_reference_has_the_mean_of_linear_algebra_and_its_noise_as_the_unit() -> None:
    """Forced actions are left out, of probability 10^-10 a step."""
    for seed in range(3):
        for problem in random_problems(np.random.default_rng(seed)):
            for size in problem.sizes:
                mean = problem.mean(Form(), size)
                assert mean.right
                assert np.linalg.norm(mean.mean - problem.truth) <= 1e-8 * problem.scale
                assert abs(mean.noise - 1) < 1e-8
                off = problem.mean(Form(factor=1 + 10 * UNBIASED / LARGE), size)
                assert not off.right


def test_a_time_limit_truncates_some_trajectories_and_not_others() -> None:
    for limit_is_part in (False, True):
        problem = dataclasses.replace(truncated_problem(np.random.default_rng(0)), limit_is_part=limit_is_part)
        assert {one.truncated for one in problem.possible[0]} == {False, True}
        assert problem.mean(Form(), 1).right == limit_is_part


def test_another_v_changes_the_values_alone() -> None:
    problem = random_problems(np.random.default_rng(0))[0]
    for one, other in zip(problem.possible[0], problem.possible_with_other_values[0], strict=True):
        np.testing.assert_array_equal(one.rewards, other.rewards)
        assert (one.values[:-1] != other.values[:-1]).all()
        assert other.values[-1] == 0

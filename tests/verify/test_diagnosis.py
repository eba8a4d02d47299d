"""What the diagnosis calls right estimators, wrong ones, and functions that are no estimators."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.verify.right_estimators import RIGHT as RIGHT_ESTIMATORS
from tests.verify.right_estimators import WASTEFUL as WASTEFUL_ESTIMATORS
from tests.verify.right_estimators import backwards as plain
from tests.verify.right_estimators import constant_baseline, mean_of, powers, to_go
from tests.verify.wrong_estimators import WRONG

from pgrad import exact
from pgrad.errors import ConfigError, EstimatorError, MDPError
from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.estimators.spec import VALUE, EstimatorSpec
from pgrad.exact.trajectories import Trajectory
from pgrad.verify import ZOO, diagnose_estimator, diagnosis
from pgrad.verify.actions import action_fault
from pgrad.verify.as_estimator import as_function
from pgrad.verify.diagnosis import CUTS, RIGHT, UNFAITHFUL, UNKNOWN, WASTEFUL
from pgrad.verify.probes import truncated_probes
from pgrad.verify.random_problems import random_problems
from pgrad.verify.recognition import FIXED, SCALED
from pgrad.verify.zoo import ARGMAX, DESCENT, DROPPED, OWN, SUMMED, TRUNCATION, Mistake

Function = Callable[[list[Trajectory]], Any]
MEAN_LOG_PROBS, CENTRING = "mean of log-probabilities times total return", "per-episode centring"
NAMED = {mistake.name: mistake for mistake in ZOO}
RIGHT_SEEDS, WRONG_SEEDS, BLOCK = 1_000, 200, 20  # of the long proofs


def name_of(function: Function, seed: int, **chosen: Any) -> str:
    return diagnose_estimator(function, problems=1, seed=seed, **chosen).name


# The two collections


def verdict(function: Function, seed: int) -> tuple[bool, str]:
    found = diagnose_estimator(function, problems=1, seed=seed)
    return found.right, found.name


def test_the_collections_are_large() -> None:
    assert len(RIGHT_ESTIMATORS) - len(WASTEFUL_ESTIMATORS) >= 60
    assert len(WRONG) >= 80
    assert sum(name != UNKNOWN for _, name in WRONG.values()) >= 0.7 * len(WRONG)


def expected_of_right(name: str) -> tuple[bool, str]:
    return True, WASTEFUL if name in WASTEFUL_ESTIMATORS else RIGHT


@pytest.mark.parametrize("name", RIGHT_ESTIMATORS)
def test_what_is_right_is_called_right(name: str) -> None:
    assert verdict(RIGHT_ESTIMATORS[name], 0) == expected_of_right(name)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_under_its_name(name: str) -> None:
    function, expected = WRONG[name]
    assert verdict(function, 0) == (False, expected)


def test_another_value_may_make_estimates_much_larger_than_rewards_do() -> None:
    """At this seed V is some ten times the returns, and so are the roundings of float32."""
    assert verdict(RIGHT_ESTIMATORS["surrogate_with_critic"], 474) == (True, RIGHT)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, RIGHT_SEEDS, BLOCK))
def test_what_is_right_is_called_right_on_a_thousand_seeds(first: int) -> None:
    for seed in range(first, first + BLOCK):
        found = {name: verdict(function, seed) for name, function in RIGHT_ESTIMATORS.items()}
        assert found == {name: expected_of_right(name) for name in RIGHT_ESTIMATORS}, seed


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, WRONG_SEEDS, BLOCK))
def test_what_is_wrong_is_refused_under_its_name_on_two_hundred_seeds(first: int) -> None:
    for seed in range(first, first + BLOCK):
        found = {name: verdict(function, seed) for name, (function, _) in WRONG.items()}
        assert found == {name: (False, expected) for name, (_, expected) in WRONG.items()}, seed


# The zoo and the catalogue


@pytest.mark.parametrize("name", [ARGMAX, TRUNCATION, DESCENT, DROPPED])
def test_a_mistake_is_named_with_its_reason(name: str) -> None:
    mistake = NAMED[name]
    found = diagnose_estimator(mistake.function, mistake.act, problems=1, seed=3)
    assert (found.name, found.also, found.right, found.why) == (name, (), False, mistake.why)
    assert found.seed == 3
    assert found.bias > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ZOO, ids=lambda mistake: mistake.name)
def test_every_form_of_every_mistake_is_named_or_only_wasteful(mistake: Mistake) -> None:
    """Unbiased are those that use some trajectories alone and divide by their number."""
    unbiased = ("only the first trajectory", "only the last trajectory", "a trajectory left out")
    for form in mistake.forms:
        for seed in range(20):
            found = diagnose_estimator(form, mistake.act, problems=1, seed=seed)
            if mistake.name in unbiased and found.right:
                assert found.name == WASTEFUL
            else:
                assert (found.name, found.also, found.right) == (mistake.name, (), False)


@pytest.mark.parametrize("named", CATALOGUE, ids=lambda named: named.name)
def test_the_catalogues_estimators_are_right_or_refused_as_claimed(named: Any) -> None:
    found = diagnose_estimator(as_function(named.spec), problems=1, seed=5)
    assert found.right == (named.mean == GRADIENT)
    assert (found.name == RIGHT) == found.right
    assert found.name != UNKNOWN


def test_an_estimator_that_only_the_catalogue_has_bears_its_name() -> None:
    named = CATALOGUE[-1]
    found = diagnose_estimator(as_function(named.spec), problems=1, seed=5)
    assert (found.name, found.also) == (named.name, ())
    assert named.bias in found.why


def test_a_title_never_contradicts_the_verdict() -> None:
    """A right estimator bears no mistake's name, and its sign reversed is that mistake alone."""
    total = RIGHT_ESTIMATORS["total_return"]
    found = diagnose_estimator(total, problems=1, seed=0)
    assert (found.name, found.right) == (RIGHT, True)
    assert "noisier than the reward-to-go" in found.why
    reversed_sign = diagnose_estimator(lambda batch: -total(batch), problems=1, seed=0)
    assert (reversed_sign.name, reversed_sign.also) == (DESCENT, ())
    for bias in (0.0, 0.07):

        def off(batch: list[Trajectory], bias: float = bias) -> Any:
            return plain(batch) * (1 + bias)

        found = diagnose_estimator(off, problems=1, seed=0)
        assert found.right == (bias == 0) == (found.name == RIGHT)
        assert "none" not in found.why


def test_two_mistakes_at_once_are_both_named() -> None:
    form = dataclasses.replace(NAMED[CENTRING].forms[0], power=NAMED[DROPPED].forms[0].power, factor=-1.0)
    found = diagnose_estimator(form, problems=1, seed=1)
    assert (found.name, set(found.also)) == (CENTRING, {DESCENT, DROPPED})
    assert str(found).splitlines()[0] == f"{CENTRING}, and {found.also[0]} and {found.also[1]}"


def test_a_constant_factor_is_named_with_its_size() -> None:
    found = diagnose_estimator(lambda trajectories: 0.25 * plain(trajectories), problems=1, seed=1)
    assert (found.name, found.right) == (SCALED, False)
    assert "it is always 0.25 times reward-to-go" in found.why
    assert found.bias == pytest.approx(0.75)
    assert found.angle == pytest.approx(0.0, abs=1e-5)


def test_a_factor_on_top_of_a_mistake() -> None:
    function = NAMED[MEAN_LOG_PROBS].function
    found = diagnose_estimator(lambda trajectories: 3 * function(trajectories), problems=1, seed=1)
    assert (found.name, found.also) == (MEAN_LOG_PROBS, (SCALED,))


def test_a_sum_over_trajectories_is_named() -> None:
    found = diagnose_estimator(lambda trajectories: len(trajectories) * plain(trajectories), problems=1, seed=1)
    assert (found.name, found.right, found.bias) == (SUMMED, False, pytest.approx(4.0)), "five instead of one"


def test_a_fixed_divisor_is_told() -> None:
    found = diagnose_estimator(lambda trajectories: len(trajectories) / 8 * plain(trajectories), problems=1, seed=1)
    assert found.name == FIXED
    assert "it is divided by 8, whatever the number of trajectories" in found.why


@pytest.mark.parametrize(
    ("factor", "names"),
    [
        (lambda n: -1.0, (DESCENT,)),
        (lambda n: 3.0, (SCALED,)),
        (lambda n: -3.0, (SCALED, DESCENT)),
        (lambda n: n, (SUMMED,)),
        (lambda n: n / 4, (FIXED,)),
        (lambda n: (n - 1) / n, (OWN,)),
        (lambda n: n / (n - 1), ("divided by N - 1 instead of N",)),
        (lambda n: n**0.5, (UNKNOWN,)),
    ],
)
def test_factors_are_named_by_the_mean_where_the_weights_are_none_that_is_known(
    factor: Callable[[int], float], names: tuple[str, ...]
) -> None:
    """The baseline is a function of the state, of which no table can know."""

    def with_baseline(batch: list[Trajectory]) -> Any:
        weights = [powers(one) * (to_go(one) - np.sin(17.0 * one.states)) for one in batch]
        return factor(len(batch)) * mean_of(weights, batch)

    found = diagnose_estimator(with_baseline, problems=1, seed=4)
    assert (found.name, *found.also) == names


def test_a_mistake_is_named_by_its_mean_under_a_baseline() -> None:
    def immediate(batch: list[Trajectory]) -> Any:
        return mean_of([powers(one) * (one.rewards - np.sin(17.0 * one.states)) for one in batch], batch)

    found = diagnose_estimator(immediate, problems=1, seed=0)
    assert found.name == "immediate reward only"
    assert "it has the same mean as this mistake" in found.why


# V


def gae(decay: Callable[[float], float], keeps: bool = True) -> Function:
    def estimate(batch: list[Trajectory]) -> Any:
        weights = []
        for one in batch:
            errors = one.rewards + one.discount * one.values[1:] - one.values[:-1]
            psi = [decay(one.discount) ** np.arange(len(one) - t) @ errors[t:] for t in range(len(one))]
            weights.append(psi * (powers(one) if keeps else np.ones(len(one))))
        return mean_of(weights, batch)

    return estimate


def test_gae_with_another_lambda_says_what_any_other_v_does() -> None:
    found = diagnose_estimator(gae(lambda gamma: 0.37 * gamma), seed=0)
    assert (found.name, found.right) == (RIGHT, True)
    assert "it is GAE(λ=0.37) with the true V; any other V biases it; time limits bootstrap" in found.why
    assert "biases" not in diagnose_estimator(gae(lambda gamma: gamma), seed=0).why
    assert diagnose_estimator(gae(lambda gamma: 0.37 * gamma, keeps=False), seed=0).name == DROPPED


@pytest.mark.parametrize("decay", [lambda gamma: gamma**3, lambda gamma: 1.5 * gamma], ids=["cube", "above one"])
def test_what_is_right_with_the_true_v_alone_is_refused(decay: Callable[[float], float]) -> None:
    found = diagnose_estimator(gae(decay), problems=1, seed=0)
    assert not found.right
    assert "with the true V" in found.why
    assert math.isnan(found.bias) and "off by" not in str(found)


# Time limits


def test_truncated_trajectories_are_in_every_batch_that_asks_for_them() -> None:
    """At seed 108 no drawn trajectory was truncated, and a right estimator was called wrong."""
    for seed in range(106, 110):
        assert name_of(RIGHT_ESTIMATORS["value_baseline"], seed) == RIGHT
    for batch in truncated_probes(np.random.default_rng(0)):
        assert sum(one.truncated for one in batch) == len(batch) - 1
        assert all(one.values[-1] != 0 for one in batch if one.truncated)


def test_a_baseline_of_the_state_is_right_where_the_limit_is_part_of_the_problem() -> None:
    no_bootstrap, bootstraps = WRONG["no_bootstrap"][0], as_function(EstimatorSpec(baseline=VALUE))
    for seed in range(3):
        assert name_of(no_bootstrap, seed) == TRUNCATION
        assert diagnose_estimator(no_bootstrap, problems=1, seed=seed, limit_is_part=True).right
        assert diagnose_estimator(bootstraps, problems=1, seed=seed).right
        assert name_of(bootstraps, seed, limit_is_part=True) == CUTS


def test_an_estimator_that_leaves_cut_episodes_out_is_wrong_at_time_limits() -> None:
    """Where all end by themselves it is right, and it never asks for V."""

    def of_ended(trajectories: list[Trajectory]) -> Any:
        ended = [one for one in trajectories if one.terminated]
        return sum((plain([one]) for one in ended), np.zeros(trajectories[0].scores.shape[1])) / len(trajectories)

    for seed in range(3):
        found = diagnose_estimator(of_ended, problems=1, seed=seed)
        assert (found.name, found.right) == (CUTS, False)
        assert found.bias > 0.01


# Batches of one


def test_an_estimator_that_needs_two_trajectories_is_right_whether_it_raises_or_returns_nothing() -> None:
    for name in ("leave_one_out_by_index", "leave_one_out_by_rescaled_mean", "antisymmetric_pairs"):
        assert diagnose_estimator(RIGHT_ESTIMATORS[name], problems=1, seed=0).right

    def wrong_alone(batch: list[Trajectory]) -> Any:
        return plain(batch) if len(batch) > 1 else 2 * plain(batch)

    assert not diagnose_estimator(wrong_alone, problems=1, seed=0).right


@pytest.mark.parametrize("size", [2, 3, 5])
def test_one_size_of_batch_alone_may_be_wrong(size: int) -> None:
    def wrong_there(batch: list[Trajectory]) -> Any:
        return plain(batch) * (1.01 if len(batch) == size else 1.0)

    found = diagnose_estimator(wrong_there, problems=1, seed=0)
    assert (found.name, found.right) == (UNKNOWN, False)
    assert found.bias == pytest.approx(0.01)


def test_a_wasteful_estimator_is_told_its_variance() -> None:
    found = diagnose_estimator(RIGHT_ESTIMATORS["first_trajectory_alone"], problems=1, seed=0)
    assert (found.name, found.right) == (WASTEFUL, True)
    assert "in batches of 5 its variance is 5 times that of the reward-to-go estimate" in found.why


# What is unknown


def test_answers_that_are_remembered_do_not_pass() -> None:
    problem = random_problems(np.random.default_rng(0))[0]

    def remembered(trajectories: list[Trajectory]) -> Any:
        answer = problem.solution.gradient
        size = trajectories[0].scores.shape[1]
        return answer if size == answer.size else plain(trajectories)

    found = diagnose_estimator(remembered, seed=1)
    assert (found.name, found.right) == (UNKNOWN, False)
    assert not diagnose_estimator(lambda trajectories: 0 * plain(trajectories), seed=1).right


def in_units_of_length(trajectories: list[Trajectory]) -> Any:
    """Of no known form."""
    return np.mean([plain([one]) / len(one) ** 0.3 for one in trajectories], axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_bias_and_angle_of_the_unknown_are_exact(seed: int) -> None:
    found = diagnose_estimator(in_units_of_length, problems=2, seed=seed)
    rng = np.random.default_rng(seed)
    biases, angles = [], []
    for problem in (*random_problems(rng), *random_problems(rng)):
        mean = sum(
            probability * in_units_of_length([one])
            for one, probability in zip(*exact.enumerate_trajectories(problem.mdp, problem.policy), strict=True)
        )
        truth = exact.solve(problem.mdp, problem.policy).gradient
        biases.append(np.linalg.norm(mean - truth) / np.linalg.norm(truth))
        angles.append(math.degrees(math.acos(min(mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth), 1.0))))
    assert (found.name, found.right, found.also) == (UNKNOWN, False, ())
    assert found.bias == pytest.approx(max(biases), rel=1e-6), "forced actions are left out, once in 10^10"
    assert found.angle == pytest.approx(max(angles), rel=1e-5)
    assert "is multiplied by" in found.why and "where γ^t G_t / N is" in found.why


def test_low_precision_is_called_nearly_right() -> None:
    found = diagnose_estimator(lambda batch: constant_baseline(batch).astype(np.float16), problems=1, seed=np.int64(1))
    assert (found.name, found.right) == (UNKNOWN, False)
    assert 0 < found.bias < 0.01 and "nearly right" in found.why


def test_the_same_seed_gives_the_same_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    one, same = (diagnose_estimator(in_units_of_length, seed=8, problems=1) for _ in range(2))
    assert one == same
    assert diagnose_estimator(in_units_of_length, seed=9, problems=1).bias != one.bias
    monkeypatch.setattr(diagnosis.secrets, "randbelow", lambda below: below - 1)
    free = diagnose_estimator(in_units_of_length, problems=1)
    assert free.seed == 2**31 - 1, "without a seed one is drawn, and told"
    assert diagnose_estimator(in_units_of_length, problems=1, seed=free.seed) == free


# How actions are chosen


def uniform(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return int(rng.integers(probabilities.size))


def epsilon_greedy(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return uniform(probabilities, rng) if rng.random() < 0.2 else int(probabilities.argmax())


def off_by_one(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return int((rng.choice(probabilities.size, p=probabilities) + 1) % probabilities.size)


def inverse_transform(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return int(np.searchsorted(np.cumsum(probabilities), rng.random() * probabilities.sum(), side="right"))


def gumbel(probabilities: np.ndarray, rng: np.random.Generator) -> np.int64:
    return np.int64((np.log(probabilities) + rng.gumbel(size=probabilities.size)).argmax())


@pytest.mark.parametrize("act", [uniform, epsilon_greedy, off_by_one])
def test_actions_that_are_not_drawn_from_the_policy(act: Any) -> None:
    found = diagnose_estimator(plain, act, problems=1, seed=0)
    assert (found.name, found.right) == (UNFAITHFUL, False)
    assert "act chose action" in found.why
    assert "where π says" in found.why


@pytest.mark.parametrize("seed", range(3))
def test_the_greedy_choice_has_a_name(seed: int) -> None:
    found = diagnose_estimator(plain, lambda probabilities, rng: int(probabilities.argmax()), problems=1, seed=seed)
    assert (found.name, found.right) == (ARGMAX, False)
    assert found.bias > 1e-3


@pytest.mark.parametrize("act", [inverse_transform, gumbel])
def test_actions_drawn_from_the_policy_pass(act: Any) -> None:
    assert [name_of(plain, seed, act=act) for seed in range(2)] == [RIGHT, RIGHT]


def mixed_with_uniform(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return uniform(probabilities, rng) if rng.random() < 0.05 else int(gumbel(probabilities, rng))


def at_temperature(probabilities: np.ndarray, rng: np.random.Generator) -> int:
    return int((np.log(probabilities) / 0.8 + rng.gumbel(size=probabilities.size)).argmax())


@pytest.mark.parametrize("act", [mixed_with_uniform, at_temperature])
def test_an_epsilon_of_a_twentieth_and_a_temperature_of_four_fifths_are_noticed(act: Any) -> None:
    """In 99 of 100 calls or more, so that two in ten that miss have a chance of one in 200."""
    found = [action_fault(act, np.random.default_rng(seed)) for seed in range(10)]
    assert sum(fault is None for fault in found) <= 1


@pytest.mark.slow
def test_the_power_of_the_test_of_actions() -> None:
    for act in (mixed_with_uniform, at_temperature):
        found = [action_fault(act, np.random.default_rng(seed)) for seed in range(200)]
        assert sum(fault is not None for fault in found) >= 190
    assert not any(action_fault(gumbel, np.random.default_rng(seed)) for seed in range(500))


def test_an_act_that_is_none() -> None:
    with pytest.raises(MDPError, match=r"must return an action, an integer in 0 … 2, not 3"):
        diagnose_estimator(plain, lambda probabilities, rng: 3, seed=0)
    with pytest.raises(MDPError, match="raised ZeroDivisionError"):
        diagnose_estimator(plain, lambda probabilities, rng: 1 // 0, seed=0)


# What is no estimator


def raising(trajectories: list[Trajectory]) -> np.ndarray:
    raise KeyError("reward")


def returning_nan(trajectories: list[Trajectory]) -> np.ndarray:
    return plain(trajectories) * np.nan


def returning_scores(trajectories: list[Trajectory]) -> np.ndarray:
    return trajectories[0].scores[:, :3]


def returning_nothing(trajectories: list[Trajectory]) -> None:
    plain(trajectories)


def discounting_in_place(trajectories: list[Trajectory]) -> np.ndarray:
    for one in trajectories:
        rewards = one.rewards
        rewards *= powers(one)
    return plain(trajectories)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raising, r"raising raised KeyError: 'reward'"),
        (returning_nan, r"returning_nan must return finite numbers"),
        (returning_scores, r"must return an array of shape \(\d+,\), not \(\d, 3\)"),
        (returning_nothing, r"returning_nothing returned None: is a `return` missing\?"),
        (discounting_in_place, r"discounting_in_place changes its input: rewards"),
    ],
)
def test_functions_that_estimate_nothing_are_refused(function: Any, message: str) -> None:
    with pytest.raises(EstimatorError, match=message):
        diagnose_estimator(function, problems=1, seed=0)


def test_wrong_arguments_are_told_together() -> None:
    with pytest.raises(ConfigError) as refused:
        diagnose_estimator(plain, problems=0, seed=-1)
    assert len(refused.value.problems) == 2
    assert "problems must be an integer, at least 1, not 0" in str(refused.value)
    assert "seed must be an integer, at least 0, not -1" in str(refused.value)
    for wrong in ({"problems": 1.5}, {"problems": "3"}, {"seed": 0.5}):
        with pytest.raises(ConfigError):
            diagnose_estimator(plain, **wrong)  # type: ignore[arg-type]


def test_a_diagnosis_reads_as_a_verdict() -> None:
    wrong = str(diagnose_estimator(NAMED[DROPPED].function, problems=1, seed=3)).splitlines()
    assert wrong[0] == DROPPED
    assert NAMED[DROPPED].why in wrong[1]
    assert wrong[2].startswith("  its mean is off by ")
    assert "° away, on the worst" in wrong[2]
    assert wrong[3] == "  seed 3"
    right = str(diagnose_estimator(plain, problems=1, seed=3)).splitlines()
    assert right[0] == RIGHT
    assert right[-1] == "  seed 3"
    assert not any("off by" in line for line in right)
    nothing = diagnose_estimator(lambda trajectories: 0 * plain(trajectories), problems=1, seed=3)
    assert math.isnan(nothing.angle)
    assert "off by 100% of ∇J, zero on one of them" in str(nothing)


def test_a_random_estimator_is_refused() -> None:
    rng = np.random.default_rng(0)

    def noisy(trajectories: list[Trajectory]) -> np.ndarray:
        result: np.ndarray = plain(trajectories) + 0.01 * rng.normal(size=trajectories[0].scores.shape[1])
        return result

    with pytest.raises(EstimatorError, match=r"different numbers for the same trajectories.*\(seed 3\)"):
        diagnose_estimator(noisy, problems=1, seed=3)


def test_what_actions_are_not_drawn_from_pi_says_nothing_of_the_mean() -> None:
    def uniform(probabilities: np.ndarray, rng: np.random.Generator) -> int:
        return int(rng.integers(probabilities.size))

    diagnosis = diagnose_estimator(plain, act=uniform, problems=1, seed=0)
    assert not diagnosis.right and np.isnan(diagnosis.bias)
    assert "off by" not in str(diagnosis)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="function must be callable with a list of trajectories, not 3"):
        diagnose_estimator(3)  # type: ignore[arg-type]

"""What the diagnosis calls mistakes, right estimators, and functions that are no estimators."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import pgrad
from pgrad import exact
from pgrad.errors import ConfigError, EstimatorError, MDPError
from pgrad.estimators.catalogue import CATALOGUE, GRADIENT
from pgrad.estimators.spec import GAE, VALUE, EstimatorSpec
from pgrad.exact.trajectories import Trajectory
from pgrad.verify import ZOO, diagnose_estimator, diagnosis
from pgrad.verify.as_estimator import as_function
from pgrad.verify.diagnosis import CUTS, RIGHT, SCALED, SUMMED, UNFAITHFUL, UNKNOWN
from pgrad.verify.known_forms import known_forms
from pgrad.verify.random_problems import distinguishing_problem
from pgrad.verify.zoo import ARGMAX, DESCENT, DROPPED, TOTAL, TRUNCATION, Mistake, compositions, discounted

Function = Callable[[list[Trajectory]], Any]
MEAN_LOG_PROBS, CENTRING = "mean of log-probabilities times total return", "per-episode centring"
NAMED = {mistake.name: mistake for mistake in ZOO}
SEEDS = 100  # of the long proofs


def name_of(function: Function, seed: int, **chosen: Any) -> str:
    return diagnose_estimator(function, problems=1, seed=seed, **chosen).name


def plain(trajectories: list[Trajectory], baseline: Callable[[int], float] = lambda state: 0.0) -> np.ndarray:
    """Reward-to-go in plain Python, less any function of the state."""
    total = np.zeros(trajectories[0].scores.shape[1])
    for one in trajectories:
        to_go = 0.0
        for t in reversed(range(len(one))):
            to_go = one.rewards[t] + one.discount * to_go
            total = total + one.discount**t * (to_go - baseline(int(one.states[t]))) * one.scores[t]
    return total / len(trajectories)


def with_constant(trajectories: list[Trajectory]) -> np.ndarray:
    return plain(trajectories, lambda state: -1.37)


def with_state(trajectories: list[Trajectory]) -> np.ndarray:
    return plain(trajectories, lambda state: math.sin(17.0 * state + 1.0))


def by_autograd(trajectories: list[Trajectory]) -> torch.Tensor:
    """Log-probabilities of a table of preferences, and PyTorch's gradient; in float32 as people have it."""
    size, actions = trajectories[0].scores.shape[1], trajectories[0].probabilities.shape[1]
    table = torch.zeros(size // actions, actions)
    for one in trajectories:
        table[torch.tensor(one.states)] = torch.tensor(np.log(one.probabilities), dtype=torch.float32)
    table.requires_grad_()
    objective = torch.zeros(())
    for one in trajectories:
        log_probs = torch.log_softmax(table, 1)[torch.tensor(one.states), torch.tensor(one.actions)]
        to_go = [sum(one.discount ** (k - t) * one.rewards[k] for k in range(t, len(one))) for t in range(len(one))]
        powers = torch.tensor(one.discount ** np.arange(len(one)), dtype=torch.float32)
        objective = objective + (powers * torch.tensor(to_go, dtype=torch.float32) * log_probs).sum()
    (gradient,) = torch.autograd.grad(objective / len(trajectories), table)
    return gradient.ravel()


def sometimes_wrong_length(trajectories: list[Trajectory]) -> np.ndarray:
    """Unbiased, and of no known form."""
    return plain(trajectories[:1])


RIGHT_ONES: dict[str, Function] = {
    **{
        named.name: as_function(named.spec)
        for named in CATALOGUE
        if named.mean == GRADIENT and named.name != "total return"
    },
    "plain": plain,
    "a constant": with_constant,
    "a baseline of the state": with_state,
    "by autograd": by_autograd,
    "the first trajectory alone": sometimes_wrong_length,
}


@pytest.mark.parametrize("mistake", ZOO, ids=lambda mistake: mistake.name)
@pytest.mark.parametrize("seed", [3, 4])
def test_every_mistake_is_named(mistake: Mistake, seed: int) -> None:
    found = diagnose_estimator(mistake.function, mistake.act, problems=1, seed=seed)
    assert (found.name, found.also, found.right, found.why) == (mistake.name, (), mistake.unbiased, mistake.why)
    assert found.seed == seed


@pytest.mark.parametrize("name", RIGHT_ONES)
def test_what_is_right_passes(name: str) -> None:
    found = diagnose_estimator(RIGHT_ONES[name], problems=1, seed=7)
    assert (found.name, found.right, found.also, found.bias, found.angle) == (RIGHT, True, (), 0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ZOO, ids=lambda mistake: mistake.name)
def test_every_mistake_is_named_on_a_hundred_problems(mistake: Mistake) -> None:
    names = [name_of(mistake.function, seed, act=mistake.act) for seed in range(SEEDS)]
    assert names.count(mistake.name) == SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT_ONES)
def test_what_is_right_passes_on_a_hundred_problems(name: str) -> None:
    assert [name_of(RIGHT_ONES[name], seed) for seed in range(SEEDS)].count(RIGHT) == SEEDS


@pytest.mark.slow
def test_every_form_and_composition_is_named() -> None:
    for form, names in compositions():
        found = diagnose_estimator(form, problems=1, seed=11)
        assert (found.name, *found.also) == names, form
        assert not found.right or names == (TOTAL,)


FORMS = [(mistake, k) for mistake in ZOO for k in range(1, len(mistake.forms))]


@pytest.mark.parametrize(("mistake", "k"), FORMS, ids=lambda x: x.name if isinstance(x, Mistake) else str(x))
def test_the_other_ways_to_write_a_mistake_are_named(mistake: Mistake, k: int) -> None:
    assert name_of(mistake.forms[k], seed=2) == mistake.name


def test_two_mistakes_at_once_are_both_named() -> None:
    form = dataclasses.replace(NAMED[CENTRING].forms[0], keeps=False, ascends=False)
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
    assert (found.name, found.also) == (SCALED, (MEAN_LOG_PROBS,))


def test_a_sum_over_trajectories_is_named() -> None:
    found = diagnose_estimator(lambda trajectories: len(trajectories) * plain(trajectories), problems=1, seed=1)
    assert (found.name, found.right, found.bias) == (SUMMED, False, pytest.approx(1.0))


def gae(bootstraps: bool = True, keeps: bool = True, gae_lambda: float = 0.8) -> Function:
    """By its definition, with a λ that the catalogue has not."""

    def estimate(trajectories: list[Trajectory]) -> np.ndarray:
        total = np.zeros(trajectories[0].scores.shape[1])
        for one in trajectories:
            following = np.append(one.values[1:-1], one.values[-1] * bootstraps)
            errors = one.rewards + one.discount * following - one.values[:-1]
            for t in range(len(one)):
                weights = (one.discount * gae_lambda) ** np.arange(len(one) - t)
                total += (one.discount**t if keeps else 1.0) * (weights @ errors[t:]) * one.scores[t]
        return total / len(trajectories)

    return estimate


def test_gae_with_another_lambda() -> None:
    found = diagnose_estimator(gae(), seed=0)
    assert (found.name, found.right) == (RIGHT, True)
    assert "any other V biases it; time limits bootstrap" in found.why
    assert "imperfect" not in diagnose_estimator(gae(gae_lambda=1.0), seed=0).why
    assert diagnose_estimator(gae(keeps=False), seed=0).name == DROPPED
    found = diagnose_estimator(gae(bootstraps=False), seed=0)
    assert (found.name, found.right) == (TRUNCATION, False)
    assert found.bias > 1e-3


def test_what_is_wrong_at_time_limits_alone() -> None:
    def twice_the_tail(trajectories: list[Trajectory]) -> np.ndarray:
        doubled = []
        for one in trajectories:
            values = one.values.copy()
            values[-1] *= 2
            doubled.append(dataclasses.replace(one, values=values))
        return as_function(EstimatorSpec(GAE, VALUE, gae_lambda=1.0))(doubled)

    found = diagnose_estimator(twice_the_tail, seed=0)
    assert (found.name, found.right) == (CUTS, False)


def test_known_estimators_that_are_biased_are_named_and_not_passed() -> None:
    for named in CATALOGUE:
        if named.mean is None and named.name != "reward-to-go, whitened per episode":
            found = diagnose_estimator(as_function(named.spec), problems=1, seed=5)
            assert (found.name, found.right) == (named.name, False)


def test_answers_that_are_remembered_do_not_pass() -> None:
    problem = distinguishing_problem(known_forms(), np.random.default_rng(0))

    def remembered(trajectories: list[Trajectory]) -> np.ndarray:
        answer = problem.solution.gradient
        size = trajectories[0].scores.shape[1]
        return answer if size == answer.size else plain(trajectories)

    found = diagnose_estimator(remembered, problems=3, seed=1)
    assert (found.name, found.right) == (UNKNOWN, False)
    assert not diagnose_estimator(lambda trajectories: 0 * plain(trajectories), seed=1).right


def first_steps(trajectories: list[Trajectory]) -> np.ndarray:
    """Of no known form: the first step alone."""
    return np.mean([one.discount ** np.arange(len(one)) @ one.rewards * one.scores[0] for one in trajectories], axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_bias_and_angle_of_the_unknown_are_exact(seed: int) -> None:
    found = diagnose_estimator(first_steps, problems=2, seed=seed)
    rng, known = np.random.default_rng(seed), known_forms()
    biases, angles = [], []
    for problem in (distinguishing_problem(known, rng), distinguishing_problem(known, rng)):
        mean = sum(
            probability * first_steps([one])
            for one, probability in zip(*exact.enumerate_trajectories(problem.mdp, problem.policy), strict=True)
        )
        truth = exact.solve(problem.mdp, problem.policy).gradient
        biases.append(np.linalg.norm(mean - truth) / np.linalg.norm(truth))
        angles.append(math.degrees(math.acos(mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth))))
    assert (found.name, found.right, found.also) == (UNKNOWN, False, ())
    assert found.bias == pytest.approx(max(biases), rel=1e-9)
    assert found.angle == pytest.approx(max(angles), rel=1e-6)


def test_the_same_seed_gives_the_same_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    one, same = (diagnose_estimator(first_steps, seed=8, problems=1) for _ in range(2))
    assert one == same
    assert diagnose_estimator(first_steps, seed=9, problems=1).bias != one.bias
    monkeypatch.setattr(diagnosis.secrets, "randbelow", lambda below: below - 1)
    free = diagnose_estimator(first_steps, problems=1)
    assert free.seed == 2**31 - 1, "without a seed one is drawn, and told"
    assert diagnose_estimator(first_steps, problems=1, seed=free.seed) == free


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


@pytest.mark.slow
def test_actions_drawn_from_the_policy_pass_a_thousand_times() -> None:
    from pgrad.verify.diagnosis import action_fault

    for seed in range(200):
        assert action_fault(gumbel, np.random.default_rng(seed)) is None


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
        rewards *= discounted(one)
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


def test_reward_to_go_itself_is_no_form_of_the_zoo() -> None:
    assert all(form.names[0] != "reward-to-go" for form in known_forms() if form.mistake)


def test_a_random_estimator_is_refused() -> None:
    rng = np.random.default_rng(0)

    def noisy(trajectories: list[exact.Trajectory]) -> np.ndarray:
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


def test_a_baseline_of_the_state_is_right_where_the_limit_is_part_of_the_problem() -> None:
    def with_baseline(trajectories: list[exact.Trajectory]) -> np.ndarray:
        total = np.zeros(trajectories[0].scores.shape[1])
        for t in trajectories:
            kept = t.discount ** np.arange(len(t))
            total += (kept * (pgrad.rewards_to_go(t.rewards, t.discount) - t.values[:-1])) @ t.scores
        return total / len(trajectories)

    for seed in range(3):
        assert diagnose_estimator(with_baseline, problems=1, seed=seed).name == TRUNCATION
        assert diagnose_estimator(with_baseline, problems=1, seed=seed, limit_is_part=True).right
        bootstraps = as_function(EstimatorSpec(baseline=VALUE))
        assert diagnose_estimator(bootstraps, problems=1, seed=seed).right
        assert not diagnose_estimator(bootstraps, problems=1, seed=seed, limit_is_part=True).right


def test_low_precision_is_called_nearly_right() -> None:
    diagnosis = diagnose_estimator(lambda batch: plain(batch).astype(np.float16), problems=1, seed=np.int64(1))
    assert (diagnosis.name, diagnosis.right) == ("unknown", False)
    assert 0 < diagnosis.bias < 0.01 and "nearly right" in diagnosis.why


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="function must be callable with a list of trajectories, not 3"):
        diagnose_estimator(3)  # type: ignore[arg-type]


def test_an_estimator_that_leaves_cut_episodes_out_is_wrong_at_time_limits() -> None:
    """Where all end by themselves it is right, and it never asks for V."""

    def of_ended(trajectories: list[exact.Trajectory]) -> np.ndarray:
        return plain([t for t in trajectories if t.terminated] or trajectories[:1]) * (
            sum(t.terminated for t in trajectories) / len(trajectories)
        )

    for seed in range(3):
        diagnosis = diagnose_estimator(of_ended, problems=1, seed=seed)
        assert (diagnosis.name, diagnosis.right) == (CUTS, False)
        assert diagnosis.bias > 0.01

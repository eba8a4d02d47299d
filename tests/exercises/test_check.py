"""What the checker says of wrong answers, of right ones, and of functions that are no answers."""

import contextlib
import io
import itertools
import json
import math
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.exercises.right_answers import RIGHT
from tests.exercises.wrong_answers import WRONG

from pgrad import exact
from pgrad.errors import InputError
from pgrad.exercises import EXERCISES, Verdict, check
from pgrad.exercises.answers import surrogate, theorem
from pgrad.exercises.answers.limits import RIGHT as RETURNS
from pgrad.exercises.answers.to_go import RIGHT as TO_GO
from pgrad.exercises.by_value import ByValue
from pgrad.exercises.verdict import NOT_BEGUN, UNKNOWN
from pgrad.verify.surrogate import read

SEEDS, LONG = range(3), range(3, 103)  # of each answer; of the slow test
SECONDS = 0.5  # the checker answers within


# The two collections


def test_the_collections_are_large() -> None:
    assert len(WRONG) >= 60 and len(RIGHT) - 3 * len(EXERCISES) >= 30
    assert sum(one.mistake != UNKNOWN for one in WRONG.values()) >= 0.95 * len(WRONG)
    assert {one.exercise for one in WRONG.values()} == {one.exercise for one in RIGHT.values()} == set(EXERCISES)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_under_its_name(name: str) -> None:
    exercise, mistake, function = WRONG[name]
    for seed in SEEDS:
        verdict = check(exercise, function, seed)
        assert (verdict.right, verdict.mistake) == (False, mistake), verdict
        assert verdict.where


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    exercise, function = RIGHT[name]
    for seed in SEEDS:
        verdict = check(exercise, function, seed)
        assert verdict.right, verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WRONG, *RIGHT])
def test_verdicts_do_not_depend_on_the_seed(name: str) -> None:
    exercise, mistake, function = WRONG[name] if name in WRONG else (RIGHT[name].exercise, "", RIGHT[name].function)
    assert {check(exercise, function, seed).mistake for seed in LONG} == {mistake}


def forms() -> Iterator[Any]:
    for exercise in EXERCISES.values():
        if isinstance(exercise.judge, ByValue):
            for mistake in exercise.judge.mistakes:
                for k, form in enumerate(mistake.forms):
                    yield pytest.param(exercise.name, mistake.name, form, id=f"{exercise.name}: {mistake.name}, {k}")


@pytest.mark.parametrize(("exercise", "mistake", "form"), list(forms()))
def test_no_two_mistakes_are_the_same_function(exercise: str, mistake: str, form: Callable[..., Any]) -> None:
    for seed in SEEDS:
        assert check(exercise, form, seed).mistake == mistake


# The verdict


def without_average(log_probs: list[list[float]], returns: list[float]) -> float:
    return sum(sum(x) * g for x, g in zip(log_probs, returns, strict=True))


def test_a_verdict_explains_itself() -> None:
    verdict = check("estimate_policy_gradient", without_average, 0)
    assert verdict.mistake == "summed over trajectories"
    assert "every episode counts" in verdict.holds and "one episode alone is right" in verdict.holds
    call = eval(verdict.call, {"estimate_policy_gradient": without_average})
    assert f"{call:.4g}" == verdict.got != verdict.expected
    text = str(verdict)
    assert all(part in text for part in (verdict.mistake, verdict.where, verdict.call, verdict.expected, "yours"))
    picture = verdict.picture
    assert picture is not None
    assert (
        [len(row) for row in picture.yours]
        == [len(row) for row in picture.wanted]
        == [
            2,
            3,
            1,
        ]
    )
    ratios = np.concatenate(picture.yours) / np.concatenate(picture.wanted)
    np.testing.assert_allclose(ratios, 3.0)


@pytest.mark.parametrize("name", ["naive_numpy", "return_in_loop", "as_a_table", "greedy", "next_value", "leaks"])
def test_a_verdict_survives_json(name: str) -> None:
    verdict = check(WRONG[name].exercise, WRONG[name].function, 1)
    text = verdict.to_json()
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert Verdict.from_json(text) == verdict


def test_a_notebook_shows_what_is_printed() -> None:
    printer, verdict = io.StringIO(), check("estimate_policy_gradient", without_average, 0)
    verdict._repr_pretty_(SimpleNamespace(text=printer.write), False)
    assert printer.getvalue() == str(verdict)
    assert b"PNG" in verdict.figure()._repr_png_()[:8]
    with pytest.raises(InputError, match="no picture"):
        check("rewards_to_go", RIGHT["double_loop"].function).figure()


def test_a_right_verdict_says_what_is_right() -> None:
    verdict = check("rewards_to_go", RIGHT["double_loop"].function)
    assert str(verdict).startswith("✓ rewards_to_go: right") and not verdict.call and verdict.picture is None


def test_a_seed_repeats_the_numbers() -> None:
    wrong = WRONG["forwards"].function
    drawn = check("rewards_to_go", wrong)
    assert check("rewards_to_go", wrong, drawn.seed) == drawn
    calls = {check("estimate_policy_gradient", without_average, seed).call for seed in range(4)}
    assert len(calls) == 4


def test_an_unknown_mistake_is_told_by_its_worst_weight() -> None:
    def odd(log_probs: list[list[float]], returns: list[float]) -> float:
        sums = [sum(x) + (0.25 * x[2] if len(x) > 2 else 0.0) for x in log_probs]
        return sum(s * g for s, g in zip(sums, returns, strict=True)) / len(returns)

    verdict = check("estimate_policy_gradient", odd, 0)
    assert verdict.mistake == UNKNOWN
    assert "[2] is multiplied by" in verdict.where and "it should be" in verdict.where


def test_the_consequence_is_told() -> None:
    (note,) = check("estimate_policy_gradient", without_average, 0).notes
    assert "off by 100% of ∇J" in note and "along it but 2 times as long" in note
    (note,) = check("reward_to_go_gradient", WRONG["total_return"].function, 0).notes
    assert "right on average" in note and float(note.split(" times")[0].split()[-1]) > 1
    (note,) = check("estimate_policy_gradient", WRONG["returns_forgotten"].function, 0).notes
    assert "nothing of it is left" in note


def test_several_states_at_once_are_a_note() -> None:
    def over_all(preferences: Any, temperature: float) -> Any:
        e = np.exp((preferences - preferences.max()) / temperature)
        return e / e.sum()

    verdict = check("temperature_softmax", over_all)
    assert verdict.right and "axis" in verdict.notes[0]
    assert not check("temperature_softmax", RIGHT["temperature_softmax with NumPy"].function).notes


def test_the_checker_is_quick() -> None:
    """By the processor's time of the quickest of three: other processes do not count."""
    for exercise, function in RIGHT.values():
        taken = []
        for seed in range(3):
            began = time.process_time()
            check(exercise, function, seed)
            taken.append(time.process_time() - began)
        assert min(taken) < SECONDS, exercise


# Functions that are no answers


def nothing_but_a_docstring(preferences: Any, temperature: float = 1.0) -> Any:
    """Return the probabilities."""


def dots(preferences: Any, temperature: float = 1.0) -> Any: ...


def dots_returned(preferences: Any, temperature: float = 1.0) -> Any:
    probabilities = ...
    return probabilities  # noqa: RET504


def not_implemented(preferences: Any, temperature: float = 1.0) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("function", [nothing_but_a_docstring, dots, dots_returned, not_implemented, ..., None, 3.0])
def test_what_is_not_begun(function: Any) -> None:
    verdict = check("temperature_softmax", function)
    assert (verdict.right, verdict.mistake) == (False, NOT_BEGUN)


def recursive(preferences: Any, temperature: float) -> Any:
    return recursive(preferences, temperature)


def generator(preferences: Any, temperature: float) -> Any:
    yield from preferences


@pytest.mark.parametrize(
    ("function", "mistake", "told"),
    [
        (lambda h, tau: 1 / "0", "it raises an error", "TypeError, line"),
        (lambda h: h, "it raises an error", "TypeError"),
        (lambda h, tau: h[99], "it raises an error", "IndexError"),
        (lambda h, tau: print(h), "nothing returned", "return"),
        (lambda h, tau: "0.5, 0.5", "no numbers returned", "a str"),
        (lambda h, tau: {"p": h}, "no numbers returned", "a dict"),
        (generator, "no numbers returned", "a generator"),
        (lambda h, tau: h * 1j, "no numbers returned", "ndarray"),
        (lambda h, tau: [[1.0], [2.0, 3.0], [4.0]], "wrong shape", "different lengths"),
        (lambda h, tau: h[:, None], "wrong shape", "(3, 1)"),
        (lambda h, tau: 0.5, "wrong shape", "one number"),
        (lambda h, tau: sys.exit(), "it ends the program", "exit()"),
        (lambda h, tau: input(), "it raises an error", ""),
        (recursive, "endless recursion", "a case that stops it"),
        (lambda h, tau: __import__("no_such_module_at_all"), "a missing import", "'no_such_module_at_all'"),
        (lambda h, tau: h * np.nan, UNKNOWN, "nan"),
        (lambda h, tau: torch.tensor([math.inf] * len(h)), UNKNOWN, "inf"),
    ],
)
def test_each_gets_a_sentence(function: Any, mistake: str, told: str) -> None:
    verdict = check("temperature_softmax", function, 0)
    assert (verdict.right, verdict.mistake) == (False, mistake), verdict
    assert told in verdict.where


def test_an_answer_that_is_another_each_time_is_refused() -> None:
    verdict = check("temperature_softmax", lambda h, tau: np.random.dirichlet(np.ones(len(h))))  # noqa: NPY002
    assert (verdict.right, verdict.mistake) == (False, "another answer each time")


def test_an_answer_of_another_type_each_time_is_no_fault() -> None:
    kinds = itertools.cycle([list, np.array, torch.tensor, tuple])
    assert check("rewards_to_go", lambda r, discount: next(kinds)(TO_GO(r, discount))).right


@pytest.mark.parametrize("name", EXERCISES)
def test_what_one_begins_with_is_not_begun(name: str) -> None:
    names: dict[str, Any] = {}
    exec(EXERCISES[name].starter, names)
    assert check(name, names[name]).mistake == NOT_BEGUN
    assert names[name].__doc__


def test_pytorch_is_not_imported_for_those_who_do_without() -> None:
    code = """if True:
        import sys
        from pgrad.exercises import EXERCISES, check
        for exercise in EXERCISES.values():
            names = {}
            exec(exercise.solutions["NumPy"], names)
            assert check(exercise.name, names[exercise.name]).right
        print(*{"torch", "matplotlib"} & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_documentation_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs" / "exercises.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert f"# {printed.getvalue().strip()}" in code
    for exercise in EXERCISES.values():
        assert re.search(rf"^\| `{exercise.name}` \| .* \| {exercise.minutes} \|$", text, re.MULTILINE)


def test_prints_are_kept_from_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    def talks(rewards: list[float], discount: float) -> Any:
        print("x" * 10_000)
        return RIGHT["double_loop"].function(rewards, discount)

    assert check("rewards_to_go", talks).right
    assert capsys.readouterr().out == ""


def test_global_random_numbers_are_left_alone() -> None:
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    check("sample_action", RIGHT["by_the_global_generator"].function)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'rewards_to_go'"):
        check("reward_to_go", ...)


# What is right, against independent truths


def test_the_weights_are_derivatives() -> None:
    reading = read(lambda x: 2 * x[0][0] - x[1][0] * 0.5 + 3.0, [[-1.0], [-2.0]])
    assert [w.tolist() for w in reading.weights] == [[2.0], [-0.5]]
    assert reading.constant == pytest.approx(3.0) and reading.curvature == pytest.approx(0.0)
    assert read(lambda x: x[0][0] * x[0][1], [[-1.0, -2.0]]).curvature == pytest.approx(2.0)


def test_the_rows_of_the_theorem_add_up_to_the_gradient() -> None:
    rng = np.random.default_rng(0)
    total = sum(theorem.product(*row) for row in theorem.rows(rng))
    rng = np.random.default_rng(0)
    features = np.zeros((3, 2, 1))
    features[[0, 1], 1, 0] = 1.0, -0.7
    chain = exact.chain(2, slip=float(rng.integers(1, 4)) / 10, discount=0.9)
    mdp = exact.MDP(chain.transition, chain.reward, chain.start, chain.terminal, 0.9, time_limit=3)
    gradient = exact.solve(mdp, exact.Linear(features)(rng.uniform(-1, 1, 1))).gradient
    assert total == pytest.approx(float(gradient[0]))


def test_the_surrogate_is_that_of_training() -> None:
    from pgrad.estimators.ratio import ClippedRatio
    from pgrad.torch.iteration import clipped

    for new, old, advantages, epsilon in (case.arguments for case in surrogate.cases(np.random.default_rng(0))):
        ratio = ClippedRatio(old.astype(np.float32), epsilon, np.zeros(3))
        expected = clipped(ratio, torch.tensor(advantages / len(new)), torch.tensor(new)).item()
        assert surrogate.RIGHT(new, old, advantages, epsilon) == pytest.approx(expected, rel=1e-5)


def test_returns_at_limits_are_rewards_to_go_without_any() -> None:
    rewards = [1.0, -2.0, 0.5]
    ends = [False, False, True]
    np.testing.assert_allclose(RETURNS(rewards, rewards, rewards, ends, [False] * 3, 0.8), TO_GO(rewards, 0.8))
    by_hand = [1.0 + 0.5 * 10.0, 3.0]  # cut after one step, where V = 10 follows; then one step to a terminal state
    assert RETURNS([1.0, 3.0], [7.0, 8.0], [10.0, 9.0], [False, True], [True, False], 0.5).tolist() == by_hand

"""Arguments that fuzzing found: each once was an exception of Python's or NumPy's (tests/faults/fuzz.py finds more)."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.errors import PgradError
from pgrad.exact import Tabular, chain, enumerate_trajectories, gridworld, optimal_values, solve

NUMBERS = np.zeros(23, np.float32)
MASKED = np.ma.masked_array([1.0, 2.0], [True, False])
HUGE = 10**400

ODD: dict[str, tuple[Callable[[], Any], str]] = {
    "discount, text": (lambda: pgrad.rewards_to_go([1.0], "0-3"), "discount must be in [0, 1], not '0-3'"),
    "discount, a list": (lambda: pgrad.discounted_return([1.0], [2]), "discount must be in [0, 1], not [2]"),
    "activation, none": (lambda: pgrad.MLPPolicy(NUMBERS, (4, 3, 2), None), "unknown activation None"),
    "activation, a list": (lambda: pgrad.MLPPolicy(NUMBERS, (4, 3, 2), [[]]), "unknown activation [[]]"),
    "sizes, a number": (lambda: pgrad.MLPPolicy(NUMBERS, 3), "sizes must be a tuple of units"),
    "sizes, none of them": (lambda: pgrad.MLPPolicy(NUMBERS, ()), "sizes must be a tuple of units"),
    "parameters, a list": (lambda: pgrad.MLPPolicy([], (4, 3, 2)), "parameters must be a NumPy array, not list"),
    "temperature, text": (lambda: pgrad.MLPPolicy(NUMBERS, (4, 3, 2), temperature="1"), "temperature must be"),
    "obs, huge": (lambda: pgrad.MLPPolicy(NUMBERS, (4, 3, 2)).probabilities(HUGE), "observations must be numbers"),
    "run, none": (lambda: pgrad.load_value(None), "run must be a path, not None"),
    "run, bytes": (lambda: pgrad.load(b""), "run must be a path, not b''"),
    "run, a long text": (lambda: pgrad.load("9" * 400), "run cannot be a path, '999"),
    "run to go on with": (lambda: pgrad.resume(3), "run must be a path, not 3"),
    "seed, an array": (lambda: pgrad.load_value("run", np.array([None, 1])), "seed must be an integer"),
    "best, an array": (lambda: pgrad.load(__file__, best=np.array([])), "best must be True or False"),
    "at, text": (lambda: pgrad.load(__file__, at="last"), "at must be an integer, at least 0, not 'last'"),
    "result, none": (lambda: pgrad.save(None, "run"), "result must be what pgrad.train returned, not None"),
    "backend, none": (lambda: pgrad.make("CartPole-v1", backend=None), "unknown backend 'None'"),
    "limit, a list": (lambda: pgrad.make("CartPole-v1", max_episode_steps=[1]), "must be a positive integer, not [1]"),
    "hidden, masked": (lambda: pgrad.Config(hidden=MASKED), "hidden must be an integer"),
    "num_steps, an array": (
        lambda: pgrad.train("CartPole-v1", num_steps=np.array([None, 1])),
        "num_steps must be an integer",
    ),
    "mdp, none": (lambda: solve(None, Tabular(3, 2)(np.zeros(6))), "mdp must be an exact.MDP"),
    "mdp, a name": (lambda: optimal_values("CartPole-v1"), "mdp must be an exact.MDP"),
    "mdp, a list": (lambda: enumerate_trajectories([], Tabular(3, 2)(np.zeros(6))), "mdp must be an exact.MDP"),
    "slip, complex": (lambda: gridworld(2, 2, slip=1j), "slip must be a probability"),
    "step_reward, none": (lambda: gridworld(2, 2, step_reward=None), "step_reward must be a finite number"),
    "length, huge": (lambda: chain(HUGE), "use a smaller problem"),
    "θ, huge": (lambda: Tabular(3, 2)(HUGE), "θ must be an array of real numbers"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_argument_is_named(case: str) -> None:
    call, told = ODD[case]
    with pytest.raises(PgradError) as caught:
        call()
    assert told in str(caught.value)
    assert len(str(caught.value)) < 3_000


def test_a_fraction_is_a_number() -> None:
    assert gridworld(2, 2, slip=Fraction(1, 4)).transition.tolist() == gridworld(2, 2, slip=0.25).transition.tolist()


def test_a_path_is_text_or_a_path(tmp_path: Path) -> None:
    for run in (tmp_path, str(tmp_path)):
        with pytest.raises(PgradError, match="is neither a policy file nor a run folder"):
            pgrad.load(run)

"""Check an answer: call it on fresh numbers, and say what is right, what is wrong, and where to look."""

import secrets
from typing import Any

import numpy as np

from pgrad.errors import InputError, nearest, require_integer
from pgrad.exercises.answers import (
    actor_critic,
    baseline,
    estimator,
    limits,
    sampling,
    score,
    step,
    surrogate,
    temperature,
    theorem,
    to_go,
    to_go_estimator,
)
from pgrad.exercises.calls import Learner, Trouble, undisturbed
from pgrad.exercises.exercise import Exercise, Finding
from pgrad.exercises.verdict import Verdict

# In the order of the lesson.
MODULES = (
    temperature,
    score,
    sampling,
    to_go,
    theorem,
    estimator,
    to_go_estimator,
    step,
    baseline,
    limits,
    actor_critic,
    surrogate,
)
EXERCISES: dict[str, Exercise] = {module.EXERCISE.name: module.EXERCISE for module in MODULES}


def check(name: str, function: Any, seed: int | None = None) -> Verdict:
    """Return the verdict on `function` as an answer to the exercise `name`; print it.

    function  called with fresh numbers, some hundred times; `...` or one whose body is `...` is not begun yet
    seed      of the numbers; by default they differ each time, and the Verdict holds the seed that was drawn

    Raises InputError if there is no such exercise. Whatever the function does is part of the verdict, except that one
    which never returns is not stopped: `pgrad exercise` does that.
    """
    asked = exercise(name)
    chosen = secrets.randbelow(2**31) if seed is None else require_integer("seed", seed, 0)
    learner = Learner(function)
    with undisturbed(chosen):
        try:
            found = asked.judge(learner, np.random.default_rng(chosen))
        except Trouble as trouble:
            found = Finding(trouble.name, trouble.sentence)
    return verdict(asked, found, chosen, learner.printed.getvalue())


def exercise(name: str) -> Exercise:
    """Return an exercise by its name; raise InputError if there is none."""
    if name not in EXERCISES:
        raise InputError(f"there is no exercise '{name}': {nearest(name, EXERCISES)}")
    return EXERCISES[name]


def verdict(asked: Exercise, found: Finding, seed: int, printed: str = "") -> Verdict:
    """Return a judge's finding as a Verdict."""
    right = not found.mistake
    fields = {**found._asdict(), "where": asked.praise if right else found.where}
    return Verdict(asked.name, right, **fields, printed=printed, seed=seed)

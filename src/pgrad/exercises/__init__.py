"""Exercises on policy gradients, and a checker that knows what an answer does: `check(name, function)`.

    from pgrad.exercises import check
    print(check("estimate_policy_gradient", estimate_policy_gradient))

Every check draws fresh numbers; `seed` repeats them. docs/exercises.md lists the exercises.
"""

from pgrad.exercises.check import EXERCISES, check, exercise
from pgrad.exercises.exercise import Exercise
from pgrad.exercises.picture import Picture
from pgrad.exercises.verdict import Verdict

__all__ = ["EXERCISES", "Exercise", "Picture", "Verdict", "check", "exercise"]

"""An exercise: what is asked, hints, worked solutions, and how an answer is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pgrad.exercises.calls import Learner
from pgrad.exercises.picture import Picture

EASY, MEDIUM, HARD = "easy", "medium", "hard"


class Mistake(NamedTuple):
    """A mistake: its name, where to look, and the ways to make it, functions that are called like the answer."""

    name: str
    where: str
    forms: tuple[Callable[..., Any], ...]


class Finding(NamedTuple):
    """What a judge finds: nothing but notes if the answer is right."""

    mistake: str = ""
    where: str = ""
    holds: tuple[str, ...] = ()
    call: str = ""
    expected: str = ""
    got: str = ""
    picture: Picture | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise; `starter` is the function to finish, with `...` in the place of the answer."""

    name: str  # of the function
    title: str
    difficulty: str
    minutes: int
    praise: str  # what a right answer has shown, in a sentence
    starter: str
    hints: tuple[str, str, str]  # a nudge, the formula with gaps, half a line
    solutions: dict[str, str]  # "loops", "NumPy", "PyTorch": the whole function
    judge: Callable[[Learner, np.random.Generator], Finding]


def call_of(name: str, arguments: tuple[Any, ...]) -> str:
    """Return a call as one would type it."""
    return f"{name}({', '.join(map(typed, arguments))})"


def typed(x: Any) -> str:
    """Return numbers as one would type them, of at most four digits."""
    if isinstance(x, list | tuple | np.ndarray):
        return f"[{', '.join(map(typed, x))}]"
    return str(x) if isinstance(x, bool | np.bool_ | str) else f"{float(x):.4g}" if x != int_or_none(x) else f"{int(x)}"


def int_or_none(x: Any) -> int | None:
    """Return x as an integer if it is one."""
    return int(x) if np.isfinite(x) and float(x).is_integer() else None

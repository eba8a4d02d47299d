"""Judge a function by its values: compared with the right one's on fresh cases, then with those of every mistake."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exercises.calls import OVERFLOWS, Learner, Trouble, numbers
from pgrad.exercises.exercise import Finding, Mistake, call_of, typed
from pgrad.exercises.picture import Picture, finite
from pgrad.exercises.verdict import UNKNOWN

SAME = 2e-4  # relative difference of equal values: room for float32
FACTORS = "a constant factor too much"
DESCENT, ROUNDED = "the sign is reversed", "rounded"
WHY_ROUNDED = "digits are cut off, by round() or by an array of integers: return all of them"


class Case(NamedTuple):
    """Arguments of one call."""

    arguments: tuple[Any, ...]
    extreme: bool = False  # a right formula may overflow here, if it is computed carelessly


class Property(NamedTuple):
    """Something that a right answer has, and some wrong ones as well."""

    sentence: str
    holds: Callable[..., bool]  # of the answer and the arguments


class Outcome(NamedTuple):
    """What a function answers in one case: numbers, NaN where it fails."""

    value: Floats
    trouble: Trouble | None = None


@dataclass(frozen=True)
class ByValue:
    """The judge of functions that return an array of numbers."""

    name: str
    reference: Callable[..., Any]
    cases: Callable[[np.random.Generator], list[Case]]  # the smallest first
    mistakes: tuple[Mistake, ...]
    title: str  # of the picture
    properties: tuple[Property, ...] = ()
    labels: Callable[..., Sequence[str]] | None = None  # of the answer's rows, of the arguments
    notes: Callable[[Learner], Iterable[str]] = field(default=lambda learner: ())

    def __call__(self, learner: Learner, rng: np.random.Generator) -> Finding:
        """Return what is found."""
        cases = self.cases(rng)
        learner.settle(*cases[0].arguments)
        expected = [np.asarray(self.reference(*case.arguments), np.float64) for case in cases]
        outcomes = [outcome(learner, case, right) for case, right in zip(cases, expected, strict=True)]
        wrong = [k for k, one in enumerate(outcomes) if not same(one.value, expected[k])]
        if not wrong:
            return Finding(notes=tuple(self.notes(learner)))
        ordinary = [k for k in wrong if not cases[k].extreme]
        first = (ordinary or wrong)[0]
        mistake, where = self.named(cases, outcomes, expected, first)
        return Finding(
            mistake,
            where,
            self.holding(cases, outcomes, ordinary),
            call_of(self.name, cases[first].arguments),
            typed(rounded(expected[first])),
            in_words(outcomes[first]),
            self.picture(cases[first], outcomes[first].value, expected[first]),
        )

    def named(self, cases: list[Case], outcomes: list[Outcome], expected: list[Floats], first: int) -> tuple[str, str]:
        """Return the mistake and where to look: on all cases, else on the ordinary ones, else the worst number."""
        ordinary = [k for k, case in enumerate(cases) if not case.extreme]
        for among in (range(len(cases)), ordinary):
            for mistake in self.mistakes:
                for form in mistake.forms:
                    if all(same(value_of(form, cases[k], expected[k]), outcomes[k].value) for k in among):
                        return mistake.name, mistake.where
        if (trouble := outcomes[first].trouble) is not None:
            return trouble.name, trouble.sentence
        yours, right = ([values[k] for k in ordinary] for values in ([one.value for one in outcomes], expected))
        if is_rounded(np.concatenate(list(map(np.ravel, yours))), np.concatenate(list(map(np.ravel, right)))):
            return ROUNDED, WHY_ROUNDED
        return factor(yours, right) or (UNKNOWN, worst(outcomes[first].value, expected[first]))

    def holding(self, cases: list[Case], outcomes: list[Outcome], wrong: list[int]) -> tuple[str, ...]:
        """Return the sentences of the properties that hold in all ordinary cases."""
        if not wrong:
            return ("ordinary numbers come out right",)
        answers = [(outcomes[k].value, *case.arguments) for k, case in enumerate(cases) if not case.extreme]
        return tuple(one.sentence for one in self.properties if all(one.holds(*answer) for answer in answers))

    def picture(self, case: Case, yours: Floats, wanted: Floats) -> Picture:
        """Return the numbers of one case, a row for each of the answer's."""
        wanted, yours = np.atleast_1d(wanted), np.broadcast_to(yours, np.atleast_1d(wanted).shape)
        labels = self.labels(*case.arguments) if self.labels else [f"[{k}]" for k in range(len(wanted))]
        columns = [tuple(finite(np.atleast_1d(row)) for row in rows) for rows in (yours, wanted)]
        return Picture(self.title, tuple(labels), *columns)


def outcome(learner: Learner, case: Case, expected: Floats) -> Outcome:
    """Return what the learner's function answers; raise Trouble where its answer is none in an ordinary first case."""
    try:
        return Outcome(numbers(learner.call(*case.arguments), expected.shape))
    except OVERFLOWS as error:
        sentence = f"{type(error).__name__}: {error}"
        return Outcome(np.full(expected.shape, np.nan), Trouble("overflow", sentence))
    except Trouble as trouble:
        if trouble.__cause__ is None or isinstance(trouble.__cause__, SystemExit | NotImplementedError):
            raise
        return Outcome(np.full(expected.shape, np.nan), trouble)


def value_of(form: Callable[..., Any], case: Case, expected: Floats) -> Floats:
    """Return what a mistake answers; NaN where it fails."""
    try:
        value = np.asarray(form(*case.arguments), np.float64)
    except (*OVERFLOWS, ValueError, IndexError):
        return np.full(expected.shape, np.nan)
    return np.broadcast_to(value, expected.shape) if value.ndim < expected.ndim else value


def same(value: Floats, other: Floats) -> bool:
    """Return True if values are equal up to rounding, or both are not finite somewhere."""
    if value.shape != other.shape:
        return False
    whole = bool(np.isfinite(value).all())
    if not (whole and np.isfinite(other).all()):
        return not whole and not np.isfinite(other).all()
    return bool(np.abs(value - other).max(initial=0.0) <= SAME * max(np.abs(other).max(initial=0.0), 1e-3))


def factor(values: list[Floats], expected: list[Floats]) -> tuple[str, str] | None:
    """Return name and sentence if all values are one multiple of the right ones."""
    yours, right = np.concatenate([v.ravel() for v in values]), np.concatenate([e.ravel() for e in expected])
    size = float(yours @ right / (right @ right))
    if not np.isfinite(size) or abs(size) < SAME or not same(yours, size * right):
        return None
    if abs(size + 1) <= SAME:
        return DESCENT, "every number is minus the right one: look for a minus too much or too few"
    return FACTORS, f"every number is {size:.4g} times the right one: look for what multiplies or divides everything"


def is_rounded(yours: Floats, right: Floats) -> bool:
    """Return True if numbers are the right ones with digits cut off."""
    if same(yours, right):
        return False
    for unit in (1.0, 0.1, 0.01, 0.001):
        whole = np.abs(yours / unit - np.round(yours / unit)).max() < 1e-6
        rounded, cut = np.abs(yours - right) <= 0.5001 * unit, (np.abs(yours) <= np.abs(right)) & (yours * right >= 0)
        if whole and (rounded.all() or (cut & (np.abs(yours - right) < unit)).all()):
            return True
    return False


def worst(yours: Floats, expected: Floats) -> str:
    """Return the number that is farthest off, in words."""
    if yours.ndim == 0:
        return f"it is {float(yours):.4g}, and should be {float(expected):.4g}"
    place = np.unravel_index(int(np.nan_to_num(np.abs(yours - expected), nan=np.inf).argmax()), yours.shape)
    index = "".join(f"[{k}]" for k in place)
    return f"the number {index} of the answer is {yours[place]:.4g}; it should be {expected[place]:.4g}"


def in_words(outcome: Outcome) -> str:
    """Return an outcome for a Finding."""
    return outcome.trouble.sentence if outcome.trouble is not None else typed(rounded(outcome.value))


def rounded(value: Floats) -> Floats:
    """Return four decimals."""
    return np.round(value, 4) + 0.0

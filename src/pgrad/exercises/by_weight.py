"""Judge an estimator of the policy gradient by the weight that it gives each log-probability.

The weights are read off in batches of 1, 2, 3 and 5 episodes of different lengths and compared with those of the right
estimate, then with every combination of verify.zoo's mistakes. What is no weighted sum is compared by its values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pgrad.errors import EstimatorError
from pgrad.exact.mdp import Floats
from pgrad.exercises.by_value import ROUNDED, WHY_ROUNDED, is_rounded
from pgrad.exercises.calls import OVERFLOWS, Learner, Trouble, numbers
from pgrad.exercises.consequence import consequence
from pgrad.exercises.exercise import Finding, Mistake, call_of
from pgrad.exercises.picture import Picture, finite
from pgrad.exercises.verdict import UNKNOWN
from pgrad.verify.parts import Batch
from pgrad.verify.recognition import Psi, candidates, recognise
from pgrad.verify.surrogate import Ragged, Reading, gradient, log_probs_of, read
from pgrad.verify.zoo import DROPPED, OWN, TOO_FEW

LENGTHS = ((2, 2), (1,), (2,), (3, 3), (3, 1), (2, 3, 1), (3, 1, 2, 1, 4))  # the classroom's example first
SAME = 1e-4  # relative difference of equal weights: room for float32
RECTANGLES, TWO_STEPS, TWO_EPISODES = "only for episodes of one length", "two steps assumed", "two episodes assumed"
CONSTANT, ADDED = "a constant, whatever the input", "a constant is added"
LEAVE_ONE_OUT = {OWN, TOO_FEW}  # N/(N - 1) of a return less the mean of all is the return less the mean of the others
WHY_LEAVE_ONE_OUT = "the mean of the other episodes is subtracted, which is right on average, but not what is asked"
SUMS = (lambda count: 1 / count, lambda count: 1.0)  # means and sums over episodes


class Probe(NamedTuple):
    """A batch of episodes: the arguments after the log-probabilities, and the trajectories that the zoo reads."""

    log_probs: Ragged
    rest: tuple[Any, ...]
    trajectories: Batch


class Answer(NamedTuple):
    """What the learner's function does with one probe, and what is right."""

    probe: Probe
    right: Reading
    yours: Reading | None  # None where it fails
    trouble: Trouble | None


@dataclass(frozen=True)
class ByWeight:
    """The judge of functions `f(log_probs, …) -> number`."""

    name: str
    probe: Callable[[np.random.Generator, Sequence[int]], Probe]  # a batch of episodes of these lengths
    reference: Callable[..., float]
    rest_of: Callable[[Batch], tuple[Any, ...]]  # the arguments after the log-probabilities
    asked: str  # the Ψ that is asked for, by its title in verify.recognition
    psis: tuple[Psi, ...]
    bent: tuple[Mistake, ...]  # mistakes that are no weighted sum, as functions of one episode: summed or averaged

    def __call__(self, learner: Learner, rng: np.random.Generator) -> Finding:
        """Return what is found."""
        probes = [self.probe(rng, lengths) for lengths in LENGTHS]
        learner.settle(probes[0].log_probs, *probes[0].rest)
        answers = [self.answer(learner, probe) for probe in probes]
        wrong = [answer for answer in answers if not agrees(answer)]
        if not wrong:
            return Finding()
        mistake, where = self.named(answers, wrong)
        smallest = min(wrong, key=lambda answer: sum(map(len, answer.probe.log_probs)))
        return Finding(
            mistake,
            where,
            notes=self.consequence(learner, answers, rng),
            holds=holding([answer for answer in answers if answer.yours is not None]),
            call=call_of(self.name, (smallest.probe.log_probs, *smallest.probe.rest)),
            expected=f"{smallest.right.value:.4g}",
            got=f"{smallest.yours.value:.4g}" if smallest.yours else str(smallest.trouble),
            picture=picture(
                max(wrong, key=lambda answer: (answer.yours is not None, len(answer.probe.log_probs) == 3))
            ),
        )

    def answer(self, learner: Learner, probe: Probe) -> Answer:
        """Return the learner's weights beside the right ones."""
        right = read(lambda log_probs: float(self.reference(log_probs, *probe.rest)), probe.log_probs)
        try:
            yours = read(lambda log_probs: float(numbers(learner.call(log_probs, *probe.rest), ())), probe.log_probs)
        except OVERFLOWS as error:
            return Answer(probe, right, None, Trouble("overflow", f"{type(error).__name__}: {error}"))
        except Trouble as trouble:
            if trouble.__cause__ is None:
                raise
            return Answer(probe, right, None, trouble)
        if not np.isfinite(yours.value):
            return Answer(probe, right, None, Trouble("NaN or infinity", f"it returns {yours.value}"))
        return Answer(probe, right, yours, None)

    def consequence(self, learner: Learner, answers: list[Answer], rng: np.random.Generator) -> tuple[str, ...]:
        """Return what the mistake comes to, if the function is a weighted sum on all batches."""

        def estimate(trajectories: Batch) -> Floats:
            rest = self.rest_of(trajectories)
            reading = read(
                lambda log_probs: float(numbers(learner.call(log_probs, *rest), ())), log_probs_of(trajectories)
            )
            return gradient(reading, trajectories)

        if any(answer.yours is None or bends(answer) for answer in answers):
            return ()
        try:
            return (consequence(estimate, rng),)
        except EstimatorError:  # it fails on numbers that the probes do not have
            return ()

    def named(self, answers: list[Answer], wrong: list[Answer]) -> tuple[str, str]:
        """Return the mistake and where to look."""
        read_off = [answer for answer in answers if answer.yours is not None]
        if not read_off:
            return unknown(wrong)
        if all(not np.concatenate(answer.yours.weights).any() for answer in read_off if answer.yours):
            return CONSTANT, "the log-probabilities change nothing: compute the answer from the arguments"
        if any(bends(answer) for answer in read_off):
            values = np.array([(answer.yours.value, answer.right.value) for answer in read_off if answer.yours])
            if is_rounded(*values.T):
                return ROUNDED, WHY_ROUNDED
            return self.of_values(read_off) or unknown(wrong)
        for among in (read_off, [answer for answer in read_off if len(answer.probe.log_probs) > 1]):
            if among and (mistake := self.of_weights(among)) is not None:
                return mistake
        if (shape := of_shapes(answers, wrong)) is not None:
            return shape
        if any(abs(answer.yours.constant) > SAME * size(answer) for answer in read_off if answer.yours):
            return ADDED, "something is added that has nothing to do with the log-probabilities: leave it out"
        return unknown(wrong)

    def of_weights(self, answers: list[Answer]) -> tuple[str, str] | None:
        """Return the mistake with these weights."""
        weights = np.concatenate([w for answer in answers if answer.yours for w in answer.yours.weights])
        found = recognise(weights, candidates([answer.probe.trajectories for answer in answers], self.psis))
        if found is not None and {*found.names} - {DROPPED} == LEAVE_ONE_OUT:
            return f"a leave-one-out baseline in place of {self.asked}", WHY_LEAVE_ONE_OUT
        if found is not None and found.names:
            return found.names[0], "; and ".join([found.why, *found.names[1:]])
        if found is not None and found.title != self.asked:
            why = f"its mean is right, but it is noisier than what is asked for, the {self.asked}"
            return f"{found.title} in place of {self.asked}", why
        return None

    def of_values(self, answers: list[Answer]) -> tuple[str, str] | None:
        """Return the mistake with the same values, whether they are summed or averaged, with either sign."""
        yours = np.array([answer.yours.value for answer in answers if answer.yours])
        counts = [len(answer.probe.log_probs) for answer in answers]
        for mistake in self.bent:
            for form in mistake.forms:
                sums = np.array([form(answer.probe) for answer in answers])
                for share in SUMS:
                    expected = sums * [share(count) for count in counts]
                    if any(np.allclose(yours, sign * expected, rtol=1e-3, atol=1e-5) for sign in (1, -1)):
                        return mistake.name, mistake.where
        return None


def size(answer: Answer) -> float:
    """Return the size of the numbers that a right answer adds up."""
    rows = zip(answer.right.weights, answer.probe.log_probs, strict=True)
    return max(1e-3, sum(float(np.abs(w) @ np.abs(row)) for w, row in rows))


def bends(answer: Answer) -> bool:
    """Return True if the learner's function is no weighted sum of the log-probabilities."""
    yours = answer.yours
    return yours is not None and yours.curvature > SAME * max(size(answer), abs(yours.value))


def agrees(answer: Answer) -> bool:
    """Return True if the learner's function is the right one on this batch."""
    if answer.yours is None or bends(answer) or abs(answer.yours.constant) > SAME * size(answer):
        return False
    yours, right = np.concatenate(answer.yours.weights), np.concatenate(answer.right.weights)
    return float(np.abs(yours - right).max()) <= SAME * max(float(np.abs(right).max()), 1e-2)


def of_shapes(answers: list[Answer], wrong: list[Answer]) -> tuple[str, str] | None:
    """Return the mistake if only the shapes of the batches decide where the function is right."""
    shapes = [[len(row) for row in answer.probe.log_probs] for answer in answers]
    fails = [answer in wrong for answer in answers]
    if fails == [set(shape) != {2} for shape in shapes]:
        return (
            TWO_STEPS,
            "it is right where every episode has two steps, as in the example: loop over the steps instead",
        )
    if fails == [len(shape) != 2 for shape in shapes] and any(answer.trouble for answer in wrong):
        return TWO_EPISODES, "it is right for two episodes, as in the example: loop over the episodes instead"
    if fails == [len(set(shape)) > 1 for shape in shapes]:
        return RECTANGLES, "episodes have different lengths, and no array holds them: sum each episode by itself"
    return None


def holding(answers: list[Answer]) -> tuple[str, ...]:
    """Return what is right about the weights."""
    pairs = [(w, r) for a in answers if a.yours for w, r in zip(a.yours.weights, a.right.weights, strict=True)]
    told = {
        "it is a weighted sum of the log-probabilities": not any(map(bends, answers)),
        "every episode counts": all(w.any() for w, r in pairs if np.abs(r).max() > SAME),
        "every step counts": all(w.all() for w, r in pairs if np.abs(r).min() > SAME),
        "the signs are right": all((np.sign(w) == np.sign(r)).all() for w, r in pairs if np.abs(r).min() > SAME),
        "one episode alone is right": all(agrees(a) for a in answers if len(a.probe.log_probs) == 1),
    }
    return tuple(sentence for sentence, holds in told.items() if holds and answers)


def unknown(wrong: list[Answer]) -> tuple[str, str]:
    """Return the weight that is farthest off, in words."""
    answer = next((one for one in wrong if one.yours is not None), wrong[0])
    if answer.yours is None:
        assert answer.trouble is not None
        return answer.trouble.name, answer.trouble.sentence
    cells = [
        (abs(w - r), i, t, w, r)
        for i, (yours, right) in enumerate(zip(answer.yours.weights, answer.right.weights, strict=True))
        for t, (w, r) in enumerate(zip(yours, right, strict=True))
    ]
    _, i, t, w, r = max(cells)
    count = len(answer.probe.log_probs)
    where = f"in a batch of {count}, log_probs[{i}][{t}] is multiplied by {w:.4g}; it should be {r:.4g}"
    return UNKNOWN, f"it is no weighted sum of the log-probabilities: {where}" if bends(answer) else where


def picture(answer: Answer) -> Picture:
    """Return the table of weights."""
    wanted: list[Floats] = answer.right.weights
    yours = answer.yours.weights if answer.yours else [np.full(len(row), np.nan) for row in wanted]
    labels = tuple(f"episode {i}" for i in range(len(wanted)))
    title = f"what each log-probability is multiplied by, in a batch of {len(wanted)}"
    return Picture(title, labels, *(tuple(map(finite, rows)) for rows in (yours, wanted)))

"""Random episodes for exercises: as lists for the learner, as trajectories for pgrad's own functions and its zoo."""

from collections.abc import Callable, Sequence

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Trajectory
from pgrad.exercises.exercise import Mistake
from pgrad.verify.parts import OfTrajectory
from pgrad.verify.zoo import PSI_MISTAKES, Way

Form = Callable[[Floats, float], Floats]


def trajectory(rewards: Sequence[float] | Floats, discount: float, values: Sequence[float] | None = None) -> Trajectory:
    """Return an episode of which only the rewards, and V(s_0) … V(s_T) if given, say anything."""
    size = len(rewards)
    return Trajectory(
        states=np.arange(size),
        actions=np.zeros(size, np.int64),
        rewards=np.asarray(rewards, np.float64),
        scores=np.zeros((size, 1)),
        all_scores=np.zeros((size, 2, 1)),
        probabilities=np.full((size, 2), 0.5),
        values=np.zeros(size + 1) if values is None else np.asarray(values),
        terminated=True,
        truncated=False,
        discount=discount,
    )


def drawn(rng: np.random.Generator, size: int, low: float = -2.0, high: float = 2.0) -> list[float]:
    """Return numbers of one decimal, none of them zero."""
    tenths = rng.integers(round(10 * low), round(10 * high), size) / 10
    return [float(x) if x else 0.7 for x in tenths]


def of_rewards(psi: OfTrajectory) -> Form:
    """Return Ψ_t of an episode as a function of its rewards and γ."""
    return lambda rewards, discount: psi(trajectory(rewards, discount))


def from_zoo(name: str) -> Mistake:
    """Return one of the zoo's mistakes in Ψ_t, as functions of an episode's rewards and γ."""
    why, ways = PSI_MISTAKES[name]
    return Mistake(name, why, tuple(map(of_batch, ways)))


def of_batch(way: Way) -> Form:
    """Return a way to write Ψ as a function of one episode's rewards and γ."""
    return of_rewards(lambda one: way.psi([one])[0])

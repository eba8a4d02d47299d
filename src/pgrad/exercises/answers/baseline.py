"""Exercise: a baseline that does not bias, an advantage G_t - b in which b knows nothing of the action."""

from collections.abc import Sequence

import numpy as np

from pgrad.exact.mdp import Floats
from pgrad.exact.trajectories import Trajectory
from pgrad.exercises.calls import Learner, ragged
from pgrad.exercises.episodes import drawn, trajectory
from pgrad.exercises.exercise import HARD, Exercise, Finding, call_of, typed
from pgrad.exercises.picture import Picture, finite
from pgrad.verify.parts import discounted
from pgrad.verify.recognition import candidates, known_psis, recognise
from pgrad.verify.returns import no_bootstrap, reward_to_go
from pgrad.verify.zoo import OWN

NAME = "subtract_baseline"
LENGTHS = ((1, 1), (2, 1), (3, 1, 2), (2, 4, 1, 3, 2))
STEP = 1.0
SAME = 2e-4
NO_BASELINE, ADDED, AHEAD = "no baseline", "the baseline is added", "baseline of the next state"
WHY_AHEAD = "V of a later state depends on the action a_t, and a baseline must not: subtract V(s_t)"
WHY_OWN = (
    "the baseline contains returns of the episode itself, which its actions have made: leave them out; V(s_t) or the "
    "mean over the *other* episodes do"
)

Rows = list[list[float]]


def judge(learner: Learner, rng: np.random.Generator) -> Finding:
    """Test that each advantage is its return, less something that depends on no action of its episode from t on."""
    batches = [batch(rng, lengths) for lengths in LENGTHS]
    learner.settle(*arguments(batches[1]))
    for trajectories in batches:
        if (fault := fault_of(learner, trajectories)) is not None:
            return finding(learner, fault, batches, trajectories)
    if all(unchanged(learner, trajectories) for trajectories in batches):
        where = "it is right on average, but nothing is subtracted, and the noise stays: subtract V(s_t), for instance"
        return Finding(NO_BASELINE, where, picture=table(learner, batches[2]))
    return Finding()


def batch(rng: np.random.Generator, lengths: Sequence[int]) -> list[Trajectory]:
    """Return episodes with random rewards and values; V is 0 after the last step."""
    return [trajectory(drawn(rng, size), 0.8, [*drawn(rng, size), 0.0]) for size in lengths]


def arguments(trajectories: list[Trajectory]) -> tuple[Rows, Rows]:
    """Return G_t and V(s_0) … V(s_T) of each episode."""
    gains = [np.round(reward_to_go(one), 4).tolist() for one in trajectories]
    return gains, [one.values.tolist() for one in trajectories]


def advantages(learner: Learner, gains: Rows, values: Rows) -> list[Floats]:
    """Return what the learner's function makes of them."""
    return ragged(learner.call(gains, values), [len(row) for row in gains])


def fault_of(learner: Learner, trajectories: list[Trajectory]) -> tuple[str, str] | None:
    """Return why the advantages of a batch are biased; None if they are not."""
    gains, values = arguments(trajectories)
    for i, row in enumerate(gains):
        for t in range(len(row)):
            slope, bend = slopes(learner, (gains, values), 0, i, t)
            if bend > SAME or abs(slope[t] - 1) > SAME or np.abs(np.delete(slope, t)).max(initial=0.0) > SAME:
                return OWN, WHY_OWN
        for t in range(1, len(row) + 1):
            slope, bend = slopes(learner, (gains, values), 1, i, t)
            if max(bend, np.abs(slope[:t]).max()) > SAME:
                return AHEAD, WHY_AHEAD
        if slopes(learner, (gains, values), 1, i, 0)[0][0] > SAME:
            return ADDED, "the mean stays as it is, but the noise grows: V(s_t) has to be subtracted"
    return None


def slopes(learner: Learner, given: tuple[Rows, Rows], which: int, i: int, t: int) -> tuple[Floats, float]:
    """Return the derivatives of episode i's advantages by one of its returns or values, and their bend."""
    middle, up, down = (advantages(learner, *moved(given, which, i, t, step))[i] for step in (0.0, STEP, -STEP))
    return (up - down) / (2 * STEP), float(np.abs(up - 2 * middle + down).max())


def moved(given: tuple[Rows, Rows], which: int, i: int, t: int, step: float) -> tuple[Rows, Rows]:
    """Return the arguments with one number moved."""
    copies = tuple([row.copy() for row in rows] for rows in given)
    copies[which][i][t] += step
    return copies  # type: ignore[return-value]


def unchanged(learner: Learner, trajectories: list[Trajectory]) -> bool:
    """Return True if the advantages are the returns."""
    gains, values = arguments(trajectories)
    rows = zip(advantages(learner, gains, values), gains, strict=True)
    return all(np.allclose(yours, own, atol=SAME) for yours, own in rows)


def finding(
    learner: Learner, fault: tuple[str, str], batches: list[list[Trajectory]], failing: list[Trajectory]
) -> Finding:
    """Return the mistake's name in the zoo, else the fault itself."""
    psis = tuple(psi for psi in known_psis() if psi.spec is None)
    weights = [w for trajectories in batches[1:] for w in weighted(learner, trajectories)]
    found = recognise(np.concatenate(weights), candidates(batches[1:], psis))
    mistake = (found.names[0], found.why) if found is not None and found.names else fault
    given = arguments(failing)
    wanted = [no_bootstrap(one) for one in failing]
    return Finding(
        *mistake,
        ("the shape is right",),
        call_of(NAME, given),
        f"{typed([np.round(row, 3) for row in wanted])}, with V(s_t) as baseline; others are right as well",
        typed([np.round(row, 3) for row in advantages(learner, *given)]),
        table(learner, batches[2]),
    )


def weighted(learner: Learner, trajectories: list[Trajectory]) -> list[Floats]:
    """Return the weights of an estimate with the learner's advantages."""
    rows = zip(trajectories, advantages(learner, *exactly(trajectories)), strict=True)
    return [discounted(one) * row / len(trajectories) for one, row in rows]


def exactly(trajectories: list[Trajectory]) -> tuple[Rows, Rows]:
    """Return G_t in all digits, and V."""
    return [reward_to_go(one).tolist() for one in trajectories], [one.values.tolist() for one in trajectories]


def table(learner: Learner, trajectories: list[Trajectory]) -> Picture:
    """Return the advantages of a batch beside G_t - V(s_t)."""
    labels = tuple(f"episode {i}" for i in range(len(trajectories)))
    yours = tuple(map(finite, advantages(learner, *arguments(trajectories))))
    return Picture(
        "advantages; wanted is G_t - V(s_t), for instance",
        labels,
        yours,
        tuple(finite(no_bootstrap(one)) for one in trajectories),
    )


EXERCISE = Exercise(
    name=NAME,
    title="A baseline that does not bias",
    difficulty=HARD,
    minutes=8,
    praise="the baseline depends on no action of its own episode, so that the mean of the gradient stays ∇J",
    starter='''
def subtract_baseline(returns, values):
    """Return advantages[i][t] = returns[i][t] - a baseline that leaves the mean of the gradient as it is.

    returns[i][t] is the reward-to-go G_t of episode i, values[i][t] is V(s_t); values[i] has one more, V of the state
    after the last step. There are at least two episodes, of different lengths. Several baselines are right.
    """
    return ...
''',
    hints=(
        "Which of the numbers that you could subtract were known *before* the action was taken?",
        "A_t = G_t - ___(s_t), or G_t less the mean over the ___ episodes",
        "[g - v for g, v in zip(returns[i], values[i])] is ...",
    ),
    solutions={
        "loops": """
def subtract_baseline(returns, values):
    return [[g - v for g, v in zip(own, value)] for own, value in zip(returns, values)]
""",
        "NumPy": """
import numpy as np


def subtract_baseline(returns, values):
    advantages = []
    for i, own in enumerate(returns):
        others = np.concatenate([row for k, row in enumerate(returns) if k != i])
        advantages.append(np.asarray(own) - others.mean())
    return advantages
""",
        "PyTorch": """
import torch


def subtract_baseline(returns, values):
    return [torch.as_tensor(own) - torch.as_tensor(value)[:-1] for own, value in zip(returns, values)]
""",
    },
    judge=judge,
)

"""The best policy seen along a run: chosen by one set of episodes, judged by another.

Checkpoints whose training returns are no better than the last policy's beyond chance are not looked at, so that a run
that ends at its best costs nothing. Otherwise the `CANDIDATES` checkpoints with the best training returns, and the last
policy, play `CHOOSING` episodes each in Gymnasium's own environment. What wins there would look too good by those
episodes: its figure comes from as many others as the last policy's.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.algorithms.learner import Checkpoints
from pgrad.evaluation import Evaluation
from pgrad.experiments.statistics import beyond_chance
from pgrad.policies.mlp import MLPPolicy
from pgrad.training.loops import History

CANDIDATES, CHOOSING = 3, 20
WINDOW = 20  # episodes of training after a checkpoint that tell of it
CHOOSING_STREAM, JUDGING_STREAM = 1, 2  # beside the reported evaluation's
MOST_SEEDS = 2**31  # seeds of evaluation drawn from a seed's own

Play = Callable[[MLPPolicy, int, int], Evaluation]  # a policy for so many episodes, of a stream of random numbers


@dataclass(frozen=True)
class Best:
    """The best policy seen, where that is not the last."""

    policy: MLPPolicy
    total_steps: int  # that its training had taken
    evaluation: Evaluation  # of episodes that did not choose it


def candidates(history: History, checkpoints: Checkpoints) -> list[int]:
    """Return the checkpoints worth playing, the most promising first: at most CANDIDATES of them.

    A checkpoint's training return is the mean of the WINDOW episodes that ended after it; windows do not overlap.
    """
    returns, ends = history.episodes.episode_return, history.episodes.total_steps
    if returns.size < 2 * WINDOW:
        return []
    first = np.searchsorted(ends, steps_at(history, checkpoints), side="right")  # [K] the episode after each
    whole = np.flatnonzero(first + WINDOW <= returns.size - WINDOW)
    means = np.array([returns[at : at + WINDOW].mean() for at in first[whole]])
    chosen: list[int] = []
    for k in whole[np.argsort(-means, kind="stable")]:
        window = returns[first[k] : first[k] + WINDOW]
        if len(chosen) == CANDIDATES or not beyond_chance(window, returns[-WINDOW:]):
            break
        if all(abs(first[k] - first[other]) >= WINDOW for other in chosen):
            chosen.append(int(k))
    return chosen


def steps_at(history: History, checkpoints: Checkpoints) -> npt.NDArray[np.int64]:
    """Return the environment steps taken at each checkpoint, [K]."""
    steps = np.concatenate([[0.0], history.metric("total_steps")])
    return np.asarray(steps[checkpoints.iteration], np.int64)


def best_of(policy: Any, history: History, checkpoints: Checkpoints | None, episodes: int, play: Play) -> Best | None:
    """Return the best policy seen; None where that is the last, or no others were kept.

    `episodes` judge it. Its policy says, as the last one does, after how many steps and iterations that was.
    """
    if checkpoints is None or not isinstance(policy, MLPPolicy):
        return None
    at = candidates(history, checkpoints)
    if not at:
        return None
    steps, found = steps_at(history, checkpoints), [policy]
    for k in at:
        inputs = {"shift": checkpoints.shift[k], "scale": checkpoints.scale[k]}
        when = {"total_steps": str(steps[k]), "iterations": str(checkpoints.iteration[k])}
        found.append(
            dataclasses.replace(
                policy, parameters=checkpoints.policy[k], metadata={**policy.metadata, **when}, **inputs
            )
        )
    winner = int(np.argmax([play(one, CHOOSING, CHOOSING_STREAM).returns.mean() for one in found]))
    if winner == 0:
        return None
    return Best(found[winner], int(steps[at[winner - 1]]), play(found[winner], episodes, JUDGING_STREAM))

"""What is drawn is independent of all else that is drawn, and nothing is drawn twice.

Two random numbers are compared by two functions of each, less their means given all that came before: the sum of a
product of them is zero but for chance. Which two: components of an action, the environment's own number, the start; of
one step, of successive steps, of neighbouring lanes, of successive episodes, of successive iterations. A repetition at
any other distance shows as a sequence of draws that occurs twice.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.envs.noise import Noise
from pgrad.exact.mdp import Floats
from pgrad.kernels.random import fold_in
from pgrad.policies.distributions import GSDE, STATE_INDEPENDENT, num_extra
from pgrad.policies.mlp import MLPPolicy
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan
from pgrad.spaces import Box
from pgrad.verify.check import MAX_Z, Check
from pgrad.verify.deviations import product_z, repeated
from pgrad.verify.draws import normal_distribution, probabilities, standardised
from pgrad.verify.recorded import CHOICES, EPISODES, LANES, LIMIT, SIDES, dice_batches, indifferent, noise_batches

Array = npt.NDArray[Any]

ACTIONS, DYNAMICS, STARTS = "actions", "the environment's random numbers", "starts"
ENOUGH_BITS = 60  # of a sequence, for none to occur twice by chance: of 10⁵, once in 10⁸ runs


class Drawn(NamedTuple):
    """What was drawn in a batch of N episodes, of T steps at most, as numbers with mean zero whatever came before.

    NaN stands where there is no such step, or where what was drawn is not known.
    """

    actions: Floats  # [D, 2, N, T] two functions of each component
    dynamics: Floats  # [1, 2, N, T] of the environment's random number
    start: Floats  # [1, 2, N, 1]
    raw: dict[str, Floats]  # the draws themselves, [N, T] or [N, T, D], of starts [1, N]


def independence_checks(seed: int) -> Iterator[Check]:
    """Yield checks for each head: of a training of dice, and of rollouts that show the environment's numbers."""
    plan = Plan(EPISODES, 0, LIMIT, np.uint64(fold_in(seed, 4)))
    runs = {"softmax": [drawn_dice(batch) for batch in dice_batches(plan, LANES)]}
    own = STATE_INDEPENDENT
    for name, env, std in (("MultiDiscrete", Noise(CHOICES), own), ("Gaussian", Noise(), own), ("gSDE", Noise(), GSDE)):
        policy = constant(env, std)
        runs[name] = [drawn_noise(policy, batch) for batch in noise_batches(env, policy, seed)]
    for name, run in runs.items():
        for what, measure in MEASURES[0 if len(run[0].actions) > 1 else 1 :]:
            yield Check(f"{name}: {what} are independent", measure(run), MAX_Z)
        for what, bits in BITS[name].items():
            yield Check(f"{name}: sequences of {what} that occur twice", float(twice(run, what, bits)), 0.0)


def constant(env: Noise, std: str) -> MLPPolicy:
    """Return a policy with equal preferences, or of normal numbers of mean zero with every log σ zero."""
    outputs = 3 * max(env.choices, 1)
    parameters = np.zeros(5 * outputs + num_extra(env.action_space, std, 4), np.float32)
    return MLPPolicy(parameters, (4, outputs), actions=env.action_space, std=std)


def drawn_noise(policy: MLPPolicy, batch: Batch) -> Drawn:
    """Return what was drawn in the environment that shows its random numbers."""
    start = batch.obs[0][batch.time == 0][by_trajectory(batch)].astype(np.float64)
    return Drawn(
        placed(batch, of_actions(policy, batch)),
        placed(batch, centred(batch.reward)[None]),
        centred(start)[None, :, :, None],
        {
            ACTIONS: np.moveaxis(placed(batch, batch.action), 0, -1),
            DYNAMICS: placed(batch, batch.reward),
            STARTS: start[None],
        },
    )


def drawn_dice(batch: Batch) -> Drawn:
    """Return what was drawn with the dice: the environment's number is the next state, if the episode goes on."""
    sides = np.full((SIDES, 1, 1), 1 / SIDES)
    state = placed(batch, batch.obs[0])
    following = np.concatenate([state[:, 1:], np.full((len(state), 1), np.nan)], axis=1)
    return Drawn(
        placed(batch, of_actions(indifferent(), batch)),
        of_choices(sides, following)[None],
        of_choices(sides, state[:, :1])[None],
        {ACTIONS: placed(batch, batch.action), DYNAMICS: following, STARTS: state[None, :, 0]},
    )


def by_trajectory(batch: Batch) -> Array:
    """Return the order of the samples that begin episodes by the number of their trajectory."""
    return np.argsort(batch.trajectory[batch.time == 0])


def placed(batch: Batch, values: Array) -> Floats:
    """Return values [..., B] by trajectory and time, [..., N, T]; NaN where there is no such step."""
    result = np.full((*values.shape[:-1], batch.num_trajectories, LIMIT), np.nan)
    result[..., batch.trajectory, batch.time] = values
    return result


def centred(number: Floats) -> Floats:
    """Return two functions of uniform numbers less their means, [2, ...]."""
    return np.array([number - 0.5, (number - 0.5) ** 2 - 1 / 12])


def of_choices(pi: Floats, choice: Floats) -> Floats:
    """Return two functions, less their means, of the middle of each choice's step of the distribution function.

    pi [A, ...] are the probabilities, choice [...] integers or NaN; returns [2, ...]
    """
    middle = np.cumsum(pi, axis=0) - pi / 2 - 0.5
    known = np.isfinite(choice)
    index = np.where(known, choice, 0).astype(np.int64)
    chosen = np.take_along_axis(np.broadcast_to(middle, (len(pi), *choice.shape)), index[None], axis=0)[0]
    both = [chosen**power - (pi * middle**power).sum(axis=0) for power in (1, 2)]
    return np.where(known, both, np.nan)


def of_actions(policy: MLPPolicy, batch: Batch) -> Floats:
    """Return two functions of each component of the actions, less their means under the policy, [D, 2, B]."""
    if isinstance(policy.actions, Box):
        return np.array([centred(number) for number in normal_distribution(standardised(policy, batch))])
    each = zip(probabilities(policy, batch), np.atleast_2d(batch.action), strict=True)
    return np.array([of_choices(pi, action) for pi, action in each])


def components_z(run: list[Drawn]) -> float:
    """Compare the components of each action."""
    pairs = itertools.combinations(range(len(run[0].actions)), 2)
    return max(between([seen.actions[i] for seen in run], [seen.actions[j] for seen in run]) for i, j in pairs)


def dynamics_z(run: list[Drawn]) -> float:
    """Compare each action with the environment's number of the same step, and both with the start."""
    first = [np.concatenate([seen.actions, seen.dynamics])[..., :1] for seen in run]
    same_step = between([seen.actions for seen in run], [seen.dynamics for seen in run])
    return max(same_step, between([seen.start for seen in run], first))


def steps_z(run: list[Drawn]) -> float:
    """Compare all that was drawn in a step with all of the step after it."""
    both = [np.concatenate([seen.actions, seen.dynamics]) for seen in run]
    return between([seen[..., :-1] for seen in both], [seen[..., 1:] for seen in both])


def episodes_z(run: list[Drawn]) -> float:
    """Compare an episode with the next, which is its neighbour where lanes begin together, step by step."""
    both = [np.concatenate([seen.actions, seen.dynamics]) for seen in run]
    starts = between([seen.start[..., :-1, :] for seen in run], [seen.start[..., 1:, :] for seen in run])
    return max(starts, between([seen[..., :-1, :] for seen in both], [seen[..., 1:, :] for seen in both]))


def iterations_z(run: list[Drawn]) -> float:
    """Compare a batch with the next, episode by episode and step by step."""
    both = [np.concatenate([seen.actions, seen.dynamics]) for seen in run]
    starts = [seen.start for seen in run]
    return max(between(starts[:-1], starts[1:]), between(both[:-1], both[1:]))


def between(xs: list[Floats], ys: list[Floats]) -> float:
    """Return how far the products of all functions of xs with those of ys are from mean zero; [..., 2, N, T] each."""
    return product_z(functions(xs), functions(ys))


def functions(arrays: list[Floats]) -> Floats:
    """Return arrays [..., 2, N, T] as the rows and columns of one, [F, Σ N T]."""
    return np.concatenate([array.reshape(-1, array.shape[-2] * array.shape[-1]) for array in arrays], axis=1)


def twice(run: list[Drawn], what: str, bits: int) -> int:
    """Return how many sequences of draws, within episodes or of successive starts, equal an earlier one.

    Each draw has at least so many bits, and a sequence ENOUGH_BITS.
    """
    length, draws = -(-ENOUGH_BITS // bits), [seen.raw[what] for seen in run]
    if what == STARTS:
        return repeated(sequences(np.concatenate(draws, axis=1), length))
    return repeated(np.concatenate([sequences(each, length) for each in draws]))


def sequences(draws: Floats, length: int) -> Floats:
    """Return all sequences of so many successive draws [N, T, ...], [R, ..., length]; NaN is no draw."""
    found = np.lib.stride_tricks.sliding_window_view(draws, length, axis=1)
    known = np.isfinite(found).reshape(*found.shape[:2], -1).all(axis=-1)
    return np.asarray(found[known])


MEASURES: tuple[tuple[str, Callable[[list[Drawn]], float]], ...] = (
    ("the components of an action", components_z),
    ("actions, the environment's random numbers and starts", dynamics_z),
    ("successive steps", steps_z),
    ("successive episodes, and lanes", episodes_z),
    ("successive iterations", iterations_z),
)
BITS = {  # of each draw, at least
    "softmax": {ACTIONS: 5, DYNAMICS: 5, STARTS: 5},
    "MultiDiscrete": {ACTIONS: 9, DYNAMICS: 53, STARTS: 23},
    "Gaussian": {ACTIONS: 50, DYNAMICS: 53, STARTS: 23},
    "gSDE": {ACTIONS: 50, DYNAMICS: 53, STARTS: 23},
}

"""Trajectories as estimators receive them: all possible ones with their probabilities, or a sample."""

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.errors import EstimatorError, MDPError, require_integer
from pgrad.exact.mdp import MDP, Bools, Floats, as_floats, require_probabilities
from pgrad.exact.policies import SoftmaxPolicy
from pgrad.exact.solution import require_match, solve
from pgrad.policies import softmax

Integers = npt.NDArray[np.int64]
Act = Callable[[Floats, np.random.Generator], int]

COUNTED = 10**300  # trajectories at which counting stops


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """One episode of T steps with the policy's scores; exactly one of `terminated` and `truncated` is true."""

    states: Integers  # [T] s_0 … s_{T-1}
    actions: Integers  # [T]
    rewards: Floats  # [T]
    scores: Floats  # [T, P] ∇ log π(a_t | s_t)
    all_scores: Floats  # [T, A, P] ∇ log π(a | s_t) of every action
    probabilities: Floats  # [T, A] π(a | s_t)
    values: Floats  # [T + 1] V(s_0) … V(s_T), 0 in a terminal state
    terminated: bool  # s_T is terminal
    truncated: bool  # the time limit came first: s_T is not terminal
    discount: float

    def __len__(self) -> int:
        return len(self.rewards)

    def __repr__(self) -> str:
        end = "terminated" if self.terminated else "truncated"
        return f"<Trajectory: {len(self)} steps, rewards {self.rewards.tolist()}, {end}>"


EstimatorFunction = Callable[[list[Trajectory]], Any]
ARRAYS = tuple(field.name for field in dataclasses.fields(Trajectory))[:7]


@dataclass(frozen=True, eq=False)
class Moments:
    """Exact mean and covariance of an estimator ĝ."""

    mean: Floats  # E[ĝ]; [P]
    covariance: Floats  # Cov(ĝ), of one batch's estimate; [P, P]


def enumerate_trajectories(
    mdp: MDP,
    policy: SoftmaxPolicy,
    values: npt.ArrayLike | None = None,
    behaviour: npt.ArrayLike | None = None,
    max_trajectories: int = 100_000,
) -> tuple[list[Trajectory], Floats]:
    """Return every possible trajectory ω and its probability, p(ω) = start(s_0) Π_t π(a_t|s_t) p(s_{t+1}|s_t, a_t).

    values            [|S|] V(s) to record, 0 taken for terminal states; by default the policy's exact V on the problem
                      without its time limit, or zeros if that is undefined (γ = 1, no way to end)
    behaviour         [|S|, A] probabilities from which actions are drawn instead of π; scores remain those of π
    max_trajectories  the most to enumerate

    Returns the trajectories and their probabilities, which sum to one. Raises MDPError, before enumerating, if there
    are more than `max_trajectories` or infinitely many.
    """
    table, drawn = _values(mdp, policy, values), _behaviour(mdp, policy, behaviour)
    ways = possible_ways(mdp, drawn, max_trajectories)
    trajectories = [_trajectory(mdp, policy, table, way.states, way.actions, way.rewards) for way in ways]
    return trajectories, np.array([way.probability for way in ways])


class Way(NamedTuple):
    """One way in which an episode of T steps can go."""

    states: tuple[int, ...]  # s_0 … s_T
    actions: tuple[int, ...]  # a_0 … a_{T-1}
    rewards: tuple[float, ...]
    probability: float


def possible_ways(mdp: MDP, drawn: Floats, most: int = 100_000) -> list[Way]:
    """Return all ways in which episodes go if actions have probabilities [|S|, A]; raise MDPError if over `most`."""
    count = count_trajectories(mdp, drawn)
    if count > most:
        raise MDPError(
            f"the problem has {_spoken(count)} trajectories, more than {most:,}: use a shorter "
            "time_limit, exact.solve for the gradient itself, or exact.sample_trajectories for averages over a sample"
        )
    branches = _branches(mdp, drawn)
    starts = np.flatnonzero(mdp.start > 0)
    stack = [Way((int(s),), (), (), float(mdp.start[s])) for s in starts[::-1]]
    ways = []
    while stack:
        way = stack.pop()
        states, actions, rewards, probability = way
        if mdp.terminal[states[-1]] or len(actions) == mdp.time_limit:
            ways.append(way)
            continue
        for action, following, chance in reversed(branches[states[-1]]):
            reward = float(mdp.reward[states[-1], action, following])
            stack.append(Way((*states, following), (*actions, action), (*rewards, reward), probability * chance))
    return ways


def count_trajectories(mdp: MDP, drawn: Floats) -> int:
    """Return the number of trajectories of positive probability under action probabilities [|S|, A], up to 10^300.

    Raises MDPError if there are infinitely many: the problem has a cycle and no time limit.
    """
    edges = (np.einsum("sa,sat->st", drawn > 0, mdp.transition > 0) > 0) & ~mdp.terminal[:, None]
    steps = mdp.time_limit or mdp.num_states
    if mdp.time_limit is None and _endless(mdp, edges):
        raise MDPError(
            "the problem has infinitely many trajectories, as it has a cycle and no time_limit: give it one with "
            "dataclasses.replace(mdp, time_limit=...), or use exact.solve for the gradient itself, or "
            "exact.sample_trajectories for averages over a sample"
        )
    ways = [[t for _, t, _ in branch] for branch in _branches(mdp, drawn)]
    starts = np.flatnonzero(mdp.start > 0)
    counts = [1] * mdp.num_states
    for _ in range(steps):
        counts = [sum(counts[t] for t in following) if following else 1 for following in ways]
        if max(counts[s] for s in starts) > COUNTED:
            break
    return sum(counts[s] for s in starts)


def sample_trajectories(
    mdp: MDP,
    policy: SoftmaxPolicy,
    count: int,
    rng: np.random.Generator,
    values: npt.ArrayLike | None = None,
    act: Act | None = None,
    max_steps: int = 10_000,
) -> list[Trajectory]:
    """Sample `count` independent trajectories.

    values     as in `enumerate_trajectories`
    act        draws the actions, `act(probabilities [A], rng) -> action`; by default they are drawn from π
    max_steps  the most steps of an episode without a time limit

    Raises MDPError if `act` fails or returns no action, or if an episode exceeds `max_steps`.
    """
    table, drawn = _values(mdp, policy, values), _behaviour(mdp, policy, None)
    return [_sampled(mdp, policy, table, drawn, rng, act, max_steps) for _ in range(count)]


def moments(
    mdp: MDP,
    policy: SoftmaxPolicy,
    estimator: EstimatorFunction,
    num_trajectories: int = 1,
    behaviour: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
    max_batches: int = 200_000,
) -> Moments:
    """Compute the exact mean and covariance of an estimator ĝ over batches of N independent trajectories.

    E[ĝ] = Σ_{ω_1 … ω_N} p(ω_1) ⋯ p(ω_N) ĝ(ω_1, …, ω_N),  summed over every ordered batch of possible trajectories

    estimator          `estimator(list of N trajectories) -> [P]`; no object is twice in a list
    num_trajectories   N, of one batch
    behaviour, values  as in `enumerate_trajectories`
    max_batches        the most to enumerate; there are (number of trajectories)^N

    Returns Moments: mean [P] and covariance [P, P] of one batch's estimate, without sampling error. ĝ is unbiased on
    this problem exactly if the mean is `solve(mdp, policy).gradient`.

    Raises InputError if num_trajectories is not a positive integer, MDPError if there are more than `max_batches`, and
    EstimatorError if the estimator fails (see `checked_call`).
    """
    num_trajectories = require_integer("num_trajectories", num_trajectories, 1)
    number = count_trajectories(mdp, _behaviour(mdp, policy, behaviour)) ** num_trajectories
    if number > max_batches:
        raise MDPError(
            f"there are {_spoken(number)} batches of {num_trajectories}, more than {max_batches:,}: use fewer "
            "trajectories a batch or a shorter time_limit, or average over exact.sample_trajectories"
        )
    possible = enumerate_trajectories(mdp, policy, values, behaviour, max_batches)
    return moments_over(*possible, estimator, num_trajectories, policy.num_parameters)


def moments_over(
    trajectories: list[Trajectory],
    probabilities: Floats,
    estimator: EstimatorFunction,
    num_trajectories: int,
    num_parameters: int,
) -> Moments:
    """Return the moments over all batches of N of these trajectories, which are drawn with these probabilities.

    Each place in a batch has copies of its own, so that no trajectory is one object twice, as in a sample.
    """
    number = len(trajectories) ** num_trajectories
    places = [trajectories, *([_copied(one) for one in trajectories] for _ in range(num_trajectories - 1))]
    estimates, weights = np.empty((number, num_parameters)), np.empty(number)
    for k, batch in enumerate(itertools.product(range(len(trajectories)), repeat=num_trajectories)):
        chosen = [place[i] for place, i in zip(places, batch, strict=True)]
        estimates[k] = checked_call(estimator, chosen, num_parameters)
        weights[k] = math.prod(probabilities[i] for i in batch)
    mean = weights @ estimates
    deviation = estimates - mean
    return Moments(mean, deviation.T @ (weights[:, None] * deviation))


def _copied(trajectory: Trajectory) -> Trajectory:
    return dataclasses.replace(trajectory, **{name: getattr(trajectory, name).copy() for name in ARRAYS})


def checked_call(estimator: EstimatorFunction, trajectories: Sequence[Trajectory], num_parameters: int) -> Floats:
    """Call an estimator on a list of trajectories and return its estimate as float64 [P].

    Raises EstimatorError if it raises, returns anything but P finite numbers, or changes its input (which is then
    restored). The arrays are passed writeable because PyTorch warns about read-only ones.
    """
    name = getattr(estimator, "__name__", "the estimator")
    given, raised, result = list(trajectories), None, None
    before = [_fingerprint(trajectory) for trajectory in given]
    try:
        result = estimator(given)
    except Exception as error:
        raised = error
    changed = _restored(trajectories, before)
    if len(given) != len(before) or any(a is not b for a, b in zip(given, trajectories, strict=False)):
        changed.append("the list of trajectories")
    if changed:
        raise EstimatorError(
            f"{name} changes its input: {', '.join(changed)}. Work on a copy, as in rewards = trajectory.rewards.copy()"
        ) from raised
    if isinstance(raised, EstimatorError):
        raise raised
    if raised is not None:
        raise EstimatorError(f"{name} raised {type(raised).__name__}: {raised}") from raised
    return _as_estimate(name, result, num_parameters)


def _as_estimate(name: str, result: Any, num_parameters: int) -> Floats:
    """Convert what an estimator returned, PyTorch tensors included, to float64 [P]."""
    if result is None:
        raise EstimatorError(f"{name} returned None: is a `return` missing?")
    try:
        array = np.asarray(result.detach().cpu() if hasattr(result, "detach") else result)
        if array.dtype.kind not in "iufO":
            raise TypeError
        estimate = array.astype(np.float64)  # a copy, even where the result is part of the input
    except (TypeError, ValueError):
        raise EstimatorError(f"{name} must return {num_parameters} real numbers, not {result!r}") from None
    if estimate.shape != (num_parameters,):
        raise EstimatorError(f"{name} must return an array of shape ({num_parameters},), not {estimate.shape}")
    if not np.isfinite(estimate).all():
        raise EstimatorError(f"{name} must return finite numbers, not {estimate}")
    return estimate


def _fingerprint(trajectory: Trajectory) -> tuple[bytes, ...]:
    return tuple([getattr(trajectory, name).tobytes() for name in ARRAYS])


def _restored(trajectories: Sequence[Trajectory], before: list[tuple[bytes, ...]]) -> list[str]:
    """Restore arrays that were changed, and return their names."""
    changed = []
    for trajectory, fingerprint in zip(trajectories, before, strict=True):
        for name, content in zip(ARRAYS, fingerprint, strict=True):
            array = getattr(trajectory, name)
            if array.tobytes() != content:
                array[...] = np.frombuffer(content, array.dtype).reshape(array.shape)
                changed.append(name)
    return list(dict.fromkeys(changed))


def _values(mdp: MDP, policy: SoftmaxPolicy, values: npt.ArrayLike | None) -> Floats:
    """Return V(s) for trajectories to record, [|S|]."""
    require_match(mdp, policy)
    if values is not None:
        table = as_floats("values", values)
        if table.shape != (mdp.num_states,) or not np.isfinite(table).all():
            raise MDPError(f"values must be finite and of shape ({mdp.num_states},), one a state, not {table.shape}")
    else:
        try:
            table = solve(dataclasses.replace(mdp, time_limit=None), policy).value
        except MDPError:
            table = np.zeros(mdp.num_states)
    return np.where(mdp.terminal, 0.0, table)


def _behaviour(mdp: MDP, policy: SoftmaxPolicy, behaviour: npt.ArrayLike | None) -> Floats:
    """Return the probabilities from which actions are drawn, [|S|, A]."""
    if behaviour is None:
        return policy.probabilities
    drawn = as_floats("behaviour", behaviour)
    if drawn.shape != policy.logits.shape:
        raise MDPError(f"behaviour must have shape {policy.logits.shape}, states by actions, not {drawn.shape}")
    require_probabilities("behaviour", drawn)
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def _branches(mdp: MDP, drawn: Floats) -> list[list[tuple[int, int, float]]]:
    """Return each state's (action, next state, probability) of positive probability; none in terminal states."""
    chances = drawn[:, :, None] * mdp.transition * ~mdp.terminal[:, None, None]
    branches: list[list[tuple[int, int, float]]] = [[] for _ in range(mdp.num_states)]
    for s, a, t in np.argwhere(chances > 0).tolist():
        branches[s].append((a, t, float(chances[s, a, t])))
    return branches


def _endless(mdp: MDP, edges: Bools) -> bool:
    """Return True if some path from the start has more steps than there are states, and so contains a cycle."""
    alive = ~mdp.terminal
    for _ in range(mdp.num_states):
        alive = np.asarray((edges & alive).any(axis=1))
    return bool((alive & (mdp.start > 0)).any())


def _spoken(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{int(count.bit_length() * math.log10(2))}"


def _trajectory(
    mdp: MDP,
    policy: SoftmaxPolicy,
    table: Floats,
    states: Sequence[int],
    actions: Sequence[int],
    rewards: Sequence[float],
) -> Trajectory:
    s, a, terminated = np.array(states[:-1]), np.array(actions), bool(mdp.terminal[states[-1]])
    return Trajectory(
        states=s,
        actions=a,
        rewards=np.array(rewards),
        scores=policy.scores[s, a],
        all_scores=policy.scores[s],
        probabilities=policy.probabilities[s],
        values=table[np.array(states)],
        terminated=terminated,
        truncated=not terminated,
        discount=mdp.discount,
    )


def _sampled(
    mdp: MDP,
    policy: SoftmaxPolicy,
    table: Floats,
    drawn: Floats,
    rng: np.random.Generator,
    act: Act | None,
    max_steps: int,
) -> Trajectory:
    states, actions, rewards = [int(softmax.sample(mdp.start, rng))], list[int](), list[float]()
    while not mdp.terminal[states[-1]] and len(actions) != mdp.time_limit:
        if mdp.time_limit is None and len(actions) == max_steps:
            raise MDPError(
                f"a trajectory did not end within max_steps = {max_steps:,} steps: give the problem a time_limit with "
                "dataclasses.replace(mdp, time_limit=...), or raise max_steps"
            )
        here = states[-1]
        action = int(softmax.sample(drawn[here], rng)) if act is None else checked_action(act, drawn[here], rng)
        states.append(int(softmax.sample(mdp.transition[here, action], rng)))
        actions.append(action)
        rewards.append(float(mdp.reward[here, action, states[-1]]))
    return _trajectory(mdp, policy, table, states, actions, rewards)


def checked_action(act: Act, probabilities: Floats, rng: np.random.Generator) -> int:
    """Return the action that `act` chooses; raise MDPError if it raises or returns no action."""
    name, count = getattr(act, "__name__", "act"), len(probabilities)
    try:
        returned = act(probabilities.copy(), rng)
    except Exception as error:
        raise MDPError(f"{name} raised {type(error).__name__}: {error}") from error
    try:
        action = operator.index(returned)
    except TypeError:
        raise MDPError(f"{name} must return an action, an integer in 0 … {count - 1}, not {returned!r}") from None
    if not 0 <= action < count:
        raise MDPError(f"{name} must return an action, an integer in 0 … {count - 1}, not {action}")
    return action

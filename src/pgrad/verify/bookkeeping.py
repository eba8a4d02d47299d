"""What rollouts record is what happened: against dice thrown one by one in Python, from the keys of their episodes.

A row of a record is (trajectory, t, state, action, reward, terminated, truncated, final state or -1). Each function of
CHECKS returns how many rows, or entries, are wrong.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.heads import NO_MASK
from pgrad.kernels.random import ACTION_KEY, DYNAMICS_KEY, RESET_KEY, fold_in
from pgrad.rollouts.actions import CompiledActor
from pgrad.rollouts.batch import Batch
from pgrad.rollouts.compiled import Plan
from pgrad.rollouts.vectorized import VectorCollector
from pgrad.verify import formulas
from pgrad.verify.check import Check
from pgrad.verify.heads import HEADS, batch_of, policy_of
from pgrad.verify.recorded import LIMIT, OBS_SIZE, SIDES, dice, dice_batches, indifferent

Array = npt.NDArray[Any]
Row = tuple[float, ...]

EPISODES, BATCHES = 700, 2
LANES = (1, 7, 600)  # the last more than a block of kernels.mlp
NUM_ENVS, NUM_STEPS = 12, 100
DICE = dice()


def bookkeeping_checks(seed: int) -> Iterator[Check]:
    """Yield checks of compiled rollouts, of environments stepped from Python, and of greedy actions."""
    for name, count in CHECKS:
        yield Check(name, float(count(seed)), 0.0)


class Throw(NamedTuple):
    """One step of an episode of the dice."""

    state: int
    action: int
    reward: float
    following: int
    terminated: bool


def throw(run_key: int, episode: int, t: int, state: int) -> Throw:
    """Return what the run's keys make of step t of an episode: docs/architecture.md, "Where random numbers come from".

    All actions being equally likely, an action is its bits' first digit.
    """
    key = fold_in(run_key, episode)
    action = fold_in(fold_in(key, ACTION_KEY), t) * SIDES >> 64
    (following,), reward, terminated = DICE.step((float(state),), action, fold_in(fold_in(key, DYNAMICS_KEY), t))
    return Throw(state, action, float(reward), int(following), bool(terminated))


def first_state(run_key: int, episode: int) -> int:
    """Return where an episode starts."""
    return int(DICE.reset(fold_in(fold_in(run_key, episode), RESET_KEY))[0])


def episode_rows(run_key: int, episode: int, trajectory: int) -> list[Row]:
    """Return the rows of a whole episode."""
    rows, state = [], first_state(run_key, episode)
    for t in range(LIMIT):
        thrown = throw(run_key, episode, t, state)
        rows.append(row(trajectory, t, thrown, t + 1 == LIMIT and not thrown.terminated))
        if thrown.terminated:
            break
        state = thrown.following
    return rows


def row(trajectory: int, t: int, thrown: Throw, truncated: bool) -> Row:
    """Return one row of a record."""
    final = thrown.following if truncated else -1
    return trajectory, t, thrown.state, thrown.action, thrown.reward, thrown.terminated, truncated, final


def rows_of_steps(run_key: int, lanes: int, last_lane_first: bool) -> list[Row]:
    """Return the rows of BATCHES of NUM_STEPS in each lane.

    Episodes are numbered as they begin, where several begin at once from the last lane or from the first.
    """
    rows, begun = [], lanes
    number, t, state = list(range(lanes)), [0] * lanes, [first_state(run_key, n) for n in range(lanes)]
    for step in range(BATCHES * NUM_STEPS):
        ended = []
        for n in range(lanes):
            thrown = throw(run_key, number[n], t[n], state[n])
            limit = t[n] + 1 == LIMIT and not thrown.terminated
            cut = (step + 1) % NUM_STEPS == 0 and not thrown.terminated
            rows.append(row(n, t[n], thrown, limit or cut))
            ended += [n] if limit or thrown.terminated else []
            t[n], state[n] = t[n] + 1, thrown.following
        for n in reversed(ended) if last_lane_first else ended:
            number[n], t[n], state[n] = begun, 0, first_state(run_key, begun)
            begun += 1
    return rows


def recorded_rows(batch: Batch) -> list[Row]:
    """Return the rows of a batch."""
    final = np.full(batch.reward.size, -1.0)
    final[batch.final_sample] = batch.final_obs[0, : batch.final_sample.size]
    columns = batch.trajectory, batch.time, batch.obs[0], batch.action, batch.reward
    return list(zip(*(c.tolist() for c in (*columns, batch.terminated, batch.truncated, final)), strict=True))


def different(found: list[Row], expected: list[Row]) -> int:
    """Return how many rows differ, those that only one side has included."""
    pairs = sum(a != b for a, b in zip(found, expected, strict=False))
    return pairs + abs(len(found) - len(expected))


def key_of(seed: int) -> int:
    """Return the key of a run."""
    return fold_in(seed, 6)


def wrong_episodes(seed: int) -> int:
    """Count wrong rows, and wrong entries of the log, of whole episodes in one lane, in few, and in many."""
    key, wrong = key_of(seed), 0
    expected = [episode_rows(key, e, e % EPISODES) for e in range(BATCHES * EPISODES)]
    for lanes in LANES:
        plan = Plan(EPISODES, 0, LIMIT, np.uint64(key))
        for k, batch in enumerate(dice_batches(plan, lanes, BATCHES)):
            own = expected[k * EPISODES : (k + 1) * EPISODES]
            wrong += different(sorted(recorded_rows(batch)), [step for steps in own for step in steps])
            wrong += wrong_log(batch, own)
    return wrong


def wrong_log(batch: Batch, episodes: list[list[Row]]) -> int:
    """Return how many episodes of the log are not these."""
    logged = zip(batch.episodes.episode_return.tolist(), batch.episodes.length.tolist(), strict=True)
    return different(sorted(logged), sorted((sum(step[4] for step in steps), len(steps)) for steps in episodes))


def wrong_steps(seed: int) -> int:
    """Count wrong rows of batches of a fixed number of steps."""
    plan = Plan(0, NUM_STEPS, LIMIT, np.uint64(key_of(seed)))
    batches = dice_batches(plan, NUM_ENVS, BATCHES)
    found = [step for batch in batches for step in recorded_rows(batch)]
    return different(found, rows_of_steps(key_of(seed), NUM_ENVS, last_lane_first=True))


class PythonDice:
    """The dice as environments stepped from Python; the second feature is the number of the episode.

    They begin the next episode in the step that ends one or, `late`, in a step of its own.
    """

    mask: npt.NDArray[np.bool_] | None = None
    restarted = 0

    def __init__(self, run_key: int, late: bool) -> None:
        self.num_envs, self.total_steps, self.late, self.run_key = NUM_ENVS, 0, late, run_key
        self.begun = 0
        self.number, self.t, self.state = ([0] * NUM_ENVS for _ in range(3))
        self.resetting = np.zeros(NUM_ENVS, np.bool_)
        self._begin(np.ones(NUM_ENVS, np.bool_))

    def _begin(self, which: Array) -> None:
        for n in np.flatnonzero(which):
            self.number[n], self.t[n], self.state[n] = self.begun, 0, first_state(self.run_key, self.begun)
            self.begun += 1
        self.obs = self.seen()

    def seen(self) -> npt.NDArray[np.float32]:
        """Return what is observed now, [N, O]."""
        obs = np.zeros((NUM_ENVS, OBS_SIZE), np.float32)
        obs[:, 0], obs[:, 1] = self.state, self.number
        return obs

    def restart(self) -> None:
        """Begin a new episode everywhere."""
        self.resetting = np.zeros(NUM_ENVS, np.bool_)
        self._begin(np.ones(NUM_ENVS, np.bool_))

    def step(self, action: Array) -> "PythonStep":
        """Step all, with dynamics that read the action which they are given."""
        reward, terminated = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, np.bool_)
        truncated, begin = np.zeros(NUM_ENVS, np.bool_), self.resetting.copy()
        for n in np.flatnonzero(~self.resetting):
            key = fold_in(fold_in(fold_in(self.run_key, self.number[n]), DYNAMICS_KEY), self.t[n])
            (following,), reward[n], terminated[n] = DICE.step((float(self.state[n]),), int(action[n]), key)
            self.state[n], self.t[n], self.total_steps = int(following), self.t[n] + 1, self.total_steps + 1
            truncated[n] = self.t[n] == LIMIT and not terminated[n]
        after, ended = self.seen(), terminated | truncated
        self.resetting = ended if self.late else np.zeros(NUM_ENVS, np.bool_)
        self._begin(begin if self.late else ended)
        return PythonStep(reward, terminated, truncated, after)

    def close(self) -> None:
        """Release nothing."""


class PythonStep(NamedTuple):
    """What a step of PythonDice led to: see rollouts.vectorized.Stepped."""

    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    after: npt.NDArray[np.float32]


def wrong_from_python(seed: int) -> int:
    """Count wrong rows of environments stepped from Python, by episodes and by steps, that reset at once or late."""
    key, wrong = key_of(seed), 0
    actor = CompiledActor(indifferent().compiled)
    for late in (False, True):
        collector = VectorCollector(PythonDice(key, late), key, episodes=3 * NUM_ENVS)
        for _ in range(BATCHES):
            batch = collector.collect(actor)
            began = batch.time == 0
            number = dict(zip(batch.trajectory[began].tolist(), batch.obs[1, began].astype(int).tolist(), strict=True))
            expected = [episode_rows(key, number[n], n) for n in range(3 * NUM_ENVS)]
            wrong += different(sorted(recorded_rows(batch)), [step for steps in expected for step in steps])
            wrong += wrong_log(batch, expected)
    collector = VectorCollector(PythonDice(key, late=False), key, num_steps=NUM_STEPS)
    found = [step for _ in range(BATCHES) for step in recorded_rows(collector.collect(actor))]
    return wrong + different(found, rows_of_steps(key, NUM_ENVS, last_lane_first=False))


def not_greedy(seed: int) -> int:
    """Count greedy actions of softmax policies that are not the most probable allowed one."""
    wrong = 0
    for head in HEADS[:3]:
        policy, batch = policy_of(head, seed), batch_of(head, seed)
        outputs = formulas.head_outputs(policy, policy.parameters.astype(np.float64), batch.obs)
        mask = batch.mask.T if head.masked else None
        nothing = np.zeros(batch.reward.size, np.uint64), np.zeros(batch.reward.size, np.int32)
        action = CompiledActor(policy.compiled, greedy=True)(batch.obs.T, mask, *nothing)
        best = np.where(batch.mask, outputs, -np.inf) if batch.mask is not NO_MASK else outputs
        wrong += int((action != best.argmax(axis=0)).sum())
    return wrong


CHECKS: tuple[tuple[str, Callable[[int], int]], ...] = (
    ("rollouts: wrong samples of whole episodes, in 1, 7 and 600 lanes", wrong_episodes),
    ("rollouts: wrong samples of a fixed number of steps", wrong_steps),
    ("rollouts: wrong samples of environments stepped from Python", wrong_from_python),
    ("greedy actions that are not the most probable", not_greedy),
)

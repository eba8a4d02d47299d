"""Act, step, record: a compiled environment in many lanes.

A lane holds one episode in progress. Two ways to fill a batch:
- whole episodes: exactly `episodes` of them are begun, and every one of them is finished. A lane whose episode ends
  takes the next one; when none is left, the last active lane moves into its place. Stopping at the first so many
  *finished* episodes instead would favour short ones.
- a fixed number of steps: lanes carry on from batch to batch, and the batch's end cuts them.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.envs.dynamics import Dynamics, State, mask_into, observe_into, reset, step
from pgrad.kernels.heads import NO_MASK, Policy, env_action, first_actions
from pgrad.kernels.jit import strict
from pgrad.kernels.lanes import column, set_column
from pgrad.kernels.mlp import BLOCK, new_block, normalise_inputs
from pgrad.kernels.random import fold_in
from pgrad.rollouts.actions import choose
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.spaces import Box, Discrete, Space

f4 = np.float32

Array = Any

RESET_KEY, ACTION_KEY, DYNAMICS_KEY = 0, 1, 2


class Lanes(NamedTuple):
    """L episodes in progress, and the run's counters."""

    state: npt.NDArray[np.float64]  # [S, L]
    action_key: npt.NDArray[np.uint64]  # [L]
    dynamics_key: npt.NDArray[np.uint64]  # [L]
    steps: npt.NDArray[np.int32]  # [L] since the episode's start
    episode_return: npt.NDArray[np.float64]  # [L] so far
    trajectory: npt.NDArray[np.int32]  # [L] the trajectory that the lane's samples belong to
    activations: npt.NDArray[np.float32]  # [policy rows, BLOCK] scratch
    counters: npt.NDArray[np.int64]  # episodes begun, environment steps, episodes in the log


class Plan(NamedTuple):
    """How much to collect."""

    episodes: int  # whole episodes a batch; 0 for a fixed number of steps
    num_steps: int  # steps of each lane a batch
    max_episode_steps: int  # the time limit
    run_key: np.uint64  # of the run's random numbers


BEGUN, STEPS, LOGGED = 0, 1, 2


@strict
def begin_episode(env: Dynamics, run_key: Any, lanes: Lanes, lane: int, trajectory: int) -> None:
    """Put the run's next episode into a lane."""
    key = fold_in(run_key, lanes.counters[BEGUN])
    lanes.counters[BEGUN] += 1
    set_column(lanes.state, lane, reset(env, fold_in(key, RESET_KEY)))
    lanes.action_key[lane], lanes.dynamics_key[lane] = fold_in(key, ACTION_KEY), fold_in(key, DYNAMICS_KEY)
    lanes.steps[lane], lanes.episode_return[lane], lanes.trajectory[lane] = 0, 0.0, trajectory


@strict
def move_lane(lanes: Lanes, source: int, target: int) -> None:
    """Copy the episode in lane `source` to lane `target`."""
    for i in range(lanes.state.shape[0]):
        lanes.state[i, target] = lanes.state[i, source]
    lanes.action_key[target], lanes.dynamics_key[target] = lanes.action_key[source], lanes.dynamics_key[source]
    lanes.steps[target], lanes.episode_return[target] = lanes.steps[source], lanes.episode_return[source]
    lanes.trajectory[target] = lanes.trajectory[source]


@strict
def act(env: Dynamics, like: State, policy: Policy, lanes: Lanes, batch: Batch, at: int, active: int) -> None:
    """Observe the active lanes, draw an action for each, and record both from sample `at` on."""
    net, rows = policy.network, lanes.activations
    for start in range(0, active, BLOCK):
        width = min(BLOCK, active - start)
        for n in range(width):
            observe_into(env, column(lanes.state, start + n, like), rows, n)
        if batch.mask.shape[0] > 0:
            for n in range(width):
                mask_into(env, column(lanes.state, start + n, like), batch.mask, at + start + n)
        for i in range(net.sizes[0]):
            source, target = rows[i], batch.obs[i]
            for n in range(width):
                target[at + start + n] = source[n]
        normalise_inputs(net, rows, width)
        keys, steps = lanes.action_key[start:], lanes.steps[start:]
        choose(policy, rows, batch.mask, keys, steps, False, batch.action, at + start, width)


@strict
def step_lanes(
    env: Dynamics, like: State, head: Any, lanes: Lanes, batch: Batch, at: int, active: int, time_limit: int
) -> None:
    """Step the active lanes with the actions recorded from sample `at` on, and record what came of it."""
    state, reward, terminated = lanes.state, batch.reward[at:], batch.terminated[at:]
    for n in range(active):
        key = fold_in(lanes.dynamics_key[n], lanes.steps[n])
        action = env_action(head, batch.action, at + n)
        after, reward[n], terminated[n] = step(env, column(state, n, like), action, key)
        set_column(state, n, after)
    for n in range(active):
        batch.time[at + n], batch.trajectory[at + n] = lanes.steps[n], lanes.trajectory[n]
        lanes.steps[n] += 1
        lanes.episode_return[n] += reward[n]
        batch.truncated[at + n] = lanes.steps[n] >= time_limit and not terminated[n]


@strict
def record_final_obs(env: Dynamics, like: State, lanes: Lanes, lane: int, batch: Batch, b: int, finals: int) -> int:
    """Keep what the lane observes after truncated sample b; returns how many are kept now."""
    observe_into(env, column(lanes.state, lane, like), batch.final_obs, finals)
    batch.final_sample[finals] = b
    return finals + 1


@strict
def log_episode(lanes: Lanes, lane: int, episodes: Episodes) -> None:
    """Append the lane's finished episode to the log."""
    logged = lanes.counters[LOGGED]
    episodes.episode_return[logged] = lanes.episode_return[lane]
    episodes.length[logged] = lanes.steps[lane]
    episodes.total_steps[logged] = lanes.counters[STEPS]
    lanes.counters[LOGGED] += 1


@strict
def begin_batch(env: Dynamics, plan: Plan, lanes: Lanes) -> tuple[int, int]:
    """Begin episodes where the batch needs them; returns how many lanes are active, and the batch's trajectories."""
    active = lanes.steps.size
    num_envs = active
    if plan.episodes > 0:
        active, num_envs = min(active, plan.episodes), plan.episodes
    if plan.episodes > 0 or lanes.counters[BEGUN] == 0:
        for n in range(active):
            begin_episode(env, plan.run_key, lanes, n, n)
    return active, num_envs


@strict
def end_episodes(
    env: Dynamics,
    like: State,
    plan: Plan,
    lanes: Lanes,
    buffer: Batch,
    episodes: Episodes,
    at: int,
    active: int,
    begun: int,
    finals: int,
) -> tuple[int, int, int]:
    """After a step recorded from sample `at` on: log what ended, and put new episodes into its lanes.

    Returns how many lanes are active, how many of the batch's episodes have begun, and how many final observations are
    kept.
    """
    lanes.counters[STEPS] += active
    for n in range(active - 1, -1, -1):
        truncated = buffer.truncated[at + n]
        if not (truncated or buffer.terminated[at + n]):
            continue
        if truncated:
            finals = record_final_obs(env, like, lanes, n, buffer, at + n, finals)
        log_episode(lanes, n, episodes)
        if plan.episodes == 0:
            begin_episode(env, plan.run_key, lanes, n, n)
        elif begun < plan.episodes:
            begin_episode(env, plan.run_key, lanes, n, begun)
            begun += 1
        else:
            active -= 1
            move_lane(lanes, active, n)
    return active, begun, finals


@strict
def cut_lanes(
    env: Dynamics, like: State, plan: Plan, lanes: Lanes, buffer: Batch, samples: int, active: int, finals: int
) -> int:
    """Where a fixed number of steps ends the batch, cut the episodes in progress; returns how many finals are kept."""
    if plan.episodes == 0:
        for n in range(active):
            b = samples - active + n
            if not (buffer.truncated[b] or buffer.terminated[b]):
                buffer.truncated[b] = True
                finals = record_final_obs(env, like, lanes, n, buffer, b, finals)
    return finals


@strict
def rollout(
    env: Dynamics,
    like: State,
    policy: Policy,
    plan: Plan,
    lanes: Lanes,
    buffer: Batch,
    episodes: Episodes,
) -> tuple[Batch, int]:
    """Fill `buffer` by acting with `policy`; returns the filled part and its number of trajectories.

    `like` is any state, for its length. `buffer` has room for a whole batch and `episodes` for the episodes it may end.
    """
    active, num_envs = begin_batch(env, plan, lanes)
    begun, samples, finals, t = active, 0, 0, 0
    while active > 0 and (plan.episodes > 0 or t < plan.num_steps):
        act(env, like, policy, lanes, buffer, samples, active)
        step_lanes(env, like, policy.head, lanes, buffer, samples, active, plan.max_episode_steps)
        at, t = samples, t + 1
        samples += active
        active, begun, finals = end_episodes(env, like, plan, lanes, buffer, episodes, at, active, begun, finals)
    finals = cut_lanes(env, like, plan, lanes, buffer, samples, active, finals)
    return trimmed(buffer, samples, finals), num_envs


@strict
def trimmed(buffer: Batch, samples: int, finals: int) -> Batch:
    """The filled part of a buffer, as views."""
    return Batch(
        buffer.obs,
        first_actions(buffer.action, samples),
        buffer.reward[:samples],
        buffer.terminated[:samples],
        buffer.truncated[:samples],
        buffer.trajectory[:samples],
        buffer.time[:samples],
        buffer.final_obs,
        buffer.final_sample[:finals],
        buffer.mask,
    )


def new_lanes(env: Any, policy: Policy, num_lanes: int) -> Lanes:
    """Lanes with nothing in them yet."""
    state_size = len(env.reset(0))
    return Lanes(
        state=np.zeros((state_size, num_lanes)),
        action_key=np.zeros(num_lanes, np.uint64),
        dynamics_key=np.zeros(num_lanes, np.uint64),
        steps=np.zeros(num_lanes, np.int32),
        episode_return=np.zeros(num_lanes),
        trajectory=np.zeros(num_lanes, np.int32),
        activations=new_block(policy.network, num_lanes),
        counters=np.zeros(3, np.int64),
    )


def room_for(plan: Plan, num_envs: int) -> tuple[int, int]:
    """How many samples, and how many final observations, a batch has at the most."""
    limit = plan.max_episode_steps
    return plan.episodes * limit or num_envs * plan.num_steps, plan.episodes or num_envs * (plan.num_steps // limit + 2)


def new_buffer(obs_size: int, actions: Space, samples: int, finals: int, masked: bool = False) -> Batch:
    """Room for a batch, with a mask of the allowed actions if `masked`."""
    return Batch(
        obs=np.empty((obs_size, samples), f4),
        action=empty_actions(actions, samples),
        reward=np.empty(samples),
        terminated=np.empty(samples, np.bool_),
        truncated=np.empty(samples, np.bool_),
        trajectory=np.empty(samples, np.int32),
        time=np.empty(samples, np.int32),
        final_obs=np.empty((obs_size, finals), f4),
        final_sample=np.empty(finals, np.int64),
        mask=np.ones((num_choices(actions), samples), np.bool_) if masked else NO_MASK,
    )


def empty_actions(actions: Space, samples: int) -> Array:
    """Room for so many actions as they are drawn."""
    if isinstance(actions, Discrete):
        return np.empty(samples, np.int32)
    kind, parts = (f4, actions.flat_size) if isinstance(actions, Box) else (np.int32, len(actions.counts))
    return np.empty((parts, samples), kind)


def num_choices(actions: Space) -> int:
    """Σ counts: how many actions a mask speaks of."""
    return 0 if isinstance(actions, Box) else sum(actions.counts)


def new_episodes(capacity: int) -> Episodes:
    """Room for a log of episodes."""
    return Episodes(np.empty(capacity), np.empty(capacity, np.int32), np.empty(capacity, np.int64))

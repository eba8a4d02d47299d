"""Act, step, record: a compiled environment in many lanes.

A lane holds one episode in progress. Two ways to fill a batch:
- whole episodes: exactly `plan.episodes` of them are begun, and every one of them is finished. A lane whose episode
  ends takes the next one; when none is left, the last active lane moves into its place. Stopping at the first so many
  *finished* episodes instead would favour short ones.
- a fixed number of steps: lanes carry on from batch to batch, and the batch's end cuts them.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.envs.dynamics import Dynamics, State, has_mask, mask_into, observe_into, reset, step
from pgrad.kernels.crew import ALONE, Crew, run_blocks
from pgrad.kernels.heads import NO_MASK, Policy, env_action, first_actions, first_row
from pgrad.kernels.jit import both, inlined, strict
from pgrad.kernels.lanes import read_lane, write_lane
from pgrad.kernels.mlp import BLOCK, forward_block, new_block, normalise_inputs, transpose_weights
from pgrad.kernels.narrow import NARROW, Narrow, forward_narrow, new_narrow
from pgrad.kernels.random import ACTION_KEY, DYNAMICS_KEY, RESET_KEY, fold_in
from pgrad.rollouts.actions import choose_block
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.spaces import Box, Discrete, Space

f4 = np.float32

Array = Any


class Lanes(NamedTuple):
    """L episodes in progress, and the run's counters; the arrays are updated in place."""

    like: State  # any state, for its length
    state: npt.NDArray[np.float64]  # [S, L]
    action_key: npt.NDArray[np.uint64]  # [L]
    dynamics_key: npt.NDArray[np.uint64]  # [L]
    steps: npt.NDArray[np.int32]  # [L] since the episode's start
    episode_return: npt.NDArray[np.float64]  # [L] so far
    trajectory: npt.NDArray[np.int32]  # [L] the trajectory that the lane's samples belong to
    activations: npt.NDArray[np.float32]  # [workers, policy rows, BLOCK] scratch
    narrow: Narrow  # for steps of few lanes
    counters: npt.NDArray[np.int64]  # [3] see below


BEGUN, STEPS, LOGGED = 0, 1, 2  # the run's episodes begun, its environment steps, and the episodes in the log


class Plan(NamedTuple):
    """How much to collect."""

    episodes: int  # whole episodes a batch; 0 for a fixed number of steps
    num_steps: int  # steps of each lane a batch
    max_episode_steps: int  # the time limit
    run_key: np.uint64  # of the run's random numbers


class Simulation(NamedTuple):
    """A compiled environment in lanes, and room for what they record."""

    env: Dynamics
    plan: Plan
    lanes: Lanes
    buffer: Batch  # room for a batch; its `episodes` are the log


class Cursor(NamedTuple):
    """How far a batch is."""

    active: int  # lanes that step
    begun: int  # episodes of this batch
    samples: int  # recorded
    finals: int  # final observations recorded
    logged: int  # episodes that were in the log when the batch began


@strict
def begin_episode(env: Dynamics, run_key: Any, lanes: Lanes, lane: int, trajectory: int) -> None:
    """Put the run's next episode into a lane."""
    key = fold_in(run_key, lanes.counters[BEGUN])
    lanes.counters[BEGUN] += 1
    write_lane(lanes.state, lane, reset(env, fold_in(key, RESET_KEY)))
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


@inlined
def act_and_step(
    env: Dynamics,
    policy: Policy,
    lanes: Lanes,
    batch: Batch,
    rows: Array,
    cursor: Cursor,
    start: int,
    count: int,
) -> None:
    """Observe `count` active lanes from `start` on, draw an action for each, step their states, and record all that."""
    net, like, at = policy.network, lanes.like, cursor.samples + start
    for n in range(count):
        observe_into(env, read_lane(lanes.state, start + n, like), rows, n)
    if batch.mask.shape[0] > 0:
        for n in range(count):
            mask_into(env, read_lane(lanes.state, start + n, like), batch.mask, at + n)
    for i in range(net.sizes[0]):
        source, target = rows[i], batch.obs[i]
        for n in range(count):
            target[at + n] = source[n]
    normalise_inputs(net, rows, count)
    keys, steps = lanes.action_key[start:], lanes.steps[start:]
    if cursor.active < NARROW:
        forward_narrow(net, lanes.narrow, rows, count)
    else:
        forward_block(net, rows, False, count)
    outputs = rows[first_row(policy.head, net) :]
    choose_block(policy.head, outputs, batch.mask, keys, steps, False, batch.action, at, count)
    step_states(env, policy.head, lanes, batch.action, batch.reward, batch.terminated, at, start, count)


@strict
def act_and_step_block(
    env: Dynamics,
    policy: Policy,
    lanes: Lanes,
    batch: Batch,
    cursor: Cursor,
    width: int,
    worker: int,
    block: int,
) -> None:
    """Act and step in a block of `width` lanes, see `act_and_step`: a worker's part of a step."""
    start = block * width
    rows, count = lanes.activations[worker], min(width, cursor.active - start)
    act_and_step(env, policy, lanes, batch, rows, cursor, start, count)


@strict
def observe_lanes(env: Dynamics, lanes: Lanes, batch: Batch, cursor: Cursor) -> None:
    """Record what the active lanes observe and which actions they allow, for an actor that is not compiled."""
    for n in range(cursor.active):
        observe_into(env, read_lane(lanes.state, n, lanes.like), batch.obs, cursor.samples + n)
    if batch.mask.shape[0] > 0:
        for n in range(cursor.active):
            mask_into(env, read_lane(lanes.state, n, lanes.like), batch.mask, cursor.samples + n)


@strict
def step_states(
    env: Dynamics,
    head: Any,
    lanes: Lanes,
    action: Array,
    reward: Array,
    terminated: Array,
    at: int,
    start: int,
    count: int,
) -> None:
    """Step the states of `count` lanes from `start` on, with the actions from `at` on; fill reward, terminated.

    A function of its own, since LLVM vectorises long dynamics only there.
    """
    like, state = lanes.like, lanes.state
    for n in range(count):
        key = fold_in(lanes.dynamics_key[start + n], lanes.steps[start + n])
        taken = env_action(head, action, at + n)
        after, reward[at + n], terminated[at + n] = step(env, read_lane(state, start + n, like), taken, key)
        write_lane(state, start + n, after)


@inlined
def count_step(env: Dynamics, plan: Plan, lanes: Lanes, batch: Batch, cursor: Cursor) -> Cursor:
    """Record what else there is to a step of the active lanes, and begin episodes where any ended."""
    at, active, time_limit = cursor.samples, cursor.active, plan.max_episode_steps
    for n in range(active):
        batch.time[at + n], batch.trajectory[at + n] = lanes.steps[n], lanes.trajectory[n]
        lanes.steps[n] += 1
        lanes.episode_return[n] += batch.reward[at + n]
        batch.truncated[at + n] = lanes.steps[n] >= time_limit and not batch.terminated[at + n]
    lanes.counters[STEPS] += active
    return end_episodes(env, plan, lanes, batch, cursor)


@strict
def step_and_observe(env: Dynamics, head: Any, plan: Plan, lanes: Lanes, batch: Batch, cursor: Cursor) -> Cursor:
    """Step the active lanes and, unless the batch is full, record what they observe next.

    One call a step from Python: passing the records takes as long as the step.
    """
    action, reward, terminated = batch.action, batch.reward, batch.terminated
    step_states(env, head, lanes, action, reward, terminated, cursor.samples, 0, cursor.active)
    after = count_step(env, plan, lanes, batch, cursor)
    if after.samples < batch.reward.size:
        observe_lanes(env, lanes, batch, after)
    return after


@inlined
def end_episodes(env: Dynamics, plan: Plan, lanes: Lanes, batch: Batch, cursor: Cursor) -> Cursor:
    """Log the episodes that ended in the step just recorded, and put new ones into their lanes."""
    at, active, begun, finals = cursor.samples, cursor.active, cursor.begun, cursor.finals
    for n in range(cursor.active - 1, -1, -1):
        truncated = batch.truncated[at + n]
        if not (truncated or batch.terminated[at + n]):
            continue
        if truncated:
            finals = record_final_obs(env, lanes, n, batch, at + n, finals)
        log_episode(lanes, n, batch.episodes)
        if plan.episodes == 0:
            begin_episode(env, plan.run_key, lanes, n, n)
        elif begun < plan.episodes:
            begin_episode(env, plan.run_key, lanes, n, begun)
            begun += 1
        else:
            active -= 1
            move_lane(lanes, active, n)
    return Cursor(active, begun, at + cursor.active, finals, cursor.logged)


@strict
def record_final_obs(env: Dynamics, lanes: Lanes, lane: int, batch: Batch, sample: int, finals: int) -> int:
    """Record what the lane observes after a truncated sample; return how many are recorded now."""
    observe_into(env, read_lane(lanes.state, lane, lanes.like), batch.final_obs, finals)
    batch.final_sample[finals] = sample
    return finals + 1


@strict
def log_episode(lanes: Lanes, lane: int, log: Episodes) -> None:
    """Append the lane's finished episode to the log."""
    logged = lanes.counters[LOGGED]
    log.episode_return[logged] = lanes.episode_return[lane]
    log.length[logged] = lanes.steps[lane]
    log.total_steps[logged] = lanes.counters[STEPS]
    lanes.counters[LOGGED] += 1


@strict
def begin_batch(env: Dynamics, plan: Plan, lanes: Lanes) -> Cursor:
    """Begin episodes where the batch needs them."""
    active = min(lanes.steps.size, plan.episodes) if plan.episodes > 0 else lanes.steps.size
    if plan.episodes > 0 or lanes.counters[BEGUN] == 0:
        for n in range(active):
            begin_episode(env, plan.run_key, lanes, n, n)
    return Cursor(active, active, 0, 0, lanes.counters[LOGGED])


@strict
def finish_batch(env: Dynamics, plan: Plan, lanes: Lanes, buffer: Batch, cursor: Cursor) -> Batch:
    """Cut the episodes in progress if a fixed number of steps ends the batch; return the filled part of the buffer."""
    samples, finals = cursor.samples, cursor.finals
    if plan.episodes == 0:
        for n in range(cursor.active):
            b = samples - cursor.active + n
            if not (buffer.truncated[b] or buffer.terminated[b]):
                buffer.truncated[b] = True
                finals = record_final_obs(env, lanes, n, buffer, b, finals)
    log, first, end = buffer.episodes, cursor.logged, lanes.counters[LOGGED]
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
        plan.episodes if plan.episodes > 0 else lanes.steps.size,
        buffer.mask,
        lanes.counters[STEPS],
        Episodes(log.episode_return[first:end], log.length[first:end], log.total_steps[first:end]),
        buffer.crew,
    )


@both
def share_of(active: int, workers: int) -> int:
    """Return how many lanes a block has: at most BLOCK, and few enough for each worker to have one.

    A multiple of 64, so that a lane has the same place in its block's vectors however many workers there are.
    """
    return min(BLOCK, (active + 64 * workers - 1) // (64 * workers) * 64)


@inlined
def simulate(simulation: Simulation, policy: Policy) -> Batch:
    """Act and step until the batch is full; return it as views of the buffer, which the next batch overwrites."""
    env, plan, lanes, buffer = simulation.env, simulation.plan, simulation.lanes, simulation.buffer
    crew, rows = buffer.crew, lanes.activations[0]
    transpose_weights(policy.network, lanes.narrow.transposed)
    cursor, t = begin_batch(env, plan, lanes), 0
    while cursor.active > 0 and (plan.episodes > 0 or t < plan.num_steps):
        width = share_of(cursor.active, crew.workers)
        if cursor.active <= width:  # passing the records of a call takes as long as stepping a few lanes
            act_and_step(env, policy, lanes, buffer, rows, cursor, 0, cursor.active)
        else:
            arguments = (env, policy, lanes, buffer, cursor, width)
            run_blocks(crew, act_and_step_block, arguments, (cursor.active + width - 1) // width)
        cursor = count_step(env, plan, lanes, buffer, cursor)
        t += 1
    return finish_batch(env, plan, lanes, buffer, cursor)


def new_simulation(
    env: Dynamics, policy: Policy, plan: Plan, num_lanes: int, log_room: int = 0, crew: Crew = ALONE
) -> Simulation:
    """Make a simulation in which nothing has begun; its log has room for a batch's episodes and `log_room` more."""
    limit, space = plan.max_episode_steps, env.action_space
    samples = plan.episodes * limit or num_lanes * plan.num_steps
    finals = plan.episodes or samples  # far more than are cut, but memory that nothing touches costs nothing
    obs_size, masked = env.observation_space.flat_size, has_mask(env)
    like = env.reset(0)
    lanes = Lanes(
        like=like,
        state=np.zeros((len(like), num_lanes)),
        action_key=np.zeros(num_lanes, np.uint64),
        dynamics_key=np.zeros(num_lanes, np.uint64),
        steps=np.zeros(num_lanes, np.int32),
        episode_return=np.zeros(num_lanes),
        trajectory=np.zeros(num_lanes, np.int32),
        activations=np.stack([new_block(policy.network, num_lanes) for _ in range(crew.workers)]),
        narrow=new_narrow(policy.network),
        counters=np.zeros(3, np.int64),
    )
    buffer = Batch(
        obs=np.empty((obs_size, samples), f4),
        action=empty_actions(space, samples),
        reward=np.empty(samples),
        terminated=np.empty(samples, np.bool_),
        truncated=np.empty(samples, np.bool_),
        trajectory=np.empty(samples, np.int32),
        time=np.empty(samples, np.int32),
        final_obs=np.empty((obs_size, finals), f4),
        final_sample=np.empty(finals, np.int64),
        num_trajectories=0,
        mask=np.ones((num_choices(space), samples), np.bool_) if masked else NO_MASK,
        episodes=new_episodes(samples + log_room),
        crew=crew,
    )
    return Simulation(env, plan, lanes, buffer)


def empty_actions(actions: Space, samples: int) -> Array:
    """Make room for so many drawn actions."""
    if isinstance(actions, Discrete):
        return np.empty(samples, np.int32)
    kind, parts = (f4, actions.flat_size) if isinstance(actions, Box) else (np.int32, len(actions.counts))
    return np.empty((parts, samples), kind)


def num_choices(actions: Space) -> int:
    """Return Σ counts, the rows of a mask."""
    return 0 if isinstance(actions, Box) else sum(actions.counts)


def new_episodes(capacity: int) -> Episodes:
    """Make room for a log of episodes."""
    return Episodes(np.empty(capacity), np.empty(capacity, np.int32), np.empty(capacity, np.int64))

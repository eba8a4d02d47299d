"""Act, step, record: a compiled environment in lanes, for an actor that is not compiled.

The same episodes with the same random numbers as rollouts.compiled, whose functions these are: an actor that chooses
the same actions leaves the same batch.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.envs.dynamics import Dynamics, State, mask_into, observe_into
from pgrad.envs.make import Env
from pgrad.errors import EnvError
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import face_for, strict
from pgrad.kernels.lanes import column
from pgrad.kernels.mlp import network
from pgrad.rollouts.batch import Batch, Episodes
from pgrad.rollouts.compiled import (
    LOGGED,
    STEPS,
    Lanes,
    Plan,
    begin_batch,
    cut_lanes,
    end_episodes,
    new_buffer,
    new_episodes,
    new_lanes,
    room_for,
    step_lanes,
    trimmed,
)
from pgrad.rollouts.user_env_guard import Guard
from pgrad.watchdog import Watchdog

Array = Any
Actor = Callable[[Array, Array | None, Array, Array], Array]  # as rollouts.acting.CompiledActor is called


@strict
def begin(env: Dynamics, plan: Plan, lanes: Lanes) -> tuple[int, int]:
    """Begin a batch; see compiled.begin_batch."""
    lanes.counters[LOGGED] = 0
    return begin_batch(env, plan, lanes)


@strict
def observe_lanes(env: Dynamics, like: State, lanes: Lanes, batch: Batch, at: int, active: int) -> None:
    """Record what the active lanes observe, and what they allow, from sample `at` on."""
    for n in range(active):
        observe_into(env, column(lanes.state, n, like), batch.obs, at + n)
    if batch.mask.shape[0] > 0:
        for n in range(active):
            mask_into(env, column(lanes.state, n, like), batch.mask, at + n)


@strict
def advance(
    env: Dynamics,
    like: State,
    head: Any,
    plan: Plan,
    lanes: Lanes,
    buffer: Batch,
    episodes: Episodes,
    at: int,
    active: int,
    begun: int,
    finals: int,
) -> tuple[int, int, int]:
    """Step the active lanes with the actions recorded from sample `at` on; see compiled.end_episodes."""
    step_lanes(env, like, head, lanes, buffer, at, active, plan.max_episode_steps)
    return end_episodes(env, like, plan, lanes, buffer, episodes, at, active, begun, finals)


@strict
def finish(
    env: Dynamics, like: State, plan: Plan, lanes: Lanes, buffer: Batch, samples: int, active: int, finals: int
) -> Batch:
    """The batch, its episodes in progress cut."""
    return trimmed(buffer, samples, cut_lanes(env, like, plan, lanes, buffer, samples, active, finals))


class SteppedLanes:
    """A compiled environment, one vector step a call; remembers where each lane is."""

    def __init__(
        self, env: Env, head: Any, plan: Plan, num_envs: int, seed: int | None = None, watchdog: Watchdog | None = None
    ) -> None:
        """`seed` is for messages; `watchdog` lets another thread notice that a user's environment hangs."""
        if env.dynamics is None:
            raise EnvError(f"'{env.id}' has no compiled form")
        self.env, self.head, self.plan, self.dynamics = env, head, plan, env.dynamics
        samples, finals = room_for(plan, num_envs)
        no_network = network(np.zeros(2, np.float32), (1, 1), "tanh")
        self.lanes = new_lanes(self.dynamics, Policy(no_network, head), num_envs)
        self.buffer = new_buffer(env.obs_size, env.actions, samples, finals, env.has_mask)
        self.log = new_episodes(samples)
        self.like = self.dynamics.reset(0)
        self.guard = Guard(env, self.lanes, int(plan.run_key), seed, watchdog)

    @property
    def note(self) -> str | None:
        """One line for the user, if something is suspicious."""
        return self.guard.note

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""
        return int(self.lanes.counters[STEPS])

    def close(self) -> None:
        """Nothing to release."""

    def rollout(self, actor: Actor, stopping: threading.Event | None = None) -> tuple[Batch, int, Episodes] | None:
        """A batch, its number of trajectories, and the episodes that ended; None if `stopping` was set meanwhile."""
        env, like, plan, lanes, buffer = self.dynamics, self.like, self.plan, self.lanes, self.buffer
        guarded = self.guard.guarded
        observe, step = guarded(face_for(observe_lanes, env)), guarded(face_for(advance, env))
        active, num_envs = guarded(face_for(begin, env))(env, plan, lanes)
        begun, samples, finals, t = active, 0, 0, 0
        while active > 0 and (plan.episodes > 0 or t < plan.num_steps):
            if stopping is not None and stopping.is_set():
                return None
            observe(env, like, lanes, buffer, samples, active)
            after = samples + active
            obs = np.ascontiguousarray(buffer.obs[:, samples:after].T)
            mask = np.ascontiguousarray(buffer.mask[:, samples:after].T) if self.env.has_mask else None
            drawn = actor(obs, mask, lanes.action_key[:active], lanes.steps[:active])
            buffer.action[..., samples:after] = drawn
            active, begun, finals = step(
                env, like, self.head, plan, lanes, buffer, self.log, samples, active, begun, finals
            )
            samples, t = after, t + 1
        batch = guarded(face_for(finish, env))(env, like, plan, lanes, buffer, samples, active, finals)
        self.guard.look(buffer.obs[:, :samples], buffer.mask[:, :samples])
        logged = int(lanes.counters[LOGGED])
        episodes = Episodes(*(_copied(column_, logged) for column_ in self.log))
        return batch, num_envs, episodes


def _copied(values: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    return values[:count].copy()

"""Act, step, record: a compiled environment in lanes, for an actor that is not compiled.

The same episodes with the same random numbers as rollouts.compiled, whose functions these are: an actor that chooses
the same actions leaves the same batch.
"""

from typing import Any

import numpy as np

from pgrad.arrays import Arrays, copies, put_back
from pgrad.envs.make import Env
from pgrad.errors import EnvError
from pgrad.kernels.heads import Policy
from pgrad.kernels.jit import face_for
from pgrad.kernels.mlp import network
from pgrad.rollouts.batch import Batch, copied
from pgrad.rollouts.compiled import (
    LOGGED,
    STEPS,
    Lanes,
    Plan,
    begin_batch,
    finish_batch,
    new_simulation,
    observe_lanes,
    step_and_observe,
)
from pgrad.rollouts.user_env_guard import Guard
from pgrad.rollouts.vectorized import Actor
from pgrad.watchdog import Watchdog

# What lanes remember from one batch to the next; all else is filled before it is read.
REMEMBERED = ("state", "action_key", "dynamics_key", "steps", "episode_return", "trajectory", "counters")


def lane_arrays(lanes: Lanes) -> Arrays:
    """Return the arrays of the episodes in progress, which stepping updates in place."""
    return {name: getattr(lanes, name) for name in REMEMBERED}


class LaneCollector:
    """Collects batches from a compiled environment, one vector step a call."""

    restarted = 0  # environments: here none fails

    def __init__(
        self,
        env: Env,
        head: Any,
        plan: Plan,
        num_envs: int,
        seed: int | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        """`seed` is for messages; `watchdog` lets another thread notice that a user's environment hangs."""
        if env.dynamics is None:
            raise EnvError(f"'{env.id}' has no compiled form")
        self.env, self.head = env, head
        no_network = network(np.zeros(2, np.float32), (1, 1), "tanh")
        self.simulation = new_simulation(env.dynamics, Policy(no_network, head), plan, num_envs)
        self.guard = Guard(env, self.simulation.lanes, int(plan.run_key), seed, watchdog)
        functions = (begin_batch, observe_lanes, step_and_observe, finish_batch)
        self.begin, self.observe, self.step, self.finish = (
            self.guard.guarded(face_for(function, env.dynamics)) for function in functions
        )

    @property
    def note(self) -> str | None:
        """One line for the user, if something is suspicious."""
        return self.guard.note

    @property
    def episodes(self) -> int:
        """Whole episodes a batch, or 0."""
        return self.simulation.plan.episodes

    @property
    def total_steps(self) -> int:
        """Environment steps so far."""
        return int(self.simulation.lanes.counters[STEPS])

    def collect(self, actor: Actor) -> Batch:
        """Return a batch."""
        env, plan, lanes, buffer = self.simulation
        lanes.counters[LOGGED] = 0
        cursor, t = self.begin(env, plan, lanes), 0
        self.observe(env, lanes, buffer, cursor)
        while cursor.active > 0 and (plan.episodes > 0 or t < plan.num_steps):
            own = slice(cursor.samples, cursor.samples + cursor.active)
            obs = np.ascontiguousarray(buffer.obs[:, own].T)
            mask = np.ascontiguousarray(buffer.mask[:, own].T) if self.env.has_mask else None
            keys, steps = lanes.action_key[: cursor.active], lanes.steps[: cursor.active]
            buffer.action[..., own] = actor(obs, mask, keys, steps)
            cursor = self.step(env, self.head, plan, lanes, buffer, cursor)
            t += 1
        batch: Batch = self.finish(env, plan, lanes, buffer, cursor)
        self.guard.look(batch.obs[:, : cursor.samples], batch.mask[:, : cursor.samples])
        return batch._replace(episodes=copied(batch.episodes))  # the next batch overwrites the log

    def state(self) -> Arrays:
        """Copy the episodes in progress, wholly."""
        return copies(lane_arrays(self.simulation.lanes))

    def go_on(self, arrays: Arrays) -> None:
        """Take on another collector's episodes."""
        put_back(arrays, lane_arrays(self.simulation.lanes))

    def close(self) -> None:
        """Release nothing: the lanes are arrays."""

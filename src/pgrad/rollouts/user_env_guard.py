"""What a compiled environment of the user's does wrong while it trains: it raises, hangs, or leaves its spaces.

Compiled code looks at nothing itself. pgrad's own environments are held to Gymnasium's by tests, and not watched.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pgrad.envs.dynamics import mask, observe
from pgrad.envs.make import Env
from pgrad.errors import EnvError
from pgrad.kernels.fingerprint import foreign_types
from pgrad.kernels.jit import COMPILE_ERRORS
from pgrad.kernels.random import RESET_KEY, fold_in
from pgrad.rollouts.compiled import BEGUN, STEPS, Lanes
from pgrad.spaces import Box, Discrete
from pgrad.user_code import own_traceback
from pgrad.watchdog import Watchdog

COMPILING_SECONDS = 120.0  # how long a first call may take before its first step
TRIED = 64  # actions, when looking for the one that raises
TOLERANCE = 1e-5  # relative, of bounds: observations have been through float32


class Guard:
    """Watches one seed's lanes."""

    def __init__(
        self, env: Env, lanes: Lanes, run_key: int, seed: int | None = None, watchdog: Watchdog | None = None
    ) -> None:
        self.env, self.lanes, self.run_key, self.seed = env, lanes, run_key, seed
        self.watchdog = watchdog if watchdog is not None else Watchdog()
        self.watches = bool(foreign_types(env.dynamics))
        self.note: str | None = None  # a line for the user
        self.called: set[int] = set()  # the faces that have been, by identity: no later call compiles them

    def guarded(self, face: Callable[..., Any]) -> Callable[..., Any]:
        """Return the compiled function, watched: what the environment raises is an EnvError, and a hang is noticed."""
        if not self.watches:
            return face

        def call(*arguments: Any) -> Any:
            began, before = self.watchdog.clock(), int(self.lanes.counters[STEPS])
            patience = 0.0 if id(face) in self.called else COMPILING_SECONDS

            def pulse() -> object:
                steps, now = int(self.lanes.counters[STEPS]), self.watchdog.clock()
                return now if steps == before and now - began < patience else steps

            try:
                with self.watchdog.call(f"step() of '{self.env.id}'", lambda _: self._where(), pulse):
                    result = face(*arguments)
                self.called.add(id(face))
                return result
            except COMPILE_ERRORS as error:
                from pgrad.env_check.compiled import why_not_compiled

                why = "\n".join(map(str, why_not_compiled(self.env.dynamics, error)))
                raise EnvError(f"'{self.env.id}' cannot be compiled:\n{why}") from error
            except Exception as error:
                what = f"{type(error).__name__}: {error}".rstrip(": ")
                told = f"'{self.env.id}' raised {what} ({self._where()})"
                raise EnvError("\n\n".join(filter(None, (told, self._replayed())))) from error

        return call

    def look(self, obs: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_]) -> None:
        """Look at what was observed [O, B] and allowed [A, B] (A is 0 where all is); once mention what leaves a Box.

        Raises EnvError for what cannot be trained on: a number that is none of a Discrete space, no action allowed.
        """
        if not self.watches:
            return
        assert self.env.dynamics is not None, "it is compiled"
        space = self.env.dynamics.observation_space
        if isinstance(space, Box):
            self._look_at_bounds(obs, space)
        elif not all((part.sum(axis=0) == 1).all() for part in np.split(obs, np.cumsum(space.counts)[:-1])):
            raise EnvError(
                f"'{self.env.id}' gave an observation outside its space {space} ({self._where()}): "
                "`pgrad check-env` shows where"
            )
        if allowed.size and not allowed.any(axis=0).all():
            raise EnvError(
                f"'{self.env.id}' forbids every action in a state ({self._where()}): allow one in every state, or end "
                "the episode before"
            )

    def _look_at_bounds(self, obs: npt.NDArray[np.float32], space: Box) -> None:
        if self.note is not None:
            return
        low, high = np.array(space.low)[:, None], np.array(space.high)[:, None]
        outside = (obs < low - TOLERANCE * np.abs(low)) | (obs > high + TOLERANCE * np.abs(high))
        if outside.any():
            d = int(outside.any(axis=1).argmax())
            bounds = f"[{space.low[d]:g}, {space.high[d]:g}]"
            self.note = f"{self.env.id}: observation[{d}] leaves its space {bounds}; `pgrad check-env` shows where"

    def _where(self) -> str:
        seed = "" if self.seed is None else f"seed {self.seed}, "
        return f"{seed}step {int(self.lanes.counters[STEPS]):,} of the run"

    def _replayed(self) -> str | None:
        """Return the traceback that plain Python gives in one of the present states, if it raises there."""
        for name, call in self._calls():
            try:
                call()
            except Exception as error:
                return f"uncompiled, {name}:\n{own_traceback(error)}"
        return None

    def _calls(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Yield the last reset, and for every lane its observation, its mask, and its step with various actions."""
        from pgrad.env_check.interpreted import random_action, shown

        env, lanes = self.env.dynamics, self.lanes
        assert env is not None, "it is compiled"
        key = fold_in(fold_in(self.run_key, int(lanes.counters[BEGUN]) - 1), RESET_KEY)
        yield "in reset", lambda: env.reset(key)
        space = env.action_space
        random = (random_action(space, k) for k in range(TRIED))
        actions = range(space.n) if isinstance(space, Discrete) and space.n <= TRIED else list(random)
        for n in range(lanes.steps.size):
            state = tuple(lanes.state[:, n].tolist())
            step_key = fold_in(int(lanes.dynamics_key[n]), int(lanes.steps[n]))
            where = f"at step {lanes.steps[n] + 1} of an episode, in state {shown(state)}"
            yield where, lambda state=state: (observe(env, state), mask(env, state))  # type: ignore[misc]
            for action in actions:
                yield (
                    f"{where}, action {shown(action)}",
                    lambda state=state, action=action, key=step_key: env.step(state, action, key),  # type: ignore[misc]
                )

"""The Gymnasium face of an environment written as `dynamics`: gymnasium.make, wrappers, check_env, other libraries.

The only module of this room that imports Gymnasium when it is imported. A file of one's own may end with
`register(MyEnv, "MyEnv-v0")`; then `gymnasium.make("my_env:MyEnv-v0")` needs nothing else.
"""

import functools
import hashlib
import re
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec

from pgrad import spaces
from pgrad.envs.contract import class_problems, dynamics_problems, told
from pgrad.envs.dynamics import Dynamics, has_mask, mask, observe, reset, step
from pgrad.envs.reference import load, parse
from pgrad.envs.robot_arm import RobotArm
from pgrad.errors import EnvError
from pgrad.kernels.random import fold_in

RESET_KEY, DYNAMICS_KEY = 0, 2  # as in rollouts.compiled
DEFAULT_FPS = 30

Array = npt.NDArray[Any]


class GymnasiumAdapter(gymnasium.Env[Any, Any]):
    """Dynamics as a gymnasium.Env. The time limit is Gymnasium's TimeLimit, put around it by `gymnasium.make`."""

    def __init__(self, dynamics: Dynamics, render_mode: str | None = None, **parameters: Any) -> None:
        """dynamics: with `parameters` in place of its own; render_mode: where it has `render(self, state)`."""
        self.dynamics = replaced(dynamics, parameters)
        self.observation_space = gymnasium_space(self.dynamics.observation_space)
        self.action_space = gymnasium_space(self.dynamics.action_space)
        self.metadata = {
            "render_modes": ["rgb_array", "human"] if hasattr(self.dynamics, "render") else [],
            "render_fps": getattr(self.dynamics, "render_fps", DEFAULT_FPS),
        }
        if render_mode not in (None, *self.metadata["render_modes"]):
            known = self.metadata["render_modes"] or f"none: {type(dynamics).__name__} has no render(self, state)"
            raise EnvError(f"unknown render_mode {render_mode!r}; there is {known}")
        self.render_mode = render_mode
        self.state: tuple[float, ...] | None = None
        self._key = self._steps = 0
        self._window: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A start state, drawn from Gymnasium's generator; options are ignored."""
        super().reset(seed=seed)
        self._key, self._steps = int(self.np_random.integers(0, 2**64, dtype=np.uint64)), 0
        self.state = as_floats(reset(self.dynamics, fold_in(self._key, RESET_KEY)))
        if self.render_mode == "human":
            self._show()
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step; never truncated here."""
        if self.state is None:
            raise EnvError("step was called before reset")
        key = fold_in(fold_in(self._key, DYNAMICS_KEY), self._steps)
        self._steps += 1
        state, reward, terminated = step(self.dynamics, self.state, plain_action(self.dynamics, action), key)
        self.state = as_floats(state)
        if self.render_mode == "human":
            self._show()
        return self._observation(), float(reward), bool(terminated), False, self._info()

    def render(self) -> Any:
        """The picture as uint8 [H, W, 3] where render_mode is rgb_array; a window is kept up to date by itself."""
        return self._picture() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            import pygame

            pygame.quit()
            self._window = None

    def _observation(self) -> Any:
        return gymnasium_observation(self.dynamics.observation_space, observe(self.dynamics, self._begun()))

    def _info(self) -> dict[str, Any]:
        if not has_mask(self.dynamics):
            return {}
        return {"action_mask": np.array(mask(self.dynamics, self._begun()), np.int8)}

    def _begun(self) -> tuple[float, ...]:
        if self.state is None:
            raise EnvError("render was called before reset")
        return self.state

    def _picture(self) -> Array:
        picture = np.asarray(self.dynamics.render(self._begun()))  # type: ignore[attr-defined]
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise EnvError(f"render returned {picture.dtype} {list(picture.shape)}; it must be uint8 [H, W, 3]")
        return picture

    def _show(self) -> None:
        try:
            import pygame
        except ImportError as error:
            raise EnvError("render_mode 'human' needs pygame: pip install pygame") from error
        picture = self._picture()
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
            pygame.display.set_caption(type(self.dynamics).__name__)
        self._window.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        pygame.time.Clock().tick(self.metadata["render_fps"])


def as_floats(state: Any) -> tuple[float, ...]:
    """A state as compiled code keeps it."""
    return tuple(float(number) for number in state)


def replaced(dynamics: Any, parameters: dict[str, Any]) -> Dynamics:
    """The dynamics with some parameters changed."""
    if unknown := [name for name in parameters if name not in dynamics._fields]:
        known = ", ".join(dynamics._fields) or "none"
        raise EnvError(f"{type(dynamics).__name__} has no parameter '{unknown[0]}'; it has {known}")
    return dynamics._replace(**parameters)  # type: ignore[no-any-return]


def gymnasium_space(space: spaces.Space) -> "gymnasium.Space[Any]":
    """The same space as Gymnasium has it; real numbers are float32."""
    if isinstance(space, spaces.Discrete):
        return gymnasium.spaces.Discrete(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(list(space.counts))
    return gymnasium.spaces.Box(np.array(space.low, np.float32), np.array(space.high, np.float32), dtype=np.float32)


def gymnasium_observation(space: spaces.Space, obs: Any) -> Any:
    """An observation as an element of Gymnasium's space."""
    if isinstance(space, spaces.Discrete):
        return np.int64(obs[0])
    return np.array(obs, np.int64 if isinstance(space, spaces.MultiDiscrete) else np.float32)


def plain_action(dynamics: Dynamics, action: Any) -> Any:
    """A Gymnasium action as `step` takes it; raises EnvError where it is outside the action space."""
    space, numbers = dynamics.action_space, np.asarray(action).reshape(-1)
    if not accepts(space, numbers):
        raise EnvError(f"action {action!r} is not in {type(dynamics).__name__}'s action space, {space}")
    if isinstance(space, spaces.Discrete):
        return int(numbers[0])
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(number) for number in numbers)
    # A bound like 0.1 is a little larger in float32 than the dynamics' own.
    bounds = zip(numbers, space.low, space.high, strict=True)
    return tuple(min(max(float(number), low), high) for number, low, high in bounds)


def accepts(space: spaces.Space, numbers: Array) -> bool:
    """Whether these numbers are an element of the space, real ones to the precision of float32."""
    if isinstance(space, spaces.Box):
        rounded = numbers.astype(np.float32) if numbers.dtype.kind in "iuf" else np.array([])
        bounds = np.array([space.low, space.high], np.float32)
        return rounded.size == space.flat_size and bool(((bounds[0] <= rounded) & (rounded <= bounds[1])).all())
    whole = numbers.size == len(space.counts) and numbers.dtype.kind in "iub"
    return whole and all(0 <= number < count for number, count in zip(numbers, space.counts, strict=True))


# --- registering


def register(dynamics: Any, env_id: str) -> str:
    """Let `gymnasium.make(env_id)` make it. dynamics: a NamedTuple class, with its defaults, or an instance of one.

    Keyword arguments of `gymnasium.make` change parameters. Returns the id.
    """
    made = instance(dynamics)
    known = gymnasium.registry.get(env_id)
    if known is not None:
        if not is_ours(known):
            raise EnvError(f"'{env_id}' is taken by another environment, {known.entry_point}: choose another id")
        del gymnasium.registry[env_id]
    try:
        gymnasium.register(env_id, functools.partial(GymnasiumAdapter, made), max_episode_steps=made.max_episode_steps)
    except gymnasium.error.Error as error:
        raise EnvError(f"'{env_id}' cannot be an id: {error}") from error
    return env_id


def instance(dynamics: Any) -> Dynamics:
    """The dynamics, or a class of them with its defaults; raises EnvError with all that is wrong."""
    name = getattr(dynamics, "__name__", type(dynamics).__name__)
    if isinstance(dynamics, type):
        if problems := class_problems(dynamics):
            raise EnvError(told(name, problems))
        dynamics = dynamics()
    if problems := dynamics_problems(dynamics):
        raise EnvError(told(name, problems))
    return dynamics  # type: ignore[no-any-return]


def is_ours(spec: EnvSpec) -> bool:
    """Whether `register` has put it there."""
    return isinstance(spec.entry_point, functools.partial) and spec.entry_point.func is GymnasiumAdapter


def gymnasium_id(reference: str) -> str:
    """Load what is at `file.py:Name` or `module:Name` and register it, as `file/Name-v0`; returns that id.

    Where a namesake in another folder has the id in this process, a part of the path's hash is in it too.
    """
    made, source = load(reference), parse(reference)
    place = str(source.file.resolve()) if source.file else source.module
    name = source.name or type(made).__name__
    stem = slug(source.file.stem if source.file else source.module)
    env_id = f"{stem}/{slug(name)}-v0"
    if OWNERS.setdefault(env_id, place) != place:
        env_id = f"{stem}-{hashlib.sha256(place.encode()).hexdigest()[:6]}/{slug(name)}-v0"
    if isinstance(made, tuple):
        return register(made, env_id)
    gymnasium.registry.pop(env_id, None)
    gymnasium.register(env_id, made)  # type: ignore[arg-type]
    return env_id


OWNERS: dict[str, str] = {}  # the file that each id of `gymnasium_id` stands for


register(RobotArm, "RobotArm-v0")


def slug(text: str) -> str:
    """The text with whatever an id cannot hold made a dash."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "env"

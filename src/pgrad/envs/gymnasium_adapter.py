"""Adapt dynamics to gymnasium.Env, for gymnasium.make, wrappers, check_env and other libraries.

This is the only module of this room that imports Gymnasium at import. A user's file may end with
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
from pgrad.envs.contract import require_dynamics
from pgrad.envs.dynamics import Dynamics, has_mask, mask, observe, reset, step
from pgrad.envs.reference import load, parse
from pgrad.envs.robot_arm import RobotArm
from pgrad.errors import EnvError
from pgrad.kernels.random import DYNAMICS_KEY, RESET_KEY, fold_in

DEFAULT_FPS = 30

Array = npt.NDArray[Any]


class GymnasiumAdapter(gymnasium.Env[Any, Any]):
    """Dynamics as a gymnasium.Env. `gymnasium.make` adds the time limit, as Gymnasium's TimeLimit."""

    def __init__(self, dynamics: Dynamics, render_mode: str | None = None, **parameters: Any) -> None:
        """Adapt dynamics, with `parameters` in place of its own; a render_mode needs `render(self, state)`."""
        self.dynamics = replaced(dynamics, parameters)
        self.observation_space = gymnasium_space(self.dynamics.observation_space)
        self.action_space = gymnasium_space(self.dynamics.action_space)
        self.metadata = {
            "render_modes": ["rgb_array", "human"] if hasattr(self.dynamics, "render") else [],
            "render_fps": getattr(self.dynamics, "render_fps", DEFAULT_FPS),
        }
        if render_mode not in (None, *self.metadata["render_modes"]):
            known = self.metadata["render_modes"] or f"none, since {type(dynamics).__name__} has no render(self, state)"
            raise EnvError(f"unknown render_mode {render_mode!r}: known: {known}")
        self.render_mode = render_mode
        self.state: tuple[float, ...] | None = None
        self._key = self._steps = 0
        self._window: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return a start state from Gymnasium's seeded generator; options are ignored."""
        super().reset(seed=seed)
        self._key, self._steps = int(self.np_random.integers(0, 2**64, dtype=np.uint64)), 0
        self.state = as_floats(reset(self.dynamics, fold_in(self._key, RESET_KEY)))
        if self.render_mode == "human":
            self._show()
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step; `truncated` is always False here."""
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
        """Return the image, uint8 [H, W, 3], if render_mode is rgb_array; a window updates in step and reset."""
        return self._image() if self.render_mode == "rgb_array" else None

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

    def _image(self) -> Array:
        image = np.asarray(self.dynamics.render(self._begun()))  # type: ignore[attr-defined]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise EnvError(f"render returned {image.dtype} {list(image.shape)}; it must be uint8 [H, W, 3]")
        return image

    def _show(self) -> None:
        try:
            import pygame
        except ImportError as error:
            raise EnvError("render_mode 'human' needs pygame: pip install pygame") from error
        image = self._image()
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode((image.shape[1], image.shape[0]))
            pygame.display.set_caption(type(self.dynamics).__name__)
        self._window.blit(pygame.surfarray.make_surface(image.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        pygame.time.Clock().tick(self.metadata["render_fps"])


def as_floats(state: Any) -> tuple[float, ...]:
    """Return a state as compiled code keeps it."""
    return tuple(float(number) for number in state)


def replaced(dynamics: Any, parameters: dict[str, Any]) -> Dynamics:
    """Return the dynamics with some parameters changed."""
    if unknown := [name for name in parameters if name not in dynamics._fields]:
        known = ", ".join(dynamics._fields) or "none"
        raise EnvError(f"{type(dynamics).__name__} has no parameter '{unknown[0]}'; it has {known}")
    return dynamics._replace(**parameters)  # type: ignore[no-any-return]


def gymnasium_space(space: spaces.Space) -> "gymnasium.Space[Any]":
    """Convert a space to Gymnasium's; a Box is float32."""
    if isinstance(space, spaces.Discrete):
        return gymnasium.spaces.Discrete(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(list(space.counts))
    return gymnasium.spaces.Box(np.array(space.low, np.float32), np.array(space.high, np.float32), dtype=np.float32)


def gymnasium_observation(space: spaces.Space, obs: Any) -> Any:
    """Convert an observation to an element of Gymnasium's space."""
    if isinstance(space, spaces.Discrete):
        return np.int64(obs[0])
    return np.array(obs, np.int64 if isinstance(space, spaces.MultiDiscrete) else np.float32)


def plain_action(dynamics: Dynamics, action: Any) -> Any:
    """Convert a Gymnasium action to what `step` takes; raise EnvError if it is outside the action space."""
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
    """Return True if these numbers are in the space, those of a Box to the precision of float32."""
    if isinstance(space, spaces.Box):
        rounded = numbers.astype(np.float32) if numbers.dtype.kind in "iuf" else np.array([])
        bounds = np.array([space.low, space.high], np.float32)
        return rounded.size == space.flat_size and bool(((bounds[0] <= rounded) & (rounded <= bounds[1])).all())
    fits = numbers.size == len(space.counts) and numbers.dtype.kind in "iub"
    return fits and all(0 <= number < count for number, count in zip(numbers, space.counts, strict=True))


# --- registering


def register(dynamics: Any, env_id: str) -> str:
    """Register dynamics (a NamedTuple class with its defaults, or an instance) with Gymnasium, and return the id.

    Keyword arguments of `gymnasium.make(env_id, ...)` change parameters.
    """
    made = require_dynamics(dynamics, getattr(dynamics, "__name__", type(dynamics).__name__))
    known = gymnasium.registry.get(env_id)
    if known is not None:
        if not is_ours(known):
            raise EnvError(f"'{env_id}' belongs to another environment, {known.entry_point}: choose another id")
        del gymnasium.registry[env_id]
    try:
        gymnasium.register(env_id, functools.partial(GymnasiumAdapter, made), max_episode_steps=made.max_episode_steps)
    except gymnasium.error.Error as error:
        raise EnvError(f"'{env_id}' cannot be an id: {error}") from error
    return env_id


def is_ours(spec: EnvSpec) -> bool:
    """Return True if `register` added it."""
    return isinstance(spec.entry_point, functools.partial) and spec.entry_point.func is GymnasiumAdapter


def gymnasium_id(reference: str) -> str:
    """Load `file.py:Name` or `module:Name`, register it as `file/Name-v0`, and return that id.

    If this process has another file of that name, the id includes a part of the path's hash.
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


OWNERS: dict[str, str] = {}  # the file behind each id that `gymnasium_id` gave


register(RobotArm, "RobotArm-v0")


def slug(text: str) -> str:
    """Replace by a dash what an id cannot contain."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "env"

"""Conversion between Gymnasium's spaces and flat arrays.

An observation becomes a row of float32 in the order and size of `gymnasium.spaces.utils.flatten`: numbers unchanged,
the integers of a Discrete one-hot, the parts of a Dict or Tuple one after another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from pgrad import spaces as light
from pgrad.errors import EnvError

Array = npt.NDArray[Any]
Path = tuple[str | int, ...]


def written(root: str, path: Path) -> str:
    """Return a part as Python code: observation['image'][2]."""
    return root + "".join(f"[{key!r}]" for key in path)


@dataclass(frozen=True)
class Part:
    """A numeric part of an observation, and its columns in the row."""

    path: Path
    space: spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    columns: slice

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of the part before it is flattened."""
        return tuple(self.space.shape or ())

    @property
    def name(self) -> str:
        """The part as Python code."""
        return written("observation", self.path)

    def of(self, obs: Any) -> Any:
        """Return this part of a whole observation."""
        for key in self.path:
            obs = obs[key]
        return obs

    def write(self, values: Any, count: int, rows: Array) -> None:
        """Write `count` values of this part into its columns of rows [count, O]; ValueError if they do not fit."""
        if isinstance(values, tuple | list) or _is_object_array(values):
            values = np.stack([np.asarray(value) for value in values]) if len(values) else np.empty(0)
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{self.name} holds {values.dtype}, which is not numeric; its space is {self.space}")
        if values.shape != (count, *self.shape):
            raise ValueError(f"{self.name} has shape {values.shape[1:]}, expected {self.shape}")
        flat = values.reshape(count, -1)
        if isinstance(self.space, spaces.Discrete):
            _write_one_hot(flat, [int(self.space.n)], [int(self.space.start)], rows[:, self.columns], self)
        elif isinstance(self.space, spaces.MultiDiscrete):
            counts, starts = self.space.nvec.reshape(-1).tolist(), self.space.start.reshape(-1).tolist()
            _write_one_hot(flat, counts, starts, rows[:, self.columns], self)
        else:
            if isinstance(self.space, spaces.MultiBinary) and not ((flat == 0) | (flat == 1)).all():
                raise ValueError(f"{self.name} is {values[0].tolist()}, outside its space {self.space}")
            with np.errstate(over="ignore"):  # values beyond float32 become infinite, which is checked later
                rows[:, self.columns] = flat


def _write_one_hot(flat: Array, counts: Sequence[int], starts: Sequence[int], columns: Array, part: Part) -> None:
    columns[:] = 0.0
    first = 0
    if len(flat) == 1:  # one environment: plain numbers are faster than arrays
        for value, count, start in zip(flat[0].tolist(), counts, starts, strict=True):
            if not 0 <= value - start < count or value != int(value):
                raise ValueError(f"{part.name} is {flat[0].tolist()}, outside its space {part.space}")
            columns[0, first + int(value) - start] = 1.0
            first += count
        return
    for d, (count, start) in enumerate(zip(counts, starts, strict=True)):
        index = np.asarray(flat[:, d] - start)
        wrong = ~((index >= 0) & (index < count) & (index == np.floor(index)))
        if wrong.any():
            raise ValueError(f"{part.name} is {flat[wrong][0].tolist()}, outside its space {part.space}")
        columns[np.arange(len(flat)), first + index.astype(np.int64)] = 1.0
        first += count


@dataclass(frozen=True, eq=False)
class Observations:
    """Conversion of a space's observations to rows of O numbers."""

    original: spaces.Space[Any]
    parts: tuple[Part, ...]
    left_out: tuple[str, ...]  # parts that are not numeric

    @cached_property
    def size(self) -> int:
        """O."""
        return int(self.parts[-1].columns.stop)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a plain Box, which convolutions need; (O,) for every other space."""
        return self.parts[0].shape if isinstance(self.original, spaces.Box) else (self.size,)

    @cached_property
    def low(self) -> npt.NDArray[np.float32]:
        """[O] lower bounds of the space."""
        return self._bound(lambda part: part.space.low if isinstance(part.space, spaces.Box) else 0.0)

    @cached_property
    def high(self) -> npt.NDArray[np.float32]:
        """[O] upper bounds of the space."""
        return self._bound(lambda part: part.space.high if isinstance(part.space, spaces.Box) else 1.0)

    @cached_property
    def bounded(self) -> bool:
        """True if an observation can exceed a bound, which one-hot parts cannot."""
        boxes = [part.space for part in self.parts if isinstance(part.space, spaces.Box)]
        return any(bool(np.isfinite(bound).any()) for box in boxes for bound in (box.low, box.high))

    def _bound(self, of: Callable[[Part], Any]) -> npt.NDArray[np.float32]:
        bound = np.empty(self.size, np.float32)
        with np.errstate(over="ignore"):  # a bound beyond float32 becomes infinite
            for part in self.parts:
                bound[part.columns] = np.ravel(of(part))
        return bound

    @cached_property
    def space(self) -> light.Space:
        """The equivalent pgrad space."""
        if isinstance(self.original, spaces.Discrete):
            return light.Discrete(int(self.original.n))
        if isinstance(self.original, spaces.MultiDiscrete):
            return light.MultiDiscrete(tuple(self.original.nvec.reshape(-1).tolist()))
        return light.Box(self.low.tolist(), self.high.tolist())

    def batch(self, obs: Any, count: int) -> npt.NDArray[np.float32]:
        """Return a new array [count, O] from a vector environment's batch; raise ValueError if it does not fit."""
        if _is_object_array(obs) or (isinstance(obs, tuple | list) and not isinstance(self.original, spaces.Tuple)):
            if len(obs) != count:
                raise ValueError(f"got {len(obs)} observations, expected {count}")
            return np.stack([self.one(sample) for sample in obs])
        rows = np.empty((count, self.size), np.float32)
        for part in self.parts:
            part.write(_found(part, obs), count, rows)
        return rows

    def one(self, obs: Any) -> npt.NDArray[np.float32]:
        """Return a new array [O] from one environment's observation; raise ValueError if it does not fit."""
        row = np.empty(self.size, np.float32)
        self.write(obs, row)
        return row

    def write(self, obs: Any, row: Array) -> None:
        """Write one environment's observation into row [O]; raise ValueError if it does not fit."""
        if self._plain is not None and isinstance(obs, np.ndarray) and obs.shape == self._plain:  # the most common case
            if obs.dtype.kind == "f" and obs.itemsize > 4:
                with np.errstate(over="ignore"):  # values beyond float32 become infinite, which is checked later
                    row[:] = obs.reshape(-1)
                return
            if obs.dtype.kind in "biuf":
                row[:] = obs.reshape(-1)
                return
        for part in self.parts:
            part.write(np.asarray(_found(part, obs))[None], 1, row[None])

    @cached_property
    def _plain(self) -> tuple[int, ...] | None:
        """The shape of the whole observation if it is a Box."""
        return self.shape if isinstance(self.original, spaces.Box) else None

    def component(self, index: int) -> str:
        """Return the index-th number of a row as Python code."""
        part = next(part for part in self.parts if index < part.columns.stop)
        if not isinstance(part.space, spaces.Box | spaces.MultiBinary) or not part.shape:
            return part.name
        where = np.unravel_index(index - part.columns.start, part.shape)
        return f"{part.name}[{', '.join(map(str, where))}]"


def _is_object_array(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "O"


def _found(part: Part, obs: Any) -> Any:
    try:
        return part.of(obs)
    except (LookupError, TypeError) as error:
        raise ValueError(f"there is no {part.name} in {type(obs).__name__} {str(obs)[:80]}") from error


def observations_of(space: spaces.Space[Any], name: str) -> Observations:
    """Return the conversion for a space; raise EnvError that names the part pgrad cannot train on."""
    parts: list[Part] = []
    left_out: list[str] = []
    first = 0
    for path, leaf in _leaves(space, ()):
        if isinstance(leaf, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
            size = int(spaces.flatdim(leaf))
            parts.append(Part(path, leaf, slice(first, first + size)))
            first += size
        elif isinstance(leaf, spaces.Text) or getattr(leaf.dtype, "kind", "") in ("U", "S"):
            left_out.append(f"{written('observation', path)}: {type(leaf).__name__}")
        else:
            _refuse(name, "observation", path, leaf, _observation_way_out(space, path))
    if first == 0:
        what = ", ".join(left_out) or f"observation: {space}"
        raise EnvError(f"'{name}' has no numeric observations ({what}); {_observation_way_out(space, ())}")
    return Observations(space, tuple(parts), tuple(left_out))


def _leaves(space: spaces.Space[Any], path: Path) -> Iterator[tuple[Path, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, space


def _observation_way_out(space: spaces.Space[Any], path: Path) -> str:
    if path and isinstance(space, spaces.Dict | spaces.Tuple):
        keys: list[Any] = list(space.spaces) if isinstance(space, spaces.Dict) else list(range(len(space.spaces)))
        others = [key for key in keys if key != path[0]]
        if others:
            return f"leave it out: pass a factory that returns gymnasium.wrappers.FilterObservation(env, {others!r})"
    return (
        "turn it into numbers: pass a factory that returns gymnasium.wrappers.TransformObservation(env, f, new_space)"
    )


def _refuse(name: str, root: str, path: Path, space: spaces.Space[Any], way_out: str) -> None:
    kind = type(space).__name__
    raise EnvError(f"'{name}' has {written(root, path)}: {kind}, which pgrad cannot translate into numbers; {way_out}")


@dataclass(frozen=True, eq=False)
class Actions:
    """Conversion of pgrad's action arrays to what an environment's step expects."""

    original: spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary

    @cached_property
    def space(self) -> light.Space:
        """The equivalent pgrad space."""
        space = self.original
        if isinstance(space, spaces.Discrete):
            return light.Discrete(int(space.n))
        if isinstance(space, spaces.MultiDiscrete):
            return light.MultiDiscrete(tuple(space.nvec.reshape(-1).tolist()))
        if isinstance(space, spaces.MultiBinary):
            return light.MultiDiscrete((2,) * int(np.prod(space.shape)))
        return light.Box(space.low.reshape(-1).tolist(), space.high.reshape(-1).tolist())

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of choices of each part; empty for a Box."""
        return () if isinstance(self.space, light.Box) else self.space.counts

    def native(self, action: Array) -> Array:
        """Return what a vector environment's step expects, from [N] for Discrete and [N, D] otherwise."""
        space = self.original
        if isinstance(space, spaces.Discrete):
            return np.asarray(action.reshape(-1) + space.start, space.dtype)
        shaped = action.reshape(len(action), *space.shape)
        if isinstance(space, spaces.MultiDiscrete):
            return np.asarray(shaped + space.start, space.dtype)
        if isinstance(space, spaces.Box):
            integer = np.issubdtype(space.dtype, np.integer)
            exact = np.rint(shaped.astype(np.float64)) if integer else shaped
            return np.clip(exact, space.low, space.high).astype(space.dtype)  # rounding may exceed the bounds slightly
        return np.asarray(shaped, space.dtype)

    def random(self, count: int, random: np.random.Generator, mask: Array | None = None) -> Array:
        """Return uniformly random allowed actions (standard normal where a Box is unbounded)."""
        if self.counts:
            chances = random.random((count, sum(self.counts))) * (1.0 if mask is None else mask)
            parts = np.split(chances, np.cumsum(self.counts)[:-1], axis=1)
            chosen = np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(np.int32)
            return chosen[:, 0] if isinstance(self.space, light.Discrete) else chosen
        assert isinstance(self.space, light.Box)
        low, high = np.maximum(self.space.low, -1e6), np.minimum(self.space.high, 1e6)
        bounded = np.isfinite(self.space.low) & np.isfinite(self.space.high)
        normal = np.clip(random.standard_normal((count, low.size)), low, high)
        return np.where(bounded, random.uniform(low, high, (count, low.size)), normal).astype(np.float32)


def actions_of(space: spaces.Space[Any], name: str) -> Actions:
    """Return the conversion for a space; raise EnvError that names the part pgrad cannot act in."""
    if isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        if 0 in (space.shape or ()):
            raise EnvError(f"'{name}' has no actions: its action space is {space}")
        return Actions(space)
    path, leaf = next(_leaves(space, ()), ((), space))
    raise EnvError(
        f"'{name}' has actions {type(space).__name__} ({written('action', path)}: {type(leaf).__name__}), and pgrad "
        "acts in Discrete, MultiDiscrete, MultiBinary and Box; convert it to one of these: pass a factory that returns "
        "gymnasium.wrappers.TransformAction(env, f, new_space)"
    )

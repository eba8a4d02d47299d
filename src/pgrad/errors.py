"""The exceptions a user can meet. Each message names the thing, the value and the way out."""

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class PgradError(Exception):
    """Something the user can put right; the command prints the message alone and exits with `exit_code`."""

    exit_code = 2
    result: Any = None  # of a training that failed: the training.result.Result with all there was by then


class ConfigError(PgradError):
    """All that is wrong with a configuration, in one message."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Add the problems of a ConfigError, InputError or MDPError raised inside to `problems` instead of raising it."""
    try:
        yield
    except (ConfigError, InputError, MDPError) as error:
        problems += error.problems if isinstance(error, ConfigError) else str(error).splitlines()


class EnvError(PgradError):
    """An environment that is unknown, not supported, or fails."""


class InputError(PgradError, ValueError):
    """An argument whose type, shape or value does not fit."""


class RunError(PgradError):
    """A run folder or policy file that cannot be written or read."""


class MDPError(PgradError, ValueError):
    """A finite Markov decision process, or a policy on it, that is not one, is endless, or is too large."""


class PolicyError(PgradError, ValueError):
    """A policy or value function that cannot serve as one: a module fails or returns what does not fit, or parameters
    are not finite."""


class EstimatorError(PgradError, ValueError):
    """A function given as an estimator that raises, returns something else than a gradient, or changes its input."""


class TrainingDiverged(PgradError):
    """Rewards, observations, gradients or parameters stopped being finite."""

    exit_code = 1


class Stopped(KeyboardInterrupt):
    """A signal that asks to stop."""

    def __init__(self, exit_code: int = 130) -> None:
        """Remember what the process is to exit with: 128 + the signal, as shells have it."""
        super().__init__()
        self.exit_code = exit_code


def require_integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an int; raise InputError unless it is an integer (not a boolean) of at least `least`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer, at least {least}, not {value!r}")
    return int(value)


def require_path(name: str, value: Any) -> Path:
    """Return a path as a Path, whether or not there is something; raise InputError unless there could be."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{name} must be a path, not {value!r:.80}")
    path = Path(value)
    try:
        path.exists()
    except OSError as error:
        raise InputError(f"{name} cannot be a path, {value!r:.80}: {error.strerror or error}") from error
    return path


def require_number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number as a float; raise InputError unless it is one, within the bounds."""
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):
        what = f"in [{low:g}, {high:g}]" if math.isfinite(low) else "a finite number"
        raise InputError(f"{name} must be {what}, not {value!r:.80}")
    return number


def require_discount(value: Any) -> float:
    """Return the discount as a float; raise InputError unless it is a number in [0, 1]."""
    return require_number("discount", value, 0.0, 1.0)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, ignoring case; None if there is no similar one."""
    by_lowercase = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(str(name).lower(), by_lowercase, n=1)
    return by_lowercase[close[0]] if close else None


def nearest(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return a hint to append to a message: the known name most like `name`, else `otherwise` or all known names."""
    names = sorted(known)
    meant = closest(name, names)
    return f"did you mean '{meant}'?" if meant else otherwise or f"known: {', '.join(names)}"


def as_floats(values: npt.ArrayLike, what: str) -> npt.NDArray[np.float64]:
    """Return values in float64; raise InputError where they are not real numbers, or some are masked."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # of unequal lengths, or a PyTorch tensor that needs a gradient
        array = np.array(None)
    if array.dtype.kind not in "biuf" or np.ma.is_masked(values):
        raise InputError(f"{what} must be real numbers, not {values!r:.80}")
    return array.astype(np.float64)

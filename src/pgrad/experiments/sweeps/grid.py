"""The settings of a grid: every combination of the values that are given."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgrad.config.settings import ARGUMENTS, FIELDS, Config, checked
from pgrad.config.synonyms import nearest_setting
from pgrad.config.values import integers, shown_setting
from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import ConfigError, EnvError, collecting
from pgrad.training.loops import require_memory
from pgrad.training.prepare import prepare

MOST_RUNS = 100_000


@dataclass(frozen=True)
class Setting:
    """One combination: the values that differ between settings, and the whole configuration, with all seeds."""

    values: Mapping[str, Any]
    config: Config

    def __str__(self) -> str:
        return in_words(self.values) or self.config.algorithm


def in_words(values: Mapping[str, Any]) -> str:
    """Return what differs, as in `learning_rate 0.01, hidden 64-64`."""
    return ", ".join(f"{name} {shown_setting(value)}" for name, value in values.items())


def grid(env: AnyEnv, given: Mapping[str, Any], seeds: Sequence[int]) -> tuple[list[Setting], Env]:
    """Return every combination of what is given by setting, a value or a list of them, and the environment.

    The last setting that is given changes first. Raises one ConfigError for everything that is wrong with any of them,
    EnvError where that is the environment alone.
    """
    problems: list[str] = []
    values: dict[str, list[Any]] = {}
    for name, value in given.items():
        with collecting(problems):
            values[name] = values_of(name, value)
    several = [name for name, choices in values.items() if len(choices) > 1]
    runs = math.prod(map(len, values.values())) * len(seeds)
    if runs > MOST_RUNS:
        raise ConfigError([*problems, f"the grid has {runs:,} runs, and at most {MOST_RUNS:,} are made: give less"])
    settings: list[Setting] = []
    wrong: dict[str, list[str]] = {}  # by problem, the settings that have it
    made: Env | None = None
    only_the_environment = not problems
    combinations = [dict(zip(values, choice, strict=True)) for choice in itertools.product(*values.values())]
    for combination in combinations:
        differing = {name: combination[name] for name in several}
        try:
            config, made, _ = prepare(env, {**combination, "seeds": seeds})
            require_memory(config, made)
            settings.append(Setting(differing, config))
        except (ConfigError, EnvError) as error:
            only_the_environment &= isinstance(error, EnvError)
            for problem in str(error).splitlines():
                wrong.setdefault(problem, []).append(in_words(differing))
    problems += [located(problem, where, len(combinations)) for problem, where in wrong.items()]
    if problems or made is None:
        raise EnvError("\n".join(problems)) if only_the_environment else ConfigError(problems)
    return settings, made


def located(problem: str, where: Sequence[str], combinations: int) -> str:
    """Return a problem with the settings that have it, unless that is all of them."""
    if len(where) == combinations:
        return problem
    others = f" and {len(where) - 1} other setting{'s' * (len(where) > 2)}" if len(where) > 1 else ""
    return f"{where[0]}{others}: {problem}"


def values_of(name: str, given: Any) -> list[Any]:
    """Return the values of a setting, checked, from one or a list; raise ConfigError for all that is wrong with them.

    A list of integers is one value where a setting is such a list itself: hidden=[64, 64] are two layers, and
    hidden=[128, [64, 64]] are two settings.
    """
    if name not in FIELDS:
        raise ConfigError([f"unknown setting '{name}': {nearest_setting(name, FIELDS)}"])
    listed = isinstance(given, list | tuple)
    if listed and is_listed(name):
        listed = not given or any(isinstance(value, list | tuple | str) or value is None for value in given)
    problems: list[str] = []
    values: list[Any] = []
    for value in given if listed else [given]:
        with collecting(problems):
            values.append(checked(name, value))
    if listed and not given:
        problems.append(f"{name} has no values: give one or more")
    if twice := [value for k, value in enumerate(values) if value in values[:k]]:
        problems.append(f"{name} has {shown_setting(twice[0])} twice: remove one")
    if problems:
        raise ConfigError(problems)
    return values


def is_listed(name: str) -> bool:
    """Return whether one value of a setting is a list itself, such as the units of each layer."""
    return ARGUMENTS[name].convert is integers

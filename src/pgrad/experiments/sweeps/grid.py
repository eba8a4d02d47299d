"""The settings of a grid: every combination of values, of draws from ranges, and of cases."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pgrad.config.settings import ARGUMENTS, FIELDS, Config, checked
from pgrad.config.synonyms import nearest_setting
from pgrad.config.values import integer, integers, number, shown_setting
from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import ConfigError, EnvError, collecting
from pgrad.experiments.running.ranges import Between, between, random_of
from pgrad.training.loops import require_memory
from pgrad.training.prepare import prepare

MOST_RUNS = 100_000


@dataclass(frozen=True)
class Setting:
    """One combination: the values given that differ between settings, and the whole configuration, with all seeds."""

    values: Mapping[str, Any]
    config: Config

    def __str__(self) -> str:
        return in_words(self.values) or self.config.algorithm


def in_words(values: Mapping[str, Any]) -> str:
    """Return what differs, as in `learning_rate 0.01, hidden 64-64`."""
    return ", ".join(f"{name} {shown_setting(value)}" for name, value in values.items())


class Grid(NamedTuple):
    """What a sweep tries: every combination of values, of draws from ranges, and of cases.

    given   by setting: a value, a list of values, or a range such as "1e-4..1e-2"
    cases   tables of settings that belong together; what a case leaves out is as without it
    trials  how many times all ranges are drawn from, None where there is no range
    seed    of the draws
    """

    given: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]] = ({},)
    trials: int | None = None
    seed: int = 0


class Parts(NamedTuple):
    """A grid, checked."""

    values: dict[str, list[Any]]
    ranges: dict[str, Between]
    cases: list[dict[str, Any]]

    def combinations(self, trials: int, seed: int) -> list[dict[str, Any]]:
        """Return every combination; the last part changes first."""
        parts = [[{name: value} for value in values] for name, values in self.values.items()]
        parts += [draws(self.ranges, trials, seed), self.cases]
        return [
            {name: value for part in choice for name, value in part.items()} for choice in itertools.product(*parts)
        ]

    @property
    def differing(self) -> list[str]:
        """The settings that not all combinations have alike."""
        several = [name for name, values in self.values.items() if len(values) > 1]
        in_cases = [name for case in self.cases for name in case] if len(self.cases) > 1 else []
        return list(dict.fromkeys([*several, *self.ranges, *in_cases]))


def grid(env: AnyEnv, wanted: Grid, seeds: Sequence[int]) -> tuple[list[Setting], Env]:
    """Return every combination that a grid has, and the environment.

    Raises one ConfigError for everything that is wrong with any of them, EnvError where that is the environment alone.
    """
    problems: list[str] = []
    parts, trials = parts_of(wanted, problems), wanted.trials or 1
    runs = math.prod(map(len, parts.values.values())) * len(parts.cases) * trials * len(seeds)
    if runs > MOST_RUNS:
        raise ConfigError([*problems, f"the grid has {runs:,} runs, and at most {MOST_RUNS:,} are made: give less"])
    settings: list[Setting] = []
    wrong: dict[str, list[str]] = {}  # by problem, the settings that have it
    made: Env | None = None
    only_the_environment = not problems
    combinations = parts.combinations(trials, wanted.seed)
    for combination in combinations:
        differing = {name: combination[name] for name in parts.differing if name in combination}
        try:
            config, made, _ = prepare(env, {**combination, "seeds": seeds})
            require_memory(config, made)
            settings.append(Setting(differing, config))
        except (ConfigError, EnvError) as error:
            only_the_environment &= isinstance(error, EnvError)
            for problem in str(error).splitlines():
                wrong.setdefault(problem, []).append(in_words(differing) or "without any case's settings")
    problems += [located(problem, where, len(combinations)) for problem, where in wrong.items()]
    if problems or made is None:
        raise EnvError("\n".join(problems)) if only_the_environment else ConfigError(problems)
    return settings, made


def parts_of(wanted: Grid, problems: list[str]) -> Parts:
    """Return a grid's parts as far as they are right, and add what is wrong to `problems`."""
    parts = Parts({}, {}, [])
    for name, value in wanted.given.items():
        with collecting(problems):
            if (text := range_in(name, value)) is not None:
                parts.ranges[name] = between(name, text)
            else:
                parts.values[name] = values_of(name, value)
    listed = isinstance(wanted.cases, list | tuple) and bool(wanted.cases)
    if not listed or not all(isinstance(case, Mapping) for case in wanted.cases):
        problems.append(f"cases must be tables of settings, at least one, not {wanted.cases!r}")
        return parts
    for case in wanted.cases:
        parts.cases.append({})
        for name, value in case.items():
            with collecting(problems):
                parts.cases[-1][name] = value_of_case(name, value, wanted.given)
    ranges = ", ".join(parts.ranges)
    if ranges and wanted.trials is None:
        problems.append(f"{ranges}: a range needs trials, the number of draws, such as 20")
    if wanted.trials is not None and not ranges:
        problems.append("trials is the number of draws from ranges, such as learning_rate 1e-4..1e-2: give one")
    return parts


def range_in(name: str, given: Any) -> str | None:
    """Return the text of the range that is given for a number, None where it is something else."""
    only = given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
    numeric = name in FIELDS and ARGUMENTS[name].convert in (integer, number)
    return only if numeric and isinstance(only, str) and only.count("..") == 1 else None


def draws(ranges: Mapping[str, Between], trials: int, seed: int) -> list[dict[str, Any]]:
    """Return what is drawn from ranges; integers that are drawn twice are there once.

    Each setting has random numbers of its own, so that it has the same values beside other ranges.
    """
    drawn = (
        {name: between.draw(random_of(seed, trial, 0, name)) for name, between in ranges.items()}
        for trial in range(trials)
    )
    return list({tuple(values.values()): values for values in drawn}.values())


def value_of_case(name: str, value: Any, given: Mapping[str, Any]) -> Any:
    """Return a setting's value in a case; raise ConfigError where it is wrong, or elsewhere in the grid too."""
    if name in given:
        raise ConfigError([f"{name} is in a case and in the rest of the grid: remove one"])
    values = values_of(name, value)
    if len(values) > 1:
        raise ConfigError([f"{name} has {len(values)} values in a case: give one, and several cases"])
    return values[0]


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

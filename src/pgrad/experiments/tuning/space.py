"""What a search draws settings from: choices, and ranges that are uniform or log-uniform.

As text, on the command line and in a TOML file: `1e-4..1e-2` is a range, log-uniform where it spans a factor of ten or
more and has no zero in it, else uniform; `4|8|16` are choices, `64|64,64` of layers; a single value is fixed.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pgrad.config.resolve import resolve
from pgrad.config.settings import FIELDS, Config, checked
from pgrad.config.synonyms import nearest_setting
from pgrad.envs.make import Env
from pgrad.errors import ConfigError, collecting
from pgrad.experiments.running.ranges import Between, between, random_of
from pgrad.presets.preset import UNSET
from pgrad.spaces import Box

MOST_DRAWS = 1000  # until settings do not contradict each other


class Choices(NamedTuple):
    """One of several values, each as likely."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """Return one of them."""
        return self.values[int(rng.integers(len(self.values)))]

    def to_json(self) -> Any:
        """Return what `domain` reads back."""
        return list(self.values)


Domain = Choices | Between
Space = Mapping[str, Domain]

# The default space: each setting's domain, and for which configurations and environments it is searched.
DEFAULT: dict[str, tuple[Any, Callable[[Config, Env], bool]]] = {
    "learning_rate": ("1e-4..1e-2", lambda c, _: c.step == "gradient"),
    "value_learning_rate": ("3e-4..3e-2", lambda c, _: c.baseline == "value"),
    "num_value_steps": ([5, 10, 20], lambda c, _: c.step != "gradient"),
    "max_kl": ("0.003..0.1", lambda c, _: c.step != "gradient"),
    "discount": ([0.9, 0.95, 0.98, 0.99, 0.995, 0.999], lambda *_: True),
    "gae_lambda": ([0.8, 0.9, 0.95, 0.98, 1.0], lambda c, _: c.estimator == "gae"),
    "num_envs": ([4, 8, 16, 32, 64], lambda c, _: c.num_steps is not None),
    "num_steps": ([16, 32, 64, 128, 256], lambda c, _: c.num_steps is not None),
    "episodes_per_iteration": ([4, 8, 16, 32], lambda c, _: c.episodes_per_iteration is not None),
    "num_epochs": ([3, 5, 10, 20], lambda c, _: c.num_epochs > 1),
    "num_minibatches": ([2, 4, 8, 16, 32], lambda c, _: c.num_epochs > 1),
    "clip_epsilon": ([0.1, 0.2, 0.3], lambda c, _: c.clip_epsilon is not None),
    "entropy_coef": ([0.0, 0.001, 0.003, 0.01, 0.03], lambda c, _: c.step == "gradient"),
    "max_grad_norm": ([0.5, 1.0, 2.0, None], lambda c, _: c.step == "gradient"),
    "hidden": ([[32], [64], [64, 64], [128, 128]], lambda *_: True),
    "activation": (["tanh", "relu"], lambda *_: True),
    "normalize_obs": ([False, True], lambda *_: True),
    "normalize_rewards": ([False, True], lambda *_: True),
    "initial_std": ("0.2..3", lambda _, env: isinstance(env.actions, Box)),
    "squash": ([False, True], lambda _, env: isinstance(env.actions, Box) and env.actions.bounded),
}


def domains(given: Mapping[str, Any]) -> dict[str, Domain]:
    """Return what is given by setting, a list of choices, text as above or one value, as domains.

    Raises one ConfigError for every one that is none.
    """
    problems: list[str] = []
    space = {}
    for name, values in given.items():
        with collecting(problems):
            space[name] = domain(name, values)
    if problems:
        raise ConfigError(problems)
    return space


def fixed(space: Space) -> dict[str, Any]:
    """Return the settings of a space that can have one value only."""
    return {name: d.values[0] for name, d in space.items() if isinstance(d, Choices) and len(d.values) == 1}


def space_for(config: Config, env: Env, given: Space) -> dict[str, Domain]:
    """Return the default space of an algorithm and an environment, with given domains in place of its own.

    What is fixed is not in it, as it is the base's already.
    """
    wanted = domains({name: values for name, (values, searched) in DEFAULT.items() if searched(config, env)})
    return {name: domain for name, domain in {**wanted, **given}.items() if name not in fixed(given)}


def domain(name: str, values: Any) -> Domain:
    """Return a setting's domain from a list, text or a single value; raise ConfigError."""
    if name not in FIELDS:
        raise ConfigError([f"unknown setting '{name}' in the space: {nearest_setting(name, FIELDS)}"])
    if name in UNSET or name in ("algorithm", "total_steps", "num_iterations"):
        raise ConfigError([f"'{name}' is not a setting that a search draws"])
    if isinstance(values, str) and values.count("..") == 1:
        return between(name, values)
    several = values.split("|") if isinstance(values, str) else values
    if not isinstance(several, list | tuple) or (
        name == "hidden" and not any(isinstance(v, list | tuple | str) for v in several)
    ):
        several = [values]
    problems: list[str] = []
    choices = []
    for value in several:
        with collecting(problems):
            choices.append(checked(name, value.strip() if isinstance(value, str) else value))
    if problems or not choices:
        raise ConfigError(problems or [f"{name} has no choices in the space"])
    return Choices(tuple(choices))


def drawn(space: Space, base: Config, seed: int, index: int) -> Config:
    """Return the settings of a trial, a function of the search's seed and the trial's index alone.

    Trial 0 is the base itself. Each setting has random numbers of its own, so that a trial has the same values in
    another space that holds more. Settings that contradict each other are drawn again. Raises ConfigError where none of
    MOST_DRAWS fit together.
    """
    if index == 0:
        return base
    problem: ConfigError | None = None
    for attempt in range(MOST_DRAWS):
        values = {name: space[name].draw(random_of(seed, index, attempt, name)) for name in space}
        try:
            return resolve(base.env, None, {**vars(base), **values})
        except ConfigError as error:
            problem = error
    raise ConfigError([f"no settings that fit together in {MOST_DRAWS} draws from the space; the last: {problem}"])

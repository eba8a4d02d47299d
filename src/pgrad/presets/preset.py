"""A preset: settings found by a search, the spaces they were found on, and where they come from; as a TOML file.

format = 1                      of the file; a newer one is refused
env = "Pendulum-v1"             or "general", for environments without a preset of their own

[spaces]                        not in a general one
observation = [3]
actions = "continuous"          or discrete, multi-discrete
sizes = [1]                     how many choices of each action; of continuous ones, how many numbers

[settings]                      fields of Config: `algorithm`, and what differs from that algorithm's own preset

[source]
search = "by hand"              how they were found; with `trials`, the number of settings tried
seeds = "1000 and up"           on which they were chosen
date = "2026-11-24"
pgrad = "0.1.0"
score = [-151.6, -152.5, -150.6]   mean return of the frozen policies, and its 95 % interval
score_of = "30 seeds, 0 to 29, 100 episodes each, sampled"
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgrad.algorithms import DEFAULT_ALGORITHM
from pgrad.config.resolve import resolve, to_toml_value
from pgrad.config.settings import FIELDS, checked
from pgrad.config.synonyms import nearest_setting
from pgrad.config.values import integer, integers, text
from pgrad.envs.make import Env
from pgrad.errors import ConfigError, collecting, nearest
from pgrad.experiments.statistics import Estimate
from pgrad.runs.atomic import read_asked_toml
from pgrad.spaces import Box, Discrete

FORMAT = 1
FOLDER = Path(__file__).parent
GENERAL, NONE = "general", "none"
# No preset says anything of these.
UNSET = ("env", "preset", "seeds", "backend", "vectorization", "step_timeout", "restart_failed_envs")
ACTIONS = ("discrete", "multi-discrete", "continuous")


@dataclass(frozen=True)
class Spaces:
    """What a policy sees and does."""

    observation: tuple[int, ...]  # the shape
    actions: str  # of ACTIONS
    sizes: tuple[int, ...]  # choices of each action; of continuous ones, how many numbers

    def __str__(self) -> str:
        return f"observations of shape {self.observation} and {' × '.join(map(str, self.sizes))} {self.actions} actions"


@dataclass(frozen=True)
class Source:
    """Where settings come from."""

    search: str
    seeds: str  # on which they were chosen
    date: str
    pgrad: str
    trials: int | None = None  # None: nobody counted them
    score: Estimate | None = None
    score_of: str = ""


@dataclass(frozen=True)
class Preset:
    """Settings with their source. `name` is what Config.preset records: a shipped one's, or the path of a file."""

    name: str
    env: str
    spaces: Spaces | None  # None: any
    settings: dict[str, Any]
    source: Source

    @property
    def algorithm(self) -> str:
        """The algorithm that the settings are for."""
        return str(self.settings.get("algorithm", DEFAULT_ALGORITHM))

    def __str__(self) -> str:
        """Say in a line what it is and where it comes from."""
        source = self.source
        how = source.search if source.trials is None else f"{source.trials} trials of {source.search}"
        score = f"; {source.score} ({source.score_of})" if source.score else ""
        return f"preset {self.name} ({self.algorithm}): {how} on seeds {source.seeds}{score}"


def spaces_of(env: Env) -> Spaces:
    """Return the spaces of an environment, compiled or not."""
    shape = env.obs_shape or (env.obs_size,)
    if isinstance(env.actions, Box):
        return Spaces(shape, "continuous", (env.actions.flat_size,))
    return Spaces(shape, "discrete" if isinstance(env.actions, Discrete) else "multi-discrete", env.actions.counts)


def shipped() -> list[str]:
    """Return the names of the presets that come with pgrad."""
    return sorted((path.stem for path in FOLDER.glob("*.toml")), key=str.lower)


def read(name: str) -> Preset:
    """Return a preset by its name or its file's path; raise one ConfigError for all that is wrong with it."""
    is_path = name.endswith(".toml") or "/" in name
    if not is_path and name not in shipped():
        known = ("auto", NONE, *shipped())
        raise ConfigError([f"unknown preset '{name}' (a file's name ends in .toml): {nearest(name, known)}"])
    path = Path(name).absolute() if is_path else FOLDER / f"{name}.toml"
    return parsed(str(path) if is_path else name, read_asked_toml(path, f"preset {name}"))


def described(name: str) -> str:
    """Say in a line what the preset is that a configuration names; a file may be gone by now."""
    try:
        return str(read(name))
    except ConfigError:
        return f"preset {name}"


def parsed(name: str, document: dict[str, Any]) -> Preset:
    """Return the preset that a document describes; raise one ConfigError for all that is wrong with it."""
    version = document.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ConfigError([f"preset {name} has format {version}, and this pgrad reads {FORMAT}: install a newer pgrad"])
    problems: list[str] = []
    if version != FORMAT:
        problems.append(f"format must be {FORMAT}, not {version!r}")
    tables: dict[str, dict[str, Any]] = {"spaces": {}, "settings": {}, "source": {}}
    for key, value in document.items():
        if key in tables and isinstance(value, dict):
            tables[key] = value
        elif key not in ("format", "env"):
            problems.append(f"{key} must be a table" if key in tables else f"unknown key '{key}'")
    env = _read(document, "env", text, problems) or GENERAL
    spaces = None
    if env != GENERAL:
        observation = _read(tables["spaces"], "observation", integers, problems, "spaces.")
        actions = _read(tables["spaces"], "actions", text, problems, "spaces.")
        sizes = _read(tables["spaces"], "sizes", integers, problems, "spaces.")
        if actions is not None and actions not in ACTIONS:
            problems.append(f"unknown spaces.actions '{actions}': {nearest(actions, ACTIONS)}")
        spaces = Spaces(observation or (), actions or "", sizes or ())
    settings = _settings(tables["settings"], problems)
    source = _source(tables["source"], problems)
    if problems:
        raise ConfigError([f"preset {name}: {problem}" for problem in problems])
    return Preset(name, env, spaces, settings, source)


def _settings(given: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the settings, converted; add a problem for each that is none or has a value that it cannot have."""
    settings, before = {}, len(problems)
    for name, value in given.items():
        if name not in FIELDS:
            problems.append(f"unknown setting '{name}': {nearest_setting(name, FIELDS)}")
        elif name in UNSET:
            problems.append(f"'{name}' is not a preset's to set: remove it")
        else:
            with collecting(problems):
                settings[name] = checked(name, value)
    if len(problems) == before:  # else contradictions may be none
        with collecting(problems):
            resolve(None, None, settings)
    return settings


def _source(given: dict[str, Any], problems: list[str]) -> Source:
    words = {name: _read(given, name, text, problems, "source.") for name in ("search", "seeds", "date", "pgrad")}
    trials = _read(given, "trials", integer, problems, "source.") if "trials" in given else None
    score = None
    if "score" in given:
        numbers = given["score"]
        if isinstance(numbers, list) and len(numbers) == 3 and all(isinstance(x, int | float) for x in numbers):
            score = Estimate(*map(float, numbers))
        else:
            problems.append(f"source.score must be [mean, low, high], not {numbers!r}")
    known = {*words, "trials", "score", "score_of"}
    problems += [f"unknown key 'source.{name}': {nearest(name, known)}" for name in given if name not in known]
    score_of = _read(given, "score_of", text, problems, "source.") if "score_of" in given else ""
    return Source(**{name: value or "" for name, value in words.items()}, trials=trials, score=score, score_of=score_of)


def _read(table: dict[str, Any], key: str, convert: Callable[[Any], Any], problems: list[str], where: str = "") -> Any:
    """Return a table's value, converted; None and a problem where it is missing or cannot be."""
    if key not in table:
        problems.append(f"{where}{key} is missing")
        return None
    try:
        return convert(table[key])
    except ValueError as error:
        problems.append(f"{where}{key} {error}")
        return None


def written(preset: Preset) -> str:
    """Return a preset as TOML, which `read` reads back to an equal one."""
    source = {name: value for name, value in vars(preset.source).items() if value not in (None, "")}
    tables = {"spaces": vars(preset.spaces) if preset.spaces else {}, "settings": preset.settings, "source": source}
    lines = [f"format = {FORMAT}", f"env = {to_toml_value(preset.env)}"]
    for title, table in tables.items():
        if table:
            lines += ["", f"[{title}]", *(f"{name} = {to_toml_value(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def differing(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the algorithm and the settings that differ from its own preset, in Config's order: what a preset states.

    settings  of a whole configuration; those that no preset sets are left out
    """
    algorithm = settings["algorithm"]
    usual = vars(resolve(None, algorithm))
    return {
        name: settings[name]
        for name in FIELDS
        if name not in UNSET and (name == "algorithm" or settings[name] != usual[name])
    }

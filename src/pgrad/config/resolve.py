"""One configuration from several layers of settings, and as TOML."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pgrad.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from pgrad.config.settings import FIELDS, Config
from pgrad.config.synonyms import nearest_setting
from pgrad.errors import ConfigError, collecting

NOTHING: Mapping[str, Any] = MappingProxyType({})


def resolve(
    env: str | None = None, algorithm: str | None = None, *layers: Mapping[str, Any], under: Mapping[str, Any] = NOTHING
) -> Config:
    """Return the Config of an algorithm's preset with one mapping after another laid over it.

    Values have the field's type or, as from the command line, are text. Python's `seeds=30` means seeds 0 to 29.
    `under` lies below all layers: a tuned preset, whose algorithm is that of the layers where they name one.
    Raises one ConfigError for everything that is wrong.
    """
    named = [{"env": env} if env is not None else {}, {"algorithm": algorithm} if algorithm is not None else {}]
    given: dict[str, Any] = {}
    problems = []
    for layer in [*layers, *named]:
        if "algorithm" in layer and "algorithm" in given and given["algorithm"] != layer["algorithm"]:
            problems.append(
                f"algorithm '{layer['algorithm']}' cannot be combined with settings made for algorithm "
                f"'{given['algorithm']}': remove one of the two"
            )
        given.update(layer)
    if "policy" in given:  # as runs.folder writes it
        problems.append(
            f"the policy is a PyTorch module, {given.pop('policy')}, whose code no configuration holds: train it with "
            "pgrad.train(..., policy=...), or --policy"
        )
    problems += [f"unknown setting '{name}': {nearest_setting(name, FIELDS)}" for name in given if name not in FIELDS]
    below = {"algorithm": DEFAULT_ALGORITHM, **under}
    rung = ALGORITHMS.get(str(given.get("algorithm", below["algorithm"])), {})
    chosen = {name: value for name, value in given.items() if name in FIELDS}
    config = None
    with collecting(problems):
        config = Config(**{**rung, **_without_alternatives(below), **_without_alternatives(chosen)})
    if problems or config is None:
        raise ConfigError(problems)
    return config


def _without_alternatives(chosen: dict[str, Any]) -> dict[str, Any]:
    """Clear the preset's other way to fill a batch, or to end a run, where one is chosen."""
    cleared = dict(chosen)
    for one, other in (("num_steps", "episodes_per_iteration"), ("total_steps", "num_iterations")):
        for mine, theirs in ((one, other), (other, one)):
            cleared_itself = chosen.get(mine) is None or (isinstance(chosen[mine], str) and chosen[mine] == "none")
            if theirs not in chosen and not cleared_itself:
                cleared[theirs] = None
    return cleared


def to_toml(config: Config) -> str:
    """Return the configuration as TOML, which `pgrad train --config` reads back to an equal one."""
    lines = []
    for name, field in FIELDS.items():
        lines.append(f"{name} = {to_toml_value(getattr(config, name))}  # {field.metadata['help']}")
    return "\n".join(lines) + "\n"


def to_toml_value(value: Any) -> str:
    """Return a setting's value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return '"none"'
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return repr(value)

"""A grid as a TOML file: the arguments of `pgrad.sweep`, which flags win over."""

from pathlib import Path
from typing import Any

from pgrad.config.settings import FIELDS
from pgrad.config.synonyms import nearest_setting
from pgrad.errors import ConfigError
from pgrad.runs.atomic import read_asked_toml

OF_SWEEP = ("cases", "episodes", "search_seed", "select", "trials")


def read_grid(path: Path) -> dict[str, Any]:
    """Return the arguments of a sweep that a file gives; raise ConfigError where it cannot be read or has others."""
    arguments = read_asked_toml(path, f"--grid {path}")
    known = {*FIELDS, *OF_SWEEP}
    unknown = [
        f"--grid {path}: unknown setting '{name}': {nearest_setting(name, known)}" for name in arguments.keys() - known
    ]
    if unknown:
        raise ConfigError(sorted(unknown))
    return arguments

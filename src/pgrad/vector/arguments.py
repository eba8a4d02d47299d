"""An environment's name with arguments: `FrozenLake-v1(is_slippery=False)`, as Python would write the call.

The values are literals: numbers, booleans, text, None, and lists, tuples and dictionaries of these.
"""

import ast
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pgrad.errors import ConfigError

CALL = re.compile(r"(?P<name>[^()]*[^()\s])\((?P<arguments>.*)\)", re.DOTALL)


def split_name(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name without arguments, and these; text that is no such call comes back as it is, without any."""
    found = CALL.fullmatch(text)
    if found is None:
        return text, {}
    try:
        call = ast.parse(f"call({found['arguments']})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return text, {}
        arguments = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        return (text, {}) if "**" in arguments else (found["name"], arguments)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text, {}


def named_with(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the name with arguments, which `split_name` takes apart again where they are literals."""
    written = ", ".join(f"{argument}={value!r}" for argument, value in arguments.items())
    return f"{name}({written})" if written else name


def read_arguments(text: str) -> dict[str, Any]:
    """Return arguments written as key=value, separated by commas, values as in TOML; other values are text.

    So `is_slippery=false, map_name="8x8"` can be written, and map_name=8x8 too, since a shell takes the quotes away.
    Raises ConfigError.
    """
    if (whole := _toml(text)) is not None:
        return whole
    found: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (equals and key.isidentifier() and value):
            raise ConfigError(
                [f"--env-kwargs must be key=value, separated by commas, as in is_slippery=false, not {text!r}"]
            )
        found |= _toml(part) or {key: value}
    return found


def _toml(text: str) -> dict[str, Any] | None:
    """Return the keys and values of a TOML table written on one line; None where it is none, or has dates in it."""
    try:
        table: dict[str, Any] = tomllib.loads(f"table = {{{text}}}")["table"]
        ast.literal_eval(repr(table))
    except (tomllib.TOMLDecodeError, ValueError, SyntaxError):
        return None
    return table

"""What the value of an argument may be: its type, its range, its choices; from Python, TOML and text alike."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

MAX_SEEDS = 100_000


class Range(NamedTuple):
    """The values that a number may have."""

    holds: Callable[[float], bool]
    words: str  # "must be …"


COUNT = Range(lambda n: 1 <= n <= 10**15, "in 1 … 10¹⁵")
COUNT_OR_ZERO = Range(lambda n: 0 <= n <= 10**15, "in 0 … 10¹⁵")
SEED = Range(lambda n: 0 <= n < 2**63, "in 0 … 2⁶³ - 1")
UNIT = Range(lambda x: 0 <= x <= 1, "in [0, 1]")
POSITIVE = Range(lambda x: 0 < x < math.inf, "positive and finite")
NOT_NEGATIVE = Range(lambda x: 0 <= x < math.inf, "finite and not negative")
FINITE = Range(math.isfinite, "finite")
NORM = Range(lambda x: x > 0, "positive, or none")
TIMEOUT = Range(lambda x: 0 < x <= 1e6, "positive and at most 10⁶ (seconds), or none")  # the system's limit is 2³¹ ms


class Argument(NamedTuple):
    """What an argument may be."""

    convert: Callable[[Any], Any]  # from Python, TOML or text; ValueError says what it must be
    range: Range | None = None  # of each number
    choices: tuple[str, ...] = ()
    optional: bool = False  # None, or as text 'none', passes


def plain(name: str) -> str:
    """Return the Python name of a flag or argument: `--max-episode-steps` is `max_episode_steps`."""
    return name.lstrip("-").replace("-", "_")


def integer(value: Any) -> int:
    """Convert an integer, a float without fraction, or text like 1000 or 1e3; raise ValueError for anything else."""
    try:
        number = float(value) if isinstance(value, str) else value
        if not isinstance(value, bool) and number == int(number):
            return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)
    except Exception:  # whatever somebody's object raises
        pass
    raise ValueError(f"must be an integer, not {value!r:.200}")


def number(value: Any) -> float:
    """Convert a number or its text; raise ValueError for anything else."""
    try:
        if not isinstance(value, bool):
            return float(value)
    except Exception:  # whatever somebody's object raises
        pass
    raise ValueError(f"must be a number, not {value!r:.200}")


def boolean(value: Any) -> bool:
    """Convert a boolean or its text; raise ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"must be true or false, not {value!r}")


def text(value: Any) -> str:
    """Return a string as it is; raise ValueError for anything else."""
    if isinstance(value, str):
        return value
    raise ValueError(f"must be text, not {value!r}")


def integers(value: Any) -> tuple[int, ...]:
    """Convert an integer, several, or text like 64,64, where none is no integer; raise ValueError for anything else."""
    if isinstance(value, str):
        value = [] if value in ("", "none") else value.split(",")
    elif not isinstance(value, Iterable):
        value = [value]
    return tuple(map(integer, value))


def distinct_seeds(value: Any) -> tuple[int, ...]:
    """Convert a number of seeds (30 means seeds 0 to 29), a list, or text like 0-4,10 to the seeds meant."""
    if isinstance(value, str) and re.search(r",|\d-", value):
        value = value.removesuffix(",").split(",")
    if isinstance(value, Iterable) and not isinstance(value, str):
        seeds = tuple(seed for item in value for seed in _seed_range(item))
    elif (count := integer(value)) < 1:
        raise ValueError(f"must be a positive number of seeds, a range like 0-9, or a list, not {value!r}")
    elif count > MAX_SEEDS:
        raise ValueError(f"must be at most {MAX_SEEDS:,}, not {count:,}; for one seed of that number use seed={count}")
    else:
        seeds = tuple(range(count))
    if not seeds:
        raise ValueError("must name at least one seed")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"must differ from each other: {', '.join(map(str, seeds[:20]))}")
    return seeds


def _seed_range(item: Any) -> Sequence[int]:
    """Return the seeds from first to last of text like 0-4, or the one seed."""
    if not (isinstance(item, str) and (ends := re.fullmatch(r"\s*(\d+)-(\d+)\s*", item))):
        return [integer(item)]
    seeds = range(int(ends[1]), int(ends[2]) + 1)
    if not 0 < int(ends[2]) + 1 - int(ends[1]) <= MAX_SEEDS:
        raise ValueError(f"must be ranges like 0-9 of at most {MAX_SEEDS:,}, not {item!r}")
    return seeds


def shown_setting(value: Any) -> str:
    """Return a setting's value as tables show it: 64-64 for layers, 0.001, none, true."""
    if isinstance(value, tuple):
        return "-".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else value if isinstance(value, str) else str(value).lower()


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Return seeds as 1000 to 1004, or one after another."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))

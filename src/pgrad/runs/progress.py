"""How far a training is, by what is in its folder: also from another machine, while it trains."""

import csv
import math
import os
import re
from pathlib import Path
from typing import NamedTuple

from pgrad.algorithms.iteration import METRICS
from pgrad.errors import RunError
from pgrad.runs.atomic import require_regular_file

TAIL = 16_384  # bytes of metrics.csv that are read: about a hundred iterations


class SeedProgress(NamedTuple):
    """How far a seed is: the last line of its metrics.csv."""

    seed: int
    iterations: int
    total_steps: int
    mean_return: float  # of the last episodes that ended; NaN before the first
    entropy: float  # nats


def progress_in(run: Path) -> list[SeedProgress]:
    """Return how far each seed is that has begun, in their order; raise RunError where a file is not metrics.csv."""
    found = []
    for path in run.glob("seed-*/metrics.csv"):
        if seed := re.fullmatch(r"seed-(0|[1-9]\d*)", path.parent.name):
            rows = last_rows(path)
            if rows:
                found.append(progress_of(path, int(seed[1]), rows))
    return sorted(found)


def progress_of(path: Path, seed: int, rows: list[list[str]]) -> SeedProgress:
    """Return what the last rows of a metrics.csv say; raise RunError where they are none."""
    columns = ("iteration", *METRICS)
    try:
        last = dict(zip(columns, rows[-1], strict=True))
        returns = [row[columns.index("mean_episode_return")] for row in rows]
        recent = next((text for text in reversed(returns) if text), "nan")
        entropy = float(last["entropy"] or "nan")
        return SeedProgress(seed, int(last["iteration"]), int(last["total_steps"]), float(recent), entropy)
    except (ValueError, IndexError) as error:
        raise RunError(f"{path} is not as pgrad wrote it: {error}") from error


def last_rows(path: Path) -> list[list[str]]:
    """Return the whole rows at a CSV file's end, without its header; raise RunError where it cannot be read."""
    try:
        require_regular_file(path)
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode(errors="replace")
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    whole = text.split("\n")[1:-1]  # the first is the header, or the rest of a line
    return list(csv.reader(whole))


def mean_return(seeds: list[SeedProgress]) -> float:
    """Return the mean over seeds of their last episodes' returns; NaN before the first."""
    known = [seed.mean_return for seed in seeds if not math.isnan(seed.mean_return)]
    return sum(known) / len(known) if known else math.nan

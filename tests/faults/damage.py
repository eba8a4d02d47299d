"""Every file of a run damaged in every way: cut at each length, and a bit of each byte flipped."""

import logging
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pgrad.config.settings import Config
from pgrad.errors import PgradError
from pgrad.runs.failure import load_failures
from pgrad.runs.folder import fixed_settings, read_config
from pgrad.runs.mlp_file import load_checkpoints, load_policy, load_value
from pgrad.runs.progress import progress_in
from pgrad.runs.resume import read_checkpoint, read_seed
from pgrad.runs.state_file import NEWEST, PREVIOUS
from pgrad.training.loops import Past

Tried = tuple[int, int]  # how often, and how often it held
Read = Callable[[Path], Any]


def added(results: Sequence[Tried]) -> Tried:
    """Add up tries and what held."""
    return sum(tried for tried, _ in results), sum(held for _, held in results)


def damaged(content: bytes, count: int | None, rng: random.Random) -> Iterator[bytes]:
    """Yield a file's content with one random bit of a byte flipped, and cut: all bytes and lengths, or `count`."""
    size = len(content)
    places: Sequence[int] = range(size) if count is None else rng.sample(range(size), min(count, size))
    for place in places:
        yield content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
        yield content[:place]


def survived(run: Path, name: str, read: Read, count: int | None, right: Sequence[Any] | None = None) -> Tried:
    """Damage a file of a run; return the tries, and those that ended in an error, or in what was `right` (or any)."""
    rng, tried, held = random.Random(name), 0, 0
    kept = {path: path.read_bytes() for path in (run / name, run / "seed-0" / NEWEST, run / "seed-0" / PREVIOUS)}
    for content in damaged(kept[run / name], count, rng):
        (run / name).write_bytes(content)
        tried += 1
        try:
            found = read(run)
            held += right is None or found in right
        except PgradError as error:
            held += bool(str(error))
        for path, whole in kept.items():  # going on puts the older checkpoint in the place of one that is damaged
            path.write_bytes(whole)
    return tried, held


def resumed(run: Path, config: Config) -> Any:
    """Return what a seed goes on from, in a form that can be compared."""
    found = read_seed(run / "seed-0", config)
    return found and in_bytes(found[0])


def in_bytes(past: Past) -> Any:
    """Return a checkpoint in a form that can be compared."""
    arrays = [*past.state.arrays.values(), past.history.metrics, *past.history.episodes]
    return {**past.state.about, "settings": None, "journals": None}, [array.tobytes() for array in arrays]


def settings(run: Path) -> dict[str, Any]:
    """Return the settings with which a run goes on, but for those that may change."""
    config, _ = read_config(run)
    read_checkpoint(run / "seed-0", NEWEST, config)
    return fixed_settings(config)


FILES: dict[str, Read] = {  # what is right for each of these is what it was
    "seed-0/policy.safetensors": lambda run: load_policy(run / "seed-0" / "policy.safetensors").parameters.tobytes(),
    "seed-0/value.safetensors": lambda run: load_value(run / "seed-0" / "value.safetensors").parameters.tobytes(),
    "seed-0/checkpoints.safetensors": lambda run: [
        array.tobytes() for array in load_checkpoints(run / "seed-0" / "checkpoints.safetensors")
    ],
    "config.toml": settings,
}
RESUMED = [f"seed-0/{name}" for name in (NEWEST, "metrics.csv", "episodes.csv")]
TOLD: dict[str, Read] = {"seed-0/metrics.csv": progress_in, "failure.json": load_failures}  # may be wrong, for people


def try_damage(run: Path, count: int | None) -> Tried:
    """Damage all files of a run: an error, or all as it was, or as its previous checkpoint has it."""
    logging.getLogger("pgrad").setLevel(logging.ERROR)  # it says each time which checkpoint it takes
    config, _ = read_config(run)
    going_on = partial(resumed, config=config)
    newest, kept = going_on(run), (run / "seed-0" / NEWEST).read_bytes()
    shutil.copy(run / "seed-0" / PREVIOUS, run / "seed-0" / NEWEST)
    previous = going_on(run)
    (run / "seed-0" / NEWEST).write_bytes(kept)
    assert newest != previous
    results = [survived(run, name, read, count, [read(run)]) for name, read in FILES.items()]
    results += [survived(run, name, going_on, count, [newest, previous]) for name in RESUMED]
    results += [survived(run, name, read, count) for name, read in TOLD.items()]
    return added(results)

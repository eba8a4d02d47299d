"""All that runs and sweeps under a folder have recorded, as columns."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgrad.config.settings import FIELDS, Config
from pgrad.config.values import shown_setting
from pgrad.errors import InputError, RunError, nearest
from pgrad.experiments.statistics import running_mean
from pgrad.experiments.sweeps.result import read as read_sweep
from pgrad.experiments.sweeps.runs import Run
from pgrad.runs.folder import read_config
from pgrad.runs.load import RunPath, seeds_of
from pgrad.runs.tables import read_columns

if TYPE_CHECKING:
    import pandas

Column = npt.NDArray[Any]

COUNTS = ("iteration", "episode", "episodes", "total_steps", "length")  # are integers
OF_A_SEED = ("mean_return", "steps_to_solve", "total_steps")  # in summary.json, and in a sweep's journal
APART = ("env", "algorithm", "seeds", "preset")  # settings that have a column anyway, or none


class Results(dict[str, Column]):
    """Columns of one length by name: pandas.DataFrame takes them as they are, as do Polars and Matplotlib."""

    def __repr__(self) -> str:
        rows = next((column.size for column in self.values()), 0)
        return f"<Results: {rows:,} rows of {', '.join(self)}>"

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a pandas.DataFrame; pandas is not installed with pgrad."""
        import pandas

        return pandas.DataFrame(dict(self))


@dataclass(frozen=True)
class Part:
    """The rows of one seed."""

    run: str  # its folder's path below the one that was asked for
    config: Config
    seed: int
    columns: dict[str, Column]


def load_results(folder: RunPath, table: str = "metrics") -> Results:
    """Return what all runs and sweeps in a folder, and in those below it, have recorded, as columns of one table.

    folder  of a run, of a sweep, or one that holds any number of them, such as "runs"
    table   "metrics"      a row an iteration: metrics.csv
            "episodes"     a row an episode of training: episodes.csv
            "evaluations"  a row an evaluation along the way: evaluation_curve.csv
            "curves"       a row a point of the training curve, the running mean of 50 episodes
            "seeds"        a row a seed: mean_return of the frozen policy, steps_to_solve, total_steps, failure

    Before the table's own columns come `run`, its folder; `env`, `algorithm`; every setting that differs between what
    was found, as in `config.hidden`; and `seed`. A sweep keeps curves and what became of each seed, and is in these two
    tables alone. Numbers that are not known are NaN. Runs that still train are read as far as they have been saved.
    Nothing that files name is imported or called. Raises RunError where there is nothing to read, or it is damaged.
    """
    path = Path(folder)
    if table not in TABLES:
        raise InputError(f"unknown table '{table}': {nearest(table, TABLES)}")
    of_runs, of_sweeps = TABLES[table]
    parts = [part for run in folders_with(path, "config.toml") for part in parts_of_run(run, path, of_runs)]
    if of_sweeps is not None:
        parts += [part for one in folders_with(path, "sweep.json") for part in parts_of_sweep(one, path, of_sweeps)]
    if not parts:
        raise RunError(f"{path} holds no run, nor a finished sweep, with {table}")
    return joined(parts)


def folders_with(path: Path, name: str) -> list[Path]:
    """Return the folders with such a file, in the order of their names."""
    return sorted(file.parent for file in path.rglob(name))


def parts_of_run(run: Path, root: Path, read: Callable[[Path], dict[str, Column]]) -> Iterator[Part]:
    """Yield the rows of a run's seeds."""
    config, _ = read_config(run)
    for seed in seeds_of(run):
        if columns := read(run / f"seed-{seed}"):
            yield Part(name_below(root, run), config, seed, columns)


def parts_of_sweep(folder: Path, root: Path, read: Callable[[Run], dict[str, Column]]) -> Iterator[Part]:
    """Yield the rows of a sweep's runs, those on fresh seeds last."""
    sweep = read_sweep(folder)
    for setting in sweep.settings if sweep.fresh is None else (*sweep.settings, sweep.fresh):
        for run in setting.runs:
            yield Part(name_below(root, folder), setting.setting.config, run.seed, read(run))


def name_below(root: Path, folder: Path) -> str:
    """Return a folder's path below another; of that one itself its name."""
    return folder.name if folder == root else folder.relative_to(root).as_posix()


def curve_of_run(seed: Path) -> dict[str, Column]:
    """Return a seed's training curve."""
    episodes = read_columns(seed / "episodes.csv")
    if not episodes:
        return {}
    returns = episodes["episode_return"]
    return {
        "episode": np.arange(1, returns.size + 1),
        "total_steps": episodes["total_steps"],
        "mean_return": running_mean(returns),
    }


def curve_of_sweep(run: Run) -> dict[str, Column]:
    """Return what a sweep keeps of a run's training curve."""
    curve = {"episode": run.curve["episodes"], "total_steps": run.curve["steps"], "mean_return": run.curve["returns"]}
    return {name: np.array(column) for name, column in curve.items()}


def seed_of_run(seed: Path) -> dict[str, Column]:
    """Return what became of a seed of a run, once its summary is written."""
    file = seed.parent / "summary.json"
    if not file.exists():
        return {}
    try:
        of_seeds = json.loads(file.read_text(encoding="utf-8"))["seeds"]
        found = next(one for one in of_seeds if f"seed-{one['seed']}" == seed.name)
        return one_row(found, found["failure"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise RunError(f"{file} is no summary of {seed}: {error!r}") from error


def one_row(numbers: dict[str, Any], failure: str | None) -> dict[str, Column]:
    """Return what became of a seed as columns of one row."""
    columns = {name: np.array([np.nan if numbers[name] is None else float(numbers[name])]) for name in OF_A_SEED}
    return {**columns, "failure": np.array([failure or ""])}


# What reads a table from a seed's folder, and from a run of a sweep.
TABLES: dict[str, tuple[Callable[[Path], dict[str, Column]], Callable[[Run], dict[str, Column]] | None]] = {
    "metrics": (lambda seed: read_columns(seed / "metrics.csv"), None),
    "episodes": (lambda seed: read_columns(seed / "episodes.csv"), None),
    "evaluations": (lambda seed: read_columns(seed / "evaluation_curve.csv"), None),
    "curves": (curve_of_run, curve_of_sweep),
    "seeds": (seed_of_run, lambda run: one_row(run._asdict(), run.failure)),
}


def joined(parts: list[Part]) -> Results:
    """Return the rows of all parts, one below the other, with what tells them apart in front."""
    rows = [next(iter(part.columns.values())).size for part in parts]
    differing = [name for name in FIELDS if name not in APART and len({getattr(p.config, name) for p in parts}) > 1]
    labels: dict[str, list[Any]] = {
        "run": [part.run for part in parts],
        "env": [part.config.env for part in parts],
        "algorithm": [part.config.algorithm for part in parts],
        **{f"config.{name}": in_column([getattr(part.config, name) for part in parts]) for name in differing},
        "seed": [part.seed for part in parts],
    }
    found = Results({name: np.repeat(np.array(values), rows) for name, values in labels.items()})
    for name in dict.fromkeys(name for part in parts for name in part.columns):
        filled = [part.columns.get(name, np.full(n, np.nan)) for part, n in zip(parts, rows, strict=True)]
        column = np.concatenate(filled)
        found[name] = column.astype(np.int64) if name in COUNTS and not np.isnan(column).any() else column
    return found


def in_column(values: list[Any]) -> list[Any]:
    """Return a setting's values as one type: numbers where all are, else as tables show them."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return values if numbers else [shown_setting(value) for value in values]

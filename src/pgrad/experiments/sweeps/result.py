"""What a sweep found: statistics of each setting, as a table, files and figures.

journal.jsonl         one line a run, in the order in which they ended; what the sweep goes on from
results.csv           one line a run, in the order of settings and seeds
summary.json          the statistics of each setting
sweep.json            which runs are of which setting: `read` makes a Sweep of it and the journal
best.toml             the best setting, for `pgrad train --config`
made_with.json        when, by which command, with which versions, on which processor
training_curves.png   all settings on one pair of axes
sensitivity.png       what the settings that differ change

All but the journal and made_with.json are functions of the runs: the same bytes whatever ended first.
"""

import csv
import html
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pgrad.config.resolve import to_toml
from pgrad.config.values import shown_setting
from pgrad.errors import ConfigError, RunError
from pgrad.experiments.learning_speed import NEVER
from pgrad.experiments.over_seeds import (
    HEADINGS,
    OverSeeds,
    best_of,
    in_table,
    over_seeds,
    probability_of_improvement,
    trust,
)
from pgrad.experiments.power import seeds_to_tell
from pgrad.experiments.running.journal import as_document
from pgrad.experiments.statistics import Estimate, bootstrap, interquartile_mean
from pgrad.experiments.sweeps.of_setting import OfSetting, of_json, seeds_of
from pgrad.experiments.sweeps.runs import Run
from pgrad.runs.atomic import write_atomically
from pgrad.runs.folder import located
from pgrad.system import provenance
from pgrad.training.result import finite_estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pgrad.reports.figures import Curve
    from pgrad.reports.over_seeds import Reached

FORMAT = "pgrad-sweep-1"
CHANCE = 0.5  # probability of improvement between equals
MOST_SEEDS = 1000  # of which it is said that they would tell


@dataclass(frozen=True, repr=False)
class Sweep:
    """The result of a sweep.

    env        the id of what was trained on
    threshold  the mean return that counts as solved there, if there is one
    settings   each with its runs, in the order of the grid
    episodes   of each frozen policy
    folder     with its files: see above
    fresh      the best setting on seeds that did not choose it, where that was asked for
    """

    env: str
    threshold: float | None
    settings: tuple[OfSetting, ...]
    episodes: int
    folder: Path
    fresh: OfSetting | None = None

    def __repr__(self) -> str:
        return f"<Sweep: {self.env}, {len(self.settings)} settings, {len(self.settings[0].runs)} seeds each>"

    def _repr_html_(self) -> str:
        """Return the table, for notebooks."""
        return f"<pre>{html.escape(self.table())}</pre>"

    @cached_property
    def statistics(self) -> tuple[OverSeeds, ...]:
        """What each setting reaches, in the order of `settings`."""
        return tuple(over_seeds(one.returns, self.threshold) for one in self.settings)

    @cached_property
    def best(self) -> int:
        """Which setting is the best: over_seeds.best_of."""
        return best_of(self.statistics)

    def improvement(self, one: int, other: int) -> Estimate:
        """Return how probable it is that a seed of one setting is better than one of another: over_seeds."""
        return probability_of_improvement(self.settings[one].returns, self.settings[other].returns)

    def table(self) -> str:
        """Return a few lines for people: each setting's statistics, what the best is worth, and what to doubt."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        return "\n".join([*lines, *self.remarks()])

    def rows(self) -> list[tuple[str, ...]]:
        """Return the headings and a row of cells for each setting, without columns that are empty."""
        rows = [(*self.columns, *HEADINGS, "steps to solve", "P(best is better)")]
        for k, (one, statistics) in enumerate(zip(self.settings, self.statistics, strict=True)):
            better = "best" if k == self.best else str(self.improvement(self.best, k))
            rows.append((*self.cells(one), *statistics.cells(), self.steps_to_solve(k), better))
        kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
        return list(zip(*kept, strict=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what differs, for a table; one column, where cases change different settings."""
        names = [tuple(one.setting.values) for one in self.settings]
        return names[0] if len(set(names)) == 1 else ("setting",)

    def cells(self, one: OfSetting) -> list[str]:
        """Return what a setting has in `columns`."""
        values = one.setting.values
        return [str(one.setting)] if self.columns == ("setting",) else [*map(shown_setting, values.values())]

    def steps_to_solve(self, k: int) -> str:
        """Return a setting's median steps to solve for a table, empty where not half of any setting's seeds do."""
        if self.threshold is None or all(one.steps_to_solve.value == NEVER for one in self.settings):
            return ""
        steps = self.settings[k].steps_to_solve
        value, *ends = ("not reached" if end == NEVER else f"{end:,.0f}" for end in steps)
        return value if np.isnan(steps.low) or steps.low == NEVER else f"{value} [{', '.join(ends)}]"

    def remarks(self) -> list[str]:
        """Return what belongs to the table, a line each."""
        best, winner = self.statistics[self.best], self.settings[self.best]
        lines = [f"best: {winner.setting}; {best.tolerance()}"]
        others = [k for k in range(len(self.settings)) if k != self.best]
        if rivals := [k for k in others if self.improvement(self.best, k).low <= CHANCE]:
            as_good = f"{len(rivals)} of {len(others)} others may be as good"
            lines.append(f"  {as_good}: P(best is better) may be {CHANCE} there{self.to_tell(rivals)}")
        if self.fresh is not None:
            fresh = over_seeds(self.fresh.returns, self.threshold)
            lines += [
                f"  on the seeds that chose it, {seeds_of(winner)}: {in_table(best.interquartile_mean)}",
                f"  on fresh seeds, {seeds_of(self.fresh)}: {in_table(fresh.interquartile_mean)}; {fresh.tolerance()}",
            ]
        elif len(self.settings) > 1:
            lines.append("  it was chosen by these seeds, and is partly lucky: --select best tries it on fresh ones")
        if (doubt := trust(best.n)) is not None:
            lines.append(doubt)
        lines += [
            f"{one.setting}, seed {run.seed} failed: {run.failure.splitlines()[0]}"
            for one in self.settings
            for run in one.runs
            if run.failure
        ]
        return lines

    def to_tell(self, rivals: list[int]) -> str:
        """Say how many seeds would tell the best from the rival that is most unlike it, where so many can be made."""
        least = max(self.improvement(self.best, k).value for k in rivals)
        seeds = seeds_to_tell(least)
        return (
            f"; where it is {least:.2f}, if it is, about {seeds} seeds each would tell" if seeds <= MOST_SEEDS else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for programs, in what JSON knows: None for unknown numbers, and for those of failures."""
        return {
            "env": self.env,
            "episodes": self.episodes,
            "intervals": "95 %; mean: bootstrap, below ten seeds Student's t; interquartile mean: bootstrap; solved: "
            "Clopper–Pearson; probability that the best is better: Newcombe's",
            "doubt": trust(self.statistics[0].n),
            "settings": [
                {
                    **in_numbers(one, statistics),
                    "best_is_better": None if k == self.best else finite_estimate(self.improvement(self.best, k)),
                }
                for k, (one, statistics) in enumerate(zip(self.settings, self.statistics, strict=True))
            ],
            "best": self.best,
            "best_on_fresh_seeds": None
            if self.fresh is None
            else in_numbers(self.fresh, over_seeds(self.fresh.returns, self.threshold)),
        }

    def to_csv(self) -> str:
        """Format one line a run: what differs between settings, the seed, and what came of it."""
        text = io.StringIO()
        names = list(dict.fromkeys(name for one in self.settings for name in one.setting.values))
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, "seed", "mean_return", "steps_to_solve", "total_steps", "fresh", "failure"])
        for one in self.settings if self.fresh is None else (*self.settings, self.fresh):
            values = {**vars(one.setting.config), **one.setting.values}
            settings = [shown_setting(values[name]) for name in names]
            for run in one.runs:
                numbers = [run.seed, run.mean_return, run.steps_to_solve, run.total_steps]
                writer.writerow([*settings, *numbers, int(one is self.fresh), run.failure])
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Return what `read` needs beside the journal."""
        return {
            "format": FORMAT,
            "env": self.env,
            "threshold": self.threshold,
            "episodes": self.episodes,
            "settings": [one.to_json() for one in self.settings],
            "fresh": None if self.fresh is None else self.fresh.to_json(),
        }

    def write(self) -> None:
        """Write the files of the folder; raise RunError where that cannot be done."""
        write_atomically(self.folder / "results.csv", self.to_csv())
        write_atomically(self.folder / "summary.json", json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")
        write_atomically(self.folder / "sweep.json", json.dumps(self.to_json(), indent=1) + "\n")
        best = self.settings[self.best].setting.config
        write_atomically(self.folder / "best.toml", to_toml(replace(best, env=located(best.env))))
        write_atomically(self.folder / "made_with.json", json.dumps(provenance(), indent=2) + "\n")

    def write_figures(self) -> list[Path]:
        """Draw what can be drawn, and return the files; raise RunError where they cannot be written."""
        from pgrad.reports.figures import save_figure

        figures = {"training_curves": self.plot(), "sensitivity": self.sensitivity()}
        drawn = {name: figure for name, figure in figures.items() if figure is not None}
        return [save_figure(figure, self.folder / f"{name}.png") for name, figure in drawn.items()]

    @property
    def curve_axis(self) -> str:
        """What training curves are drawn against: steps, or where a configuration limits iterations, episodes."""
        by_steps = all(one.setting.config.total_steps is not None for one in self.settings)
        return "environment steps" if by_steps else "episodes"

    def curves(self) -> "dict[str, list[Curve]]":
        """Return the training curves of the seeds that did not fail, by setting.

        A setting is left out whose seeds' finished episodes have no point in common.
        """
        from pgrad.reports.figures import overlap

        x = "episodes" if self.curve_axis == "episodes" else "steps"
        curves = {
            one.label: [(np.array(run.curve[x]), np.array(run.curve["returns"])) for run in one.trained]
            for one in self.settings
        }
        return {label: of_seeds for label, of_seeds in curves.items() if overlap(of_seeds)}

    def plot(self) -> "Figure | None":
        """Draw the training curves: reports.figures.compared; None where there are none."""
        from pgrad.reports.figures import compared

        curves = self.curves()
        return compared(curves, self.env, self.curve_axis, seeds=True) if curves else None

    def reached(self) -> "list[Reached]":
        """Return what the figures of reports.over_seeds are of."""
        from pgrad.reports.over_seeds import Reached

        pairs = zip(self.settings, self.statistics, strict=True)
        return [Reached(one.label, one.returns, statistics.interquartile_mean) for one, statistics in pairs]

    def sensitivity(self) -> "Figure | None":
        """Draw what the settings that differ change: reports.sensitivity; None where none or too many do, or cases."""
        from pgrad.reports.sensitivity import MOST_PANELS, Point, sensitivity

        points = [
            Point(one.setting.values, one.returns, statistics.interquartile_mean)
            for one, statistics in zip(self.settings, self.statistics, strict=True)
        ]
        drawable = 0 < len(self.columns) <= MOST_PANELS and self.columns != ("setting",)
        return sensitivity(points, self.env) if drawable else None


def read(folder: Path) -> Sweep:
    """Return the sweep of a folder, all of whose runs are there; raise RunError where it has none.

    Files are data: nothing that they name is imported or called.
    """
    with damage_named(folder):
        document = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        lines = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[1:]
        runs = {run.key: run for run in (Run(**as_document(line)) for line in lines)}
        settings = tuple(of_json(one, runs) for one in document["settings"])
        fresh = None if document["fresh"] is None else of_json(document["fresh"], runs)
        return Sweep(document["env"], document["threshold"], settings, document["episodes"], folder, fresh)


def read_made_with(folder: Path) -> dict[str, Any]:
    """Return when and with what a sweep was made; raise RunError where its folder does not say."""
    with damage_named(folder):
        document: dict[str, Any] = json.loads((folder / "made_with.json").read_text(encoding="utf-8"))
        return {**document, "command": str(document["command"]), "packages": dict(document["packages"])}


@contextmanager
def damage_named(folder: Path) -> Iterator[None]:
    """Raise RunError where a sweep's folder cannot be read, and say what to do."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder} is no finished sweep: cannot read {error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{folder} holds a damaged sweep ({error!r}): the sweep's command mends it") from error


def in_numbers(one: OfSetting, statistics: OverSeeds) -> dict[str, Any]:
    """Return a setting's statistics for JSON."""
    worst = min(one.runs, key=lambda run: run.value)
    document: dict[str, Any] = {
        "setting": {name: shown_setting(value) for name, value in one.setting.values.items()},
        "seeds": seeds_of(one),
        "n": statistics.n,
        "failures": statistics.failures,
        "mean_return": finite_estimate(statistics.mean),
        "median_return": statistics.median if np.isfinite(statistics.median) else None,
        "interquartile_mean_return": finite_estimate(statistics.interquartile_mean),
        "worst_seed": {"seed": worst.seed, "mean_return": worst.mean_return, "tolerance": statistics.tolerance()},
        "interquartile_mean_return_while_training": finite_estimate(bootstrap(one.heights, interquartile_mean)),
        "solved": statistics.solved,
    }
    if statistics.solved is not None:
        document["solved_share"] = finite_estimate(statistics.solved_share)
        document["steps_to_solve"] = finite_estimate(one.steps_to_solve)
    return document

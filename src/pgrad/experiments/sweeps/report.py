"""A sweep's report: what each setting reaches, its training curves, what the settings change, and how to repeat it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pgrad.config.values import shown_setting
from pgrad.experiments.statistics import Estimate, mean_interval_of_columns, shown
from pgrad.experiments.sweeps.result import Sweep, read, read_made_with
from pgrad.reports.figures import on_one_grid
from pgrad.reports.page import Rows, Section, page
from pgrad.runs.atomic import write_atomically

TABLE_POINTS = 11  # of a training curve in its table


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one sweep's folder or of several as a page of HTML, and return its path.

    out  the file (default: report.html in the first folder)

    Raises RunError where a folder holds no finished sweep, or the page cannot be written.
    """
    sweeps = [read(folder) for folder in folders]
    titles = [f"{sweep.env}: {len(sweep.settings)} settings, {len(sweep.settings[0].runs)} seeds" for sweep in sweeps]
    sections = [section for sweep in sweeps for section in sections_of(sweep)]
    path = out or folders[0] / "report.html"
    write_atomically(path, page(" · ".join(titles), sections))
    return path


def sections_of(sweep: Sweep) -> list[Section]:
    """Return the parts of a sweep's report."""
    curves, sensitivity = sweep.curves(), sweep.sensitivity()
    sections = [Section(f"What each setting reaches on {sweep.env}", sweep.remarks(), None, sweep.rows())]
    if curves:
        sections.append(Section("Training curves", [], sweep.plot(), curve_rows(sweep)))
    if sensitivity is not None:
        sections.append(Section("What the settings change", [], sensitivity, seed_rows(sweep)))
    return [*sections, how_to_repeat(sweep.folder)]


def how_to_repeat(folder: Path) -> Section:
    """Return the part that says by which command, when and with what a sweep was made."""
    made_with = read_made_with(folder)
    command, packages = made_with.pop("command"), made_with.pop("packages")
    rows = [(name, str(value)) for name, value in {**made_with, **packages}.items()]
    return Section("How to make it again", [command], None, [("made with", ""), *rows])


def curve_rows(sweep: Sweep) -> Rows:
    """Return the training curves as a table: the mean over seeds with its interval, at a few points."""
    rows: list[Sequence[str]] = [("setting", sweep.curve_axis, "return of 50 training episodes")]
    for label, curves in sweep.curves().items():
        grid, on_grid = on_one_grid(curves)
        means = mean_interval_of_columns(on_grid)
        for point in np.linspace(0, grid.size - 1, TABLE_POINTS).astype(int):
            rows.append((label, f"{grid[point]:,.0f}", str(Estimate(*means[:, point]))))
    return rows


def seed_rows(sweep: Sweep) -> Rows:
    """Return each seed's mean return as a table, a column a setting."""
    names = list(sweep.settings[0].setting.values)
    rows: list[Sequence[str]] = [(*names, "seed", "mean return")]
    for one in sweep.settings:
        values = [shown_setting(value) for value in one.setting.values.values()]
        rows += [(*values, str(run.seed), "failed" if run.failure else shown(run.value)) for run in one.runs]
    return rows

"""A sweep's report: what each setting reaches, its training curves, what the settings change, and how to repeat it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pgrad.config.values import shown_setting
from pgrad.experiments.statistics import Estimate, mean_interval_of_columns, shown
from pgrad.experiments.sweeps.result import Sweep, read, read_made_with
from pgrad.reports.figures import on_one_grid
from pgrad.reports.page import Rows, Section, how_to_repeat, page
from pgrad.runs.atomic import write_atomically
from pgrad.runs.report import is_run, run_sections

TABLE_POINTS = 11  # of a training curve in its table


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of a folder or of several, of sweeps and of single runs, as a page of HTML; return its path.

    out  the file (default: report.html in the first folder)

    Raises RunError where a folder holds neither a finished sweep nor a run, or the page cannot be written.
    """
    parts = [run_sections(folder) if is_run(folder) else sweep_sections(read(folder)) for folder in folders]
    path = out or folders[0] / "report.html"
    write_atomically(path, page(" · ".join(title for title, _ in parts), [one for _, all_ in parts for one in all_]))
    return path


def sweep_sections(sweep: Sweep) -> tuple[str, list[Section]]:
    """Return the title and the parts of a sweep's report."""
    title = f"{sweep.env}: {len(sweep.settings)} settings, {len(sweep.settings[0].runs)} seeds"
    return title, sections_of(sweep)


def sections_of(sweep: Sweep) -> list[Section]:
    """Return the parts of a sweep's report."""
    curves, sensitivity = sweep.curves(), sweep.sensitivity()
    sections = [Section(f"What each setting reaches on {sweep.env}", sweep.remarks(), None, sweep.rows())]
    if curves:
        sections.append(Section("Training curves", [], sweep.plot(), curve_rows(sweep)))
    if sensitivity is not None:
        sections.append(Section("What the settings change", [], sensitivity, seed_rows(sweep)))
    return [*sections, how_to_repeat(read_made_with(sweep.folder))]


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

"""A sweep's report: what each setting reaches, its training curves, what the settings change, and how to repeat it."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from pgrad.config.values import shown_setting
from pgrad.experiments.statistics import shown
from pgrad.experiments.sweeps.result import Sweep, read, read_made_with
from pgrad.reports.page import Rows, Section, how_to_repeat, page
from pgrad.runs.atomic import write_atomically
from pgrad.runs.report import curve_rows, is_run, run_sections


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of a folder or of several, of sweeps and of single runs, as a page of HTML; return its path.

    out  the file (default: report.html in the first folder)

    Raises RunError where a folder holds neither a finished sweep nor a run, or the page cannot be written.
    """
    parts = [run_sections(folder) if is_run(folder) else sweep_sections(read(folder)) for folder in folders]
    titles, sections = zip(*parts, strict=True)
    path = out or folders[0] / "report.html"
    write_atomically(path, page(" · ".join(titles), list(itertools.chain(*sections))))
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
        sections.append(Section("Training curves", [], sweep.plot(), curves_rows(sweep)))
    if sensitivity is not None:
        sections.append(Section("What the settings change", [], sensitivity, seed_rows(sweep)))
    return [*sections, how_to_repeat(read_made_with(sweep.folder))]


def curves_rows(sweep: Sweep) -> Rows:
    """Return the training curves as a table: the mean over seeds with its interval, at a few points."""
    rows: list[Sequence[str]] = [("setting", sweep.curve_axis, "return of 50 training episodes")]
    for label, curves in sweep.curves().items():
        rows += [(label, *row) for row in curve_rows(curves)]
    return rows


def seed_rows(sweep: Sweep) -> Rows:
    """Return each seed's mean return as a table, a column a setting."""
    names = list(sweep.settings[0].setting.values)
    rows: list[Sequence[str]] = [(*names, "seed", "mean return")]
    for one in sweep.settings:
        values = [shown_setting(value) for value in one.setting.values.values()]
        rows += [(*values, str(run.seed), "failed" if run.failure else shown(run.value)) for run in one.runs]
    return rows

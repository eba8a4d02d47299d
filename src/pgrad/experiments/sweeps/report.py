"""A sweep's report: what each setting reaches, its training curves, what the settings change, and how to repeat it."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from pgrad.experiments.over_seeds import in_table
from pgrad.experiments.profile import performance_profile
from pgrad.experiments.statistics import Estimate, bootstrap, interquartile_mean, shown
from pgrad.experiments.sweeps.result import Sweep, read, read_made_with
from pgrad.reports.over_seeds import final_performance, profile_points, profiles
from pgrad.reports.page import Rows, Section, how_to_repeat, page
from pgrad.runs.atomic import write_atomically
from pgrad.runs.report import TABLE_POINTS, curve_rows, is_run, run_sections

PROFILES = (
    "How many seeds are above each return. Where one setting's line is nowhere below another's, it is at least as good "
    "at every quantile; where lines cross, which is better depends on what is asked for."
)
SPEED = (
    "The mean return while a setting trains is the area under a training curve divided by its width; shown is the "
    "interquartile mean over seeds. Steps to solve are until 20 training episodes average the threshold, the median "
    "over all seeds: one that has not got there when its training ends has not been reached, and is not left out."
)


def report(
    folders: Sequence[Path], out: Path | None = None, top: Sequence[Section] = (), title: str | None = None
) -> Path:
    """Write the report of a folder or of several, of sweeps and of single runs, as a page of HTML; return its path.

    out         the file (default: report.html in the first folder)
    top, title  what stands above the sweeps, and the heading of the page (default: what was swept)

    Raises RunError where a folder holds neither a finished sweep nor a run, or the page cannot be written.
    """
    parts = [run_sections(folder) if is_run(folder) else sweep_sections(read(folder)) for folder in folders]
    titles, sections = zip(*parts, strict=True)
    path = out or folders[0] / "report.html"
    write_atomically(path, page(title or " · ".join(titles), [*top, *itertools.chain(*sections)]))
    return path


def sweep_sections(sweep: Sweep) -> tuple[str, list[Section]]:
    """Return the title and the parts of a sweep's report."""
    title = f"{sweep.env}: {len(sweep.settings)} settings, {len(sweep.settings[0].runs)} seeds"
    return title, sections_of(sweep)


def sections_of(sweep: Sweep) -> list[Section]:
    """Return the parts of a sweep's report."""
    curves, sensitivity = sweep.curves(), sweep.sensitivity()
    sections = [Section(f"What each setting reaches on {sweep.env}", sweep.remarks(), None, sweep.rows())]
    if len(sweep.settings) > 1:
        final = final_performance(sweep.reached(), sweep.env, sweep.threshold)
        sections.append(Section("Final performance", [], final, seed_rows(sweep)))
        sections.append(
            Section("Performance profiles", [PROFILES], profiles(sweep.reached(), sweep.env), profile_rows(sweep))
        )
    if curves:
        sections.append(Section("Training curves", [], sweep.plot(), curves_rows(sweep)))
        sections.append(Section("How fast they learn", [SPEED], None, speed_rows(sweep)))
    if sensitivity is not None:
        sections.append(Section("What the settings change", [], sensitivity, sensitivity_rows(sweep)))
    return [*sections, how_to_repeat(read_made_with(sweep.folder))]


def curves_rows(sweep: Sweep) -> Rows:
    """Return the training curves as a table: the mean over seeds with its interval, at a few points."""
    rows: list[Sequence[str]] = [("setting", sweep.curve_axis, "return of 50 training episodes")]
    for label, curves in sweep.curves().items():
        rows += [(label, *row) for row in curve_rows(curves)]
    return rows


def profile_rows(sweep: Sweep) -> Rows:
    """Return the performance profiles as a table: the share of seeds above a few returns, with its interval."""
    thresholds = profile_points(sweep.reached(), TABLE_POINTS)
    rows: list[Sequence[str]] = [("setting", *(f"above {shown(threshold)}" for threshold in thresholds))]
    for one in sweep.settings:
        shares = performance_profile(one.returns, thresholds).T
        rows.append((one.label, *(str(Estimate(*share)) for share in shares)))
    return rows


def speed_rows(sweep: Sweep) -> Rows:
    """Return how fast each setting learns as a table: the area under its curves, and the steps until it solves."""
    rows: list[Sequence[str]] = [("setting", "mean return while it trains", "median steps to solve")]
    for k, one in enumerate(sweep.settings):
        rows.append((one.label, in_table(bootstrap(one.heights, interquartile_mean)), sweep.steps_to_solve(k)))
    kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return list(zip(*kept, strict=True))


def sensitivity_rows(sweep: Sweep) -> Rows:
    """Return the interquartile mean of each setting as a table."""
    rows: list[Sequence[str]] = [(*sweep.columns, "interquartile mean")]
    for one, statistics in zip(sweep.settings, sweep.statistics, strict=True):
        rows.append((*sweep.cells(one), in_table(statistics.interquartile_mean)))
    return rows


def seed_rows(sweep: Sweep) -> Rows:
    """Return each seed's mean return as a table, a column a setting."""
    rows: list[Sequence[str]] = [(*sweep.columns, "seed", "mean return")]
    for one in sweep.settings:
        rows += [(*sweep.cells(one), str(run.seed), "failed" if run.failure else shown(run.value)) for run in one.runs]
    return rows

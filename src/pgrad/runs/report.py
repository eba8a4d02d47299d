"""A run's report: what it reaches, how it got there, what to doubt, its settings, and how to make it again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgrad.config.settings import FIELDS, Config
from pgrad.config.values import seeds_in_words, shown_setting
from pgrad.errors import RunError
from pgrad.experiments.statistics import (
    WINDOW,
    Estimate,
    mean_interval,
    mean_interval_of_columns,
    running_mean,
    shown,
)
from pgrad.presets.preset import NONE, described
from pgrad.reports.figures import (
    Curve,
    along_the_way,
    ends,
    evaluated_returns,
    metrics_along,
    on_one_grid,
    overlap,
    training_episodes,
)
from pgrad.reports.page import Rows, Section, how_to_repeat
from pgrad.rollouts.batch import Episodes
from pgrad.runs.folder import read_config
from pgrad.runs.load import seeds_of
from pgrad.runs.tables import Floats, read_columns

TABLE_POINTS = 11  # of a curve in its table
TELLING = ("entropy", "kl", "explained_variance", "gradient_norm")  # metrics that are drawn
DIGEST = 16  # characters of a hash that are shown


@dataclass(frozen=True)
class SeedFiles:
    """What a run's folder has of a seed."""

    seed: int
    metrics: dict[str, Floats]  # metrics.csv
    episodes: Episodes  # of training
    returns: Floats  # of the frozen policy's evaluation
    evaluations: dict[str, Floats]  # along the way
    digest: str  # SHA-256 of the policy's file


@dataclass(frozen=True)
class RunFiles:
    """What a run's folder has."""

    config: Config
    module: str | None  # the class of the PyTorch module that it trained, if it did
    summary: dict[str, Any]
    seeds: list[SeedFiles]

    @property
    def title(self) -> str:
        """The run in a few words."""
        count = len(self.seeds)
        return f"{self.config.env}: {self.config.algorithm}, {count} seed{'s' if count > 1 else ''}"


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run's."""
    return (folder / "config.toml").is_file()


def read_run(folder: Path) -> RunFiles:
    """Return what a run's folder has; raise RunError where it is none, or its training has not come to an end.

    Files are data: nothing that they name is imported or called.
    """
    config, module = read_config(folder)
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        of_seeds = {one["seed"]: one for one in summary["seeds"]}
        summary["made_with"]["command"], summary["made_with"]["packages"], summary["doctor"]
    except FileNotFoundError as error:
        raise RunError(
            f"{folder} has no summary.json yet: its training has not ended. If nothing trains there any more, "
            f"`pgrad train --resume {folder}` goes on with it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / 'summary.json'} is no summary of a run: {error!r}") from error
    return RunFiles(config, module, summary, [read_seed(folder, seed) for seed in seeds_of(folder) if seed in of_seeds])


def read_seed(folder: Path, seed: int) -> SeedFiles:
    """Return what a run's folder has of a seed; raise RunError where a file is damaged."""
    own = folder / f"seed-{seed}"
    episodes = read_columns(own / "episodes.csv")
    log: Any = [episodes.get(name, np.empty(0)) for name in Episodes._fields]
    return SeedFiles(
        seed,
        read_columns(own / "metrics.csv"),
        Episodes(*log),
        read_columns(own / "evaluation.csv").get("return", np.empty(0)),
        read_columns(own / "evaluation_curve.csv"),
        hashlib.sha256((own / "policy.safetensors").read_bytes()).hexdigest(),
    )


def run_sections(folder: Path) -> tuple[str, list[Section]]:
    """Return the title and the parts of a run's report; raises as `read_run`."""
    run = read_run(folder)
    parts = [reached(run), training(run), along(run), metrics(run), settings(run)]
    return run.title, [*(part for part in parts if part), how_to_repeat(run.summary["made_with"])]


def reached(run: RunFiles) -> Section:
    """Return the part that says what the frozen policies are worth, and what to doubt."""
    summary, sentences = run.summary, []
    if mean := summary.get("mean_return"):
        value = Estimate(*(np.nan if mean[end] is None else mean[end] for end in Estimate._fields))
        sentences.append(f"Mean return of the frozen policies: {value} ({mean['interval']}).")
    if summary.get("solved") is not None:
        sentences.append(f"Solved: {summary['solved']} of {len(run.seeds)} seeds.")
    if summary["interrupted"]:
        sentences.append("The training was interrupted, and may go on: pgrad train --resume.")
    if stopped := [one["seed"] for one in summary["seeds"] if one.get("stopped_early")]:
        sentences.append(f"Stopped early: seeds {seeds_in_words(stopped)}.")
    sentences += [f"Doctor: {finding['sentence']}." for finding in summary["doctor"]]
    sentences += [f"Seed {one['seed']} failed: {one['failure']}." for one in summary["seeds"] if one["failure"]]
    played = {one.seed: one.returns for one in run.seeds if one.returns.size}
    figure = evaluated_returns(played) if played else None
    return Section(f"What the frozen policies reach on {run.config.env}", sentences, figure, seed_rows(run))


def seed_rows(run: RunFiles) -> Rows:
    """Return what each seed reaches as a table."""
    rows = [("seed", "mean return", "of episodes", "best seen", "steps", "steps to solve", "policy (SHA-256)")]
    numbers = {one["seed"]: one for one in run.summary["seeds"]}
    for one in run.seeds:
        kept = numbers[one.seed]
        mean = str(mean_interval(one.returns)) if one.returns.size else "failed" if kept["failure"] else ""
        best = kept["best"] and f"{shown(kept['best']['mean_return']['value'])} at {kept['best']['total_steps']:,}"
        solved = "" if kept["steps_to_solve"] is None else f"{kept['steps_to_solve']:,}"
        steps, digest = f"{kept['total_steps']:,}", one.digest[:DIGEST]
        rows.append((str(one.seed), mean, str(one.returns.size), best or "", steps, solved, digest))
    return rows


def training(run: RunFiles) -> Section | None:
    """Return the training curve, if enough episodes have ended for one."""
    by_steps = run.config.total_steps is not None
    curves = [(ends(one.episodes, by_steps), running_mean(one.episodes.episode_return)) for one in run.seeds]
    if not overlap(curves):
        return None
    logs = [one.episodes for one in run.seeds]
    lines = {"maximum": run.summary.get("max_return"), "solved": run.summary.get("reward_threshold")}
    headings = ("environment steps" if by_steps else "episodes", f"return of {WINDOW} training episodes")
    figure = training_episodes(logs, run.title, by_steps, lines)
    return Section("Training curve", (), figure, [headings, *curve_rows(curves)])


def curve_rows(curves: Sequence[Curve]) -> list[tuple[str, str]]:
    """Return seeds' curves as a table: their mean with its interval, at a few points."""
    grid, on_grid = on_one_grid(curves)
    means = mean_interval_of_columns(on_grid)
    points = np.linspace(0, grid.size - 1, TABLE_POINTS).astype(int)
    return [(f"{grid[point]:,.0f}", str(Estimate(*means[:, point]))) for point in points]


def along(run: RunFiles) -> Section | None:
    """Return the frozen policies' evaluations along the way, where there are any."""
    found = {one.seed: one.evaluations for one in run.seeds if one.evaluations}
    if not found:
        return None
    rows = [("seed", "environment steps", "mean return", "mean length")]
    for seed, of_seed in found.items():
        steps, lengths = of_seed["total_steps"], of_seed["mean_length"]
        for k, estimate in enumerate(zip(*(of_seed[name] for name in ("mean_return", "low", "high")), strict=True)):
            rows.append((str(seed), f"{steps[k]:,.0f}", str(Estimate(*estimate)), f"{lengths[k]:.1f}"))
    return Section("Evaluation along the way", ["Frozen policies, 20 episodes each."], along_the_way(found), rows)


def metrics(run: RunFiles) -> Section | None:
    """Return telling metrics of the iterations, where there were any."""
    found = {one.seed: one.metrics for one in run.seeds if one.metrics and one.metrics["total_steps"].size}
    names = [name for name in TELLING if any(np.isfinite(of_seed[name]).any() for of_seed in found.values())]
    if not names:
        return None
    rows: list[tuple[str, ...]] = [("seed", "iteration", "environment steps", *names)]
    for seed, of_seed in found.items():
        for k in np.unique(np.linspace(0, of_seed["iteration"].size - 1, TABLE_POINTS).astype(int)):
            values = (f"{of_seed[name][k]:.4g}" for name in names)
            rows.append((str(seed), f"{of_seed['iteration'][k]:.0f}", f"{of_seed['total_steps'][k]:,.0f}", *values))
    return Section("Along the training", (), metrics_along(found, names), rows)


def settings(run: RunFiles) -> Section:
    """Return the settings, and where they came from."""
    sentences = [] if run.config.preset == NONE else [f"What was not given was as in {described(run.config.preset)}."]
    if run.module is not None:
        sentences.append(f"The policy is a PyTorch module, {run.module}.")
    rows = [("setting", "value"), ("seeds", seeds_in_words(run.config.seeds))]
    rows += [(name, shown_setting(getattr(run.config, name))) for name in FIELDS if name != "seeds"]
    return Section("Settings", sentences, None, rows)

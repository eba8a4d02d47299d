"""`sweep`: check every setting, make the runs that the journal lacks, and write what came of them."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pgrad.config.settings import Config, check_arguments
from pgrad.envs.make import AnyEnv
from pgrad.errors import ConfigError, EnvError, collecting, nearest
from pgrad.experiments.running.cluster import answers_on_ray, imported_ray
from pgrad.experiments.running.journal import Journal
from pgrad.experiments.running.workers import answers
from pgrad.experiments.statistics import shown
from pgrad.experiments.sweeps.grid import Grid, Setting, grid
from pgrad.experiments.sweeps.of_setting import OfSetting
from pgrad.experiments.sweeps.result import FORMAT, Sweep
from pgrad.experiments.sweeps.runs import Run, answer, died, key_of, make_run, of_seed, request_of
from pgrad.runs.folder import RUNS, located, run_name
from pgrad.system import available_cores, version

SELECTIONS = ("best",)

Progress = Callable[[str], None]


class Job(NamedTuple):
    """A run that is wanted."""

    setting: Setting
    config: Config  # with the run's seed alone
    key: str


class Place(NamedTuple):
    """Where runs are made: so many side by side (None for as many as there are cores), here or on a Ray cluster."""

    processes: int | None
    on: str | None


def sweep(
    env: AnyEnv,
    *,
    seeds: int | str | Sequence[int] = 30,
    episodes: int = 100,
    select: str | None = None,
    cases: Sequence[Mapping[str, Any]] = ({},),
    trials: int | None = None,
    search_seed: int = 0,
    processes: int | None = None,
    on: str | None = None,
    out: "Path | str | None" = None,
    announce: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Sweep:
    """Train every combination of settings on every seed, and return what each reaches, with intervals over seeds.

    env       whatever `pgrad.train` takes. One by name is trained in several processes, an object in this one, and a
              journal knows an object by its name alone
    seeds     30 means seeds 0 to 29; or a range or a list
    settings  any of Config's fields: a value, which all settings have, or a list of values, such as
              learning_rate=[0.001, 0.01] or hidden=[128, [64, 64]]; or of a number a range, "1e-4..1e-2", log-uniform
              where it spans a factor of ten or more. What is not given is as for `pgrad.train`
    cases     settings that belong together, such as [{}, {"num_epochs": 4, "clip_epsilon": 0.2}]; each case is combined
              with all that `settings` gives
    trials, search_seed  how many draws are made from all ranges together, and their seed
    episodes  of each run's frozen policy, in Gymnasium's own environment
    select    "best" trains the setting with the largest interquartile mean on as many fresh seeds: what won among
              several is partly luck, and only seeds that did not choose it say what it is worth
    processes side by side (default: all cores); what is found does not depend on it
    on        "ray" or "ray:ADDRESS": a Ray cluster that is started here, or one that exists (docs/cluster.md)
    out       folder (default: runs/sweep-ENV-ALGORITHM). Runs that its journal.jsonl has are not made again, whatever
              sweep of this environment made them
    announce, progress  called with what is swept, and after each run with a line

    A run that crashes or whose numbers stop being finite counts as a failure and is never left out. Raises ConfigError
    for all that is wrong with any setting before anything runs, EnvError for an environment that cannot be made, and
    RunError for a folder that another sweep is in, one of another environment or version, and where it cannot be
    written.
    """
    problems: list[str] = []
    numbers: dict[str, Any] = {"seeds": (0,), "search_seed": 0, "trials": trials and 1}  # where they are wrong
    with collecting(problems):
        numbers |= check_arguments(seeds=seeds, processes=processes, episodes=episodes, search_seed=search_seed)
        numbers |= {} if trials is None else check_arguments(trials=trials)
    if select is not None and select not in SELECTIONS:
        problems.append(f"unknown select '{select}': {nearest(str(select), SELECTIONS)}")
    problems += problems_with(on, env)
    chosen: list[Setting] = []
    try:
        with collecting(problems):
            wanted = Grid(settings, cases, numbers["trials"], numbers["search_seed"])
            chosen, made = grid(env, wanted, numbers["seeds"])
    except EnvError as error:
        if not problems:
            raise
        problems += str(error).splitlines()
    if problems:
        raise ConfigError(problems)
    episodes, place = numbers["episodes"], Place(numbers["processes"], on)
    folder = Path(out) if out is not None else RUNS / f"sweep-{run_name(chosen[0].config)}"
    header = {"format": FORMAT, "env": located(chosen[0].config.env), "pgrad": version("pgrad")}
    with Journal(folder / "journal.jsonl", header, Run, "sweep") as journal:
        if announce is not None:
            runs = f"{len(chosen)} settings × {len(numbers['seeds'])} seeds · {journal.path}"
            for line in (f"{made.id} · {runs}", *journal.story()):
                announce(line)
        swept = fill(env, chosen, episodes, journal, place, progress)
        found = Sweep(made.id, made.reward_threshold, swept, episodes, folder)
        if select is not None:
            fresh = with_fresh_seeds(swept[found.best].setting)
            found = replace(found, fresh=fill(env, [fresh], episodes, journal, place, progress)[0])
        found.write()
        found.write_figures()
    return found


def problems_with(on: str | None, env: AnyEnv) -> list[str]:
    """Return what is wrong with where runs are to be made."""
    if on is None:
        return []
    problems: list[str] = []
    if str(on).partition(":")[0] != "ray":
        problems.append(f"unknown on '{on}': ray, or ray:ADDRESS, such as ray:10.0.0.1:6379")
    if not isinstance(env, str):
        problems.append(f"on {on} needs an environment by its name, such as CartPole-v1 or my_env.py:MyEnv")
    with collecting(problems):
        imported_ray()
    return problems


def with_fresh_seeds(setting: Setting) -> Setting:
    """Return a setting on as many seeds as it has, beginning after the largest of them."""
    first, count = max(setting.config.seeds) + 1, len(setting.config.seeds)
    return replace(setting, config=replace(setting.config, seeds=tuple(range(first, first + count))))


def fill(
    env: AnyEnv,
    settings: Sequence[Setting],
    episodes: int,
    journal: Journal[Run],
    place: Place,
    progress: Progress | None,
) -> tuple[OfSetting, ...]:
    """Make the runs that the journal lacks, each kept as soon as it has ended; return all, in the settings' order."""
    wanted = [jobs_of(setting, episodes) for setting in settings]
    there = {run.key: run for run in journal.runs}
    lacking = [job for jobs in wanted for job in jobs if job.key not in there]
    failed = sum(there[job.key].failure is not None for jobs in wanted for job in jobs if job.key in there)
    teller = Teller(sum(map(len, wanted)), len(lacking), failed)
    with closing(made(env, lacking, episodes, place)) as runs:
        for job, run in runs:
            journal.add(run)
            there[run.key] = run
            if progress is not None:
                progress(teller.after(job, run))
    found = [tuple(there[job.key] for job in jobs) for jobs in wanted]
    return tuple(OfSetting(setting, runs) for setting, runs in zip(settings, found, strict=True))


def jobs_of(setting: Setting, episodes: int) -> list[Job]:
    """Return a setting's runs, one a seed."""
    configs = [of_seed(setting.config, seed) for seed in setting.config.seeds]
    return [Job(setting, config, key_of(config, episodes)) for config in configs]


def made(env: AnyEnv, jobs: Sequence[Job], episodes: int, place: Place) -> Generator[tuple[Job, Run]]:
    """Make runs and yield each as it ends; whatever stops the iteration kills the processes."""
    processes = place.processes or available_cores()
    if not jobs or not isinstance(env, str) or (place.on is None and min(processes, len(jobs)) == 1):
        for job in jobs:
            yield job, make_run(env, job.config, episodes, job.key)
        return
    requests = [request_of(env, job.config, episodes, job.key) for job in jobs]
    answering = (
        answers(answer, requests, processes)
        if place.on is None
        else answers_on_ray(answer, requests, place.on.partition(":")[2] or None, place.processes)
    )
    with closing(answering) as answered:
        for number, found in answered:
            job = jobs[number]
            yield job, died(job.config, job.key, found) if isinstance(found, str) else Run(**found)


class Teller:
    """Says after each run what is done, failed and left."""

    def __init__(self, runs: int, lacking: int, failed: int) -> None:
        self.runs, self.lacking, self.left, self.failed = runs, lacking, lacking, failed
        self.began = time.monotonic()

    def after(self, job: Job, run: Run) -> str:
        """Return the line for a run that has ended."""
        self.left -= 1
        self.failed += run.failure is not None
        seconds = (time.monotonic() - self.began) / (self.lacking - self.left) * self.left
        what = f"failed: {run.failure}" if run.failure else f"{shown(run.value)} in {run.seconds:.1f} s"
        counts = f"{self.runs - self.left} of {self.runs} done, {self.failed} failed, {self.left} left"
        return f"{counts} · {job.setting}, seed {run.seed}: {what} · {seconds:.0f} s left"

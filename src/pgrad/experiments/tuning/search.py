"""Random search with successive halving: many trials on a seed or two, the best third on three times as many, ….

Trial 0 is the base, the settings that the search starts from, and goes through all rounds; so the best of the last
round is never worse than the base on the seeds of the search. A trial is a function of the search's seed and its index,
and a run of the trial and its seed: what is in the journal is not run again. Jamieson and Talwalkar (2016).
"""

import datetime
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from pgrad.config.settings import Config
from pgrad.config.values import seeds_in_words
from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import RunError
from pgrad.experiments.running.journal import Journal
from pgrad.experiments.running.workers import answers
from pgrad.experiments.statistics import Estimate, mean_interval
from pgrad.experiments.tuning.runs import Run, answer, request_of, run_trial
from pgrad.experiments.tuning.space import Space, drawn
from pgrad.presets.preset import Preset, Source, differing, spaces_of
from pgrad.system import version

KEPT = 3  # one of so many trials goes on to the next round, on so many times more seeds or steps
MOST_SHORTER = 2  # rounds with fewer steps: a ninth of them says little of all
HALVED = ("seeds", "steps", "both", "none")
BOTH = ("sampled", "greedy")
POLICIES = {"better": BOTH, "worse": BOTH, "sampled": BOTH[:1], "greedy": BOTH[1:]}

Progress = Callable[[str], None]


class Round(NamedTuple):
    """So many trials, each on so many of the search's seeds, for so many steps."""

    trials: int
    seeds: int
    steps: int


@dataclass(frozen=True)
class Search:
    """All that decides what a search finds.

    base      the settings of trial 0, and of every other what is not drawn
    space     what is drawn, by setting
    trials    how many settings are tried, the base among them
    steps     environment steps of each run of the last round
    seeds     of the last round; none of those that results are reported on
    seed      of the draws
    halve     what is less in earlier rounds: of HALVED
    episodes  of each frozen policy, in Gymnasium's own environment
    policies  "sampled", "greedy", or the one of the two that is "better", or "worse", on the mean of the seeds
    """

    base: Config
    space: Space
    trials: int
    steps: int
    seeds: tuple[int, ...]
    seed: int = 0
    halve: str = "seeds"
    episodes: int = 20
    policies: str = "better"

    @property
    def rounds(self) -> list[Round]:
        """The rounds, the first with all trials, the last with all seeds and steps."""
        depth = {"none": 0, "seeds": _powers(len(self.seeds))}.get(self.halve, MOST_SHORTER)
        last = min(_powers(self.trials), depth)
        rounds = []
        for k in range(last + 1):
            less = KEPT ** (last - k)
            seeds = math.ceil(len(self.seeds) / less) if self.halve in ("seeds", "both") else len(self.seeds)
            steps = math.ceil(self.steps / less) if self.halve in ("steps", "both") else self.steps
            trials = min(self.trials, max(2, math.ceil(self.trials / KEPT**k)))  # the base, and one to compare it with
            rounds.append(Round(trials, seeds, steps))
        return rounds

    def config(self, trial: int) -> Config:
        """Return the settings of a trial."""
        return drawn(self.space, self.base, self.seed, trial)

    def to_dict(self) -> dict[str, Any]:
        """Return what its journal begins with."""
        base = {name: value for name, value in vars(self.base).items() if name not in ("seeds", "total_steps")}
        space = {name: domain.to_json() for name, domain in self.space.items()}
        return {**vars(self), "base": base, "space": space, "pgrad": version("pgrad")}

    def __str__(self) -> str:
        """Say how the trials are spent."""
        return ", then ".join(
            f"{one.trials} on {one.seeds} seed{'s' * (one.seeds > 1)} for {one.steps:,} steps" for one in self.rounds
        )


def _powers(n: int) -> int:
    """Return how often n can be divided by KEPT."""
    return next(k for k in count() if KEPT ** (k + 1) > n)


class Standing(NamedTuple):
    """How a trial did in the last round that it took part in."""

    round: int
    trial: int
    score: float  # mean return over seeds; -inf where a run failed
    worst: float  # the worst seed's
    policy: str  # sampled or greedy
    returns: tuple[float, ...]  # a mean return for each seed
    failure: str | None

    @property
    def order(self) -> tuple[float, ...]:
        """What trials are ranked by, the largest first; of equal ones the earlier, so the base before all."""
        return (self.round, self.score, self.worst, -self.trial)

    @property
    def estimate(self) -> Estimate:
        """The score with its interval over seeds."""
        return mean_interval(self.returns)


def search(
    search: Search, env: AnyEnv, journal: Journal[Run], processes: int, progress: Progress | None = None
) -> list[Standing]:
    """Make the runs that the journal lacks, and return how each trial did, the best first.

    env        what the base's `env` names; an object is run in this process, one run after another
    processes  that make runs side by side; one is this process itself

    Raises RunError where every trial of a round failed.
    """
    standings: dict[int, Standing] = {}
    going_on: Sequence[int] = range(search.trials)
    for number, one in enumerate(search.rounds):
        wanted = [(trial, seed) for trial in going_on for seed in search.seeds[: one.seeds]]
        _fill(search, env, journal, one, number, wanted, processes, progress)
        of_round = [standing(search, journal.runs, number, trial) for trial in going_on]
        standings |= {one.trial: one for one in of_round}
        best = sorted(of_round, key=lambda one: one.order, reverse=True)
        if best[0].failure is not None:
            raise RunError(f"every trial failed, and trial {best[0].trial} since {best[0].failure}")
        others = [one.trial for one in best if one.trial]
        following = search.rounds[number + 1].trials if number + 1 < len(search.rounds) else 1
        going_on = [0, *sorted(others[: following - 1])]
    return sorted(standings.values(), key=lambda one: one.order, reverse=True)


def _fill(
    search: Search,
    env: AnyEnv,
    journal: Journal[Run],
    one: Round,
    number: int,
    wanted: Sequence[tuple[int, int]],
    processes: int,
    progress: Progress | None,
) -> None:
    """Make the runs of a round that the journal lacks, and keep each as soon as it is there."""
    there = {(run.trial, run.seed) for run in journal.runs if run.steps == one.steps}
    failed = {run.trial for run in journal.runs if run.failure}
    lacking = [(trial, seed) for trial, seed in wanted if (trial, seed) not in there and trial not in failed]
    jobs = [(trial, replace(search.config(trial), seeds=(seed,), total_steps=one.steps)) for trial, seed in lacking]
    began = time.monotonic()
    with closing(made(jobs, env, search, processes)) as runs:
        for done, run in enumerate(runs, start=1):
            journal.add(run)
            if progress is None:
                continue
            left = (time.monotonic() - began) / done * (len(jobs) - done)
            told = f"failed: {run.failure}" if run.failure else f"{_returns(run)} in {run.seconds:.1f} s"
            where = f"round {number + 1} of {len(search.rounds)}, run {len(wanted) - len(jobs) + done} of {len(wanted)}"
            progress(f"{where} · trial {run.trial}, seed {run.seed}: {told} · {left:.0f} s left in this round")


def _returns(run: Run) -> str:
    kinds = {"sampled": run.sampled, "greedy": run.greedy}
    return ", ".join(f"{kind} {value:.4g}" for kind, value in kinds.items() if value is not None)


def made(jobs: Sequence[tuple[int, Config]], env: AnyEnv, search: Search, processes: int) -> Generator[Run]:
    """Make runs and yield each as it ends; whatever stops the iteration kills the processes."""
    kinds = POLICIES[search.policies]
    if processes == 1 or len(jobs) <= 1 or not isinstance(env, str):
        for trial, config in jobs:
            yield run_trial(env, config, search.episodes, kinds, trial)
        return
    requests = [request_of(env, config, search.episodes, kinds, trial) for trial, config in jobs]
    with closing(answers(answer, requests, processes)) as answered:
        for number, found in answered:
            trial, config = jobs[number]
            yield died(trial, config, found) if isinstance(found, str) else Run(**found)


def died(trial: int, config: Config, how: str) -> Run:
    """Return the run of a process that died in it."""
    return Run(trial, config.seeds[0], config.total_steps or 0, None, None, 0.0, how)


def standing(search: Search, runs: Sequence[Run], number: int, trial: int) -> Standing:
    """Return how a trial did in a round: the mean over its seeds, of the policies that were asked for."""
    one = search.rounds[number]
    seeds = search.seeds[: one.seeds]
    mine = {run.seed: run for run in runs if run.trial == trial and run.steps == one.steps and run.seed in seeds}
    failure = next((run.failure for run in runs if run.trial == trial and run.failure), None)
    if failure is not None:
        return Standing(number, trial, -math.inf, -math.inf, "", (), failure)
    by_kind = {kind: [float(getattr(mine[seed], kind)) for seed in seeds] for kind in POLICIES[search.policies]}
    means = {kind: float(np.mean(returns)) for kind, returns in by_kind.items()}
    kind = (min if search.policies == "worse" else max)(means, key=means.__getitem__)
    score, returns = means[kind], by_kind[kind]
    return Standing(number, trial, score, min(returns), kind, tuple(returns), None)


def preset_of(search: Search, best: Standing, env: Env, name: str) -> Preset:
    """Return what a search found as a preset."""
    seeds = seeds_in_words(search.seeds)
    source = Source(
        search=f"random search ({search})",
        seeds=seeds,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        pgrad=version("pgrad") or "unknown",
        trials=search.trials,
        score=Estimate(*(float(f"{x:.6g}") for x in best.estimate)) if len(best.returns) > 1 else None,
        score_of=f"{best.policy} policies of the seeds that chose it, {search.episodes} episodes each",
    )
    settings = differing(vars(replace(search.config(best.trial), total_steps=search.steps, num_iterations=None)))
    return Preset(name, env.id, spaces_of(env), settings, source)


def changed(search: Search, trial: int) -> dict[str, Any]:
    """Return the settings of a trial that differ from the base's."""
    config: Mapping[str, Any] = vars(search.config(trial))
    return {name: value for name, value in config.items() if value != getattr(search.base, name)}

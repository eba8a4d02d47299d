"""`tune`: check the arguments, search, and write what was found as a preset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgrad.config.settings import Config, check_arguments
from pgrad.config.values import distinct_seeds, integer, shown_setting
from pgrad.envs.make import AnyEnv, Env
from pgrad.errors import ConfigError, EnvError, collecting, nearest
from pgrad.experiments.running.journal import Journal
from pgrad.experiments.tuning.runs import Run
from pgrad.experiments.tuning.search import HALVED, POLICIES, Search, Standing, changed, preset_of, search
from pgrad.experiments.tuning.space import Domain, domains, fixed, space_for
from pgrad.presets.choose import AUTO
from pgrad.presets.preset import Preset, written
from pgrad.runs.atomic import write_atomically
from pgrad.runs.folder import RUNS, run_name
from pgrad.system import available_cores
from pgrad.training.loops import require_memory
from pgrad.training.prepare import prepare

FIRST_SEED = 1000  # smaller ones are for reporting what was found
SHOWN = 10  # trials in the table


@dataclass(frozen=True, repr=False)
class Tuning:
    """What a search found.

    preset     the best settings with their source, as written to preset.toml in `folder`
    standings  how each trial did, the best first
    search     what was searched
    folder     with preset.toml and the search's journal.jsonl, which has every run
    """

    preset: Preset
    standings: tuple[Standing, ...]
    search: Search
    folder: Path

    def __repr__(self) -> str:
        return f"<Tuning: {self.preset}>"

    def table(self) -> str:
        """Return the best trials, a line each: score with interval, worst seed, and what differs from the base."""
        rows = [("trial", "seeds", "mean return", "", "worst seed", "what differs from the base, trial 0")]
        for one in self.standings[:SHOWN]:
            values = changed(self.search, one.trial)
            differs = ", ".join(f"{name} {shown_setting(value)}" for name, value in values.items()) or "nothing"
            if one.failure is not None:
                rows.append((str(one.trial), "", "failed", "", "", one.failure.splitlines()[0]))
            else:
                score = str(one.estimate) if len(one.returns) > 1 else f"{one.score:.4g}"
                row = (str(one.trial), str(len(one.returns)), score, one.policy, f"{one.worst:.4g}", differs)
                rows.append(row)
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(
            "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[5]]) for row in rows
        )


def tune(
    env: AnyEnv,
    *,
    algorithm: str | None = None,
    preset: "str | Path" = AUTO,
    space: Mapping[str, Any] | None = None,
    trials: int = 32,
    steps: int | None = None,
    seeds: int | str | list[int] = 5,
    search_seed: int = 0,
    halve: str = "seeds",
    episodes: int = 20,
    policies: str = "better",
    processes: int | None = None,
    out: "Path | str | None" = None,
    announce: Callable[[str], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Tuning:
    """Search for settings: draw some at random, train and evaluate them, keep the best, and write them as a preset.

    env          whatever `pgrad.train` takes. One by name is searched in several processes, an object in this one
    algorithm, preset  where the search starts, as for `pgrad.train`: trial 0, and what is not drawn
    space        what is drawn in place of the default space's, by setting: a list of choices, a range as text
                 ("1e-4..1e-2"), or one value, which all trials then have (experiments.tuning.space)
    trials       how many settings are tried, trial 0 among them
    steps        environment steps of a run (default: the base's)
    seeds        how many, from 1000 on, or which; none under 1000, which are for reporting what was found
    search_seed  of the draws: with the same arguments the same trials
    halve        what earlier rounds have less of, so that poor trials cost little: "seeds", "steps", "both", "none"
    episodes     of each frozen policy, in Gymnasium's own environment
    policies     "sampled", "greedy", or "better" or "worse", whichever has the higher or lower mean
    processes    side by side (default: all cores); what is found does not depend on it
    out          folder for preset.toml and journal.jsonl (default: runs/tune-ENV-ALGORITHM). A journal of the same
                 search is gone on with, wherever it was interrupted
    announce, progress  called with what is searched, and after each run with a line

    A run that fails or diverges makes its trial the worst, and the search goes on. Raises ConfigError for arguments
    that are wrong, EnvError for an environment that cannot be made, RunError for a journal of another search, and where
    every trial fails.
    """
    problems: list[str] = []
    numbers: dict[str, Any] = {}
    with collecting(problems):
        numbers = check_arguments(
            trials=trials, steps=steps, search_seed=search_seed, episodes=episodes, processes=processes
        )
    tuning_seeds: tuple[int, ...] = ()
    with collecting(problems):
        tuning_seeds = seeds_from(seeds)
    for name, value, known in (("halve", halve, HALVED), ("policies", policies, tuple(POLICIES))):
        if value not in known:
            problems.append(f"unknown {name} '{value}': {nearest(str(value), known)}")
    base: Config | None = None
    try:
        given: dict[str, Domain] = {}
        with collecting(problems):
            given = domains(space or {})
        with collecting(problems):
            layer = {"preset": preset, **({} if algorithm is None else {"algorithm": algorithm})}
            base, made, _ = prepare(env, layer, fixed(given))
            require_memory(base, made)
            drawn_from = space_for(base, made, given)
    except EnvError as error:
        if not problems:
            raise
        problems += str(error).splitlines()
    if problems or base is None:
        raise ConfigError(problems)
    length = numbers["steps"] or base.total_steps
    if length is None:
        raise ConfigError(["steps must be given: the settings that the search starts from end by num_iterations"])
    asked = Search(
        replace(base, total_steps=length, num_iterations=None, seeds=tuning_seeds),
        drawn_from,
        numbers["trials"],
        length,
        tuning_seeds,
        numbers["search_seed"],
        halve,
        numbers["episodes"],
        policies,
    )
    folder = Path(out) if out is not None else RUNS / f"tune-{run_name(base)}"
    return _searched(asked, env, made, numbers["processes"] or available_cores(), folder, announce, progress)


def seeds_from(seeds: Any) -> tuple[int, ...]:
    """Return tuning seeds: a number of them from FIRST_SEED on, or those that are named; raise ConfigError."""
    try:
        number = None if isinstance(seeds, list | tuple) else integer(seeds)
    except ValueError:
        number = None  # a range or a list
    try:
        chosen = distinct_seeds(seeds)
    except ValueError as error:
        raise ConfigError([f"seeds {error}"]) from None
    if number is not None:
        return tuple(FIRST_SEED + seed for seed in chosen)
    if min(chosen) < FIRST_SEED:
        raise ConfigError(
            [f"seeds {min(chosen)} is for reporting what was found, as all under {FIRST_SEED}: search on larger ones"]
        )
    return chosen


def _searched(
    asked: Search,
    env: AnyEnv,
    made: Env,
    processes: int,
    folder: Path,
    announce: Callable[[str], None] | None,
    progress: Callable[[str], None] | None,
) -> Tuning:
    """Search, and write what was found."""
    asked.config(asked.trials - 1)  # raises where the space has no settings that fit together
    with Journal(folder / "journal.jsonl", asked.to_dict(), Run, "search") as journal:
        if announce is not None:
            for line in (f"{asked.base.env} · {asked.base.algorithm} · {asked} · {journal.path}", *journal.story()):
                announce(line)
        standings = search(asked, env, journal, processes, progress)
    found = preset_of(asked, standings[0], made, str((folder / "preset.toml").absolute()))
    write_atomically(folder / "preset.toml", written(found))
    return Tuning(found, tuple(standings), asked, folder)

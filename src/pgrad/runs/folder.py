"""A run's folder.

config.toml                  the resolved configuration; `pgrad train --config` takes it (but for PyTorch modules)
summary.json                 the result in numbers, and what it was made with; there once a training has ended
failure.json                 what ended seeds before their time, where something did: runs.failure
evaluations.jsonl            one line for each `pgrad eval`
seed-7/policy.safetensors    the frozen policy
seed-7/policy-best.safetensors  the best policy seen, where that is not the last
seed-7/value.safetensors     the value network, where the run has one
seed-7/checkpoints.safetensors  the parameters of both along the way
seed-7/metrics.csv           one line an iteration, so far
seed-7/episodes.csv          one line an episode of training, so far
seed-7/resume.safetensors    the newest checkpoint, from which `pgrad train --resume` goes on: runs.state_file
seed-7/resume-previous.safetensors  the one before
seed-7/evaluation.csv        one line an episode of the frozen policy
seed-7/evaluation_curve.csv  one line an evaluation along the way, where `evaluate_every` asks for them
training_curve.png, action_probabilities.png
"""

import itertools
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgrad.algorithms.learner import Checkpoints
from pgrad.config.resolve import resolve, to_toml
from pgrad.config.settings import Config
from pgrad.errors import ConfigError, InputError, RunError, require_path
from pgrad.evaluation import Evaluation
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.rollouts.batch import copied
from pgrad.runs.atomic import make_folder_with, open_own, read_toml, remove, require_no_link, write_atomically
from pgrad.runs.failure import save_failures
from pgrad.runs.journal import Journals, journals_in
from pgrad.runs.load import CHECKPOINTS_FILE, POLICY_BEST, RunPath, kept_at, policy_at, policy_path, seeds_of
from pgrad.runs.mlp_file import (
    load_checkpoints,
    load_policy,
    load_value,
    require_finite,
    save_checkpoints,
    save_policy,
    save_value,
)
from pgrad.runs.state_file import State, save_state
from pgrad.runs.torch_file import save_module, save_value_module
from pgrad.system import provenance
from pgrad.training.build import in_rewards
from pgrad.training.result import Result, SeedResult, finite_estimate
from pgrad.vector.arguments import named_with, split_name

RUNS = Path("runs")
SUMMARY = "summary.json"
# Settings of a run that may be others when it goes on.
MAY_CHANGE = ("total_steps", "num_iterations", "stop_at_return", "step_timeout", "restart_failed_envs")
SIDE_BY_SIDE = 8  # seeds that are written together: a disk takes its time to say that it is done


class RunFolder:
    """A folder that is filled as the results come: a new one, or that of a run that goes on."""

    def __init__(
        self, path: Path, config: Config, module: str | None = None, journals: Mapping[int, Journals] | None = None
    ) -> None:
        """Make the folder and write the configuration; raise RunError if it exists or cannot be written.

        Of PyTorch modules `module` is the class: no file holds its code, so that the configuration alone makes no run.
        With `journals`, those of its seeds that have begun, the folder is one that exists.
        """
        self.path, self._root = path, path.absolute()  # an environment may change the current folder
        self._env = located(config.env)
        self._settings = fixed_settings(replace(config, env=self._env))
        self._journals, self._saved = dict(journals or {}), dict[int, State | None]()
        policy = "" if module is None else f"policy = {json.dumps(module)}  # a PyTorch module: --policy says where\n"
        settings = policy + to_toml(replace(config, env=self._env))
        if journals is None:
            make_folder_with(path, "config.toml", settings)
        else:  # what the training that goes on has come to is not known yet
            remove(path / SUMMARY)
            save_failures((), path)
            write_atomically(self._root / "config.toml", settings)

    def save(self, result: Result) -> None:
        """Write what every seed has learnt; raise RunError at the end where some of it cannot be written.

        Checkpoints come first, with the histories up to them: where there is a policy, there is one to go on from. What
        has been written already is not written again.
        """
        new = [seed for seed in result.seeds if seed.state is None or seed.state is not self._saved.get(seed.seed)]
        problems: list[str] = []
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for write in (self._save_progress, self._save_policy, _save_value, _save_checkpoints):
                problems += filter(None, pool.map(lambda seed, write=write: self._written(seed, write), new))
        try:
            save_failures(result.failures(), self._root)
        except RunError as error:
            problems.append(str(error))
        if problems:
            raise RunError("\n".join(dict.fromkeys(problems)))
        self._saved |= {seed.seed: seed.state for seed in new}

    def _written(self, seed: SeedResult, write: Callable[[SeedResult, Path], None]) -> str | None:
        """Write something of a seed; return why that cannot be done, if it cannot."""
        folder = self._root / f"seed-{seed.seed}"
        try:
            require_no_link(folder)
            folder.mkdir(exist_ok=True)
            write(seed, folder)
        except RunError as error:
            return str(error)
        except OSError as error:
            return f"cannot make {folder}: {error.strerror}"
        return None

    def _save_progress(self, seed: SeedResult, folder: Path) -> None:
        state, journals = seed.state, self._journals.setdefault(seed.seed, journals_in(folder))
        if state is None:
            return
        metrics, episodes, iterations = seed.history.metrics, seed.history.episodes, state.about["iterations"]
        evaluations = [one for one in seed.evaluations if one.iteration <= iterations]
        journals.append(metrics[:iterations], copied(episodes, state.about["episodes"]), evaluations)
        about = {**state.about, "settings": self._settings, "journals": journals.marks()}
        save_state(state._replace(about=about), folder)

    def _placed(self, policy: Any) -> Any:
        return replace(policy, env=self._env if policy.env else None)

    def _save_policy(self, seed: SeedResult, folder: Path) -> None:
        policy = self._placed(seed.policy)
        if isinstance(policy, MLPPolicy):
            save_policy(policy, folder / "policy.safetensors")
        else:
            save_module(policy, folder / "policy.safetensors")

    def save_result(self, result: Result) -> None:
        """Write the summary, the evaluations and the histories; raise RunError where that cannot be done."""
        summary = {**result.to_dict(), "made_with": provenance()}
        write_atomically(self._root / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
        for seed in result.seeds:
            folder = self._root / f"seed-{seed.seed}"
            for name in ("evaluation.csv", POLICY_BEST):
                remove(folder / name)  # of the policy that a run has gone on from
            if seed.evaluation is not None:
                write_atomically(folder / "evaluation.csv", seed.evaluation.to_csv())
            if seed.best is not None:
                save_policy(self._placed(seed.best.policy), folder / POLICY_BEST)
            journals = self._journals.setdefault(seed.seed, journals_in(folder))
            journals.append(seed.history.metrics, seed.history.episodes, seed.evaluations)

    def save_figures(self, result: Result) -> list[Path]:
        """Draw what can be drawn of this environment, and return the files."""
        from pgrad.reports.figures import figures_of, save_figure

        return [save_figure(figure, self._root / f"{name}.png") for name, figure in figures_of(result)]


def _save_value(seed: SeedResult, folder: Path) -> None:
    if isinstance(seed.critic, MLPValue):
        save_value(seed.critic, folder / "value.safetensors")
    elif seed.critic is not None:
        save_value_module(seed.critic, folder / "value.safetensors")


def _save_checkpoints(seed: SeedResult, folder: Path) -> None:
    if seed.checkpoints is not None and seed.checkpoints.iteration.size:
        save_checkpoints(seed.checkpoints, folder / CHECKPOINTS_FILE)


def save(result: Result, run: RunPath) -> None:
    """Write a result as a run folder, the same files as `pgrad train` writes but for its figures.

    result  what `pgrad.train` returned, or carried as the `.result` of what it raised
    run     a folder that does not exist yet; its parents are made

    It gets config.toml and summary.json, and for each seed a folder with policy, value and checkpoints.safetensors (the
    latter two where there are any), metrics.csv, episodes.csv and, if it was evaluated, evaluation.csv: see "What a run
    leaves behind" in README.md. `pgrad.load` and `pgrad.load_value` read the networks back, `pgrad.resume` goes on with
    the training, and `pgrad eval` and `pgrad diagnose` take the folder. Of PyTorch modules their numbers are kept and
    their code is not. Every file is written whole or not at all. Raises RunError where the folder exists or cannot be
    written.
    """
    if not isinstance(result, Result):
        raise InputError(f"result must be what pgrad.train returned, not {result!r:.80}")
    path = require_path("run", run)
    modules = [policy.class_name for policy in result.policies if not isinstance(policy, MLPPolicy)]
    folder = RunFolder(path, result.config, modules[0] if modules else None)
    folder.save(result)
    folder.save_result(result)


def record_evaluations(run: RunPath, evaluations: Mapping[int, Evaluation]) -> Path:
    """Append evaluations of a run's seeds to its evaluations.jsonl, and return that file; raise RunError.

    A line is one JSON object: the mean return of each seed with its interval, every episode's return and length, and
    what the evaluation was made with.
    """
    path = Path(run) / "evaluations.jsonl"
    seeds = [
        {
            "seed": seed,
            "mean_return": finite_estimate(evaluation.mean),
            "returns": evaluation.returns.tolist(),
            "lengths": evaluation.lengths.tolist(),
            "discount": evaluation.discount,
            **evaluation.settings,
        }
        for seed, evaluation in evaluations.items()
    ]
    try:
        with os.fdopen(open_own(path, os.O_APPEND), "w", encoding="utf-8") as file:
            file.write(json.dumps({"seeds": seeds, "made_with": provenance()}, allow_nan=False) + "\n")
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def fixed_settings(config: Config) -> dict[str, Any]:
    """Return the settings that a run cannot change, as JSON gives them back."""
    settings = {name: value for name, value in vars(config).items() if name not in MAY_CHANGE}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def located(env: str) -> str:
    """Return an environment's name as it is found from any folder: `file.py:Name` with the file's absolute path."""
    place, arguments = split_name(env)
    file, colon, name = (place, "", "") if place.endswith(".py") else place.rpartition(":")
    return named_with(f"{Path(file).absolute()}{colon}{name}", arguments) if file.endswith(".py") else env


def free_path(config: Config) -> Path:
    """Return the first of runs/ENV-ALGORITHM-1, -2, … that does not exist."""
    name = run_name(config)
    return next(path for n in itertools.count(1) if not os.path.lexists(path := RUNS / f"{name}-{n}"))


def run_name(config: Config) -> str:
    """Return ENV-ALGORITHM as a folder may be called."""
    env = Path(config.env).name if Path(config.env).is_absolute() else config.env
    return re.sub(r"[^\w.-]+", "-", env).strip("-") + f"-{config.algorithm}"


@dataclass(frozen=True)
class SavedRun:
    """One seed of a run folder, read back."""

    config: Config
    seed: int
    policy: MLPPolicy  # as it ended up
    critic: MLPValue | None
    checkpoints: Checkpoints | None

    def at(self, iteration: int) -> tuple[MLPPolicy, MLPValue | None]:
        """Return policy and value network as after so many iterations; raise RunError where they were not kept."""
        policy = policy_at(self.policy, self.checkpoints, iteration)
        k = kept_at(self.policy, self.checkpoints, iteration)
        if self.checkpoints is None or k is None or self.critic is None:
            return policy, self.critic
        parameters = self.checkpoints.critic[k]
        require_finite(Path(f"iteration {iteration}"), "critic", parameters)
        critic = replace(self.critic, parameters=parameters, shift=policy.shift, scale=policy.scale)
        return policy, in_rewards(critic, float(self.checkpoints.reward_scale[k]))


def read_config(path: Path) -> tuple[Config, str | None]:
    """Return a run's configuration, and the class of the PyTorch module that it trains, if it does; raise RunError."""
    try:
        document = read_toml(path / "config.toml")
        module = document.pop("policy", None)
        return resolve(None, None, document), module
    except OSError as error:
        parent = f" (did you mean {path.parent}?)" if (path.parent / "config.toml").exists() else ""
        reason = error.strerror or error
        raise RunError(f"{path} is no run folder{parent}: cannot read its config.toml: {reason}") from error
    except (ValueError, ConfigError) as error:
        raise RunError(f"{path / 'config.toml'} is not a configuration: {error}") from error


def load_run(run: RunPath, seed: int | None = None) -> SavedRun:
    """Return one seed of a run folder (the first, or the one named) with all that was kept of it; raise RunError.

    Files are data: nothing that they name is imported or called.
    """
    path = Path(run)
    config, module = read_config(path)
    if module is not None:
        raise RunError(
            f"{path} is a run of a PyTorch module, {module}, and this is for compiled policies: "
            "pgrad.load(run, module=...) has its policy"
        )
    seeds = seeds_of(path)
    if not seeds:
        raise RunError(f"{path} has no seed-N folder with a policy.safetensors in it")
    policy_file = policy_path(path, seed)
    folder = policy_file.parent
    value_file, kept_file = folder / "value.safetensors", folder / CHECKPOINTS_FILE
    return SavedRun(
        config,
        seeds[0] if seed is None else seed,
        load_policy(policy_file),
        load_value(value_file) if value_file.exists() else None,
        load_checkpoints(kept_file) if kept_file.exists() else None,
    )

"""A run's folder.

config.toml                  the resolved configuration; `pgrad train --config` takes it (but for PyTorch modules)
summary.json                 the result in numbers, and what it was made with
evaluations.jsonl            one line for each `pgrad eval`
seed-7/policy.safetensors    the frozen policy
seed-7/policy-best.safetensors  the best policy seen, where that is not the last
seed-7/value.safetensors     the value network, where the run has one
seed-7/checkpoints.safetensors  the parameters of both along the way
seed-7/metrics.csv           one line an iteration
seed-7/episodes.csv          one line an episode of training
seed-7/evaluation.csv        one line an episode of the frozen policy
training_curve.png, action_probabilities.png
"""

import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.learner import Checkpoints
from pgrad.config.resolve import resolve, to_toml
from pgrad.config.settings import Config
from pgrad.errors import ConfigError, RunError
from pgrad.evaluation import Evaluation
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs.atomic import read_toml, write_atomically
from pgrad.runs.load import POLICY_BEST, RunPath, policy_path, seeds_of
from pgrad.runs.mlp_file import (
    load_checkpoints,
    load_policy,
    load_value,
    require_finite,
    save_checkpoints,
    save_policy,
    save_value,
)
from pgrad.runs.torch_file import save_module, save_value_module
from pgrad.system import provenance
from pgrad.training.build import in_rewards
from pgrad.training.loops import History
from pgrad.training.result import Result, SeedResult, finite_estimate

RUNS = Path("runs")


class RunFolder:
    """A new folder, filled as the results come."""

    def __init__(self, path: Path, config: Config, module: str | None = None) -> None:
        """Make the folder and write the configuration; raise RunError if it exists or cannot be written.

        Of PyTorch modules `module` is the class: no file holds its code, so that the configuration alone makes no run.
        """
        self.path, self._root = path, path.absolute()  # an environment may change the current folder
        self._env = located(config.env)
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise RunError(f"{path} exists already: choose another folder, or remove it") from error
        except OSError as error:
            raise RunError(f"cannot make the run folder {path}: {error.strerror or error}") from error
        policy = "" if module is None else f"policy = {json.dumps(module)}  # a PyTorch module, for pgrad.train alone\n"
        write_atomically(self._root / "config.toml", policy + to_toml(replace(config, env=self._env)))

    def save_policies(self, result: Result) -> None:
        """Write every seed's networks, the policies first; raise RunError at the end where some cannot be written."""
        writes = [
            (seed, write) for write in (self._save_policy, _save_value, _save_checkpoints) for seed in result.seeds
        ]
        problems = []
        for seed, write in writes:
            folder = self._root / f"seed-{seed.seed}"
            try:
                folder.mkdir(exist_ok=True)
                write(seed, folder)
            except (OSError, RunError) as error:
                problems.append(
                    str(error) if isinstance(error, RunError) else f"cannot make {folder}: {error.strerror}"
                )
        if problems:
            raise RunError("\n".join(dict.fromkeys(problems)))

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
        write_atomically(self._root / "summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
        for seed in result.seeds:
            folder = self._root / f"seed-{seed.seed}"
            if seed.evaluation is not None:
                write_atomically(folder / "evaluation.csv", seed.evaluation.to_csv())
            if seed.best is not None:
                save_policy(self._placed(seed.best.policy), folder / POLICY_BEST)
            write_atomically(folder / "metrics.csv", metrics_csv(seed.history))
            write_atomically(folder / "episodes.csv", episodes_csv(seed.history))

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
        save_checkpoints(seed.checkpoints, folder / "checkpoints.safetensors")


def save(result: Result, run: RunPath) -> None:
    """Write a result as a run folder, the same files as `pgrad train` writes but for its figures.

    result  what `pgrad.train` returned, or carried as the `.result` of what it raised
    run     a folder that does not exist yet; its parents are made

    It gets config.toml and summary.json, and for each seed a folder with policy, value and checkpoints.safetensors (the
    latter two where there are any), metrics.csv, episodes.csv and, if it was evaluated, evaluation.csv: see "What a run
    leaves behind" in README.md. `pgrad.load` and `pgrad.load_value` read the networks back, and `pgrad eval` and
    `pgrad diagnose` take the folder. Of PyTorch modules their numbers are kept and their code is not. Every file is
    written whole or not at all. Raises RunError where the folder exists or cannot be written.
    """
    modules = [policy.class_name for policy in result.policies if not isinstance(policy, MLPPolicy)]
    folder = RunFolder(Path(run), result.config, modules[0] if modules else None)
    folder.save_policies(result)
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
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seeds": seeds, "made_with": provenance()}, allow_nan=False) + "\n")
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def located(env: str) -> str:
    """Return an environment's name as it is found from any folder: `file.py:Name` with the file's absolute path."""
    file, colon, name = (env, "", "") if env.endswith(".py") else env.rpartition(":")
    return f"{Path(file).absolute()}{colon}{name}" if file.endswith(".py") else env


def free_path(config: Config) -> Path:
    """Return the first of runs/ENV-ALGORITHM-1, -2, … that does not exist."""
    name = run_name(config)
    return next(path for n in itertools.count(1) if not os.path.lexists(path := RUNS / f"{name}-{n}"))


def run_name(config: Config) -> str:
    """Return ENV-ALGORITHM as a folder may be called."""
    env = Path(config.env).name if Path(config.env).is_absolute() else config.env
    return re.sub(r"[^\w.-]+", "-", f"{env}-{config.algorithm}")


def metrics_csv(history: History) -> str:
    """Format one line an iteration; fields are empty where something is not defined."""
    lines = [",".join(("iteration", *METRICS))]
    for iteration, row in enumerate(history.metrics.tolist(), start=1):
        steps, episodes, *rest = row
        fields = [str(iteration), str(int(steps)), str(int(episodes))]
        lines.append(",".join(fields + ["" if np.isnan(value) else f"{value:.6g}" for value in rest]))
    return "\n".join(lines) + "\n"


def episodes_csv(history: History) -> str:
    """Format one line an episode, in the order of their ends."""
    columns = (column.tolist() for column in history.episodes)
    lines = [f"{steps},{length},{total:.10g}" for total, length, steps in zip(*columns, strict=True)]
    return "\n".join(["total_steps,length,episode_return", *lines]) + "\n"


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
        if str(iteration) == self.policy.metadata.get("iterations"):
            return self.policy, self.critic
        kept = [] if self.checkpoints is None else self.checkpoints.iteration.tolist()
        if self.checkpoints is None or iteration not in kept:
            near = sorted(kept, key=lambda other: abs(other - iteration))[:2]
            raise RunError(
                f"the parameters after iteration {iteration} were not kept"
                + (f": the nearest are {' and '.join(map(str, sorted(near)))}" if near else ", nor any others")
                + f"; the run ended after iteration {self.policy.metadata.get('iterations')}"
            )
        k = kept.index(iteration)
        for name in ("policy", "critic", "shift", "scale"):
            require_finite(Path(f"iteration {iteration}"), name, getattr(self.checkpoints, name)[k])
        inputs = {"shift": self.checkpoints.shift[k], "scale": self.checkpoints.scale[k]}
        critic = self.critic and in_rewards(
            replace(self.critic, parameters=self.checkpoints.critic[k], **inputs),
            float(self.checkpoints.reward_scale[k]),
        )
        return replace(self.policy, parameters=self.checkpoints.policy[k], **inputs), critic


def load_run(run: RunPath, seed: int | None = None) -> SavedRun:
    """Return one seed of a run folder (the first, or the one named) with all that was kept of it; raise RunError.

    Files are data: nothing that they name is imported or called.
    """
    path = Path(run)
    try:
        document = read_toml(path / "config.toml")
        if module := document.pop("policy", None):
            raise RunError(
                f"{path} is a run of a PyTorch module, {module}, and this is for compiled policies: "
                "pgrad.load(run, module=...) has its policy"
            )
        config = resolve(None, None, document)
    except OSError as error:
        parent = f" (did you mean {path.parent}?)" if (path.parent / "config.toml").exists() else ""
        reason = error.strerror or error
        raise RunError(f"{path} is no run folder{parent}: cannot read its config.toml: {reason}") from error
    except (ValueError, ConfigError) as error:
        raise RunError(f"{path / 'config.toml'} is not a configuration: {error}") from error
    seeds = seeds_of(path)
    if not seeds:
        raise RunError(f"{path} has no seed-N folder with a policy.safetensors in it")
    policy_file = policy_path(path, seed)
    folder = policy_file.parent
    value_file, kept_file = folder / "value.safetensors", folder / "checkpoints.safetensors"
    return SavedRun(
        config,
        seeds[0] if seed is None else seed,
        load_policy(policy_file),
        load_value(value_file) if value_file.exists() else None,
        load_checkpoints(kept_file) if kept_file.exists() else None,
    )

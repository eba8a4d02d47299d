"""A run's folder.

config.toml                  the resolved configuration; `pgrad train --config` takes it (but for PyTorch modules)
summary.json                 the result in numbers
seed-7/policy.safetensors    the frozen policy
seed-7/value.safetensors     the value network, where the run has one
seed-7/checkpoints.safetensors  the parameters of both along the way
seed-7/metrics.csv           one line an iteration
seed-7/episodes.csv          one line an episode
training_curve.png, action_probabilities.png
"""

import itertools
import json
import os
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from pgrad.algorithms.iteration import METRICS
from pgrad.algorithms.learner import Checkpoints
from pgrad.config import Config, resolve, to_toml
from pgrad.errors import ConfigError, RunError
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs.atomic import write_atomically
from pgrad.runs.mlp_file import (
    load_checkpoints,
    load_policy,
    load_value,
    save_checkpoints,
    save_policy,
    save_value,
)
from pgrad.runs.torch_file import load_module, save_module, save_value_module
from pgrad.training.build import in_rewards
from pgrad.training.loops import History
from pgrad.training.result import Result

if TYPE_CHECKING:
    from torch import nn

    from pgrad.torch import TorchPolicy

RUNS = Path("runs")


class RunFolder:
    """A new folder, filled as the results come."""

    def __init__(self, path: Path, config: Config, module: str | None = None) -> None:
        """Make the folder and write the configuration; raises RunError if it exists or cannot be written.

        Of PyTorch modules `module` is the class: no file holds its code, so that the configuration alone makes no run.
        """
        self.path = path
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:
            raise RunError(f"{path} exists already: choose another folder, or remove it") from error
        except OSError as error:
            raise RunError(f"cannot make the run folder {path}: {error.strerror or error}") from error
        policy = "" if module is None else f"policy = {json.dumps(module)}  # a PyTorch module, for pgrad.train alone\n"
        write_atomically(path / "config.toml", policy + to_toml(config))

    def save_policies(self, result: Result) -> None:
        """Write every seed's networks."""
        for seed in result.seeds:
            folder = self.path / f"seed-{seed.seed}"
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise RunError(f"cannot make {folder}: {error.strerror or error}") from error
            if isinstance(seed.policy, MLPPolicy):
                save_policy(seed.policy, folder / "policy.safetensors")
            else:
                save_module(seed.policy, folder / "policy.safetensors")
            if isinstance(seed.critic, MLPValue):
                save_value(seed.critic, folder / "value.safetensors")
            elif seed.critic is not None:
                save_value_module(seed.critic, folder / "value.safetensors")
            if seed.checkpoints is not None and seed.checkpoints.iteration.size:
                save_checkpoints(seed.checkpoints, folder / "checkpoints.safetensors")

    def save_result(self, result: Result) -> None:
        """Write the histories and the summary."""
        for seed in result.seeds:
            folder = self.path / f"seed-{seed.seed}"
            write_atomically(folder / "metrics.csv", metrics_csv(seed.history))
            write_atomically(folder / "episodes.csv", episodes_csv(seed.history))
        write_atomically(self.path / "summary.json", result.to_json())

    def save_figures(self, result: Result) -> list[Path]:
        """Draw what can be drawn of this environment; returns the files."""
        from pgrad.reports.figures import figures_of, save_figure

        return [save_figure(figure, self.path / f"{name}.png") for name, figure in figures_of(result)]


def save(result: Result, run: str | os.PathLike[str]) -> None:
    """Write a run folder as `pgrad train` does, but for its pictures; raises RunError where there is one already.

    `load` reads the policies back. Of PyTorch modules the numbers are kept, and their code is not.
    """
    modules = [policy.class_name for policy in result.policies if not isinstance(policy, MLPPolicy)]
    folder = RunFolder(Path(run), result.config, modules[0] if modules else None)
    folder.save_policies(result)
    folder.save_result(result)


def free_path(config: Config) -> Path:
    """The first of runs/ENV-ALGORITHM-1, -2, … that does not exist."""
    name = re.sub(r"[^\w.-]+", "-", f"{config.env}-{config.algorithm}")
    return next(path for n in itertools.count(1) if not os.path.lexists(path := RUNS / f"{name}-{n}"))


def metrics_csv(history: History) -> str:
    """One line an iteration; empty fields where something is not defined."""
    lines = [",".join(("iteration", *METRICS))]
    for iteration, row in enumerate(history.metrics.tolist(), start=1):
        steps, episodes, *rest = row
        fields = [str(iteration), str(int(steps)), str(int(episodes))]
        lines.append(",".join(fields + ["" if np.isnan(value) else f"{value:.6g}" for value in rest]))
    return "\n".join(lines) + "\n"


def episodes_csv(history: History) -> str:
    """One line an episode, in the order of their ends."""
    columns = (column.tolist() for column in history.episodes)
    lines = [f"{steps},{length},{total:.10g}" for total, length, steps in zip(*columns, strict=True)]
    return "\n".join(["total_steps,length,episode_return", *lines]) + "\n"


def policy_path(run: str | os.PathLike[str], seed: int | None = None) -> Path:
    """The policy file of a run folder, a seed's folder, or the file itself; raises RunError."""
    path = Path(run)
    if path.is_file() or (path / "policy.safetensors").is_file():
        if seed is not None:
            raise RunError(f"{path} holds one policy: seed {seed} can only be chosen from a whole run folder")
        return path if path.is_file() else path / "policy.safetensors"
    seeds = seeds_of(path)
    if not seeds:
        raise RunError(f"{path} is neither a policy file nor a run folder with policies in it")
    chosen = seeds[0] if seed is None else seed
    if chosen not in seeds:
        raise RunError(f"{path} has no seed {chosen}; it has {', '.join(map(str, seeds))}")
    return path / f"seed-{chosen}" / "policy.safetensors"


@dataclass(frozen=True)
class SavedRun:
    """One seed of a run folder, read back."""

    config: Config
    seed: int
    policy: MLPPolicy  # as it ended up
    critic: MLPValue | None
    checkpoints: Checkpoints | None

    def at(self, iteration: int) -> tuple[MLPPolicy, MLPValue | None]:
        """Policy and value network as they were after so many iterations; raises RunError where they were not kept."""
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
        inputs = {"shift": self.checkpoints.shift[k], "scale": self.checkpoints.scale[k]}
        critic = self.critic and in_rewards(
            replace(self.critic, parameters=self.checkpoints.critic[k], **inputs),
            float(self.checkpoints.reward_scale[k]),
        )
        return replace(self.policy, parameters=self.checkpoints.policy[k], **inputs), critic


def load_run(run: str | os.PathLike[str], seed: int | None = None) -> SavedRun:
    """One seed of a run folder (the first, or the one named) with all that was kept of it; raises RunError."""
    path = Path(run)
    try:
        document = tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigError) as error:
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


def seeds_of(path: Path) -> list[int]:
    """The seeds whose policies a run folder holds, in order."""
    found = (re.fullmatch(r"seed-(0|[1-9]\d*)", file.parent.name) for file in path.glob("seed-*/policy.safetensors"))
    return sorted(int(match[1]) for match in found if match)


@overload
def load(run: str | os.PathLike[str], seed: int | None = None, module: None = None) -> MLPPolicy: ...
@overload
def load(run: str | os.PathLike[str], seed: int | None = None, *, module: "nn.Module") -> "TorchPolicy": ...
def load(
    run: str | os.PathLike[str], seed: int | None = None, module: "nn.Module | None" = None
) -> "MLPPolicy | TorchPolicy":
    """The policy of a run folder (its first seed, or the one named), or of a policy file; raises RunError.

    A run that trained a PyTorch module keeps its numbers alone: give a `module` built alike, which is not changed.
    """
    path = policy_path(run, seed)
    return load_policy(path) if module is None else load_module(path, module)

"""Read back what a run has trained: its policies and its value networks, as data that is never run."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from pgrad.algorithms.learner import Checkpoints
from pgrad.errors import InputError, RunError, require_integer, require_path
from pgrad.policies.mlp import MLPPolicy, MLPValue
from pgrad.runs.atomic import require_no_link
from pgrad.runs.mlp_file import load_checkpoints, load_policy, require_finite
from pgrad.runs.mlp_file import load_value as load_mlp_value
from pgrad.runs.torch_file import load_module, load_value_module

if TYPE_CHECKING:
    from torch import nn

    from pgrad.torch import TorchPolicy, TorchValue

POLICY_BEST, CHECKPOINTS_FILE = "policy-best.safetensors", "checkpoints.safetensors"
RunPath = str | os.PathLike[str]


@overload
def load(
    run: RunPath, seed: int | None = None, module: None = None, best: bool = False, at: int | None = None
) -> MLPPolicy: ...
@overload
def load(run: RunPath, seed: int | None = None, *, module: "nn.Module") -> "TorchPolicy": ...
def load(
    run: RunPath,
    seed: int | None = None,
    module: "nn.Module | None" = None,
    best: bool = False,
    at: int | None = None,
) -> "MLPPolicy | TorchPolicy":
    """Return the frozen policy π(a | s) of a run, bit for bit as it was trained.

    run      a run folder, the folder of one of its seeds, or a policy.safetensors
    seed     which seed of a run folder; by default its first
    module   for a run that trained a PyTorch module: a torch.nn.Module of the same architecture, which is not changed.
             Files hold its numbers and never its code
    best     the best policy seen along the run (training.best) in place of the last, which it is where none was better
    at       the policy after so many iterations, of which a run keeps at most 128: RunError names the nearest
    returns  an MLPPolicy, or with `module` a TorchPolicy. Its `env` names what it was trained on, which for a file of
             the user's is the file's absolute path

    A file is data: nothing that it names is imported or called, whoever made it. Raises RunError where there is no such
    policy, the file is damaged or not pgrad's, parameters are not finite, or `module` does not fit.
    """
    path = policy_path(run, seed)
    if not isinstance(best, bool):
        raise InputError(f"best must be True or False, not {best!r:.80}")
    if at is not None:
        at = require_integer("at", at, 0)
    if best and at is not None:
        raise RunError("give either best or at, not both")
    if module is not None:
        if best or at is not None:
            raise RunError(f"{path} is of a PyTorch module, of which no policies along the run are kept: load the last")
        return load_module(path, module)
    if at is not None:
        kept = path.with_name(CHECKPOINTS_FILE)
        return policy_at(load_policy(path), load_checkpoints(kept) if kept.exists() else None, at)
    better = path.with_name(POLICY_BEST)
    return load_policy(better if best and better.exists() else path)


def policy_at(policy: MLPPolicy, checkpoints: Checkpoints | None, iteration: int) -> MLPPolicy:
    """Return a run's policy as after so many iterations; raise RunError where that was not kept."""
    k = kept_at(policy, checkpoints, iteration)
    if checkpoints is None or k is None:
        return policy
    inputs = {"shift": checkpoints.shift[k], "scale": checkpoints.scale[k]}
    for name, array in {"policy": checkpoints.policy[k], **inputs}.items():
        require_finite(Path(f"iteration {iteration}"), name, array)
    when = {**policy.metadata, "iterations": str(iteration)}
    when.pop("total_steps", None)  # the iteration's own are in metrics.csv
    return replace(policy, parameters=checkpoints.policy[k], metadata=when, **inputs)


def kept_at(policy: MLPPolicy, checkpoints: Checkpoints | None, iteration: int) -> int | None:
    """Return an iteration's place among the checkpoints, None for the last policy's; raise RunError where it has none.

    The last policy's metadata say which iteration is its own.
    """
    last = policy.metadata.get("iterations")
    if str(iteration) == last:
        return None
    kept = [] if checkpoints is None else checkpoints.iteration.tolist()
    if iteration in kept:
        return int(kept.index(iteration))
    near = sorted(kept, key=lambda other: abs(other - iteration))[:2]
    raise RunError(
        f"the parameters after iteration {iteration} were not kept"
        + (f": the nearest are {' and '.join(map(str, sorted(near)))}" if near else ", nor any others")
        + f"; the run ended after iteration {last}"
    )


@overload
def load_value(run: RunPath, seed: int | None = None, module: None = None) -> MLPValue: ...
@overload
def load_value(run: RunPath, seed: int | None = None, *, module: "nn.Module") -> "TorchValue": ...
def load_value(run: RunPath, seed: int | None = None, module: "nn.Module | None" = None) -> "MLPValue | TorchValue":
    """Return the value function V(s) that a run has trained beside its policy, in the environment's own rewards.

    run      a run folder, the folder of one of its seeds, or a policy.safetensors with the value.safetensors beside it
    seed     which seed of a run folder; by default its first
    module   for a run of PyTorch modules: the value module, of the same architecture; or where the policy's module
             returns V as well, that one
    returns  an MLPValue, or with `module` a TorchValue

    V(s) is what the policy's return from s on is expected to be, discounted as in training. Raises RunError as `load`
    does, and where the run has no value function, as REINFORCE without a baseline.
    """
    policy_file = policy_path(run, seed)
    value_file = policy_file.with_name("value.safetensors")
    if not value_file.exists():
        raise RunError(f"{policy_file.parent} has no value function: train with baseline 'value' for one")
    return load_mlp_value(value_file) if module is None else load_value_module(value_file, policy_file, module)


def policy_path(run: RunPath, seed: int | None = None) -> Path:
    """Return the policy file of a run folder, a seed's folder, or the file itself; raise RunError without one."""
    path = require_path("run", run)
    if seed is not None:
        seed = require_integer("seed", seed, 0)
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
    require_no_link(path / f"seed-{chosen}")
    return path / f"seed-{chosen}" / "policy.safetensors"


def seeds_of(path: Path) -> list[int]:
    """Return the seeds whose policies a run folder holds, in order."""
    found = (re.fullmatch(r"seed-(0|[1-9]\d*)", file.parent.name) for file in path.glob("seed-*/policy.safetensors"))
    return sorted(int(match[1]) for match in found if match)

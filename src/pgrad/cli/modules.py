"""PyTorch modules that the command line names: the user's word, and never a file's, says whose code runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgrad.config.settings import Config
from pgrad.envs.make import make_named
from pgrad.runs.folder import read_config
from pgrad.runs.load import load
from pgrad.system import require_torch
from pgrad.training.prepare import env_of

if TYPE_CHECKING:
    from pgrad.torch.from_file import FromFile


def module_from(reference: str, config: Config) -> "FromFile":
    """Return what `--policy` names, for a configuration's environment."""
    require_torch()
    from pgrad.torch.from_file import from_file

    return from_file(reference, env_of(config, config.env))


def policy_of_run(run: Path, seed: int | None, reference: str | None, trust: bool, **which: Any) -> Any:
    """Return a run's frozen policy: compiled, or with `reference` a PyTorch module with the run's numbers in it."""
    if reference is None:
        return load(run, seed, **which)
    config, _ = read_config(run)
    make_named(config.env, trust, config.backend)  # whose environment is asked for its sizes
    return load(run, seed, module=module_from(reference, config).example, **which)

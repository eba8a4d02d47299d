"""The microscope along a run: at its last policy, at chosen iterations, or at every so many."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgrad.config.settings import check_arguments
from pgrad.diagnostics.microscope import Microscope, gradient_microscope
from pgrad.diagnostics.trajectories import require_memory
from pgrad.diagnostics.value_fit import fitted_value
from pgrad.envs.make import make_named
from pgrad.errors import ConfigError, RunError
from pgrad.estimators.catalogue import CATALOGUE
from pgrad.policies.mlp import require_fit
from pgrad.runs.folder import SavedRun, load_run
from pgrad.training.prepare import env_of

LAST = "last"
TRAJECTORIES, TRAJECTORIES_ALONG = 10_000, 1_000  # at one policy, at each of several


@dataclass(frozen=True)
class RunDiagnosis:
    """Microscopes at one or several moments of one seed's training."""

    run: str
    seed: int
    microscopes: tuple[Microscope, ...]  # in the order of training
    value: str  # where V comes from


def diagnose(
    run: str | os.PathLike[str],
    seed: int | None = None,
    at: str = LAST,
    trajectories: int | None = None,
    diagnosis_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    trust: bool = False,
) -> RunDiagnosis:
    """Measure signal and noise of every gradient estimator at the policies of a run folder.

    run             a run folder whose policy is the compiled perceptron, as `pgrad train` writes
    seed            which seed of the run (default: its first)
    at              "last"; an iteration, or several with commas; or "every:10"
    trajectories    at each policy (default 10,000; 1,000 where there are several)
    diagnosis_seed  of the trajectories
    progress        called with a line of text as each part begins
    trust           whether to import, and run, the code that the run names as its environment (`file.py:Name`)

    V is the run's own value network, or one fitted to each policy where the run has none. Raises RunError where
    the folder cannot be read, is of a PyTorch module, or has not kept the parameters of an iteration asked for;
    ConfigError for arguments out of range, an `at` of another form, or trajectories whose gradients exceed 2 GiB; and
    EnvError for an environment that cannot be made, is not trusted, or does not fit the policy.
    """
    check_arguments(trajectories=trajectories, diagnosis_seed=diagnosis_seed, trust=trust)
    saved = load_run(run, seed)
    iterations = chosen_iterations(saved, at)
    moments = [saved.at(iteration) for iteration in iterations]
    number = trajectories
    if number is None:
        number = TRAJECTORIES if len(iterations) == 1 else TRAJECTORIES_ALONG
    env = env_of(saved.config, make_named(saved.config.env, trust))
    require_fit(saved.policy, env)  # before anything is announced, compiled or fitted
    require_memory(saved.policy, [named.spec for named in CATALOGUE], number)
    discount, microscopes = saved.config.discount, []
    for iteration, (policy, critic) in zip(iterations, moments, strict=True):
        if progress is not None:
            progress(f"iteration {iteration}: {number:,} trajectories")
        critic = critic or fitted_value(env, policy, discount, diagnosis_seed)
        microscopes.append(gradient_microscope(policy, critic, env, discount, number, diagnosis_seed, iteration))
    value = "the run's value network" if saved.critic else "a network fitted to rewards-to-go at each policy"
    return RunDiagnosis(os.fspath(run), saved.seed, tuple(microscopes), value)


def chosen_iterations(saved: SavedRun, at: str) -> Sequence[int]:
    """Return the iterations that `at` names; raise ConfigError where it has another form, RunError where none fits."""
    last = int(saved.policy.metadata.get("iterations", 0))
    if at == LAST:
        return [last]
    if match := re.fullmatch(r"every:(\d{1,18})", at):
        step = int(match[1])
        kept = [] if saved.checkpoints is None else saved.checkpoints.iteration.tolist()
        if not kept:
            raise RunError("the run has kept no parameters along the way: train it with --checkpoint-every 10")
        every = kept[1] - kept[0] if len(kept) > 1 else max(last, 1)
        if step == 0 or step % every != 0:
            raise ConfigError(
                [f"--at every:{step}: the run kept its parameters every {every} iterations; take a multiple of that"]
            )
        return sorted({*(iteration for iteration in kept if iteration % step == 0), last})
    if re.fullmatch(r"\d{1,18}(,\d{1,18})*", at):
        return sorted({int(word) for word in at.split(",")})
    raise ConfigError([f"--at must be 'last', an iteration, several like 0,40,120, or 'every:10', not '{at}'"])

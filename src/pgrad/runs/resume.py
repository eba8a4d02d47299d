"""Go on with a run from its newest whole checkpoint, as if it had never stopped.

In compiled environments the same bytes come out as without the stop, of compiled policies and of PyTorch modules on a
CPU. Other environments keep their states to themselves: there the episodes in progress begin anew, with other random
numbers, and all else goes on.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from pgrad.config.settings import FIELDS, Config, TrainSettings, checked
from pgrad.config.synonyms import nearest_setting
from pgrad.envs.make import AnyEnv, make_named
from pgrad.errors import ConfigError, RunError, collecting, require_path
from pgrad.runs.atomic import alone_in, move, remove_leftovers, require_no_link
from pgrad.runs.folder import MAY_CHANGE, RunFolder, fixed_settings, located, read_config
from pgrad.runs.journal import Journals, journals_in
from pgrad.runs.load import RunPath
from pgrad.runs.state_file import NEWEST, PREVIOUS, load_state
from pgrad.training.callbacks import OnIteration
from pgrad.training.loops import History, Past
from pgrad.training.prepare import env_of
from pgrad.training.result import Result
from pgrad.training.seeds import Progress
from pgrad.training.train import SAVE_EVERY, train

LIMITS = ("total_steps", "num_iterations")  # giving one replaces both

logger = logging.getLogger("pgrad")


def resume(
    run: RunPath,
    env: AnyEnv | None = None,
    *,
    trust: bool = False,
    threads: int | None = None,
    evaluation_episodes: int = 100,
    progress: Progress | bool | None = None,
    save_every: float | None = SAVE_EVERY,
    on_iteration: OnIteration | None = None,
    evaluate_every: float | None = None,
    policy: Any = None,
    value: Any = None,
    optimizer: Any = None,
    value_coef: float | None = None,
    device: str | None = None,
    **settings: Unpack[TrainSettings],
) -> Result:
    """Go on with a run from its newest whole checkpoint, and write into its folder what `pgrad train` would have.

    run        the folder: of `pgrad train`, or of pgrad.save, whether its training was stopped or has finished
    env        the environment, where the run's is not a built-in id; or `trust` the run, which imports what it names
    settings   total_steps and num_iterations, for a run that is to take more (giving one replaces both),
               stop_at_return, step_timeout and restart_failed_envs. Of others only what the run has already is
               accepted. Seeds that were stopped early stay so unless one of the first three is given
    policy, value, optimizer, value_coef, device
               of PyTorch modules, as the run was begun with: its files hold numbers and no code
    others     as in `pgrad.train`

    What was stopped comes out as if it had not been, byte for byte: policies, metrics.csv, episodes.csv. See
    docs/resume.md for what that holds for, and for what of Gymnasium's environments is repeated. Where learning rates
    decay over the run, a later end is another schedule. Raises RunError where there is no whole checkpoint or another
    process trains in the folder, ConfigError for settings that cannot change, and what `pgrad.train` raises.
    """
    modules = {"policy": policy, "value": value, "optimizer": optimizer, "value_coef": value_coef, "device": device}
    path = require_path("run", run)
    with alone_in(existing(path)):
        began = reopened(path, settings, env, trust, module=policy is not None)
        result: Result | None = None
        try:
            result = train(
                None if isinstance(env, str) else env,
                config=began.config,
                threads=threads,
                evaluation_episodes=evaluation_episodes,
                progress=progress,
                save=began.folder.save,
                save_every=save_every,
                past=began.past,
                on_iteration=on_iteration,
                evaluate_every=evaluate_every,
                **modules,
            )
        except BaseException as error:
            result = getattr(error, "result", None)
            raise
        finally:
            if result is not None:
                began.folder.save_result(result)
    return result


class OpenRun(NamedTuple):
    """A run that is about to begin, or to go on."""

    folder: RunFolder
    config: Config
    past: dict[int, Past]  # of the seeds that have begun


def existing(run: Path) -> Path:
    """Return a run's folder; raise RunError where there is none."""
    if not require_path("run", run).is_dir():
        raise RunError(f"{run} is no run folder: give the folder that `pgrad train` has written")
    return run


def reopened(
    run: Path, changes: Mapping[str, Any], env: AnyEnv | None = None, trust: bool = False, module: bool = False
) -> OpenRun:
    """Read what a run goes on from; raise RunError, ConfigError or EnvError where it cannot.

    Nothing that the run names is imported, unless it is of the environment given, or to be trusted.
    """
    before, class_name = read_config(run)
    if module != (class_name is not None):
        raise RunError(
            f"{run} is a run of a compiled policy: remove policy"
            if module
            else f"{run} is a run of a PyTorch module, {class_name}, whose code no file holds: pgrad.resume(run, "
            "policy=...), or --policy, goes on with it"
        )
    if env is None:
        make_named(before.env, trust, before.backend)
    elif isinstance(env, str) and located(env) != before.env:
        raise ConfigError([f"env is '{env}', but the run's is '{before.env}': remove it, or begin a new run"])
    config = changed(before, changes)
    made = env_of(config, before.env if env is None else env)
    remove_leftovers(run)
    past, journals = {}, {}
    for seed in config.seeds:
        if (folder := run / f"seed-{seed}").is_dir():
            require_no_link(folder)
            remove_leftovers(folder)
            if (found := read_seed(folder, config)) is not None:
                past[seed], journals[seed] = found
    if changes.keys() & {*LIMITS, "stop_at_return"}:
        past = {seed: with_another_end(one) for seed, one in past.items()}
    if past and not made.compiled:
        logger.warning("'%s' keeps its states to itself: the episodes that were in progress begin anew", made.id)
    return OpenRun(RunFolder(run, config, class_name, journals), config, past)


def with_another_end(past: Past) -> Past:
    """Return what a seed goes on from, also where it was stopped early."""
    return past._replace(state=past.state._replace(about={**past.state.about, "stopped": False}))


def changed(before: Config, changes: Mapping[str, Any]) -> Config:
    """Return a run's configuration with some settings changed; raise ConfigError for those that cannot."""
    problems: list[str] = []
    given: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in FIELDS:
            problems.append(f"unknown setting '{name}': {nearest_setting(name, FIELDS)}")
            continue
        with collecting(problems):
            given[name] = checked(name, value)
            if name not in MAY_CHANGE and given[name] != getattr(before, name):
                problems.append(
                    f"{name} is {written(getattr(before, name))} in this run and cannot become {written(given[name])}: "
                    f"remove it, or begin a new run ({', '.join(MAY_CHANGE)} may change)"
                )
    if problems:
        raise ConfigError(problems)
    if given.keys() & set(LIMITS):
        given = {**dict.fromkeys(LIMITS), **given}
    after = replace(before, **given)
    decays = [name for name in ("learning_rate_schedule", "clip_schedule") if getattr(before, name) == "linear"]
    if decays and any(getattr(after, name) != getattr(before, name) for name in LIMITS):
        logger.warning(
            "%s 'linear' now decays to the new end: what comes is not what a run of that length would have been",
            " and ".join(decays),
        )
    return after


def written(value: Any) -> str:
    """Return a setting as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def read_seed(folder: Path, config: Config) -> tuple[Past, Journals] | None:
    """Return what a seed goes on from: its newest checkpoint that is whole; None where it never had one.

    Raises RunError where there is one, and none is whole.
    """
    problems = []
    for name in (NEWEST, PREVIOUS):
        if (folder / name).exists():
            try:
                found = read_checkpoint(folder, name, config)
            except RunError as error:
                problems.append(str(error))
                continue
            if problems:
                iterations = found[0].state.about["iterations"]
                logger.warning("%s; going on from the one before it, after iteration %d", problems[0], iterations)
            if name != NEWEST:  # the next one to be written shall not take this one's place
                move(folder / name, folder / NEWEST)
            return found
    if problems:
        raise RunError("\n".join(problems))
    if (folder / "policy.safetensors").exists():
        raise RunError(
            f"{folder} has a policy, and no checkpoint to go on from: an older pgrad wrote it, or its module or "
            "optimizer keeps what no file of numbers holds. Begin a new run"
        )
    return None


def read_checkpoint(folder: Path, name: str, config: Config) -> tuple[Past, Journals]:
    """Read a checkpoint with all that belongs to it; raise RunError where anything of it is not as it was written."""
    state, journals = load_state(folder / name), journals_in(folder)
    settings, about = fixed_settings(config), state.about
    if not isinstance(about.get("settings"), dict) or not isinstance(about.get("journals"), dict):
        raise RunError(f"{folder / name} has no settings or journals: it is not as pgrad wrote it")
    if others := [key for key in settings if about["settings"].get(key) != json.loads(json.dumps(settings[key]))]:
        raise RunError(
            f"config.toml says {others[0]} = {settings[others[0]]!r}, but {folder / name} was trained with "
            f"{about['settings'].get(others[0])!r}: put back what it was"
        )
    metrics, episodes, evaluations = journals.read(about["journals"])
    return Past(state, History(metrics, episodes, about["seconds"]), evaluations), journals

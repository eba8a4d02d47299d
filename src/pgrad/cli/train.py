"""`pgrad train`: train a policy for every seed, and write a run folder."""

import argparse
import contextlib
import dataclasses
import importlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgrad.cli.modules import module_from
from pgrad.cli.parser import Parser
from pgrad.config.settings import ARGUMENTS, FIELDS, Config, check_arguments
from pgrad.config.settings import checked as checked_value
from pgrad.config.values import boolean
from pgrad.errors import ConfigError, PgradError, RunError, collecting
from pgrad.presets.choose import AUTO
from pgrad.presets.preset import NONE, Preset
from pgrad.runs.atomic import alone_in, read_asked_toml
from pgrad.runs.folder import RunFolder, free_path
from pgrad.runs.resume import OpenRun, existing, reopened
from pgrad.system import require_tensorboard
from pgrad.training.loops import require_memory
from pgrad.training.prepare import prepare
from pgrad.training.result import Result
from pgrad.training.tensorboard import TensorBoard
from pgrad.training.train import SAVE_EVERY, train
from pgrad.training.warm_up import compile_beside
from pgrad.vector.arguments import named_with, read_arguments, split_name

DEFAULT_ENV = "CartPole-v1"  # stands in while the other settings are checked
TENSORBOARD_POINTS = 1000  # of a seed's curve: what TensorBoard itself keeps
METAVARS = {
    "episodes_per_iteration": "EPISODES",
    "num_iterations": "N",
    "num_envs": "N",
    "num_steps": "N",
    "checkpoint_every": "N",
}


@dataclass(frozen=True)
class How:
    """What can be asked of any training, and is no setting of the run."""

    threads: int | None
    evaluation_episodes: int
    save_every: float | None
    evaluate_every: int | None
    policy: str | None  # where a PyTorch module is written
    tensorboard: bool
    figures: bool
    quiet: bool


@dataclass(frozen=True)
class TrainRequest:
    """The checked arguments of `pgrad train`."""

    config: Config | None  # of a new run
    out: Path  # a new folder, or that of a run that goes on
    how: How
    preset: Preset | None = None  # that was taken
    module: str | None = None  # the class of the PyTorch module that is trained, if one is
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # in settings of a run that goes on
    env: str | None = None  # of such a run, where it is to be trusted
    trust: bool = False


def command(argv: list[str]) -> int:
    """Run `pgrad train`."""
    asked = request(argv)
    how = asked.how
    with opened(asked) as run, event_files(asked, run) as on_iteration:
        if how.figures:
            # Importing matplotlib takes a third of a second, and training leaves Python's global lock alone.
            threading.Thread(target=importlib.import_module, args=("pgrad.reports.figures",), daemon=True).start()
        if how.evaluation_episodes or how.evaluate_every:
            compile_beside()
        if not how.quiet:
            tell(asked, run)
        failure: BaseException | None = None
        try:
            result = train(
                config=run.config,
                threads=how.threads,
                evaluation_episodes=how.evaluation_episodes,
                progress=not how.quiet,
                save=run.folder.save,
                save_every=how.save_every,
                on_iteration=on_iteration,
                evaluate_every=how.evaluate_every,
                policy=None if how.policy is None else module_from(how.policy, run.config).policy,
                past=run.past,
            )
        except BaseException as error:
            failure, unfinished = error, getattr(error, "result", None)
            if unfinished is None or unfinished.total_steps == 0:
                if isinstance(error, KeyboardInterrupt):
                    print("\ninterrupted before the first step: nothing was saved", file=sys.stderr)
                raise
            result = unfinished
        return finish(asked, run, result, failure)


@contextlib.contextmanager
def opened(asked: TrainRequest) -> Iterator[OpenRun]:
    """Make the run's folder, or open that of a run that goes on, and keep other processes out of it."""
    out = asked.out.absolute()  # an environment may change the working folder
    if asked.config is None:
        with alone_in(existing(out)):
            yield reopened(out, asked.changes, asked.env, asked.trust, module=asked.how.policy is not None)
    else:
        with removed_if_empty(out):
            folder = RunFolder(out, asked.config, asked.module)
            with alone_in(out):
                yield OpenRun(folder, asked.config, {})


def event_files(asked: TrainRequest, run: OpenRun) -> AbstractContextManager[TensorBoard | None]:
    """Return what writes TensorBoard's files beside a run's own, if asked for: about a thousand points a curve."""
    if not asked.how.tensorboard:
        return contextlib.nullcontext()
    return TensorBoard(asked.out.absolute(), max(1, (run.config.total_steps or 0) // TENSORBOARD_POINTS))


def tell(asked: TrainRequest, run: OpenRun) -> None:
    """Say what nobody asked for: the preset that was taken, or where the run goes on."""
    if asked.preset is not None:
        print(f"{asked.preset} (--preset none goes without)", file=sys.stderr)
    if asked.config is None:
        seeds, steps = len(run.config.seeds), sum(past.state.about["total_steps"] for past in run.past.values())
        begun = f"{len(run.past)} of {seeds} seeds, " if seeds > 1 else ""
        print(f"going on with {asked.out} after {begun}{steps:,} steps", file=sys.stderr)


def finish(asked: TrainRequest, run: OpenRun, result: Result, failure: BaseException | None) -> int:
    """Write and print a result, whatever ended the training; pass on what did."""
    unsaved: RunError | None = None
    try:
        if failure is not None:  # else `train` has saved them
            run.folder.save(result)
        run.folder.save_result(result)
        if asked.how.figures and not isinstance(failure, KeyboardInterrupt):
            run.folder.save_figures(result)
    except RunError as error:  # the summary may be all that is left
        unsaved = error
    print(result.summary())
    if isinstance(failure, KeyboardInterrupt):
        begun, seeds = len(result.seeds), len(run.config.seeds)
        progressed = f"{begun} of {seeds} seeds had begun; " if seeds > 1 else ""
        saved = f"saved to {asked.out}; `pgrad train --resume {asked.out}` goes on"
        print(f"\ninterrupted: {progressed}{unsaved or saved}", file=sys.stderr)
        raise failure
    if unsaved is not None:
        raise unsaved
    print(f"written to {asked.out}")
    if failure is not None:
        if result.failures():
            print(f"`pgrad explain-failure {asked.out}` says what led to it, and what usually helps")
        raise failure
    return 0


@contextlib.contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Remove the run folder, with the parents made for it, where an exception leaves it without a policy."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        yield
    except BaseException:
        if folder in missing and not any(folder.glob("seed-*")):
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                for path in missing[1:]:
                    path.rmdir()
        raise


def request(argv: list[str]) -> TrainRequest:
    """Return the checked arguments of `pgrad train`; raise one ConfigError for all that is wrong with them."""
    arguments, problems = parser().parse(argv)
    given = {name: value for name, value in vars(arguments).items() if name in FIELDS and name != "env"}
    own = {
        f"--{name.replace('_', '-')}": getattr(arguments, name)
        for name in ("seed", "threads", "evaluation_episodes", "save_every", "evaluate_every")
    }
    checked: dict[str, Any] = {}
    with collecting(problems):
        if arguments.tensorboard:
            require_tensorboard()
    with collecting(problems):
        checked = check_arguments(**{flag: text for flag, text in own.items() if text is not None})
    if arguments.resume is not None:
        return resumption(arguments, given, checked, problems)
    if arguments.seed is not None:
        if "seeds" in given:
            problems.append("give either --seed or --seeds, not both")
        given["seeds"] = [checked.get("seed", 0)]
    from_file: dict[str, Any] = {}
    if arguments.config is not None:
        with collecting(problems):
            from_file = read_asked_toml(arguments.config, f"--config {arguments.config}")
    if arguments.policy is not None:
        from_file.pop("policy", None)  # the class of a run's module, which is now given
    env = arguments.env or from_file.get("env")
    if env is None:
        problems.append("no environment: name one, as in `pgrad train CartPole-v1`")
    elif not isinstance(env, str):
        with collecting(problems):
            checked_value("env", env)
    if isinstance(env, str) and arguments.env_kwargs is not None:
        with collecting(problems):
            name, already = split_name(env)
            env = named_with(name, already | read_arguments(arguments.env_kwargs))
    if arguments.out is not None and os.path.lexists(arguments.out):
        problems.append(f"{arguments.out} exists already: choose another --out, or remove it")
    config: Config | None = None
    preset: Preset | None = None
    module: str | None = None
    by_default = AUTO if arguments.policy is None else NONE  # presets are tuned for compiled policies
    try:
        with collecting(problems):
            named = env if isinstance(env, str) else DEFAULT_ENV
            config, made, preset = prepare(named, from_file, given, preset=by_default)
            require_memory(config, made)
            if arguments.policy is not None:
                module = module_from(arguments.policy, config).class_name
    except PgradError as error:
        problems.append(str(error))
    if problems or config is None:
        raise ConfigError(problems)
    out = arguments.out or free_path(config)
    return TrainRequest(config, out, how_of(arguments, checked), preset, module)


def how_of(arguments: argparse.Namespace, checked: Mapping[str, Any]) -> How:
    """Return what is asked of the training itself."""
    return How(
        threads=checked.get("threads"),
        evaluation_episodes=checked["evaluation_episodes"],
        save_every=checked["save_every"],
        evaluate_every=checked.get("evaluate_every"),
        policy=arguments.policy,
        tensorboard=arguments.tensorboard,
        figures=not arguments.no_figures,
        quiet=arguments.quiet,
    )


def resumption(
    arguments: argparse.Namespace, given: dict[str, Any], checked: Mapping[str, Any], problems: list[str]
) -> TrainRequest:
    """Return the request of a run that goes on; raise one ConfigError for flags that only a new run can have."""
    for name in ("out", "config", "seed", "env_kwargs"):
        if getattr(arguments, name) is not None:
            problems.append(f"--{name.replace('_', '-')} is for a new run: remove it, or --resume")
    if problems:
        raise ConfigError(problems)
    how, env, trust = how_of(arguments, checked), arguments.env, arguments.trust
    return TrainRequest(None, arguments.resume, how, changes=given, env=env, trust=trust)


def parser() -> Parser:
    """Return the flags of `pgrad train`: its own, and one for each of Config's fields."""
    parser = Parser(
        "train",
        "[ENV] [flags]",
        "Train a policy for every seed, evaluate the frozen policies in Gymnasium's own environment,\n"
        "and write policies, metrics and figures to a run folder. The first training on a compiled\n"
        "environment compiles the loop for it (15 to 20 s, kept for next time), and once more with\n"
        "--normalize-obs or --normalize-rewards.",
        "Examples:\n"
        "  pgrad train CartPole-v1\n"
        "  pgrad train CartPole-v1 --seeds 30 --hidden 128 --learning-rate 0.004\n"
        "  pgrad train CartPole-v1 --algorithm notebook --seeds 0-4,10\n"
        "  pgrad train Acrobot-v1 --config settings.toml --out runs/mine\n"
        "  pgrad train --config runs/mine/config.toml\n"
        "  pgrad train --resume runs/mine --total-steps 1e6\n"
        "What is not given is as in the environment's tuned preset, or the general one; with --preset none,\n"
        "or for another --algorithm, as in the algorithm's own. Defaults below are those of the actor-critic.",
    )
    parser.add_argument("env", nargs="?", metavar="ENV", help="environment id, such as CartPole-v1 (see `pgrad envs`)")
    own = parser.add_argument_group("this run")
    own.add_argument("--out", type=Path, metavar="DIR", help="run folder to make (default: runs/ENV-ALGORITHM-N)")
    own.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings; flags win over it")
    own.add_argument(
        "--env-kwargs",
        metavar="KEY=VALUE,…",
        help="arguments for the environment, as in is_slippery=false; recorded as ENV(is_slippery=False), which is a "
        "name for it anywhere",
    )
    parser.add_policy(own)
    own.add_argument("--seed", help="one random seed")
    own.add_argument(
        "--threads",
        help="for seeds side by side, and for the work of few seeds; results do not depend on it (default: all cores)",
    )
    own.add_argument("--evaluation-episodes", default=100, metavar="N", help="of each frozen policy (default 100)")
    own.add_argument(
        "--evaluate-every",
        metavar="STEPS",
        help="environment steps after which the frozen policy plays 20 episodes; their curve is kept (default: never)",
    )
    own.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, or to more steps")
    own.add_argument(
        "--save-every",
        metavar="SECONDS",
        default=SAVE_EVERY,
        help=f"seconds between checkpoints, or none: at the end, and when it is stopped (default {SAVE_EVERY:g})",
    )
    own.add_argument(
        "--tensorboard",
        action="store_true",
        help='write event files into the run folder, readable while training (pip install "pgrad[tensorboard]")',
    )
    own.add_argument("--no-figures", action="store_true", help="write no figures")
    parser.add_trust()
    parser.add_quiet()
    settings = parser.add_argument_group("settings (TOML keys have underscores instead of dashes)")
    for name, field in FIELDS.items():
        if name == "env":
            continue
        flag, choices = f"--{name.replace('_', '-')}", field.metadata["choices"]
        default = f"default {AUTO}" if name == "preset" else _shown(field.default)
        text = f"{field.metadata['help']} ({'; '.join(filter(None, [' | '.join(choices), default]))})"
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if ARGUMENTS[name].convert is boolean:
            settings.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
        else:
            settings.add_argument(flag, metavar=METAVARS.get(name, name.split("_")[-1].upper()), **options)
    return parser


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return f"default {','.join(map(str, default)) or 'none'}"
    return f"default {'none' if default is None else str(default).lower()}"

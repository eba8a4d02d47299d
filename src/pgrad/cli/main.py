"""The command line: parse, one library call, print. No mathematics."""

import argparse
import gc
import importlib
import io
import itertools
import math
import multiprocessing
import os
import sys
import threading
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pgrad.config import FIELDS, Config, integer, nearest_setting, number, resolve
from pgrad.errors import ConfigError, PgradError, nearest

T = TypeVar("T", int, float)

METAVARS = {
    "episodes_per_iteration": "EPISODES",
    "num_iterations": "N",
    "num_envs": "N",
    "num_steps": "N",
    "checkpoint_every": "N",
}

DEFAULT_ENV = "CartPole-v1"  # stands in while the other settings are checked
FAILED = 1
PIPE_CLOSED = 141  # 128 + SIGPIPE
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

OVERVIEW = """\
pgrad: policy gradients done right.

  pgrad train ENV     train a policy on an environment, for one seed or many
  pgrad eval RUN      what a trained policy is worth in Gymnasium's own environment
  pgrad diagnose RUN  signal and noise of every estimator of the gradient, at a trained policy
  pgrad verify        every estimator of the gradient, proved against the exact one
  pgrad envs          the environments there are
  pgrad check-env ENV is an environment sound: yours, or one of Gymnasium's
  pgrad info          versions, processor, GPU, extras

Try:  pgrad train CartPole-v1 --seeds 30
Each command explains itself: pgrad train --help"""


class Parser(argparse.ArgumentParser):
    """argparse, with its complaints as ConfigErrors."""

    def __init__(self, command: str, argument: str, description: str, epilog: str = "") -> None:
        super().__init__(
            f"pgrad {command}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            usage=f"pgrad {command} {argument}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> Any:
        """Raise instead of exiting."""
        raise ConfigError([f"{message} (see `{self.prog} --help`)"])

    def parse(self, argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """The arguments, and a problem for each one that is not known or lacks its value."""
        problems = []
        valued = {flag for action in self._actions for flag in action.option_strings if action.nargs is None}
        complete = []
        for word, following in itertools.zip_longest(argv, argv[1:]):
            if word in valued and (following is None or following.startswith("--")):
                problems.append(f"{word} needs a value")
            else:
                complete.append(word)
        arguments, unknown = self.parse_known_args(complete)
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in unknown:
            if word.startswith("--"):
                name = word.split("=")[0]
                problems.append(f"unknown flag '{name}': {nearest_setting(name, flags, self.prog)}")
            elif not problems:  # else it is most likely the unknown flag's value
                problems.append(f"unexpected argument '{word}' (see `{self.prog} --help`)")
        return arguments, problems


def checked(
    problems: list[str], name: str, text: Any, convert: Callable[[Any], T], least: float = 0, most: float = math.inf
) -> T | None:
    """A flag's text converted, or a problem noted: it is no such number, or outside its bounds."""
    try:
        value = convert(text)
    except ValueError as error:
        problems.append(f"{name} {error}")
        return None
    if value < least:
        problems.append(f"{name} must be at least {least:g}, not {text}")
        return None
    if not value <= most:
        problems.append(f"{name} must be at most {most:g}, not {text}")
        return None
    return value


def train_parser() -> Parser:
    """The flags of `pgrad train`: its own, and one for each of Config's fields."""
    parser = Parser(
        "train",
        "[ENV] [flags]",
        "Train a policy for every seed, evaluate the frozen policies in Gymnasium's own environment,\n"
        "and write policies, metrics and figures to a run folder.",
        "Examples:\n"
        "  pgrad train CartPole-v1\n"
        "  pgrad train CartPole-v1 --seeds 30 --hidden 128 --learning-rate 0.004\n"
        "  pgrad train CartPole-v1 --algorithm notebook --seeds 7,8,9\n"
        "  pgrad train Acrobot-v1 --config settings.toml --out runs/mine\n"
        "  pgrad train --config runs/mine/config.toml\n"
        "Defaults are those of the actor-critic; `--algorithm` changes several at once.",
    )
    parser.add_argument("env", nargs="?", metavar="ENV", help="environment id, such as CartPole-v1 (see `pgrad envs`)")
    own = parser.add_argument_group("this run")
    own.add_argument("--out", type=Path, metavar="DIR", help="run folder to make (default: runs/ENV-ALGORITHM-N)")
    own.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings; flags win over it")
    own.add_argument("--seed", help="one random seed")
    own.add_argument("--threads", help="seeds trained side by side; results do not depend on it (all cores)")
    own.add_argument("--evaluation-episodes", default=100, metavar="N", help="of each frozen policy (default 100)")
    own.add_argument("--no-figures", action="store_true", help="write no figures")
    settings = parser.add_argument_group("settings (TOML keys have underscores instead of dashes)")
    for name, field in FIELDS.items():
        if name == "env":
            continue
        flag, choices = f"--{name.replace('_', '-')}", field.metadata["choices"]
        text = f"{field.metadata['help']} ({'; '.join(filter(None, [' | '.join(choices), _shown(field.default)]))})"
        metavar = METAVARS.get(name, name.split("_")[-1].upper())
        settings.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text.replace("%", "%%"))
    return parser


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return f"default {','.join(map(str, default)) or 'none'}"
    return f"default {'none' if default is None else str(default).lower()}"


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's table; raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"cannot read --config {path}: {error.strerror or error}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"--config {path} is not valid TOML: {error}"]) from error


@dataclass(frozen=True)
class TrainRequest:
    """What `pgrad train` was asked for."""

    config: Config
    out: Path
    threads: int | None
    evaluation_episodes: int
    figures: bool


def train_request(argv: list[str]) -> TrainRequest:
    """The checked arguments of `pgrad train`; one ConfigError for all that is wrong with them."""
    from pgrad.envs.make import make
    from pgrad.runs.folder import free_path
    from pgrad.training.loops import require_memory
    from pgrad.training.train import env_of

    arguments, problems = train_parser().parse(argv)
    given = {name: value for name, value in vars(arguments).items() if name in FIELDS and name != "env"}
    if arguments.seed is not None:
        if "seeds" in given:
            problems.append("give either --seed or --seeds, not both")
        seed = checked(problems, "--seed", arguments.seed, integer)
        given["seeds"] = [0 if seed is None else seed]
    from_file: dict[str, Any] = {}
    if arguments.config is not None:
        try:
            from_file = read_toml(arguments.config)
        except ConfigError as error:
            problems += error.problems
    env = arguments.env or from_file.get("env")
    if env is None:
        problems.append("no environment: say which, as in `pgrad train CartPole-v1`")
    threads = None
    if arguments.threads is not None:
        threads = checked(problems, "--threads", arguments.threads, integer, 1)
    episodes = checked(problems, "--evaluation-episodes", arguments.evaluation_episodes, integer)
    if arguments.out is not None and os.path.lexists(arguments.out):
        problems.append(f"{arguments.out} exists already: choose another --out, or remove it")
    config: Config | None = None
    try:
        config = resolve(env or DEFAULT_ENV, None, from_file, given)
    except ConfigError as error:
        problems += error.problems
    if isinstance(env, str):
        try:
            if config is None:
                make(env)
            else:
                require_memory(config, env_of(config, env))
        except PgradError as error:
            problems.append(str(error))
    if problems or config is None or episodes is None:
        raise ConfigError(problems)
    return TrainRequest(config, arguments.out or free_path(config), threads, episodes, not arguments.no_figures)


def train_command(argv: list[str]) -> int:
    """`pgrad train`."""
    request = train_request(argv)

    from pgrad.cli.progress import ConsoleProgress
    from pgrad.evaluation import compile_beside
    from pgrad.runs.folder import RunFolder
    from pgrad.training.train import Interrupted, train

    folder = RunFolder(request.out, request.config)
    if request.figures:
        # Importing matplotlib takes a third of a second, and training leaves Python's global lock alone.
        threading.Thread(target=importlib.import_module, args=("pgrad.reports.figures",), daemon=True).start()
    if request.evaluation_episodes:
        compile_beside()
    failure: PgradError | None = None
    try:
        with ConsoleProgress() as progress:
            result = train(
                config=request.config,
                threads=request.threads,
                evaluation_episodes=request.evaluation_episodes,
                progress=progress,
                save=folder.save_policies,
            )
    except Interrupted as interruption:
        if interruption.result.total_steps == 0:
            print("\ninterrupted before the first step: there is nothing to keep", file=sys.stderr)
            return INTERRUPTED
        folder.save_policies(interruption.result)
        folder.save_result(interruption.result)
        begun, asked = len(interruption.result.seeds), len(request.config.seeds)
        print(f"\ninterrupted: {begun} of {asked} seeds had begun; they are in {folder.path}", file=sys.stderr)
        return INTERRUPTED
    except PgradError as error:
        if error.result is None:
            raise
        failure, result = error, error.result
        folder.save_policies(result)
    folder.save_result(result)
    print(result.summary())
    if request.figures:
        folder.save_figures(result)
    print(f"written to {folder.path}")
    if failure is not None:
        raise failure
    return 0


def add_step_timeout(parser: Parser) -> None:
    """The flag, as evaluation and checks have it."""
    parser.add_argument(
        "--step-timeout",
        default=60.0,
        help="seconds after which a step of the environment hangs, or none (default 60)",
    )


def step_timeout(problems: list[str], arguments: argparse.Namespace) -> float | None:
    """What the flag says, in seconds; None for any."""
    given = arguments.step_timeout
    return None if given == "none" else checked(problems, "--step-timeout", given, number)


def eval_command(argv: list[str]) -> int:
    """`pgrad eval`."""
    parser = Parser("eval", "RUN [flags]", "Estimate J of a frozen policy in Gymnasium's own environment.")
    parser.add_argument("run", metavar="RUN", help="run folder, or a policy.safetensors")
    parser.add_argument("--seed", help="which seed of the run folder (default: all of them)")
    parser.add_argument("--env", help="another environment than the policy was trained on")
    parser.add_argument("--episodes", default=100, help="how many (default 100)")
    parser.add_argument("--discount", default=1.0, help="γ of the estimated J, in [0, 1] (default 1)")
    parser.add_argument("--evaluation-seed", metavar="SEED", default=0, help="of the episodes (default 0)")
    parser.add_argument("--greedy", action="store_true", help="take the most probable action instead of sampling")
    parser.add_argument("--max-episode-steps", metavar="STEPS", help="a time limit (default: that of training)")
    add_step_timeout(parser)
    arguments, problems = parser.parse(argv)
    seed = None if arguments.seed is None else checked(problems, "--seed", arguments.seed, integer)
    episodes = checked(problems, "--episodes", arguments.episodes, integer, 1)
    discount = checked(problems, "--discount", arguments.discount, number, 0, 1)
    evaluation_seed = checked(problems, "--evaluation-seed", arguments.evaluation_seed, integer)
    limit = arguments.max_episode_steps
    limit = None if limit is None else checked(problems, "--max-episode-steps", limit, integer, 1)
    timeout = step_timeout(problems, arguments)
    if problems or episodes is None or discount is None or evaluation_seed is None:
        raise ConfigError(problems)

    from pgrad.evaluation import evaluate
    from pgrad.experiments.statistics import bootstrap
    from pgrad.runs.folder import load, seeds_of

    run = Path(arguments.run)
    seeds: Sequence[int | None] = [seed] if seed is not None else (seeds_of(run) or [None])
    means = []
    for chosen in seeds:
        policy = load(run, chosen)
        evaluation = evaluate(
            policy, arguments.env, episodes, discount, evaluation_seed, arguments.greedy, limit, timeout
        )
        means.append(evaluation.returns.mean())
        print(evaluation if chosen is None else f"seed {chosen}: {evaluation}", flush=True)
    if len(means) > 1:
        print(f"all {len(means)} seeds: mean {bootstrap(means)} (95 % bootstrap interval over seeds)")
    return 0


def verify_command(argv: list[str]) -> int:
    """`pgrad verify`."""
    parser = Parser(
        "verify",
        "[flags]",
        "Prove every estimator of the policy gradient: its exact expectation on small problems against the gradient\n"
        "by linear algebra, and a sample of it through the compiled code that trains. Exit code 1 if anything fails.",
    )
    parser.add_argument("--seed", default=0, help="of policies and samples (default 0)")
    parser.add_argument("--no-samples", action="store_true", help="enumerate only: no compiled rollouts and kernels")
    parser.add_argument("--brief", action="store_true", help="print the verdict alone")
    arguments, problems = parser.parse(argv)
    seed = checked(problems, "--seed", arguments.seed, integer)
    if problems or seed is None:
        raise ConfigError(problems)

    from pgrad.algorithms.sampling import sample_estimates
    from pgrad.cli.progress import StepProgress
    from pgrad.estimators.advantages import multipliers
    from pgrad.verify.report import LEGEND, run

    with StepProgress(multipliers if arguments.no_samples else sample_estimates) as progress:
        report = run(seed, not arguments.no_samples, progress)
    print(report.summary if arguments.brief else f"{LEGEND}\n\n{report}")
    return 0 if report.holds else FAILED


def diagnose_command(argv: list[str]) -> int:
    """`pgrad diagnose`."""
    from pgrad.diagnostics.microscope import MIN_TRAJECTORIES

    parser = Parser(
        "diagnose",
        "RUN [flags]",
        "The gradient microscope: signal and noise of every estimator at a policy, on the same trajectories.\n"
        "Writes gradients-*.csv and gradients-*.png into the seed's folder.",
        "Examples:\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1 --at 80 --trajectories 20000\n"
        "  pgrad diagnose runs/CartPole-v1-actor-critic-1 --at every:50",
    )
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("--seed", help="which seed of the run (default: its first)")
    parser.add_argument("--at", default="last", help="last | an iteration, or several like 0,40,120 | every:10")
    parser.add_argument("--trajectories", metavar="N", help="at each policy (default 10000; of several 1000)")
    parser.add_argument("--diagnosis-seed", metavar="SEED", default=0, help="of the trajectories (default 0)")
    parser.add_argument("--no-figures", action="store_true", help="write no figure")
    arguments, problems = parser.parse(argv)
    seed = None if arguments.seed is None else checked(problems, "--seed", arguments.seed, integer)
    number = arguments.trajectories
    number = None if number is None else checked(problems, "--trajectories", number, integer, MIN_TRAJECTORIES)
    diagnosis_seed = checked(problems, "--diagnosis-seed", arguments.diagnosis_seed, integer)
    if problems or diagnosis_seed is None:
        raise ConfigError(problems)

    from pgrad.cli.progress import StepProgress
    from pgrad.diagnostics import tables
    from pgrad.diagnostics.along_run import diagnose
    from pgrad.estimators.gradient import trajectory_gradients
    from pgrad.runs.atomic import write_atomically

    with StepProgress(trajectory_gradients) as progress:
        diagnosis = diagnose(arguments.run, seed, arguments.at, number, diagnosis_seed, progress)
    along = len(diagnosis.microscopes) > 1
    shown = tables.table_along(diagnosis) if along else tables.table(diagnosis.microscopes[0])
    print(f"{tables.LEGEND}\nV(s)        {diagnosis.value}\n\n{shown}")
    stem = Path(arguments.run) / f"seed-{diagnosis.seed}" / f"gradients-{tables.slug(arguments.at)}"
    written = [stem.with_suffix(".csv")]
    write_atomically(written[0], tables.csv(diagnosis))
    if not arguments.no_figures:
        from pgrad.reports.figures import save_figure
        from pgrad.reports.microscope import along_training_figure, microscope_figure

        figure = along_training_figure(diagnosis) if along else microscope_figure(diagnosis.microscopes[0])
        written.append(save_figure(figure, stem.with_suffix(".png")))
    print(f"written to {' and '.join(map(str, written))}")
    return 0


def envs_command(argv: list[str]) -> int:
    """`pgrad envs`."""
    parser = Parser("envs", "", "The environments there are: compiled twins first, then what Gymnasium knows.")
    _, problems = parser.parse(argv)
    if problems:
        raise ConfigError(problems)
    import gymnasium

    from pgrad.envs.make import COMPILED, OURS
    from pgrad.spaces import actions_in_words

    ours = " and ".join(OURS)
    print(f"compiled (millions of steps a second), each but {ours} held to Gymnasium's own step by step:")
    for env in (make_compiled() for make_compiled in COMPILED.values()):
        limit = f"at most {env.max_episode_steps} steps" if env.max_episode_steps else "no time limit"
        solved = "" if env.reward_threshold is None else f", solved at {env.reward_threshold:g}"
        print(f"  {env.id:<26}{env.obs_size} observations, {actions_in_words(env.actions)}, {limit}{solved}")
    print("known to Gymnasium, or to a package of its own (`pgrad train module:id`), stepped as they are:")
    others = sorted(name for name in gymnasium.registry if name not in COMPILED)
    print("  " + "\n  ".join(others))
    return 0


def check_env_command(argv: list[str]) -> int:
    """`pgrad check-env`."""
    parser = Parser(
        "check-env",
        "ENV [flags]",
        "Play an environment with random and extreme actions, uncompiled and compiled, and say what is wrong with it.\n"
        "Exit code 1 if anything is, 2 if there is no such environment.",
        "Examples:\n"
        "  pgrad check-env my_env.py:MyEnv\n"
        "  pgrad check-env CartPole-v1\n"
        "docs/extending.md shows how to write one.",
    )
    parser.add_argument("env", metavar="ENV", help="file.py:Name, package.module:Name, or a Gymnasium id")
    parser.add_argument("--seed", default=0, help="of starts and actions (default 0)")
    add_step_timeout(parser)
    arguments, problems = parser.parse(argv)
    seed = checked(problems, "--seed", arguments.seed, integer)
    timeout = step_timeout(problems, arguments)
    if problems or seed is None:
        raise ConfigError(problems)

    from pgrad.env_check.check import check

    report = check(arguments.env, seed, timeout)
    print(report)
    return 0 if report.holds else FAILED


def info_command(argv: list[str]) -> int:
    """`pgrad info`."""
    _, problems = Parser("info", "", "Versions, processor, GPU, extras.").parse(argv)
    if problems:
        raise ConfigError(problems)
    from pgrad.cli.info import describe_system

    print(describe_system())
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train_command,
    "eval": eval_command,
    "verify": verify_command,
    "diagnose": diagnose_command,
    "envs": envs_command,
    "check-env": check_env_command,
    "info": info_command,
}


def run(argv: list[str]) -> int:
    """Run a command; returns the exit code. Errors that users can put right become messages on standard error."""
    try:
        code = dispatch(argv)
        sys.stdout.flush()
        return code
    except PgradError as error:
        print("\n".join(f"pgrad: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123, for the interpreter's last flush
        return PIPE_CLOSED


def dispatch(argv: list[str]) -> int:
    """Call the command that the first word names."""
    if argv and argv[0] == "help":
        argv = [*argv[1:2], "--help"]
    if not argv or argv[0] in ("-h", "--help"):
        print(OVERVIEW)
        return 0
    if argv[0] == "--version":
        from pgrad import __version__

        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        raise ConfigError([f"unknown command '{argv[0]}': {nearest(argv[0], COMMANDS)}"])
    return COMMANDS[argv[0]](argv[1:])


def main() -> None:
    """The command `pgrad`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without γ is no reason to lose a summary
    gc.set_threshold(200_000, 50, 50)  # compiling makes millions of objects and few cycles: a tenth of its time
    code = run(sys.argv[1:])
    if code == INTERRUPTED:  # a thread may still be compiling: leave without waiting for it
        for worker in multiprocessing.active_children():  # one that hangs would not notice that we are gone
            worker.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)

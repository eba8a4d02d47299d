"""`pgrad tune`: search for settings, and write the best as a preset."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from pgrad.cli.output import print_aside
from pgrad.cli.parser import Parser
from pgrad.errors import ConfigError, collecting
from pgrad.experiments.tuning.tune import tune
from pgrad.presets.choose import AUTO
from pgrad.runs.atomic import read_asked_toml
from pgrad.training.console import StepProgress


def command(argv: list[str]) -> int:
    """Run `pgrad tune`."""
    arguments, problems = parser().parse(argv)
    space: dict[str, Any] = {}
    if arguments.env is None:
        problems.append("no environment: name one, as in `pgrad tune CartPole-v1`")
    with collecting(problems):
        space = space_of(arguments.space, arguments.range)
    if problems:
        raise ConfigError(problems)
    given = {name: value for name, value in vars(arguments).items() if name not in ("env", "space", "range", "quiet")}
    announce = None if arguments.quiet else print_aside
    try:
        with contextlib.nullcontext() if arguments.quiet else StepProgress() as progress:
            found = tune(arguments.env, space=space, announce=announce, progress=progress, **given)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where the search was", file=sys.stderr)
        raise
    print(found.table())
    print(found.preset)
    print(f"written to {found.folder / 'preset.toml'}; train with it: --preset {found.folder / 'preset.toml'}")
    return 0


def parser() -> Parser:
    """Return the flags of `pgrad tune`."""
    parser = Parser(
        "tune",
        "ENV [flags]",
        "Search for settings: draw some at random, train and evaluate the frozen policies, give the best third three\n"
        "times as many seeds, and so on; write the best as a preset. Interrupted anywhere, the same command goes on\n"
        "where it was. Seeds from 1000 on are for searching, those under 1000 for reporting what was found.",
        "Examples:\n"
        "  pgrad tune Pendulum-v1 --budget-trials 64 --steps 300000\n"
        "  pgrad tune my_env.py:MyEnv --algorithm trpo --range max_kl=0.003..0.1 --range hidden='32|64,64'\n"
        "  pgrad train Pendulum-v1 --preset runs/tune-Pendulum-v1-ppo/preset.toml --seeds 30",
    )
    parser.add_argument("env", nargs="?", metavar="ENV", help="environment, as for `pgrad train`")
    parser.add_argument("--algorithm", help="algorithm whose settings are searched (default: the preset's)")
    parser.add_argument(
        "--preset",
        default=AUTO,
        help="where the search starts, and what is not drawn, as for `pgrad train` (default auto)",
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="what to draw a setting from: a range like 1e-4..1e-2, choices like 4|8|16, or one value, which fixes it",
    )
    parser.add_argument("--space", type=Path, metavar="FILE", help="TOML file of the same; flags win over it")
    parser.add_argument("--budget-trials", dest="trials", default=32, metavar="N", help="settings to try (default 32)")
    parser.add_argument("--steps", help="environment steps of a run (default: as many as the preset trains)")
    parser.add_argument(
        "--seeds", default=5, help="seeds of the last round, from 1000 on (default 5), or a range or list"
    )
    parser.add_argument("--search-seed", default=0, metavar="SEED", help="seed of the draws (default 0)")
    parser.add_argument(
        "--halve", default="seeds", help="what earlier rounds have less of: seeds | steps | both | none"
    )
    parser.add_argument("--episodes", default=20, help="evaluation episodes of each frozen policy (default 20)")
    parser.add_argument(
        "--policies",
        default="better",
        help="what a score is of: sampled | greedy, or the better | worse of the two (default better)",
    )
    parser.add_argument("--processes", metavar="N", help="runs side by side (default: all cores)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the search (default: runs/tune-ENV-ALGORITHM)"
    )
    parser.add_quiet()
    return parser


def space_of(file: Path | None, ranges: list[str]) -> dict[str, Any]:
    """Return the domains that a file and flags give; raise ConfigError where they cannot be read."""
    space: dict[str, Any] = {}
    if file is not None:
        space = read_asked_toml(file, f"--space {file}")
    problems = []
    for text in ranges:
        name, equals, values = text.partition("=")
        if equals:
            space[name.strip().replace("-", "_")] = values
        else:
            problems.append(f"--range needs NAME=VALUES, such as learning_rate=1e-4..1e-2, not '{text}'")
    if problems:
        raise ConfigError(problems)
    return space

"""`pgrad sweep`: train every setting of a grid on many seeds, and compare them."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from pgrad.cli.output import print_aside
from pgrad.cli.parser import Parser
from pgrad.config.settings import FIELDS
from pgrad.errors import ConfigError, collecting
from pgrad.experiments.sweeps.grid import is_listed
from pgrad.experiments.sweeps.grid_file import read_grid
from pgrad.experiments.sweeps.sweep import sweep
from pgrad.training.console import StepProgress


def command(argv: list[str]) -> int:
    """Run `pgrad sweep`."""
    arguments, problems = parser().parse(argv)
    given = {name: value for name, value in vars(arguments).items() if name not in ("grid", "quiet")}
    for name in FIELDS.keys() & given.keys() - {"env", "seeds"}:
        given[name] = values_in(name, given[name])
    if arguments.grid is not None:
        with collecting(problems):
            given = {**read_grid(arguments.grid), **given}
    if "env" not in given:
        problems.append("no environment: name one, as in `pgrad sweep CartPole-v1 --learning-rate 0.001,0.01`")
    if problems:
        raise ConfigError(problems)
    announce = None if arguments.quiet else print_aside
    try:
        with contextlib.nullcontext() if arguments.quiet else StepProgress() as progress:
            found = sweep(announce=announce, progress=progress, **given)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where the sweep was", file=sys.stderr)
        raise
    print(found.table())
    print(f"written to {found.folder}; train with the best: pgrad train --config {found.folder / 'best.toml'}")
    return 0


def values_in(name: str, texts: list[str]) -> list[Any]:
    """Return the values that a setting's flags give: each flag's one, or where it is no list itself, with commas."""
    if is_listed(name):
        return texts
    return [value.strip() for text in texts for value in text.split(",")]


def parser() -> Parser:
    """Return the flags of `pgrad sweep`: its own, and one for each of Config's fields."""
    parser = Parser(
        "sweep",
        "ENV [flags]",
        "Train every combination of the settings that are given on every seed, on all cores, and print what each\n"
        "reaches with intervals over seeds. Killed anywhere, the same command goes on where it was, and a larger grid\n"
        "or more seeds add to it. A run that fails counts as the worst, and is never left out.",
        "Examples:\n"
        "  pgrad sweep CartPole-v1 --learning-rate 0.001,0.01,0.1\n"
        "  pgrad sweep CartPole-v1 --hidden 128 --hidden 64,64 --normalize-obs true,false --seeds 30\n"
        "  pgrad sweep CartPole-v1 --algorithm reinforce,actor-critic,ppo --select best\n"
        "  pgrad sweep CartPole-v1 --learning-rate 1e-4..1e-1 --trials 20\n"
        "  pgrad sweep --grid mine.toml\n"
        "Several values of a setting are separated by commas; where a value has commas itself, such as --hidden, the\n"
        "flag is repeated. A range of a number is drawn from, log-uniformly where it spans a factor of ten.\n"
        "What is not given is as for `pgrad train`, whose --help explains every setting.",
    )
    parser.add_argument(
        "env", nargs="?", default=argparse.SUPPRESS, metavar="ENV", help="environment, as for `pgrad train`"
    )
    own = parser.add_argument_group("this sweep")
    own.add_argument("--grid", type=Path, metavar="FILE", help="TOML file with any of this; flags win over it")
    own.add_argument("--seeds", default=argparse.SUPPRESS, help="how many, a range like 0-9, or a list (default 30)")
    own.add_argument("--trials", default=argparse.SUPPRESS, metavar="N", help="how many times ranges are drawn from")
    own.add_argument("--search-seed", default=argparse.SUPPRESS, metavar="SEED", help="seed of these draws (default 0)")
    own.add_argument(
        "--select",
        metavar="best",
        default=argparse.SUPPRESS,
        help="best: train the best setting again on as many fresh seeds, which did not choose it",
    )
    own.add_argument("--episodes", default=argparse.SUPPRESS, metavar="N", help="of each frozen policy (default 100)")
    own.add_argument("--processes", metavar="N", help="runs side by side (default: all cores)")
    parser.add_cluster(own)
    own.add_argument("--out", type=Path, metavar="DIR", help="folder (default: runs/sweep-ENV-ALGORITHM)")
    parser.add_quiet()
    settings = parser.add_argument_group("settings, each with one value or several")
    for name, field in FIELDS.items():
        if name in ("env", "seeds"):
            continue
        text = f"{field.metadata['help']} {' | '.join(field.metadata['choices'])}".strip()
        settings.add_argument(
            f"--{name.replace('_', '-')}",
            action="append",
            metavar="VALUES",
            default=argparse.SUPPRESS,
            help=text.replace("%", "%%"),
        )
    return parser

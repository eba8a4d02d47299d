"""`pgrad experiment`: answer a question by a sweep that comes with pgrad, or by one of your own."""

import argparse
import contextlib
import sys
from pathlib import Path

from pgrad.cli.output import print_aside
from pgrad.cli.parser import Parser
from pgrad.errors import ConfigError
from pgrad.experiments.bundled.experiment import names, read_experiment, run
from pgrad.training.console import StepProgress


def command(argv: list[str]) -> int:
    """Run `pgrad experiment`."""
    arguments, problems = parser().parse(argv)
    if arguments.list:
        width = max(map(len, names()))
        print("\n".join(f"{name:<{width}}  {read_experiment(name).question}" for name in names()))
        return 0
    if arguments.name is None:
        problems.append(f"no experiment: name one of {', '.join(names())}, or a file")
    if problems:
        raise ConfigError(problems)
    given = {name: value for name, value in vars(arguments).items() if name not in ("name", "list", "quiet")}
    experiment = read_experiment(arguments.name)
    announce = None if arguments.quiet else print_aside
    try:
        with contextlib.nullcontext() if arguments.quiet else StepProgress() as progress:
            answered = run(experiment, announce=announce, progress=progress, **given)
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where the experiment was", file=sys.stderr)
        raise
    print(f"{experiment.question}\n\n{experiment.background}\n")
    print("\n".join(answered.answer))
    print(f"\n{answered.found.table()}\nwritten to {answered.page}")
    return 0


def parser() -> Parser:
    """Return the flags of `pgrad experiment`."""
    parser = Parser(
        "experiment",
        "NAME [flags]",
        "Answer a question by a sweep: run what its folder lacks, read the answer from the runs, and write a page.\n"
        "Killed anywhere, the same command goes on where it was. NAME is one of --list, or a TOML file like theirs.",
        "Examples:\n"
        "  pgrad experiment --list\n"
        "  pgrad experiment learning-rates\n"
        "  pgrad experiment collapse --seeds 10 --out runs/quick",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="an experiment's name, or its file")
    parser.add_argument("--list", action="store_true", help="print the names and questions")
    parser.add_argument("--seeds", default=argparse.SUPPRESS, help="in place of the experiment's own")
    parser.add_argument(
        "--processes", default=argparse.SUPPRESS, metavar="N", help="runs side by side (default: all cores)"
    )
    parser.add_cluster()
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder (default: runs/experiment-NAME)")
    parser.add_quiet()
    return parser

"""`pgrad report`: write what sweeps and runs found as one page of HTML."""

from pathlib import Path

from pgrad.cli.parser import Parser
from pgrad.experiments.sweeps.report import report


def command(argv: list[str]) -> int:
    """Run `pgrad report`."""
    arguments = parser().checked(argv)
    print(f"written to {report(arguments.folders, arguments.out)}")
    return 0


def parser() -> Parser:
    """Return the flags of `pgrad report`."""
    parser = Parser(
        "report",
        "DIR [DIR ...] [flags]",
        "Write what sweeps, or single runs, found as one page of HTML that needs nothing else: figures with a\n"
        "table behind each, light or dark, to read or to print.",
        "Examples:\n"
        "  pgrad report runs/sweep-CartPole-v1-ppo\n"
        "  pgrad report runs/CartPole-v1-ppo-1\n"
        "  pgrad report runs/sweep-CartPole-v1-ppo runs/sweep-Acrobot-v1-ppo --out both.html",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="the folder of a sweep or of a run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write (default: report.html in DIR)")
    return parser

"""`pgrad report`: write what a sweep found as one page of HTML."""

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
        "Write what sweeps found as one page of HTML that needs nothing else: figures with a table behind each,\n"
        "light or dark, to read or to print.",
        "Examples:\n"
        "  pgrad report runs/sweep-CartPole-v1-ppo\n"
        "  pgrad report runs/sweep-CartPole-v1-ppo runs/sweep-Acrobot-v1-ppo --out both.html",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a sweep's folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write (default: report.html in DIR)")
    return parser

"""`pgrad explain-failure`: say why a training ended before its time."""

from pathlib import Path

from pgrad.cli.parser import Parser
from pgrad.runs.failure import explained, load_failures
from pgrad.runs.folder import SUMMARY, read_config
from pgrad.runs.load import seeds_of
from pgrad.runs.resume import existing


def command(argv: list[str]) -> int:
    """Run `pgrad explain-failure`."""
    parser = Parser(
        "explain-failure",
        "RUN",
        "Say why a training ended before its time: what was first not finite or not as it should be, in which\n"
        "iteration, environment and step, and what usually helps. It reads RUN/failure.json.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    run: Path = parser.checked(argv).run
    read_config(existing(run))
    if failures := load_failures(run):
        print("\n\n".join(map(explained, failures)))
        again = f"`pgrad train --config {run}/config.toml` begins anew"
        if any(failure.kind == "environment" for failure in failures):
            again = f"`pgrad train --resume {run}` goes on from the last whole iteration"
        print(f"\nThe last good policies are in {run}; {again}.")
    elif (run / SUMMARY).exists():
        print(f"{run} has not failed: {SUMMARY} says how it ended")
    else:
        print(
            f"{run} has neither a failure nor an end: it is still training (`pgrad watch {run}`), or its process died "
            "without a word, as by SIGKILL, for want of memory, or where an environment crashes."
        )
        if seeds_of(run):
            print(f"`pgrad train --resume {run}` goes on from its last checkpoint.")
    return 0

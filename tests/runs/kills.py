"""Kill a training at random instants, let it go on, and count how often it ends in the bytes of one that nobody killed.

A program of its own: children are forked from a process that has imported and compiled everything and has no threads,
so that a kill falls into training and writing, and not into an import.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pgrad.cli import main as cli

FILES = ("policy.safetensors", "value.safetensors", "checkpoints.safetensors", "metrics.csv", "episodes.csv")
QUIET = ("--evaluation-episodes", "0", "--no-figures", "--quiet", "--save-every", "0.01")
NEW = ("train", "CartPole-v1", "--preset", "none", "--seeds", "2", "--total-steps", "600000", *QUIET, "--out")
MOST_IN_A_ROW = 3


def started(words: list[str]) -> int:
    """Run a command in a child; return its process id."""
    if child := os.fork():
        return child
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        code = cli.run(words)
    os._exit(code)


def ended(child: int) -> int:
    """Wait for a child; return its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def words_for(run: Path) -> list[str]:
    """The command that goes on with a run, or begins it where the last one did not get so far."""
    if (run / "config.toml").exists():
        return ["train", "--resume", str(run), *QUIET]
    shutil.rmtree(run, ignore_errors=True)
    return [*NEW, str(run)]


def killed(run: Path, after: float, signal_sent: signal.Signals = signal.SIGKILL) -> bool:
    """Start or go on with a run and kill it; return whether it was still running."""
    child = started(words_for(run))
    time.sleep(after)
    os.kill(child, signal_sent)
    return ended(child) == -signal_sent


def same(run: Path, whole: Path) -> bool:
    """Whether two runs have the same bytes."""
    names = [f"seed-{seed}/{name}" for seed in (0, 1) for name in FILES]
    return all((run / name).read_bytes() == (whole / name).read_bytes() for name in names)


def survived(folder: Path, kills: int, report: Callable[[dict[str, int]], None]) -> dict[str, int]:
    """Kill so often; count kills, those with a checkpoint on the disk, runs that were finished, and the same bytes."""
    began = time.perf_counter()
    assert ended(started([*NEW, str(folder / "whole")])) == 0
    duration, rng = time.perf_counter() - began, random.Random(kills)
    counts = dict.fromkeys(("kills", "checkpoints", "leftovers", "runs", "same"), 0)
    while counts["kills"] < kills:
        run = folder / f"run-{counts['runs']}"
        for _ in range(rng.randint(1, min(MOST_IN_A_ROW, kills - counts["kills"]))):
            if killed(run, rng.uniform(0.0, duration)):
                counts["kills"] += 1
                counts["checkpoints"] += any(run.glob("seed-*/resume*.safetensors"))
                counts["leftovers"] += any(run.glob("**/.*"))
        counts["runs"] += 1
        if ended(started(words_for(run))) == 0 and same(run, folder / "whole") and not any(run.glob("**/.*")):
            counts["same"] += 1
            shutil.rmtree(run)
        report(counts)
    return counts


if __name__ == "__main__":
    cli.run([*NEW, str(Path(sys.argv[1]) / "warm")])  # compiles
    print(json.dumps(survived(Path(sys.argv[1]), int(sys.argv[2]), lambda _: None)))

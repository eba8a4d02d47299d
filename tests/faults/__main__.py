"""`make faults`: kill, fill, damage, deceive and fuzz pgrad, and print what held as a table for docs/results.md.

`--short` tries a little of everything, in seconds, as the tests do.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.faults import damage, fuzz, hostile, surroundings
from tests.faults.damage import Tried
from tests.runs import kills

from pgrad.cli import main as cli

FAILURE = [{"kind": "gradient", "message": "", "seed": 0, "iteration": 1, "ranges": {"reward": [0, 1]}}]
SMALL = ("--preset", "none", "--hidden", "2", "--checkpoint-every", "2", *surroundings.QUIET)


class Fault(NamedTuple):
    """Something that is tried."""

    name: str  # and what is asked for
    tried: Callable[[], Tried]


def killed(folder: Path, count: int) -> Tried:
    """Kill trainings at random instants; a try is a run that was killed, and holds where it ends in the same bytes."""
    (folder / "kills").mkdir()
    words = [sys.executable, kills.__file__, str(folder / "kills"), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    counts = json.loads(done.stdout.splitlines()[-1])
    return counts["runs"], counts["same"]


def fuzzed(function: Callable[[Path, int], fuzz.Findings], folder: Path, count: int) -> Tried:
    """Fuzz; tell of what did not hold."""
    found = function(folder, count)
    for place, how in found.problems.items():
        print(f"{place}: {how}", file=sys.stderr)
    return found.tried, found.held


def small_run(folder: Path) -> Path:
    """Return a small run that has gone on once, with all files that a run can have."""
    run = folder / "run"
    cli.run(["train", "CartPole-v1", *SMALL, "--num-iterations", "5", "--out", str(run)])
    cli.run(["train", "--resume", str(run), "--num-iterations", "6", *surroundings.QUIET])
    return run


def faults(folder: Path, whole: Path, short: bool) -> list[Fault]:
    """Return what is tried, in short or fully."""
    small, fuzzing = small_run(folder), {"command_lines": 14_000, "toml": 3_000, "headers": 4_000}
    fuzzing |= {"checkpoints": 1_000, "functions": 6_000}

    few = 3 if short else None

    def damaged() -> Tried:
        (small / "failure.json").write_text(json.dumps(FAILURE))
        tried = damage.try_damage(small, few)
        (small / "failure.json").unlink()
        return tried

    found = [
        Fault("other surroundings: the same bytes", partial(surroundings.try_same_bytes, folder, whole, few)),
        Fault("a full file system, then room again", partial(surroundings.try_full_disk, folder, whole)),
        Fault("a folder that cannot be written", partial(surroundings.try_read_only, folder, whole)),
        Fault("two processes on one folder", partial(surroundings.try_two_at_once, folder)),
        Fault("little memory", partial(surroundings.try_little_memory, folder)),
        Fault("a bit of a byte flipped, or a file cut", damaged),
        Fault("files of a stranger's", partial(hostile.try_files, small, folder, 1 if short else None)),
        Fault("runs that name code", partial(hostile.try_names, small, folder)),
        Fault("links and pipes in a run", partial(hostile.try_links, small, folder, -2 if short else 0)),
        Fault("killed at random instants", partial(killed, folder, 200)),
    ]
    if short:
        found.pop()  # tests/runs/test_faults.py kills some
    for name, count in fuzzing.items():
        function, tries = getattr(fuzz, f"fuzz_{name}"), 40 if short else count
        found.append(Fault(f"fuzzed: {name.replace('_', ' ')}", partial(fuzzed, function, folder, tries)))
    return found


def main(short: bool) -> int:
    """Try everything and print a table; return 1 where something did not hold."""
    warnings.simplefilter("ignore")  # of what odd arguments are compared with
    code = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole, nowhere = folder / "whole", os.open(os.devnull, os.O_WRONLY)
        table, told = os.dup(1), os.dup(2)
        os.dup2(nowhere, 1)
        cli.run([*surroundings.NEW, "--out", str(whole)])
        lines = ["| fault | tried | held | seconds |", "|---|---|---|---|"]
        for fault in faults(folder, whole, short):
            began = time.perf_counter()
            tried, held = fault.tried()
            code = code or int(held < tried)
            lines.append(f"| {fault.name} | {tried:,} | {held:,} | {time.perf_counter() - began:.0f} |")
            os.write(told, f"{lines[-1]}\n".encode())
        os.write(table, "\n".join([*lines, ""]).encode())
    return code


if __name__ == "__main__":
    sys.exit(main("--short" in sys.argv[1:]))

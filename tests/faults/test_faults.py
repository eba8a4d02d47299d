"""A little of everything that `make faults` tries: see __main__.py."""

import subprocess
import sys
from pathlib import Path


def test_a_little_of_every_fault() -> None:
    words = [sys.executable, "-m", "tests.faults", "--short"]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-5000:]}"
    assert done.stdout.count("\n|") >= 14

"""Streams that are closed, full or nobody's cost no run."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pgrad
from pgrad.cli.output import Output, OutputError

TRAIN = f"{sys.executable} -m pgrad train CartPole-v1 --total-steps 3000 --evaluation-episodes 5 --no-figures --out run"
PIPE_CLOSED = 141


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=280, cwd=folder)


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("2>&-", 0),
        ("2>/dev/full", 0),
        ("2>&1 | true", PIPE_CLOSED),
        ("| true", PIPE_CLOSED),
        (">&-", 1),
        (">/dev/full", 1),
        (">&- 2>&-", 1),
    ],
)
def test_output_that_cannot_be_written_loses_no_run(tmp_path: Path, redirection: str, code: int) -> None:
    done = shell(f"{TRAIN} {redirection}", tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "summary.json").is_file()
    assert np.isfinite(pgrad.load(tmp_path / "run").parameters).all()
    if code == 0:
        assert done.stdout.endswith("written to run\n")
    elif "2>" not in redirection and code == 1:
        assert "pgrad: cannot write to standard output: " in done.stderr


@pytest.mark.parametrize("redirection", ["| true", ">/dev/full"])
def test_other_commands_end_without_a_traceback(tmp_path: Path, redirection: str) -> None:
    done = shell(f"{sys.executable} -m pgrad --help {redirection}", tmp_path)
    assert done.returncode in (1, PIPE_CLOSED)
    assert "Traceback" not in done.stderr


def test_what_works_is_passed_through() -> None:
    stream = io.StringIO()
    output = Output(stream, droppable=False)
    print("γ", file=output, flush=True)  # type: ignore[arg-type]
    assert stream.getvalue() == "γ\n"
    assert output.isatty() is False


def test_a_full_disk_is_dropped_or_raised(tmp_path: Path) -> None:
    for droppable in (True, False):
        with open("/dev/full", "w") as stream:  # noqa: PTH123
            output = Output(stream, droppable)
            print("lost", file=output)  # type: ignore[arg-type]
            if droppable:
                output.flush()
            else:
                with pytest.raises(OutputError, match="cannot write to standard output: No space left"):
                    output.flush()
            print("and so is this", file=output, flush=True)  # type: ignore[arg-type]

"""Trainings that are killed or asked to stop: at any instant, and whatever is being written."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runs import kills
from tests.runs.kills import QUIET, same

LONG = ("--preset", "none", "--seeds", "2", "--total-steps", "600000")
SLOW = """
import sys, time
from pgrad.cli import main
from pgrad.training import loops

loops.CHUNK_SECONDS = 1e-9  # a chunk an iteration, and a pause before each: minutes, if nobody stops it
advance = loops.FusedLoop.advance
loops.FusedLoop.advance = lambda loop: (time.sleep(0.02), advance(loop))
sys.argv[1:] = {argv}
main.main()
"""


@pytest.mark.parametrize("number", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_a_training_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path, number: int) -> None:
    command = [sys.executable, kills.__file__, tmp_path, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3500)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["kills"] == number
    assert counts["same"] == counts["runs"] > 0, f"{counts}; what differs is in {tmp_path}"
    assert counts["checkpoints"] > number // 4, "most kills come after the first checkpoint"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    words = [sys.executable, "-m", "pgrad", "train", "CartPole-v1", *LONG, *QUIET, "--out", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a training that takes its time, and returns when it has taken its first checkpoint."""
    processes = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an ignored signal would be inherited

    def training(*flags: str) -> subprocess.Popen[str]:
        script = SLOW.format(argv=["train", "CartPole-v1", *flags])
        words = [sys.executable, "-c", script]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        while processes[-1].poll() is None and not list(tmp_path.glob("run/seed-*/resume.safetensors")):
            time.sleep(0.01)
        return processes[-1]

    yield training
    signal.signal(signal.SIGINT, before)
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_sums_up_and_the_run_goes_on_to_the_same_bytes(
    tmp_path: Path, whole: Path, start: Callable[..., subprocess.Popen[str]], number: str, code: int
) -> None:
    run = tmp_path / "run"
    process = start(*LONG, *QUIET, "--out", str(run))
    process.send_signal(getattr(signal, number))
    out, err = process.communicate()
    assert process.returncode == code, err
    assert f"saved to {run}; `pgrad train --resume {run}` goes on" in err
    assert out.startswith("CartPole-v1 · actor-critic · ")
    assert json.loads((run / "summary.json").read_text())["interrupted"]
    for seed in run.glob("seed-*"):
        assert {file.name for file in seed.iterdir()} >= {*kills.FILES, "resume.safetensors"}
    words = [sys.executable, "-m", "pgrad", "train", "--resume", str(run), *QUIET]
    subprocess.run(words, check=True, capture_output=True)
    assert same(run, whole)


def test_a_second_signal_stops_at_once_and_the_last_checkpoint_is_whole(
    tmp_path: Path, whole: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = tmp_path / "run"
    process = start(*LONG, *QUIET, "--out", str(run))
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    _, err = process.communicate()
    assert process.returncode == 143
    assert "stopped at once; the last checkpoint is whole" in err or "goes on" in err
    assert "Traceback" not in err
    words = [sys.executable, "-m", "pgrad", "train", "--resume", str(run), *QUIET]
    subprocess.run(words, check=True, capture_output=True)
    assert same(run, whole)

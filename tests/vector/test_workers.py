"""Worker processes start from anywhere: scripts without a main guard, other threads, strict warnings."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pgrad.envs.make import make
from pgrad.vector.vector_env import VectorEnv

SCRIPT = """
import os, sys, threading, time
import gymnasium, numpy as np
from pgrad.vector.make import describe
from pgrad.vector.vector_env import VectorEnv

print("script", flush=True)

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, np.inf, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return np.array([os.getpid(), 0.0]), {}

    def step(self, action):
        return np.array([os.getpid(), 1.0]), 0.0, False, False, {}

def work():
    envs = VectorEnv(describe(Mine), 4, 1, "async")
    if len(sys.argv) > 1:
        print("stepping", *{int(pid) for pid in envs.obs[:, 0]}, flush=True)
        while True:
            envs.step(np.zeros(4, np.int32))
    envs.step(np.zeros(4, np.int32))
    print("in workers", (envs.obs[:, 0] != os.getpid()).all())
    envs.close()

if len(sys.argv) > 1:
    work()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(__file__.endswith("script.py"))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_from_a_thread_of_a_script_without_a_main_guard_under_strict_warnings(script: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout.split("\n"), done.stderr) == (["script", "in workers True", "True", ""], "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(script: Path, how: signal.Signals) -> None:
    running = subprocess.Popen(
        [sys.executable, script, "forever"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "script\n"
    workers = [int(pid) for pid in running.stdout.readline().split()[1:]]
    assert workers
    if how == signal.SIGINT:
        os.killpg(running.pid, how)  # as a terminal does: to all of them
    else:
        running.kill()
    _, errors = running.communicate(timeout=120)  # a limit for what hangs, not for what is slow
    deadline = time.monotonic() + 120
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    if how == signal.SIGINT:
        assert errors.count("Traceback") == 1, "the parent's own KeyboardInterrupt, and nothing of theirs"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


ENV_FILE = """
import os
import gymnasium, numpy as np
from neighbour import WIDTH

class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, np.inf, (WIDTH,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return np.full(WIDTH, os.getpid()), {}

    def step(self, action):
        return np.full(WIDTH, os.getpid()), 0.0, False, False, {}
"""


def test_an_environment_in_a_file_is_imported_by_the_workers_too(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("WIDTH = 2\n")
    (tmp_path / "mine.py").write_text(ENV_FILE)
    description = make(f"{tmp_path / 'mine.py'}:Mine").description
    assert description is not None
    envs = VectorEnv(description, 4, 1, "async")
    try:
        assert np.unique(envs.obs).size == envs._backend.envs.num_envs  # type: ignore[union-attr]
        assert os.getpid() not in envs.obs
    finally:
        envs.close()

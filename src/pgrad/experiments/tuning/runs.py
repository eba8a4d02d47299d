"""One run of a trial, and the processes that make runs side by side.

A process each, since evaluation and Gymnasium's environments hold Python's global lock: threads would wait for each
other. Requests and answers are JSON, a line each.
"""

import json
import math
import os
import subprocess
import sys
import time
from typing import IO, NamedTuple

from pgrad.config.settings import Config
from pgrad.envs.make import AnyEnv
from pgrad.errors import PgradError, RunError
from pgrad.evaluation import evaluate
from pgrad.training.train import train

READY = "ready"


class Run(NamedTuple):
    """What became of one seed of a trial. A mean return is None where it was not asked for, or the run failed."""

    trial: int
    seed: int
    steps: int
    sampled: float | None  # mean return of the frozen policy, sampling its actions
    greedy: float | None  # the same, taking the most probable
    seconds: float
    failure: str | None = None


def run_trial(env: AnyEnv, config: Config, episodes: int, kinds: tuple[str, ...], trial: int) -> Run:
    """Train one seed and return what its frozen policy is worth, or why there is none: whatever fails is a bad trial.

    config  whose only seed is trained, and whose total_steps are taken
    kinds   which policies to evaluate, of "sampled" and "greedy"
    """
    began, seed = time.perf_counter(), config.seeds[0]
    returns: dict[str, float] = {}
    failure = None
    try:
        result = train(env, config=config, threads=1, evaluation_episodes=0, progress=False)
        for kind in kinds:
            played = evaluate(result.policies[0], result.env, episodes, seed=seed, greedy=kind == "greedy")
            returns[kind] = float(played.returns.mean())
        if not all(map(math.isfinite, returns.values())):
            failure = "its mean return is not finite"
    except Exception as error:
        failure = str(error) if isinstance(error, PgradError) else f"{type(error).__name__}: {error}"
    sampled, greedy = ((None if failure else returns.get(kind)) for kind in ("sampled", "greedy"))
    steps = config.total_steps or 0
    return Run(trial, seed, steps, sampled, greedy, round(time.perf_counter() - began, 3), failure)


class Worker:
    """A process that makes runs, one after another; killed when the search ends, or is interrupted."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.stopped = False

    def run(self, env: str, config: Config, episodes: int, kinds: tuple[str, ...], trial: int) -> Run:
        """Ask for a run, and wait for it; a process that dies in it is a failure of the trial."""
        process = self.process or self._start()
        if self.stopped:  # while it started
            process.kill()
        assert process.stdin is not None and process.stdout is not None
        asked = {"env": env, "config": vars(config), "episodes": episodes, "kinds": kinds, "trial": trial}
        began = time.perf_counter()
        try:
            say(json.dumps(asked), process.stdin)
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if answer:
            return Run(**json.loads(answer))
        code = process.wait()
        self.close()
        seconds = round(time.perf_counter() - began, 3)
        died = f"its process ended with code {code}"
        return Run(trial, config.seeds[0], config.total_steps or 0, None, None, seconds, died)

    def _start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"]  # -P: nothing of this folder
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is the search's to handle
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != READY:
            raise RunError("a process of the search does not start: with --processes 1 there is none")
        return self.process

    def stop(self) -> None:
        """End the process at once, also where another thread waits for its answer."""
        self.stopped = True
        if (process := self.process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process, and close the pipes to it."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def serve() -> None:
    """Answer requests from standard input until it closes; what environments print goes nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    say(READY, answers)
    for line in sys.stdin:
        asked = json.loads(line)
        config = Config(**asked["config"])
        run = run_trial(asked["env"], config, asked["episodes"], tuple(asked["kinds"]), asked["trial"])
        say(json.dumps(run._asdict()), answers)


def say(line: str, stream: IO[str]) -> None:
    """Write a line at once."""
    stream.write(line + "\n")
    stream.flush()

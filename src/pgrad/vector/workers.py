"""Environments in worker processes: a few processes with many environments each, through Gymnasium's AsyncVectorEnv.

AsyncVectorEnv starts one process for each environment. Here its environments are *groups*, one per core, which reset by
themselves (so AsyncVectorEnv must not: mode DISABLED) and return arrays. A worker returns its errors as data, so that
nothing is logged there and one message is shown here.
"""

import linecache
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]
import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from pgrad.errors import EnvError
from pgrad.vector.masks import Mask
from pgrad.vector.spec import Description
from pgrad.vector.step import Array, EnvFailure, ResetResult, StepResult, env_seed
from pgrad.vector.sync import Group, failed
from pgrad.watchdog import Watchdog

START_SECONDS = 60.0  # at least, for a worker to start, import and make its environments
CLOSE_SECONDS = 2.0  # for an environment to close before its process is killed

_STARTING = threading.Lock()


def reduce_code(code: CodeType) -> tuple[Any, ...]:
    """Reduce a code object as cloudpickle does, and add its file's name and lines, which pickle writes only once."""
    rebuild, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return rebuild_code, (rebuild, arguments, code.co_filename, linecache.getlines(code.co_filename))


def rebuild_code(rebuild: Callable[..., CodeType], arguments: tuple[Any, ...], file: str, lines: list[str]) -> CodeType:
    """Return the code object that `SourcePickler` reduced, and let tracebacks find its lines."""
    if lines:
        linecache.cache[file] = sum(map(len, lines)), None, lines, file
    return rebuild(*arguments).replace(co_filename=file)


class SourcePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, with the source lines of code that it sends by value, so that a worker's tracebacks can show them.

    A worker has no lines of a notebook otherwise and, since cloudpickle 3.1.3 drops file names, none of a script.
    """

    dispatch_table: ClassVar = ChainMap({CodeType: reduce_code}, cloudpickle.Pickler.dispatch_table)


@dataclass(frozen=True)
class PickledDescription:
    """A description to be loaded in another process, which may fail there."""

    pickled: bytes
    obs_size: int
    action_shape: tuple[int, ...]
    sender: int  # process id
    files: tuple[Path, ...] = ()  # the user's files that it refers to

    def load(self) -> Description:
        """Return the description; raise EnvFailure if it cannot be loaded."""
        from pgrad.user_code import import_file, importing_from

        try:
            for file in self.files:
                import_file(file)
            with importing_from(Path.cwd()):
                description: Description = pickle.loads(self.pickled)
        except Exception as error:
            raise failed("cannot be loaded in a worker process", error, None) from error
        return description


def pickle_description(description: Description) -> PickledDescription:
    """Pickle a description for worker processes; raise EnvError if that is impossible."""
    from pgrad.user_code import imported_files

    native = description.actions.native(description.actions.random(1, np.random.default_rng(0)))
    buffer = BytesIO()
    try:
        SourcePickler(buffer).dump(description)
    except Exception as error:
        raise EnvError(
            f"'{description.name}' cannot be sent to worker processes ({type(error).__name__}: {error}); "
            "pass a factory that makes everything itself, or vectorization='sync'"
        ) from error
    pickled = buffer.getvalue()
    files = tuple(file for module, file in imported_files().items() if module.encode() in pickled)
    return PickledDescription(pickled, description.observations.size, native.shape[1:], os.getpid(), files)


class GroupEnv(gymnasium.Env[Any, Any]):
    """A group as one environment for AsyncVectorEnv: obs [M, O], action [M, ...]; zeros where it has fewer than M."""

    def __init__(self, sent: PickledDescription, seeds: Sequence[int], lanes: int, restarting: bool = False) -> None:
        self.observation_space = Box(-np.inf, np.inf, (lanes, sent.obs_size), np.float32)
        self.action_space = Box(-np.inf, np.inf, (lanes, *sent.action_shape), np.float32)
        self.sent, self.seeds, self.lanes, self.restarting = sent, seeds, lanes, restarting
        self.group: Group | None = None
        if os.getpid() != sent.sender:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin a new episode everywhere; the first time in new environments, from the seeds."""
        try:
            if self.group is None:
                self.group = Group(self.sent.load(), self.seeds, restarting=self.restarting)
            obs, mask, restarted = self.group.reset()
        except EnvFailure as failure:
            return self._failed(failure)
        return self._padded(obs), self._told(mask, restarted)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments of the group."""
        assert self.group is not None, "reset first"
        try:
            rows = self.group.step_native(action[: len(self.seeds)])
        except EnvFailure as failure:
            zeros = np.zeros(self.lanes)
            obs, info = self._failed(failure)
            return obs, zeros, zeros, zeros, info
        ended = np.flatnonzero(rows.terminated | rows.truncated)
        info = self._told(rows.mask, rows.restarted)
        if ended.size:
            info["final"] = (ended, rows.after[ended])
        reward, terminated, truncated = map(self._padded, (rows.reward, rows.terminated, rows.truncated))
        return self._padded(rows.obs), reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environments."""
        if self.group is not None:
            self.group.close()

    def _padded(self, values: Array) -> Array:
        missing = self.lanes - len(values)
        return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]) if missing else values

    def _told(self, mask: Mask | None, restarted: Sequence[EnvFailure]) -> dict[str, Any]:
        """Return the info with masks and restarted environments, if there are any."""
        info: dict[str, Any] = {} if mask is None else {"mask": self._padded(mask)}
        return info | ({"restarted": tuple(failure.args for failure in restarted)} if restarted else {})

    def _failed(self, failure: EnvFailure) -> tuple[Any, dict[str, Any]]:
        return np.zeros(self.observation_space.shape, np.float32), {"failure": failure.args}


class Workers:
    """N environments in several processes, with the same results as one Group of the same seeds.

    With `restarting`, a process that dies or hangs takes all others with it: fresh ones begin, as a Group's do.
    """

    def __init__(
        self,
        description: Description,
        seeds: Sequence[int],
        processes: int,
        timeout: float | None,
        watchdog: Watchdog | None = None,
        restarting: bool = False,
    ) -> None:
        self.description, self.count, self.timeout, self.restarting = description, len(seeds), timeout, restarting
        self.watchdog = watchdog if watchdog is not None else Watchdog()
        self.lanes = -(-len(seeds) // processes)
        self.seeds, self.payload = seeds, pickle_description(description)
        self.obs = np.empty((self.count, description.observations.size), np.float32)
        self.rounds = 0  # in which processes were begun
        self._begin()

    def _begin(self) -> None:
        """Start the processes, with other seeds each time."""
        seeds = self.seeds if self.rounds == 0 else [env_seed(env_seed(seed, 0), self.rounds) for seed in self.seeds]
        groups = [list(seeds[first : first + self.lanes]) for first in range(0, self.count, self.lanes)]
        self.rounds, self.started = self.rounds + 1, False
        make = [partial(GroupEnv, self.payload, group, self.lanes, self.restarting) for group in groups]
        context = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        try:
            self.watchdog.pause()
            with _STARTING, _main_module_hidden(), _without_ctrl_c():
                self.envs = AsyncVectorEnv(make, context=context, autoreset_mode=AutoresetMode.DISABLED)
        except (OSError, EOFError, AssertionError) as error:
            raise EnvFailure(f"worker processes cannot be started: {type(error).__name__}: {error}") from error

    def reset(self) -> ResetResult:
        """Begin a new episode everywhere; the first time in new environments, from the seeds."""
        try:
            start = self._reset()
        except EnvFailure as failure:
            start = self._begin_anew(failure)
        self.obs = start.obs
        return start

    def step(self, action: Array) -> StepResult:
        """Step all environments with pgrad's action arrays."""
        try:
            rows = self._step(action)
        except EnvFailure as failure:
            start, nothing = self._begin_anew(failure), np.zeros(self.count, np.bool_)
            outcome = (np.zeros(self.count), nothing, ~nothing, self.obs)
            rows = StepResult(*outcome, start.obs, start.mask, nothing, start.restarted)
        self.obs = rows.obs
        return rows

    def _begin_anew(self, failure: EnvFailure) -> ResetResult:
        """Start the processes anew after one died or hung; raise the failure where that was not asked for."""
        if not self.restarting:
            raise failure
        self.close()
        self._begin()
        start = self._reset()
        return start._replace(restarted=(failure, *start.restarted))

    def _reset(self) -> ResetResult:
        limit = self.timeout if self.timeout is None or self.started else max(self.timeout, START_SECONDS)
        self.started = True
        with self._explained(limit, "reset()"):
            self.envs.reset_async()
            obs, info = self.envs.reset_wait(timeout=limit)
        self._raise_failure(info)
        return ResetResult(self._unpacked(obs), self._mask(info), self._restarted(info))

    def _step(self, action: Array) -> StepResult:
        native = self.description.actions.native(action)
        processes = len(self.envs.processes)
        padded = np.zeros((processes * self.lanes, *native.shape[1:]), native.dtype)
        padded[: self.count] = native
        with self._explained(self.timeout, "step()"):
            self.envs.step_async(padded.reshape(processes, self.lanes, *native.shape[1:]))
            packed, *outcome, info = self.envs.step_wait(timeout=self.timeout)
        self._raise_failure(info)
        obs = self._unpacked(packed)
        after = obs.copy()
        for k, final in enumerate(info.get("final", ())):
            if final is not None:
                lanes, rows = final
                after[k * self.lanes + lanes] = rows
        reward, terminated, truncated = map(self._unpacked, outcome)
        mask, resetting = self._mask(info), np.zeros(self.count, np.bool_)
        return StepResult(reward, terminated, truncated, after, obs, mask, resetting, self._restarted(info))

    def close(self) -> None:
        """Ask the processes to end, then kill those that have not."""
        if self.envs.closed:
            return
        self.envs.closed = True
        for pipe in self.envs.parent_pipes:
            with suppress(OSError):  # dead already
                pipe.send(("close", None))
        deadline = time.monotonic() + CLOSE_SECONDS
        for process in self.envs.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.envs.processes:
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self.envs.parent_pipes:
            pipe.close()
        self.envs.error_queue.close()

    def _unpacked(self, values: Array) -> Array:
        """Return [N, ...] from [processes, lanes, ...]."""
        return values.reshape(-1, *values.shape[2:])[: self.count]

    def _mask(self, info: dict[str, Any]) -> Mask | None:
        if "mask" not in info:
            return None
        present = np.repeat(info["_mask"], self.lanes)[: self.count]
        mask: Mask = self._unpacked(info["mask"]) | ~present[:, None]
        return mask

    def _raise_failure(self, info: dict[str, Any]) -> None:
        for k, arguments in enumerate(info.get("failure", ())):
            if arguments is not None:
                raise self._failure(k, *arguments)

    def _restarted(self, info: dict[str, Any]) -> tuple[EnvFailure, ...]:
        found = enumerate(info.get("restarted", ()))
        return tuple(self._failure(k, *arguments) for k, all_of in found if all_of for arguments in all_of)

    def _failure(self, k: int, what: str, env: int | None, details: str) -> EnvFailure:
        """Return the k-th process's failure, with the environment's index among all."""
        return EnvFailure(what, None if env is None else k * self.lanes + env, details)

    @contextmanager
    def _explained(self, limit: float | None, call: str) -> Iterator[None]:
        """Raise an EnvFailure that names the worker that died or hangs."""
        self.watchdog.pause()
        try:
            yield
        except multiprocessing.TimeoutError as error:
            silent = [k for k, pipe in enumerate(self.envs.parent_pipes) if not pipe.poll(0)]
            which = self._named(silent[0]) if silent else "a worker process"
            raise EnvFailure(
                f"{which} has not returned from {call} after {limit:g} s; "
                "if it is slow rather than hung, raise step_timeout"
            ) from error
        except (EOFError, OSError) as error:
            for k, process in enumerate(self.envs.processes):
                process.join(0.5)
                if process.exitcode is not None:
                    code = process.exitcode
                    how = (
                        f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
                    )
                    raise EnvFailure(f"{self._named(k)} {how} in {call}") from error
            raise EnvFailure(f"a worker process closed its connection in {call}: {error!r}") from error

    def _named(self, k: int) -> str:
        first, last = k * self.lanes, min((k + 1) * self.lanes, self.count) - 1
        span = f"environment {first}" if first == last else f"environments {first} to {last}"
        return f"the worker process of {span}"


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from new processes, also while they import: the main process handles it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep new processes from importing the user's script, which would start its training again.

    Python imports it to find its functions by name; cloudpickle sends them by value instead.
    """
    main = sys.modules["__main__"]
    names = ("__spec__", "__file__")
    hidden = {name: vars(main)[name] for name in names if name in vars(main)}
    vars(main).pop("__file__", None)
    vars(main)["__spec__"] = None
    try:
        yield
    finally:
        vars(main).pop("__spec__", None)
        vars(main).update(hidden)

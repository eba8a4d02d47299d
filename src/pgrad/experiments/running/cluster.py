"""Runs on a Ray cluster: a few of them a task, on whatever nodes there are.

Ray gives a task that was on a node that died to another one. A run is a function of its request alone, so that where it
is made, and how often, changes nothing.
"""

import hashlib
import importlib
import os
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pgrad.errors import ConfigError, RunError
from pgrad.experiments.running.workers import Answer, Document

TASK_SECONDS = 2.0  # that the requests of a task take: far longer than Ray needs for a task
AHEAD = 2  # tasks for each core, so that none waits for the next
RETRIES = 3  # of a task whose process or node died
CONNECT_SECONDS = 5.0
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"  # an empty frame of HTTP/2's settings; its type is the fourth byte
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS
SOURCES = Path(__file__).parents[2]  # of pgrad
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
DEATHS = ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "OutOfMemoryError")


def answers_on_ray(
    function: Answer, requests: Sequence[Document], address: str | None, cores: int | None
) -> Generator[tuple[int, Document | str]]:
    """Have requests answered on a cluster: as workers.answers, but that a process may die a few times over a request.

    address  of a cluster, as Ray has it; None starts one on this machine for as long as it takes
    cores    how many tasks at a time (default: as many as there are cores)
    """
    with cluster(address, cores) as ray:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(answer_all)
        name = f"{function.__module__}:{function.__name__}"
        waiting, alone = deque(range(len(requests))), deque[int]()
        running: dict[Any, list[int]] = {}
        size = 1
        while waiting or alone or running:
            side_by_side = AHEAD * (cores or int(ray.cluster_resources().get("CPU", 1)))
            while (waiting or alone) and len(running) < side_by_side:
                count = max(1, min(size, len(waiting) // side_by_side))
                numbers = [alone.popleft()] if alone else [waiting.popleft() for _ in range(count)]
                running[task.remote(name, [requests[number] for number in numbers])] = numbers
            (ended,), _ = ray.wait(list(running), num_returns=1)
            numbers = running.pop(ended)
            try:
                answered, seconds = ray.get(ended)
            except ray.exceptions.RayError as error:
                if type(error).__name__ not in DEATHS:
                    raise RunError(f"the Ray cluster cannot make runs: {error}") from error
                if len(numbers) == 1:
                    yield numbers[0], f"its process ended {RETRIES + 1} times on the cluster ({type(error).__name__})"
                alone.extend(numbers if len(numbers) > 1 else [])  # to find out over which of them it died
            else:
                size = max(1, int(TASK_SECONDS * len(numbers) / seconds))
                yield from zip(numbers, answered, strict=True)


def answer_all(name: str, requests: Sequence[Document]) -> tuple[list[Document], float]:
    """Return the answers to a task's requests, and how many seconds they took."""
    module, _, function = name.partition(":")
    answer: Answer = getattr(importlib.import_module(module), function)
    began = time.perf_counter()
    return [answer(request) for request in requests], time.perf_counter() - began


@contextmanager
def cluster(address: str | None, cores: int | None) -> Iterator[Any]:
    """Yield Ray, connected to a cluster whose nodes have pgrad as it is here; raise RunError where there is none."""
    ray = imported_ray()
    if ray.is_initialized():  # by the caller, whose it stays
        yield ray
        return
    try:
        connect(ray, address, cores)
        yield ray
    finally:
        ray.shutdown()


def connect(ray: Any, address: str | None, cores: int | None) -> None:
    """Connect Ray to a cluster, or start one here; send it pgrad's code, if it lacks it. Raises RunError."""
    try:
        if address is None:
            ray.init(num_cpus=cores, include_dashboard=False, **QUIET)
            return
        require_reachable(address)
        ray.init(address=address, **QUIET)
        if not same_everywhere(ray):
            ray.shutdown()
            ray.init(address=address, runtime_env={"py_modules": [str(SOURCES)]}, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"cannot use the Ray cluster {address or 'on this machine'}: {error}") from error


def same_everywhere(ray: Any) -> bool:
    """Return whether all nodes have pgrad as it is here: else it is sent to them, and compiled there once more."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    asked = [
        ray.remote(
            num_cpus=0, scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        )(hash_of_sources).remote()
        for node in ray.nodes()
        if node["Alive"]
    ]
    try:
        return set(ray.get(asked)) == {hash_of_sources()}
    except ray.exceptions.RayError:  # no pgrad there, or an older one
        return False


def hash_of_sources() -> str:
    """Return a hash of all of pgrad's own code."""
    digest = hashlib.sha256()
    for file in sorted(SOURCES.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def require_reachable(address: str) -> None:
    """Raise RunError where nobody at a cluster's address speaks gRPC, for which Ray itself would wait for minutes.

    A gRPC server answers the greeting of HTTP/2 with a frame of settings. `auto` is Ray's to find, and a cluster behind
    TLS is not asked.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if address == "auto" or os.environ.get("RAY_USE_TLS") == "1":
        return
    if not colon or not port.isdigit():
        raise RunError(
            f"a Ray cluster's address is HOST:PORT, such as 10.0.0.1:6379, ray://HOST:PORT or auto, not '{address}'"
        )
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
            connection.sendall(HELLO)
            if connection.recv(len(SETTINGS))[3:4] != SETTINGS[3:4]:
                raise ConnectionError("something else answers there")
    except (OSError, OverflowError) as error:
        raise RunError(
            f"no Ray cluster at {address} ({error}): `ray start --head` starts one, and says where it is"
        ) from error


def imported_ray() -> ModuleType:
    """Return Ray; raise ConfigError where it is not installed."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(['Ray is not installed: pip install "pgrad[ray]"']) from error

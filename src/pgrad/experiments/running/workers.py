"""Processes that make runs side by side.

A process each, since evaluation and Gymnasium's environments hold Python's global lock: threads would wait for each
other. Requests and answers are JSON, a line each.
"""

import importlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import IO, Any

from pgrad.errors import RunError

READY = "ready"

Document = Mapping[str, Any]
Answer = Callable[[Document], Document]  # a function at the top of its module, which processes import by its name


def answers(function: Answer, requests: Sequence[Document], processes: int) -> Generator[tuple[int, Document | str]]:
    """Have requests answered, and yield each one's number and answer as soon as there is one.

    In place of an answer there is a sentence where the process has died over it: another takes its place. Whatever
    stops the iteration kills the processes.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(requests)):
        waiting.put(number)
    ended: queue.Queue[tuple[int, Document | str] | BaseException] = queue.Queue()
    workers = [Worker(function) for _ in range(min(processes, len(requests)))]

    def work(worker: Worker) -> None:
        try:
            while not worker.stopped:
                number = waiting.get_nowait()
                ended.put((number, worker.ask(requests[number])))
        except queue.Empty:
            pass
        except BaseException as error:
            ended.put(error)

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for _ in requests:
            answer = ended.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.close()


class Worker:
    """A process that answers requests, one after another; killed when all are answered, or on an interruption."""

    def __init__(self, function: Answer) -> None:
        self.function = function
        self.process: subprocess.Popen[str] | None = None
        self.stopped = False

    def ask(self, request: Document) -> Document | str:
        """Ask, and wait for the answer; return how the process died, if it did."""
        process = self.process or self._start()
        if self.stopped:  # while it started
            process.kill()
        assert process.stdin is not None and process.stdout is not None
        try:
            say(json.dumps(request), process.stdin)
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if answer:
            document: Document = json.loads(answer)
            return document
        code = process.wait()
        self.close()
        return f"its process ended with code {code}"

    def _start(self) -> "subprocess.Popen[str]":
        name = f"{self.function.__module__}:{self.function.__name__}"
        command = [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({name!r})"]  # -P: not this folder
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is the caller's to handle
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != READY:
            raise RunError("a process that makes runs does not start: with --processes 1 there is none")
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


def serve(name: str) -> None:
    """Answer requests from standard input until it closes; what environments print goes nowhere."""
    module, _, function = name.partition(":")
    answer: Answer = getattr(importlib.import_module(module), function)
    answered = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    say(READY, answered)
    for request in sys.stdin:
        say(json.dumps(answer(json.loads(request))), answered)


def say(text: str, stream: IO[str]) -> None:
    """Write a line at once."""
    stream.write(text + "\n")
    stream.flush()

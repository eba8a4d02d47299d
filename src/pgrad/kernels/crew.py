"""Several threads for one run: blocks of a batch are shared out, each computed wholly by one thread.

`run_blocks` is a loop over blocks whose bodies do not depend on each other. The thread that calls it publishes where
the body's code and arguments are, and takes blocks until none is left; helpers, which wait in `help_out`, take blocks
too. Which thread computes a block changes nothing, and what blocks add up to is added in their order: the same bits
with any number of threads. All waiting is spinning, since a block takes microseconds; a helper that is late is not
waited for, unless it has begun a block.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pgrad.kernels.jit import NUMBA, compiled_as, compiles, strict

if NUMBA:
    from pgrad.kernels.atomics import add, call, call_published, load, publish, store

# Words of a board, besides those of kernels.atomics. Those that several threads write are a cache line apart.
LEFT, DONE, ENDED, WORDS = 0, 8, 16, 32  # blocks not taken yet, and computed; 1 to end helping


class Crew(NamedTuple):
    """The threads that share a run."""

    board: npt.NDArray[np.int64]  # [WORDS], or [0] for a single thread
    workers: int  # the one that runs included


ALONE = Crew(np.empty(0, np.int64), 1)


def new_crew(workers: int) -> Crew:
    """Return a crew of so many threads; the helpers among them work only within `helping`. Interpreted it is one."""
    return Crew(np.zeros(WORDS, np.int64), workers) if workers > 1 and compiles() else ALONE


@contextmanager
def helping(crew: Crew) -> Iterator[None]:
    """Run the crew's helpers."""
    if crew.workers == 1:
        yield
        return
    crew.board[ENDED] = 0
    helpers = [threading.Thread(target=help_out, args=(crew, k), daemon=True) for k in range(1, crew.workers)]
    for helper in helpers:
        helper.start()
    try:
        yield
    finally:
        crew.board[ENDED] = 1
        for helper in helpers:
            helper.join()


def run_blocks(crew: Crew, function: Any, arguments: tuple[Any, ...], count: int) -> None:
    """Call function(*arguments, worker, block) for each block in 0 … count - 1, on all threads of the crew.

    `worker` in 0 … crew.workers - 1 says whose scratch memory to use.
    """
    for block in range(count):
        function(*arguments, 0, block)


@compiled_as(run_blocks)
def _run_blocks_compiled(crew: Any, function: Any, arguments: Any, count: Any) -> Any:
    def share(crew: Any, function: Any, arguments: Any, count: Any) -> None:
        if crew.workers == 1 or count == 1:
            for block in range(count):
                call(function, arguments, 0, block)
        else:
            board = crew.board
            publish(board, function, arguments)
            store(board, DONE, 0)
            store(board, LEFT, count)
            take_blocks(board, 0)
            while load(board, DONE) < count:
                pass

    return share


@strict
def help_out(crew: Crew, worker: int) -> None:
    """Take blocks until the crew is ended."""
    board = crew.board
    while load(board, ENDED) == 0:
        if load(board, LEFT) > 0:
            take_blocks(board, worker)


@strict
def take_blocks(board: Any, worker: int) -> None:
    """Compute published blocks until none is left."""
    while True:
        block = add(board, LEFT, -1) - 1
        if block < 0:
            return
        call_published(board, worker, block)
        add(board, DONE, 1)

"""Work shared among threads: every block once, by whoever is there, and nothing depends on who."""

from typing import Any

import numba
import numpy as np
import pytest

from pgrad.kernels.crew import ALONE, WORDS, Crew, helping, new_crew, run_blocks
from pgrad.kernels.jit import strict


@strict
def mark(calls: Any, workers: Any, worker: int, block: int) -> None:
    calls[block] += 1
    workers[block] = worker
    x = 0.0
    for i in range(2_000):  # long enough for a helper to come
        x += np.sin(float(i))
    calls[block] += 0 if x > -1e9 else 1


@strict
def share(crew: Crew, calls: Any, workers: Any, times: int) -> None:
    for _ in range(times):
        run_blocks(crew, mark, (calls, workers), calls.size)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_each_block_is_computed_once(size: int, count: int) -> None:
    crew, calls, workers = new_crew(size), np.zeros(count, np.int64), np.zeros(count, np.int64)
    with helping(crew):
        share(crew, calls, workers, 50)
    np.testing.assert_array_equal(calls, 50)
    assert ((workers >= 0) & (workers < size)).all()


@strict
def share_and_count(crew: Crew, calls: Any, workers: Any, times: int) -> int:
    """Return after how many loops some block was not computed yet."""
    late = 0
    for k in range(times):
        run_blocks(crew, mark, (calls, workers), calls.size)
        complete = True
        for block in range(calls.size):
            complete = complete and calls[block] == k + 1
        late += 0 if complete else 1
    return late


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_block_is_computed_when_the_loop_ends(size: int) -> None:
    crew, calls, workers = new_crew(size), np.zeros(3, np.int64), np.zeros(3, np.int64)
    with helping(crew):
        assert share_and_count(crew, calls, workers, 5_000 if size > 1 else 50) == 0


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="interpreted blocks are a plain loop")
def test_helpers_take_part() -> None:
    crew, calls, workers = new_crew(2), np.zeros(64, np.int64), np.zeros(64, np.int64)
    share(crew, calls, workers, 1)  # compiles
    seen = set()
    with helping(crew):
        for _ in range(5_000):
            share(crew, calls, workers, 20)
            seen |= set(workers.tolist())
            if len(seen) == 2:
                break
    assert seen == {0, 1}


def test_without_helpers_all_is_done_by_the_one_who_asks() -> None:
    crew, calls, workers = new_crew(4), np.zeros(9, np.int64), np.full(9, -1, np.int64)
    share(crew, calls, workers, 1)
    np.testing.assert_array_equal(calls, 1)
    np.testing.assert_array_equal(workers, 0)


def test_helpers_end_where_an_exception_leaves_the_block() -> None:
    crew = new_crew(3)
    with pytest.raises(KeyError), helping(crew):
        raise KeyError
    calls, workers = np.zeros(5, np.int64), np.zeros(5, np.int64)
    share(crew, calls, workers, 1)
    np.testing.assert_array_equal(workers, 0)


def test_one_worker_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    assert new_crew(1) is ALONE
    assert new_crew(2).board.size == WORDS
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert new_crew(2) is ALONE

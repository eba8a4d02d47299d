"""References that need no count: nothing is freed too early, and nothing is kept."""

import gc
from collections.abc import Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from pgrad.config.resolve import resolve
from pgrad.envs.make import make
from pgrad.kernels.jit import strict
from pgrad.training.loops import new_loop

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="Python counts")


class Pair(NamedTuple):
    values: Any
    scale: float


class Nest(NamedTuple):
    pair: Pair
    matrix: Any


@strict
def field(nest: Nest) -> Any:
    return nest.pair.values


@strict
def first_row(nest: Nest) -> Any:
    return nest.matrix[0]


@strict
def transposed(nest: Nest) -> Any:
    return nest.matrix.T


@strict
def one_of_two(nest: Nest) -> Any:
    chosen = nest.pair.values
    if nest.pair.scale > 1.0:
        chosen = chosen * 2.0
    return chosen


@strict
def unpacked(nest: Nest) -> Any:
    pair, matrix = nest
    values, scale = pair
    return values[:3] * scale + matrix[1]


@strict
def last_of_a_loop(nest: Nest) -> Any:
    last = nest.pair.values
    for k in range(nest.matrix.shape[0]):
        last = nest.matrix[k] + 1.0
    return last


@strict
def part(nest: Nest) -> Pair:
    return nest.pair


@strict
def new_record(nest: Nest) -> Nest:
    return Nest(Pair(nest.pair.values + 1.0, nest.pair.scale), nest.matrix)


@strict
def through_another(nest: Nest) -> Any:
    made = new_record(nest)
    pair = new_record(made).pair
    values, other = field(new_record(nest)), part(new_record(nest))
    return pair.values + first_row(made).sum() + values * other.values


def nest_of(scale: float) -> Nest:
    return Nest(Pair(np.arange(4.0), scale), np.arange(6.0).reshape(2, 3))


@pytest.fixture(autouse=True)
def counting() -> Iterator[None]:
    """Let Numba count its allocations, of which no garbage of earlier tests is freed meanwhile."""
    gc.disable()
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()
    gc.enable()


def allocated() -> int:
    """Return how many of Numba's allocations are not freed."""
    stats = rtsys.get_allocation_stats()
    return int(stats.mi_alloc - stats.mi_free)


@pytest.mark.parametrize(
    "function",
    [field, first_row, transposed, one_of_two, unpacked, last_of_a_loop, part, new_record, through_another],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_results_outlive_arguments_and_nothing_is_kept(function: Any, scale: float) -> None:
    def call() -> Any:
        return function(nest_of(scale))  # whose arrays have no other owner

    expected = function.__wrapped__(nest_of(scale))
    call()
    before = allocated()
    for _ in range(100):
        result = call()
        others = [np.full(6, 1e9) for _ in range(8)]  # where memory that was freed too early would be used again
        np.testing.assert_equal(result, expected)
    del result, others
    assert allocated() == before


def test_fields_of_arguments_are_not_counted() -> None:
    @strict
    def scaled(nest: Nest) -> float:
        total = 0.0
        for k in range(nest.pair.values.size):
            total += nest.pair.values[k] * nest.pair.scale
        return total

    function: Any = scaled
    assert scaled(nest_of(2.0)) == 12.0
    [text] = function.inner.inspect_llvm().values() or [""]
    assert "NRT_incref" not in text


@pytest.mark.parametrize("algorithm", ["actor-critic", "ppo", "trpo"])
def test_training_keeps_nothing(algorithm: str) -> None:
    config = resolve("CartPole-v1", algorithm, {"num_envs": 8, "num_steps": 16, "total_steps": 10**9})
    loop = new_loop(config, make("CartPole-v1"), 0)
    loop.advance()
    counts = []
    for _ in range(3):
        loop.advance()
        counts.append(allocated())
    assert counts[0] == counts[2]

"""Arguments that are not counted: the same arrays, and nothing of theirs is kept or freed."""

import gc
import weakref
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from pgrad.kernels.borrow import borrowed
from pgrad.kernels.jit import strict


class Pair(NamedTuple):
    values: Any
    scale: float


class Nest(NamedTuple):
    pair: Pair
    count: int


@strict
def scaled(nest: Nest) -> float:
    nest = borrowed(nest)
    total = 0.0
    for k in range(nest.count):
        part = nest.pair.values[k:]
        part[0] *= nest.pair.scale
        total += part[0]
    return total


def test_arrays_are_the_same() -> None:
    values = np.arange(4.0)
    assert scaled(Nest(Pair(values, 2.0), 3)) == 6.0
    np.testing.assert_array_equal(values, [0.0, 2.0, 4.0, 3.0])


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="Python counts")
def test_arrays_live_as_long_as_their_owner() -> None:
    values = np.arange(1_000.0)
    gone = weakref.ref(values)
    nest = Nest(Pair(values, 1.0), 1_000)
    for _ in range(100):
        scaled(nest)
    assert gone() is values
    del values, nest
    gc.collect()
    assert gone() is None

"""One lane as a tuple: the same in Python and compiled, for tuples of any length."""

from typing import Any

import numpy as np
import pytest

from pgrad.kernels.jit import strict
from pgrad.kernels.lanes import read_lane, write_lane, write_one_hot

LANE, OTHERS = 1, [0, 2]


@strict
def compiled_read(array: Any, lane: Any, like: Any) -> Any:
    return read_lane(array, lane, like)


@strict
def compiled_write(array: Any, lane: Any, values: Any) -> Any:
    write_lane(array, lane, values)


@strict
def compiled_one_hot(array: Any, lane: Any, values: Any, counts: Any) -> Any:
    write_one_hot(array, lane, values, counts)


@pytest.mark.parametrize("size", [0, 1, 2, 4])
@pytest.mark.parametrize("read", [read_lane, compiled_read])
def test_read(read: Any, size: int) -> None:
    array = np.arange(12.0).reshape(4, 3)
    assert read(array, LANE, (0.0,) * size) == (1.0, 4.0, 7.0, 10.0)[:size]


@pytest.mark.parametrize("values", [(), (3.5,), (3, 4.5), (1.0, 2, 3.0, 4)])
@pytest.mark.parametrize("write", [write_lane, compiled_write])
def test_write(write: Any, values: tuple[float, ...]) -> None:
    array = np.full((4, 3), 9.0)
    write(array, LANE, values)
    assert array[:, LANE].tolist() == [*values, 9, 9, 9, 9][:4]
    assert (array[:, OTHERS] == 9).all()


@pytest.mark.parametrize(
    ("values", "counts", "expected"),
    [
        ((), (), [9, 9, 9, 9, 9, 9]),
        ((2,), (3,), [0, 0, 1, 9, 9, 9]),
        ((0, 1.0, 0), (1, 2, 3), [1, 0, 1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("write", [write_one_hot, compiled_one_hot])
def test_one_hot(write: Any, values: tuple[float, ...], counts: tuple[int, ...], expected: list[int]) -> None:
    array = np.full((6, 3), 9.0)
    write(array, LANE, values, counts)
    assert array[:, LANE].tolist() == expected
    assert (array[:, OTHERS] == 9).all()

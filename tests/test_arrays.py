"""Records of arrays as flat dictionaries."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pgrad.arrays import arrays_in, below, copies, put_back, under
from pgrad.errors import RunError


class Inner(NamedTuple):
    one: npt.NDArray[np.float64]
    other: npt.NDArray[np.int64]


class Outer(NamedTuple):
    inner: Inner
    own: npt.NDArray[np.float32]


def outer() -> Outer:
    return Outer(Inner(np.arange(3.0), np.arange(2)), np.ones((2, 2), np.float32))


def test_names_are_dotted_and_arrays_are_the_records_own() -> None:
    record = outer()
    arrays = arrays_in(record=record, alone=record.own)
    assert set(arrays) == {"record.inner.one", "record.inner.other", "record.own", "alone"}
    assert arrays["record.own"] is arrays["alone"] is record.own


def test_what_was_copied_is_put_back_in_place() -> None:
    record = outer()
    saved = copies(arrays_in(record=record))
    record.inner.one[:], record.own[:] = 7, 7
    put_back(saved, arrays_in(record=record))
    np.testing.assert_array_equal(record.inner.one, [0, 1, 2])
    np.testing.assert_array_equal(record.own, 1)


@pytest.mark.parametrize("other", [np.zeros(1), np.zeros((3, 1)), np.zeros(3, np.float32)])
def test_arrays_of_another_kind_are_refused(other: npt.NDArray[np.float64]) -> None:
    """A shape that NumPy would broadcast, and a kind that it would convert, are refused too."""
    with pytest.raises(RunError, match=r"checkpoint's inner\.one is float.*begin a new run"):
        put_back({"inner.one": other, "inner.other": np.zeros(2, np.int64)}, arrays_in(inner=outer().inner))


def test_a_missing_array_is_named() -> None:
    with pytest.raises(RunError, match=r"the checkpoint has no inner\.other"):
        put_back({"inner.one": np.zeros(3)}, arrays_in(inner=outer().inner))


def test_prefixes_come_and_go() -> None:
    arrays = {"a": np.zeros(1), "b.c": np.ones(1)}
    both = under("x", arrays) | under("xy", {"a": np.zeros(2)})
    assert below("x", both).keys() == arrays.keys()

"""Move one lane between an array [features, lanes] and a tuple of scalars.

The tuple's length is known when compiling, so the recursion unrolls into plain loads and stores and the loop over lanes
around it still vectorises (a loop over the tuple, or Numba's `to_fixed_tuple`, does not).
"""

from typing import Any

from pgrad.kernels.jit import compiled_as

Scalars = tuple[Any, ...]


def read_lane(array: Any, lane: int, like: Scalars) -> Scalars:
    """Return lane `lane` of an array [features, lanes] as a tuple, as long as `like`."""
    return tuple(array[i, lane].item() for i in range(len(like)))


@compiled_as(read_lane)
def _read_lane_compiled(array: Any, lane: Any, like: Any) -> Any:
    last = len(like) - 1
    if last < 0:
        return lambda array, lane, like: ()
    if last == 0:
        return lambda array, lane, like: (array[0, lane],)
    return lambda array, lane, like: read_lane(array, lane, like[:-1]) + (array[last, lane],)


def write_lane(array: Any, lane: int, values: Scalars) -> None:
    """Set lane `lane` of an array [features, lanes] to a tuple: array[i, lane] = values[i]."""
    for i, value in enumerate(values):
        array[i, lane] = value


@compiled_as(write_lane)
def _write_lane_compiled(array: Any, lane: Any, values: Any) -> Any:
    last = len(values) - 1
    if last < 0:
        return lambda array, lane, values: None
    if last == 0:

        def one(array: Any, lane: Any, values: Any) -> None:
            array[0, lane] = values[0]

        return one

    def many(array: Any, lane: Any, values: Any) -> None:
        array[last, lane] = values[last]
        write_lane(array, lane, values[:-1])

    return many


def write_one_hot(array: Any, lane: int, values: Scalars, counts: tuple[int, ...]) -> None:
    """Set lane `lane` of an array [Σ counts, lanes] to integers in one-hot form, one below the other.

    For each of `values` there are as many rows as its count: 1 in the row of that number, 0 in the others.
    """
    first = 0
    for value, count in zip(values, counts, strict=True):
        for i in range(count):
            array[first + i, lane] = value == i
        first += count


@compiled_as(write_one_hot)
def _write_one_hot_compiled(array: Any, lane: Any, values: Any, counts: Any) -> Any:
    last = len(values) - 1
    if last < 0:
        return lambda array, lane, values, counts: None

    def each(array: Any, lane: Any, values: Any, counts: Any) -> None:
        first = 0
        for d in range(last):
            first += counts[d]
        for i in range(counts[last]):
            array[first + i, lane] = values[last] == i
        write_one_hot(array, lane, values[:-1], counts[:-1])

    return each

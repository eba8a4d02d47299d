"""Numba's records in the memory of WebAssembly: where each field lies, and how compiled code reads a record from there.

A record is a tuple, named or not, of numbers, arrays and records. Its fields lie one after the other, each at a
multiple of its own size: a pointer has 4 bytes there, an integer of Numba's `intp` still 8. An array is a structure of
seven parts: two pointers that nothing reads, its size, the size of an item, the address of its data, its shape, its
strides.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

POINTER, WORD = 4, 8  # bytes
BYTES = {"float64": 8, "float32": 4, "int64": 8, "uint64": 8, "int32": 4, "bool": 1}


Exported = tuple[Callable[..., Any], tuple[Any, ...]]  # a function for the browser, and the types of its arguments


class Field(NamedTuple):
    """A number or an array of a record."""

    path: str  # names from the outermost record on, joined by dots
    kind: str  # a key of BYTES, of an array's items
    offset: int  # bytes from the record's beginning
    value: Any  # a number, or an array


def fields_of(record: Any, path: str = "", start: int = 0) -> Iterator[Field]:
    """Yield the fields of a record that begins at `start`, in their order."""
    at = start
    for name, value in zip(_names(record), record, strict=True):
        size, alignment = _extent(value)
        at = _aligned(at, alignment)
        inside = f"{path}.{name}" if path else name
        if isinstance(value, tuple):
            yield from fields_of(value, inside, at)
        else:
            yield Field(inside, _kind(value), at, value)
        at += size


def size_of(record: Any) -> int:
    """Return the bytes that a record takes."""
    return _extent(record)[0]


def _names(record: Any) -> tuple[str, ...]:
    return getattr(record, "_fields", tuple(str(k) for k in range(len(record))))


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.dtype)
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, np.uint64):
        return "uint64"
    return "int64" if isinstance(value, int | np.integer) else "float64"


def _extent(value: Any) -> tuple[int, int]:
    """Return the size and the alignment of a value, in bytes."""
    if isinstance(value, np.ndarray):
        return 2 * POINTER + 2 * WORD + WORD + 2 * value.ndim * WORD, WORD  # the address and what pads it: a word
    if not isinstance(value, tuple):
        return BYTES[_kind(value)], BYTES[_kind(value)]
    at, largest = 0, 1
    for member in value:
        size, alignment = _extent(member)
        at, largest = _aligned(at, alignment) + size, max(largest, alignment)
    return _aligned(at, largest), largest


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment


def reader(like: Any) -> Callable[[int], Any]:
    """Return a function, for compiled code, from an address to the record there, whose type is that of `like`."""
    kind = like

    @intrinsic  # type: ignore[untyped-decorator]
    def read(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            model = context.data_model_manager[kind]
            pointer = builder.inttoptr(args[0], model.get_data_type().as_pointer())
            return model.from_data(builder, builder.load(pointer))

        return kind(types.int32), generate

    return read  # type: ignore[no-any-return]


def view(item: Any) -> Callable[[int, int], Any]:
    """Return a function, for compiled code, from an address and a length to the array of such items there."""
    kind = types.Array(item, 1, "C")

    @intrinsic  # type: ignore[untyped-decorator]
    def array_at(typing: Any, address: Any, length: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(kind)(context, builder)
            size = builder.sext(args[1], ir.IntType(64))
            width = context.get_constant(types.intp, item.bitwidth // 8)
            data = builder.inttoptr(args[0], context.get_data_type(item).as_pointer())
            context.populate_array(array, data=data, shape=[size], strides=[width], itemsize=width, meminfo=None)
            return array._getvalue()

        return kind(types.int32, types.int32), generate

    return array_at  # type: ignore[no-any-return]


float64s = view(types.float64)

"""Records whose arrays are not counted.

Numba counts the references to an array: to read a field of a record and let it go is two atomic operations, and a loop
over few lanes reads dozens. Whoever calls compiled code holds its arguments until it returns, so that within the call
nothing needs to be counted.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from pgrad.kernels.jit import compiled_as


def borrowed(value: Any) -> Any:
    """Return the same arrays and records of arrays, uncounted: the arguments of a call from Python, until it ends."""
    return value


@intrinsic  # type: ignore[untyped-decorator]
def uncounted(typing: Any, value: Any) -> Any:
    """Return `value` with its arrays' owners forgotten."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _forgetful(context, builder, value, args[0])

    return value(value), generate


def _forgetful(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = context.get_constant_null(types.voidptr)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for k, inner in enumerate(kind):
            part = _forgetful(context, builder, inner, builder.extract_value(value, k))
            value = builder.insert_value(value, part, k)
    return value


@compiled_as(borrowed)
def _borrowed_compiled(value: Any) -> Any:
    return lambda value: uncounted(value)

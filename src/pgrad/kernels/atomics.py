"""What Numba does not offer: words of memory that several threads read and write, and calls by address."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

CODE, DATA = 24, 25  # words of a crew's board: the addresses of code, and of its arguments
WORD = ir.IntType(64)
ORDER = "seq_cst"


def _word(context: Any, builder: Any, board_type: Any, board: Any, index: Any) -> Any:
    return builder.gep(context.make_array(board_type)(context, builder, board).data, [index])


@intrinsic  # type: ignore[untyped-decorator]
def add(typing: Any, board: Any, index: Any, value: Any) -> Any:
    """Add to a word atomically; return what it was."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = _word(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", word, args[2], ORDER)

    return types.int64(board, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, board: Any, index: Any) -> Any:
    """Read a word as other threads have left it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_word(context, builder, signature.args[0], *args), ORDER, 8)

    return types.int64(board, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, board: Any, index: Any, value: Any) -> Any:
    """Write a word, after everything that this thread has written before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _word(context, builder, signature.args[0], *args[:2]), ORDER, 8)
        return context.get_dummy_value()

    return types.none(board, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def call(typing: Any, function: Any, arguments: Any, worker: Any, block: Any) -> Any:
    """Call function(*arguments, worker, block)."""
    called = typing.resolve_function_type(function, (*arguments.types, types.int64, types.int64), {})

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        context.get_function(function, called)(builder, [*cgutils.unpack_tuple(builder, args[1]), *args[2:]])
        return context.get_dummy_value()

    return types.none(function, arguments, types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def publish(typing: Any, board: Any, function: Any, arguments: Any) -> Any:
    """Write to the board where code is that calls `function`, and where its arguments are, for `call_published`."""
    called = typing.resolve_function_type(function, (*arguments.types, types.int64, types.int64), {})

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        shared = ir.Function(builder.module, _shared_type(context), builder.module.get_unique_name("shared"))
        shared.linkage = "internal"
        inside = ir.IRBuilder(shared.append_basic_block("entry"))
        data, worker, block = context.call_conv.get_arguments(shared)
        kind = context.get_value_type(arguments)
        unpacked = cgutils.unpack_tuple(inside, inside.load(inside.bitcast(data, kind.as_pointer())))
        context.get_function(function, called)(inside, [*unpacked, worker, block])
        context.call_conv.return_value(inside, context.get_dummy_value())
        for index, address in ((CODE, shared), (DATA, cgutils.alloca_once_value(builder, args[2]))):
            word = _word(context, builder, signature.args[0], args[0], WORD(index))
            builder.store(builder.ptrtoint(address, WORD), word)
        return context.get_dummy_value()

    return types.none(board, function, arguments), generate


@intrinsic  # type: ignore[untyped-decorator]
def call_published(typing: Any, board: Any, worker: Any, block: Any) -> Any:
    """Call what is published, for one block."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = _shared_type(context)
        code, data = (
            builder.load(_word(context, builder, signature.args[0], args[0], WORD(index))) for index in (CODE, DATA)
        )
        unused = [cgutils.alloca_once(builder, pointer.pointee) for pointer in kind.args[:2]]  # result and exception
        address = builder.inttoptr(data, ir.IntType(8).as_pointer())
        builder.call(builder.inttoptr(code, kind.as_pointer()), [*unused, address, *args[1:]])
        return context.get_dummy_value()

    return types.none(board, types.int64, types.int64), generate


def _shared_type(context: Any) -> Any:
    """Return the type of code that is called by address, with Numba's own convention: data, worker, block."""
    return context.call_conv.get_function_type(types.none, (types.voidptr, types.int64, types.int64))

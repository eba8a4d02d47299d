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
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from pgrad.kernels.jit import compiled_as, strict

# Words of a board. Those that several threads write are a cache line apart.
LEFT, DONE, ENDED, CODE, DATA, WORDS = 0, 8, 16, 24, 25, 32  # blocks not taken yet, and computed; 1 to end helping


class Crew(NamedTuple):
    """The threads that share a run."""

    board: npt.NDArray[np.int64]  # [WORDS], or [0] for a single thread
    workers: int  # the one that runs included


ALONE = Crew(np.empty(0, np.int64), 1)


def new_crew(workers: int) -> Crew:
    """Return a crew of so many threads; the helpers among them work only within `helping`. Interpreted it is one."""
    return Crew(np.zeros(WORDS, np.int64), workers) if workers > 1 and not config.DISABLE_JIT else ALONE


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


# --- what Numba does not offer: atomic words, and calls by address

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

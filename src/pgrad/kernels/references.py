"""Reference counts only where they are needed.

Numba counts the references to an array: wherever a record is read, it counts one more for each array in the field, and
one less when the field's variable ends. Records here have dozens of arrays and functions read them on every line, so
that most of the code to be compiled would be counting, and a loop over few lanes would wait for it. But whoever calls
a function holds its arguments until it returns: what is read from them needs no count of its own.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from numba import types
from numba.core import ir
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import BaseNativeLowering


class BorrowingLower(Lower):  # type: ignore[misc]
    """Numba's translation to LLVM, but for the counting: none for what arguments hold, and otherwise of arrays only."""

    def init(self) -> None:
        """Find the variables that need no count; called by Numba."""
        super().init()
        assignments = [inst for block in self.func_ir.blocks.values() for inst in block.find_insts(ir.Assign)]
        self._borrowed = borrowed_variables(assignments, self.typeof)
        self._borrowing = False
        arguments = {inst.target.name for inst in assignments if isinstance(inst.value, ir.Arg)}
        self._singly_assigned_vars |= arguments & self._borrowed  # values, no memory: the first block comes before all

    def lower_assign(self, ty: Any, inst: ir.Assign) -> Any:
        """Translate an assignment; to a variable that borrows, without counting."""
        self._borrowing = inst.target.name in self._borrowed
        value = super().lower_assign(ty, inst)
        self._borrowing = False
        return value

    def lower_expr(self, resty: Any, expr: ir.Expr) -> Any:
        """Translate an expression; a record's field without the counting of Numba's own translation."""
        index = field_index(expr, self.typeof)
        if index is None:
            return super().lower_expr(resty, expr)
        record = self.typeof(expr.value.name)
        value = self.builder.extract_value(self.loadvar(expr.value.name), index)
        value = self.context.cast(self.builder, value, record[index], resty)
        self.incref(resty, value)
        return value

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Store a variable; there is no count to take from what a variable that borrows held before."""
        self._borrowing = name in self._borrowed
        super().storevar(value, name, argidx)
        self._borrowing = False

    def delvar(self, name: str) -> None:
        """End a variable."""
        self._borrowing = name in self._borrowed
        super().delvar(name)
        self._borrowing = False

    def incref(self, typ: Any, val: Any) -> None:
        """Count one reference more to each array in a value."""
        if not self._borrowing:
            for kind, owner in owners(self.context.data_model_manager, self.builder, typ, val):
                super().incref(kind, owner)

    def decref(self, typ: Any, val: Any) -> None:
        """Count one reference less to each array in a value."""
        if not self._borrowing:
            for kind, owner in owners(self.context.data_model_manager, self.builder, typ, val):
                super().decref(kind, owner)


def borrowed_variables(assignments: list[ir.Assign], typeof: Any) -> set[str]:
    """Return the names of variables that only ever hold an argument or a part of one.

    What is returned is none of them: Numba casts it first, and counts the result for whoever called.
    """
    counts = Counter(inst.target.name for inst in assignments)
    borrowed: set[str] = set()
    found = -1
    while len(borrowed) > found:  # until nothing more is found: a block may come before those that lead to it
        found = len(borrowed)
        for inst in assignments:
            if counts[inst.target.name] == 1 and is_borrowed(inst.value, borrowed, typeof):
                borrowed.add(inst.target.name)
    return borrowed


def is_borrowed(value: Any, borrowed: set[str], typeof: Any) -> bool:
    """Return whether an assigned value is an argument, or what is borrowed already, or a field of it."""
    if isinstance(value, ir.Expr):
        unpacked = value.op == "exhaust_iter" and isinstance(typeof(value.value.name), types.BaseTuple)
        return (unpacked or field_index(value, typeof) is not None) and value.value.name in borrowed
    return isinstance(value, ir.Arg) or (isinstance(value, ir.Var) and value.name in borrowed)


def field_index(expr: ir.Expr, typeof: Any) -> int | None:
    """Return which field of a tuple or record an expression reads, or None if it does something else."""
    if expr.op not in ("getattr", "static_getitem"):
        return None
    record = typeof(expr.value.name)
    if expr.op == "getattr" and isinstance(record, types.BaseNamedTuple) and expr.attr in record.fields:
        return int(record.fields.index(expr.attr))
    if expr.op == "static_getitem" and isinstance(record, types.BaseTuple) and isinstance(expr.index, int):
        return range(len(record))[expr.index]
    return None


def owners(models: Any, builder: Any, kind: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the counted parts of a value, with their types."""
    if models[kind].has_nrt_meminfo():
        yield kind, value
    elif is_counted(models, kind):
        for inner, part in models[kind].traverse(builder):
            if is_counted(models, inner):
                yield from owners(models, builder, inner, part(value))


@functools.cache
def is_counted(models: Any, kind: Any) -> bool:
    """Return whether any part of a type has a count."""
    return bool(models[kind].contains_nrt_meminfo())


@register_pass(mutates_CFG=True, analysis_only=False)
class BorrowingLowering(BaseNativeLowering):  # type: ignore[misc]
    """Numba's last pass, with `BorrowingLower`."""

    _name = "borrowing_lowering"

    @property
    def lowering_class(self) -> Any:
        """The translation; asked for by Numba."""
        return BorrowingLower

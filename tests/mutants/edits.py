"""Planted errors: small edits of a source text, made one at a time by walking its syntax tree."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "src" / "pgrad"

# What estimates and learns. Left out: how Numba and its cache are used, guards around users' code, and presets, whose
# numbers are choices: docs/results.md says what they reach.
ROOMS = ("kernels", "estimators", "rollouts", "algorithms", "policies", "exact")
PRESETS = {
    f"algorithms/{path.name}"
    for path in (SOURCES / "algorithms").glob("*.py")
    if "\nPRESET: " in path.read_text(encoding="utf-8")
}
LEFT_OUT = PRESETS | {
    "kernels/compile_clock.py",
    "kernels/fingerprint.py",
    "kernels/inline_compiler.py",
    "kernels/jit.py",
    "kernels/numba_cache.py",
    "kernels/references.py",
    "rollouts/user_env_guard.py",
}

OPERATORS = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.Pow: ("**", "*"),
    ast.Mod: ("%", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "|"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
WORDS = {"__repr__", "_spoken", "listed"}  # functions that only word a message
SYMMETRIC = {  # swapping their arguments changes nothing, or is nonsense
    *("min", "max", "np.minimum", "np.maximum", "np.add", "isinstance", "abs", "dot", "inner"),
}


class Edit(NamedTuple):
    """One error: replace source[start:end], bytes of a file, by `wrong`."""

    file: str  # below src/pgrad
    function: str  # the outermost function it stands in, with its class; empty where it runs on import
    start: int
    end: int
    wrong: str
    name: str  # file, function, the line as it is and as it becomes

    def planted(self) -> str:
        """The file's text with the error."""
        source = (SOURCES / self.file).read_bytes()
        return (source[: self.start] + self.wrong.encode() + source[self.end :]).decode()


def files() -> list[str]:
    """The files that mechanical errors are planted in."""
    every = (path.relative_to(SOURCES).as_posix() for room in ROOMS for path in sorted((SOURCES / room).rglob("*.py")))
    return [file for file in every if file not in LEFT_OUT]


def mechanical(file: str) -> list[Edit]:
    """Every mechanical error in a file, in the order of the text."""
    source = (SOURCES / file).read_bytes()
    walker = Walker(source)
    walker.visit(ast.parse(source))
    return named(file, source, sorted(walker.found))


def replacing(file: str, right: str, wrong: str) -> Edit:
    """The error that puts one text in the place of another, which must stand in the file once."""
    source = (SOURCES / file).read_bytes()
    if source.count(right.encode()) != 1:
        raise ValueError(f"{file} holds this {source.count(right.encode())} times, not once: {right}")
    start = source.index(right.encode())
    return named(file, source, [(start, start + len(right.encode()), wrong)])[0]


def named(file: str, source: bytes, found: list[tuple[int, int, str]]) -> list[Edit]:
    """Edits with their names; those of one name are numbered."""
    functions, seen, result = outermost(ast.parse(source), Walker(source)), Counter[str](), []
    for start, end, wrong in found:
        first = source.rfind(b"\n", 0, start) + 1
        last = source.find(b"\n", end)
        right = b" ".join(source[first:last].split()).decode()
        becomes = " ".join((source[first:start] + wrong.encode() + source[end:last]).decode().split())
        function = next((name for a, b, name in functions if a <= start and end <= b), "")
        name = f"{file} {function}: {right} → {becomes}"
        seen[name] += 1
        name += f" ({seen[name]})" if seen[name] > 1 else ""
        result.append(Edit(file, function, start, end, wrong, name))
    return result


def outermost(tree: ast.Module, places: "Walker") -> list[tuple[int, int, str]]:
    """The bodies of functions that are in no other, with their names; methods as Class.method."""
    result = []
    for node in tree.body:
        inside, prefix = (node.body, f"{node.name}.") if isinstance(node, ast.ClassDef) else ([node], "")
        for child in inside:
            if isinstance(child, ast.FunctionDef):
                result.append((places.span(child.body[0])[0], places.span(child)[1], prefix + child.name))
    return result


class Walker(ast.NodeVisitor):
    """Collects (start, end, wrong) of every mechanical error in a text."""

    def __init__(self, source: bytes) -> None:
        self.source, self.found = source, list[tuple[int, int, str]]()
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends."""
        begin = self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return begin, self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def text(self, node: ast.AST) -> str:
        """A node's own text."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def replace(self, node: ast.AST, wrong: str) -> None:
        """Plant an error in place of a node."""
        self.found.append((*self.span(node), wrong))

    def operator(self, kind: ast.AST, before: ast.AST, after: ast.AST) -> None:
        """Exchange the operator that stands between two nodes."""
        if type(kind) not in OPERATORS:
            return
        right, wrong = OPERATORS[type(kind)]
        start = self.source.index(right.encode(), self.span(before)[1], self.span(after)[0])
        self.found.append((start, start + len(right), wrong))

    def drop(self, node: ast.stmt) -> None:
        """Leave a statement out."""
        self.replace(node, "pass")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.operator(node.op, node.left, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.operator(node.op, node.target, node.value)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.operator(node.op, node.values[0], node.values[1])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.operator(node.ops[0], node.left, node.comparators[0])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.replace(node, f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(node, str(not node.value))
        elif isinstance(node.value, int | float):
            wrong = node.value + 1 if isinstance(node.value, int) else node.value * 2 if node.value else 1.0
            self.replace(node, repr(wrong))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.slice, ast.Name):
            self.replace(node.slice, f"{node.slice.id} - 1")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if len(node.args) > 1 and self.text(node.func) not in SYMMETRIC:
            (start, _), (_, end) = self.span(node.args[0]), self.span(node.args[1])
            one, other = self.text(node.args[0]), self.text(node.args[1])
            between = self.source[self.span(node.args[0])[1] : self.span(node.args[1])[0]].decode()
            if one != other and "*" not in one[0] + other[0]:
                self.found.append((start, end, other + between + one))
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        """Leave alone what checks the edits of others, and the last axis, which is the same counted from the front."""
        last = node.arg == "axis" and isinstance(node.value, ast.UnaryOp)
        if node.arg != "strict" and not last:
            self.generic_visit(node)

    def condition(self, node: ast.If | ast.IfExp | ast.While) -> None:
        """Turn a condition round that is neither a comparison nor made of parts."""
        if isinstance(node.test, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            self.replace(node.test, f"not {self.text(node.test)}")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if not isinstance(node.body[0], ast.Raise):
            self.condition(node)

    visit_IfExp = visit_While = condition

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call) and "require" not in self.text(node.value.func):
            self.drop(node)
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Subscript | ast.Attribute):
            self.drop(node)
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self.drop(node)

    visit_Break = visit_Continue

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name not in WORDS:
            for child in [*node.args.defaults, *node.body]:
                self.visit(child)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave the checks of arguments and their words alone: other tests are about these."""

    visit_JoinedStr = visit_Raise  # type: ignore[assignment]


def every_mechanical() -> Iterator[Edit]:
    """All mechanical errors, room by room."""
    for file in files():
        yield from mechanical(file)

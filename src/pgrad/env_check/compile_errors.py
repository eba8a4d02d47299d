"""Why something cannot be compiled, in the words of the person who wrote it; and what would not be reproducible."""

import ast
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from pgrad.envs.contract import METHODS
from pgrad.kernels.fingerprint import is_library, names_in

UNSEEDED = {"random", "numpy.random", "time", "datetime", "secrets", "uuid"}
UNITE = "give every branch the same types: as many numbers, whole ones or real ones (1.0, not 1) in the same places"
AS_INDEX = "states are kept as real numbers, even whole ones: write int(...) around what is an index"
AS_HELPER = "make it a function above the class with `@helper` (of pgrad.envs) that takes what it needs as arguments"


class Explanation(NamedTuple):
    """Why, and the way out."""

    why: str
    way_out: str


# What Numba's message holds → what that means. Groups of the pattern fill {0}, {1}.
CAUSES = (
    (
        r"Untyped global name '(\w+)'.*<class 'function'>",
        "{0} is a plain Python function, which compiled code cannot call",
        "write `@helper` (of pgrad.envs) above `def {0}`",
    ),
    (
        r"Untyped global name '(\w+)'.*<class '([\w.]+)'>",
        "the global {0} is a {1}, which compiled code cannot read",
        "make it a number, a tuple of numbers or a NumPy array; or a parameter of the environment",
    ),
    (
        r"(?:reflected (?:list|set)|DictType).*assigned to variable '(\w+)' in globals",
        "the global {0} is a list, a set or a dict, which compiled code cannot read",
        "make it a tuple of numbers or a NumPy array",
    ),
    (r"unify", "its branches do not agree on types", UNITE),
    (
        r"STORE_GLOBAL|DELETE_GLOBAL",
        "it changes a global, which compiled code cannot: it keeps the value that there was when compiling",
        "keep in the state whatever changes during an episode",
    ),
    (
        r"getitem\((?:Uni)?Tuple\(.*\), (?:float64|bool)\)|getitem\(array.*(?:float64|bool)",
        "a real number or a comparison is used as an index",
        AS_INDEX,
    ),
    (
        r"getitem\((?:float64|int64|int32)\b",
        "a single number is indexed as if it were a tuple",
        "with a Discrete action space an action is a whole number, with Box or MultiDiscrete a tuple",
    ),
    (
        r"yield in a closure|generator",
        "a generator expression cannot be compiled",
        "write the numbers of the tuple out, or loop",
    ),
    (
        r"Exception matching|unsupported.*(?:try|except|with)",
        "try, except and with cannot be compiled as they are here",
        "look before, instead of catching afterwards",
    ),
    (
        r"list\(|reflected list|ListType|DictType|dict\(|unicode_type|set\(",
        "it uses a list, a dict, a set or text, and what comes of that is no tuple of numbers",
        "use numbers, tuples of numbers and NumPy arrays only",
    ),
    (r"(?:pyobject|NoneType|none\b|Literal\[str\])", "something in it is None or text on some way through", UNITE),
)


def explain(error: Exception, dynamics: Any, method: str) -> Explanation:
    """Numba's error about a method of an environment, with the line it is about."""
    text = str(error)
    place = where(text, dynamics)
    if found := re.search(r"Unknown attribute '(\w+)' of type (?:class\(<class '|Module\(<module ')?([\w.]+)", text):
        why, way_out = unknown_attribute(type(dynamics), *found.groups())
        return Explanation(f"{method} cannot be compiled{place}: {why}", way_out)
    for pattern, why, way_out in CAUSES:
        if found := re.search(pattern, text):
            groups = found.groups()
            return Explanation(f"{method} cannot be compiled{place}: {why.format(*groups)}", way_out.format(*groups))
    lines = [line.strip() for line in text.splitlines() if line.strip() and "pipeline" not in line]
    told = " ".join(lines[:3]) or type(error).__name__
    return Explanation(
        f"{method} cannot be compiled{place}: {told[:300]}",
        "use numbers, tuples, `math`, and the functions of pgrad.envs; docs/extending.md says what there is",
    )


def unknown_attribute(kind: type, name: str, owner: str) -> Explanation:
    """Something after a dot that compiled code does not find."""
    if owner in ("float64", "int64", "int32", "bool"):
        return Explanation(
            f"a number is used as if it were an array (its '{name}' is asked for)",
            "use min, max, abs, `math` and comparisons instead of NumPy's functions for arrays",
        )
    if owner.rpartition(".")[2] != kind.__name__:
        return Explanation(f"there is no '{name}' of {owner} in compiled code", "compute it with `math` or numbers")
    value = getattr(kind, name, None)
    if callable(value):
        return Explanation(f"it calls self.{name}(...): compiled methods cannot call each other", AS_HELPER)
    return Explanation(
        f"self.{name} is no parameter: compiled code sees nothing else of the environment",
        f"give it its type, `{name}: {type(value).__name__} = {value!r:.40}`, and it is one",
    )


def where(text: str, dynamics: Any) -> str:
    """The line of the user's own file that a message is about, and what is there."""
    file = inspect.getsourcefile(type(dynamics)) or ""
    lines = re.findall(r'File "([^"]*)", line (\d+)', text) + re.findall(r"at (\S+) \((\d+)\)", text)
    lines += re.findall(r"Raised from (\S+) \((\d+)\)", text)
    for name, number in lines:
        if Path(name).name == Path(file).name:
            code = linecache.getline(file, int(number)).strip()
            return f" (line {number}: `{code}`)" if code else f" (line {number})"
    return ""


def functions_of(dynamics: Any) -> dict[str, FunctionType]:
    """The methods of an environment that are compiled, and the user's own functions that these call, by name."""
    found: dict[str, FunctionType] = {}
    waiting = [(name, getattr(type(dynamics), name, None)) for name in METHODS]
    while waiting:
        name, value = waiting.pop(0)
        function = getattr(value, "__wrapped__", value)
        if isinstance(function, FunctionType) and name not in found and not is_library(function.__module__):
            found[name] = function
            waiting += [(other, function.__globals__.get(other)) for other in names_in(function.__code__)]
    return found


def globals_of(dynamics: Any) -> dict[str, str]:
    """The values, as text, of the module-level constants that the environment's functions read."""
    values = {}
    for function in functions_of(dynamics).values():
        for name in names_in(function.__code__):
            value = function.__globals__.get(name)
            if name in function.__globals__ and not callable(value) and not isinstance(value, ModuleType):
                values[name] = str(value.tolist()) if isinstance(value, np.ndarray) else repr(value)
    return values


def unseeded(dynamics: Any) -> Iterator[tuple[str, int, str]]:
    """Each use of a clock or of random numbers that no key decides: the function, its line, what is there."""
    for name, function in functions_of(dynamics).items():
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute | ast.Name) and is_unseeded(resolved(node, function)):
                yield name, function.__code__.co_firstlineno + node.lineno - 1, ast.unparse(node)


def resolved(node: ast.AST, function: FunctionType) -> Any:
    """What a dotted name means where the function is defined; None where it is no global."""
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, function)
        return getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
    return function.__globals__.get(node.id) if isinstance(node, ast.Name) else None


def is_unseeded(value: Any) -> bool:
    """Whether a function belongs to a module of random numbers or clocks."""
    if isinstance(value, ModuleType) or not callable(value):
        return False
    modules = {getattr(value, "__module__", None) or "", type(getattr(value, "__self__", None)).__module__}
    return any(f"{module}.".startswith(f"{known}.") for module in modules for known in UNSEEDED)

"""Explain Numba's errors in terms of the user's own code, and find what would make runs irreproducible."""

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
UNITE = "give every branch the same types: as many numbers, with integers and floats (1.0, not 1) in the same places"
AS_INDEX = "states are kept as floats, even integers: write int(...) around an index"
AS_HELPER = "make it a function above the class with `@helper` (of pgrad.envs) that takes what it needs as arguments"


class Explanation(NamedTuple):
    """Why something cannot be compiled, and what to do about it."""

    why: str
    way_out: str


# A pattern in Numba's message, what it means, and what to do. Groups of the pattern fill {0}, {1}.
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
        "it changes a global, but compiled code keeps the value that the global had when it was compiled",
        "put whatever changes during an episode into the state",
    ),
    (
        r"getitem\((?:Uni)?Tuple\(.*\), (?:float64|bool)\)|getitem\(array.*(?:float64|bool)",
        "a float or a comparison is used as an index",
        AS_INDEX,
    ),
    (
        r"getitem\((?:float64|int64|int32)\b",
        "a single number is indexed as if it were a tuple",
        "with a Discrete action space an action is an integer, with Box or MultiDiscrete a tuple",
    ),
    (
        r"yield in a closure|generator",
        "a generator expression cannot be compiled",
        "write out the numbers of the tuple, or use a loop",
    ),
    (
        r"Exception matching|unsupported.*(?:try|except|with)",
        "try, except and with cannot be compiled here",
        "check first, instead of catching an exception afterwards",
    ),
    (
        r"list\(|reflected list|ListType|DictType|dict\(|unicode_type|set\(",
        "it uses a list, a dict, a set or a string where a tuple of numbers is needed",
        "use numbers, tuples of numbers and NumPy arrays only",
    ),
    (r"(?:pyobject|NoneType|none\b|Literal\[str\])", "on some path a value is None or a string", UNITE),
)


def explain(error: Exception, dynamics: Any, method: str) -> Explanation:
    """Explain Numba's error about a method of an environment, with the line that it is about."""
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
    message = " ".join(lines[:3]) or type(error).__name__
    return Explanation(
        f"{method} cannot be compiled{place}: {message[:300]}",
        "use numbers, tuples, `math`, and the functions of pgrad.envs, which `help(pgrad.envs)` lists",
    )


def unknown_attribute(kind: type, name: str, owner: str) -> Explanation:
    """Explain an attribute that compiled code does not find."""
    if owner in ("float64", "int64", "int32", "bool"):
        return Explanation(
            f"a number is used as if it were an array (it has no '{name}')",
            "use min, max, abs, `math` and comparisons instead of NumPy's functions for arrays",
        )
    if owner.rpartition(".")[2] != kind.__name__:
        return Explanation(f"compiled code has no {owner}.{name}", "compute it with `math` or plain arithmetic")
    value = getattr(kind, name, None)
    if callable(value):
        return Explanation(f"it calls self.{name}(...): compiled methods cannot call each other", AS_HELPER)
    return Explanation(
        f"self.{name} is not a parameter, and compiled code sees nothing else of the environment",
        f"make it one by annotating its type: `{name}: {type(value).__name__} = {value!r:.40}`",
    )


def where(text: str, dynamics: Any) -> str:
    """Return the line of the user's own file that a message is about, with its code."""
    file = inspect.getsourcefile(type(dynamics)) or ""
    lines = re.findall(r'File "([^"]*)", line (\d+)', text) + re.findall(r"at (\S+) \((\d+)\)", text)
    lines += re.findall(r"Raised from (\S+) \((\d+)\)", text)
    for name, number in lines:
        if Path(name).name == Path(file).name:
            code = linecache.getline(file, int(number)).strip()
            return f" (line {number}: `{code}`)" if code else f" (line {number})"
    return ""


def functions_of(dynamics: Any) -> dict[str, FunctionType]:
    """Return an environment's compiled methods and the user's own functions that they call, by name."""
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
    """Return the values, as text, of the module-level constants that the environment's functions read."""
    values = {}
    for function in functions_of(dynamics).values():
        for name in names_in(function.__code__):
            value = function.__globals__.get(name)
            if name in function.__globals__ and not callable(value) and not isinstance(value, ModuleType):
                values[name] = str(value.tolist()) if isinstance(value, np.ndarray) else repr(value)
    return values


def unseeded(dynamics: Any) -> Iterator[tuple[str, int, str]]:
    """Yield each use of a clock or of unseeded random numbers: the function, its line, the code."""
    for name, function in functions_of(dynamics).items():
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute | ast.Name) and is_unseeded(resolved(node, function)):
                yield name, function.__code__.co_firstlineno + node.lineno - 1, ast.unparse(node)


def resolved(node: ast.AST, function: FunctionType) -> Any:
    """Return the value of a dotted name where the function is defined; None if it is not a global."""
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, function)
        return getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
    return function.__globals__.get(node.id) if isinstance(node, ast.Name) else None


def is_unseeded(value: Any) -> bool:
    """Return True if a function belongs to a module of random numbers or clocks."""
    if isinstance(value, ModuleType) or not callable(value):
        return False
    modules = {getattr(value, "__module__", None) or "", type(getattr(value, "__self__", None)).__module__}
    return any(f"{module}.".startswith(f"{known}.") for module in modules for known in UNSEEDED)

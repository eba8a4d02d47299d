"""Hash everything that compiled code for a user's types depends on: it is kept only until something of that changes.

Numba's cache notices an edit in the file of one function. What is compiled for a user's environment is more: its
methods, the functions that they call, wherever these are defined, and the module-level constants that all of them read.
Constants are baked into machine code, and an environment variable or a data file behind one shows in no source.

The hash is therefore of what is in memory: bytecode and values, from the methods on, as far as names lead. The sources'
bytes are hashed as well, for what bytecode does not show, such as the options of a decorator. Libraries count by name
and version. If something can be compiled in but not be hashed, there is no hash and nothing is kept.
"""

import enum
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))
PACKAGE = __name__.partition(".")[0]
INSTALLED = {"site-packages", "dist-packages"}  # a folder of either name holds what pip has installed


class Unhashable(Exception):
    """Something that compiled code may depend on has no hash."""


def foreign_types(value: Any) -> tuple[type, ...]:
    """Return the types of a tuple and of the tuples in it that are neither Python's nor pgrad's."""
    if not isinstance(value, tuple):
        return ()
    own = type(value) is tuple or top_level(type(value).__module__) == PACKAGE
    inner = [kind for item in value for kind in foreign_types(item)]
    return tuple(dict.fromkeys([*([] if own else [type(value)]), *inner]))


@functools.cache
def fingerprint(kinds: tuple[type, ...]) -> str | None:
    """Return a hash of all that code compiled for these types depends on; None if something has no hash.

    It is taken once a process, before anything is compiled: compiled code does not see later changes either.
    """
    walk = Walk()
    try:
        for kind in kinds:
            if kind.__module__ == "__main__" or not importable(kind):
                return None  # another process could not read what is kept
            walk.see(kind)
    except (Unhashable, OSError, RecursionError):
        return None
    return walk.digest.hexdigest()[:16]


def importable(kind: type) -> bool:
    """Return True if module and name lead to the type itself."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def top_level(module: str) -> str:
    """Return the package that a module belongs to."""
    return module.partition(".")[0]


def is_library(module: str) -> bool:
    """Return True if a module is Python's, pgrad's or an installed package's, and so changes with its version only."""
    if top_level(module) in {PACKAGE, "builtins", *sys.stdlib_module_names} - {"__main__"}:
        return True
    if module.startswith("namedtuple_") and module not in sys.modules:
        return True  # what Python itself makes of a NamedTuple's fields
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not INSTALLED.isdisjoint(Path(file).parts)


def names_in(code: CodeType) -> Iterator[str]:
    """Yield every name that code looks up, as a global or as an attribute, including in the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


class Walk:
    """A walk over everything that a type's methods refer to, which hashes what it meets."""

    def __init__(self) -> None:
        import numba

        self.digest = hashlib.sha256(f"{sys.version}\0{numba.__version__}\0{np.__version__}".encode())
        self.seen: dict[int, tuple[int, Any]] = {}  # by identity; holding the things keeps identities apart
        self.files: set[str] = set()

    def add(self, *words: Any) -> None:
        """Hash some words."""
        for word in words:
            self.digest.update(word if isinstance(word, bytes) else str(word).encode())
            self.digest.update(b"\0")

    def see(self, thing: Any, names: Iterable[str] = ()) -> None:
        """Hash a value and what it leads to; `names` are what may be looked up in it if it is a module."""
        if type(thing) in PLAIN:
            self.add(type(thing).__name__, repr(thing))
        elif isinstance(thing, np.ndarray | np.generic):
            self.array(np.asarray(thing))
        elif isinstance(thing, tuple | list):
            self.add(len(thing))
            self.see(type(thing))
            for item in thing:
                self.see(item)
        elif isinstance(thing, enum.Enum):
            self.add(thing.name, repr(thing.value))
            self.see(type(thing))
        elif isinstance(thing, ModuleType):
            self.module(thing, names)
        elif id(thing) in self.seen:
            self.add("again", self.seen[id(thing)][0])
        else:
            self.seen[id(thing)] = len(self.seen), thing
            self.see_once(thing)

    def see_once(self, thing: Any) -> None:
        """Hash a function, a type, or what wraps a function."""
        wrapped = getattr(thing, "__wrapped__", getattr(thing, "__func__", getattr(thing, "fget", None)))
        if isinstance(thing, CodeType):
            self.code(thing)
        elif isinstance(thing, FunctionType | BuiltinFunctionType | np.ufunc | type):
            self.named(thing)
        elif wrapped is not None:  # of functools, of Numba, a property, a static method
            self.add(type(thing).__name__)
            self.see(wrapped)
        else:
            self.require_no_constant(thing)
            self.add(type(thing).__name__)

    def require_no_constant(self, thing: Any) -> None:
        """Raise Unhashable if Numba has a type for the thing, and so may compile it in."""
        import numba

        try:
            numba.typeof(thing)
        except ValueError:
            return
        raise Unhashable(type(thing).__name__)

    def named(self, thing: Any) -> None:
        """Hash a function or a type by its name, and by what it does unless a library's version says that."""
        module = getattr(thing, "__module__", None) or "builtins"
        self.add(module, getattr(thing, "__qualname__", thing.__name__))
        if is_library(module):
            self.add(getattr(sys.modules.get(top_level(module)), "__version__", ""))
        elif isinstance(thing, FunctionType):
            self.source(module)
            self.function(thing)
        elif isinstance(thing, type):
            self.source(module)
            self.members(thing)

    def source(self, module: str) -> None:
        """Hash a module's file."""
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            raise Unhashable(module)  # typed into a prompt or a notebook
        self.add(file)
        if file not in self.files:
            self.files.add(file)
            self.add(Path(file).read_bytes())

    def module(self, module: ModuleType, names: Iterable[str]) -> None:
        """Hash what `names` stand for in a module."""
        self.add(module.__name__)
        if not is_library(module.__name__):
            for name in names:
                if hasattr(module, name):
                    self.add(name)
                    self.see(getattr(module, name), [other for other in names if other != name])

    def members(self, kind: type) -> None:
        """Hash a type's bases, methods and other attributes."""
        for base in kind.__bases__:
            self.see(base)
        for name, member in vars(kind).items():
            if name not in ("__module__", "__doc__", "__annotations__"):
                self.add(name)
                self.see(member)

    def function(self, function: FunctionType) -> None:
        """Hash a function's bytecode, its defaults, what it encloses and the globals it reads."""
        self.see(function.__code__)
        self.see(function.__defaults__)
        for cell in function.__closure__ or ():
            try:
                self.see(cell.cell_contents)
            except ValueError:
                self.add("empty")
        names = sorted(set(names_in(function.__code__)))
        for name in names:
            if name in function.__globals__:
                self.add(name)
                self.see(function.__globals__[name], names)

    def code(self, code: CodeType) -> None:
        """Hash bytecode with its constants and names, but without its place in the file."""
        self.add(code.co_code, code.co_flags, code.co_argcount, code.co_exceptiontable)
        self.add(code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        for constant in code.co_consts:
            if isinstance(constant, frozenset):
                self.add(sorted(map(repr, constant)))
            else:
                self.see(constant)

    def array(self, array: Any) -> None:
        """Hash an array's values and layout."""
        if array.dtype.hasobject:
            raise Unhashable(array.dtype)
        self.add(repr(array.dtype), array.shape, array.strides, array.flags.writeable, array.tobytes())

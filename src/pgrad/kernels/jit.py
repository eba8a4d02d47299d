"""How pgrad compiles: two sets of floating-point rules and one cache that is never stale.

`strict` keeps IEEE arithmetic in the order written: environments, returns, optimisers, anything that looks for NaN.
`dense` lets LLVM reorder sums and fuse multiply-adds, which is what vectorises a dot product. A NaN passes through it,
but cannot be looked for in it: `isfinite` is a difference of a number and itself there, and may be dropped.

Numba notices an edit in the file of a cached function but not in the files of the functions it calls. The cache folder
is therefore named by a hash of every source that compiled code can come from.
"""

import functools
import hashlib
import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
import numba.extending
from numba import config

from pgrad.kernels.inner import InnerCompiler

F = TypeVar("F", bound=Callable[..., Any])

REORDERING = {"reassoc", "contract", "nsz", "arcp"}
OPTIONS = {"nogil": True, "error_model": "numpy"}
INNER_OPTIONS = {
    **OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": InnerCompiler,
}
COMPILED_ROOMS = ("kernels", "envs", "estimators", "policies", "rollouts", "algorithms")
KEPT_CACHES = 4
CACHE_NAME = re.compile(r"[0-9a-f]{16}")
NUMBA_SUFFIXES = (".nbi", ".nbc")


def source_hash() -> str:
    """A hash of Numba's version and of all of pgrad's sources that compiled code can come from."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for room in COMPILED_ROOMS:
        for file in sorted((package / room).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """`PGRAD_CACHE_DIR`, else `pgrad` in the user's cache folder."""
    if chosen := os.environ.get("PGRAD_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgrad"


def prepare_cache(root: Path, name: str) -> str | None:
    """Make `root/name`, forget all but the newest few siblings, return its path; None where nothing can be written."""
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        if not os.access(folder, os.W_OK):
            return None
    except OSError:
        return None
    try:
        caches = [sibling for sibling in root.iterdir() if CACHE_NAME.fullmatch(sibling.name) and sibling.is_dir()]
        for stale in sorted(caches, key=lambda cache: cache.stat().st_mtime, reverse=True)[KEPT_CACHES:]:
            remove_cache(stale)
    except OSError:
        pass  # another process is tidying up
    return str(folder)


def remove_cache(folder: Path) -> None:
    """Delete Numba's files in one of its cache folders, and the folders that are empty then; whatever else stays."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        with suppress(OSError):
            if path.is_dir():
                path.rmdir()
            elif path.suffix in NUMBA_SUFFIXES:
                path.unlink()


CACHE_FOLDER = prepare_cache(cache_root(), source_hash())


@contextmanager
def _numba_cache_folder() -> Iterator[None]:
    """Numba reads its cache folder while decorating: set ours for that moment, and leave other packages theirs."""
    theirs = config.CACHE_DIR
    config.CACHE_DIR = CACHE_FOLDER or theirs
    try:
        yield
    finally:
        config.CACHE_DIR = theirs


class Compiled:
    """A function with two faces: called from Python it is compiled on its own, and cached; called from compiled code it
    becomes part of its caller (see kernels.inner). Each face is compiled when it is first needed."""

    def __init__(self, function: Callable[..., Any], interpreted: bool = False, **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.options = options
        self.inner = numba.njit(**INNER_OPTIONS, **options)(function)
        self.outer = function
        if not interpreted:
            with _numba_cache_folder():
                self.outer = numba.njit(cache=CACHE_FOLDER is not None, **OPTIONS, **options)(function)

    def __call__(self, *args: Any) -> Any:
        """Call the outer face."""
        return self.outer(*args)

    @property
    def in_cache(self) -> bool:
        """Whether an earlier process has compiled the outer face (for some argument types, on some processor)."""
        name = f"{self.__module__.rpartition('.')[2]}.{self.__qualname__}-*.nbi"  # type: ignore[attr-defined]
        return CACHE_FOLDER is not None and any(Path(CACHE_FOLDER).glob(f"*/{name}"))

    @functools.cached_property
    def uncached(self) -> Callable[..., Any]:
        """The outer face for types from outside pgrad.

        An index in the cache names every type it was compiled for; another process that cannot import one of them
        could not read it. And nothing would notice an edit of theirs.
        """
        return numba.njit(**OPTIONS, **self.options)(self.outer.py_func)  # type: ignore[no-any-return, attr-defined]


@numba.extending.typeof_impl.register(Compiled)  # type: ignore[untyped-decorator]
def _type_of_compiled(value: Compiled, context: Any) -> Any:
    return numba.types.Dispatcher(value.inner)


def face_for(function: F, value: Any) -> F:
    """The outer face of a compiled function for an argument like `value`: cached only if its type is pgrad's own."""
    own = type(value).__module__.partition(".")[0] == __name__.partition(".")[0]
    return function if own else cast(F, cast(Any, function).uncached)


def strict(function: F) -> F:
    """Compile with IEEE arithmetic."""
    return cast(F, Compiled(function))


def dense(function: F) -> F:
    """Compile with sums reordered and multiply-adds fused."""
    return cast(F, Compiled(function, fastmath=REORDERING))


def both(function: F) -> F:
    """Leave the function as it is for Python, and let compiled code call it too (multiply-adds may be fused there)."""
    return cast(F, Compiled(function, interpreted=True, fastmath={"contract"}, forceinline=True))


def compiled_as(target: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function from argument *types* to the function that compiled calls of `target` shall inline.

    This is `numba.extending.overload`, which compares signatures and takes annotations and other names of arguments
    for differences: both are removed here.
    """
    names = tuple(inspect.signature(target).parameters)

    def register(choose: F) -> F:
        def choose_plain(*types: Any) -> Any:
            return plain(choose(*types), names)

        bare = [p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(choose).parameters.values()]
        choose_plain.__signature__ = inspect.Signature(bare)  # type: ignore[attr-defined]
        numba.extending.overload(target, jit_options={**INNER_OPTIONS, "forceinline": True})(choose_plain)
        return choose

    return register


def plain(function: Any, names: tuple[str, ...]) -> Any:
    """The same function without annotations, its arguments called `names`."""
    code = function.__code__
    if code.co_argcount == len(names) and not code.co_cellvars:
        code = code.replace(co_varnames=(*names, *code.co_varnames[len(names) :]))
    return FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)

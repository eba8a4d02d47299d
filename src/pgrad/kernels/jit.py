"""How pgrad compiles: two sets of floating-point rules and one cache that is never stale.

`strict` keeps IEEE arithmetic in the order written: environments, returns, optimisers, anything that looks for NaN.
`dense` lets LLVM reorder sums and fuse multiply-adds, which is what vectorises a dot product. It never assumes that
numbers are finite, so a NaN still reaches the check that looks for it.

Numba notices an edit in the file of a cached function but not in the files of the functions it calls. The cache folder
is therefore named by a hash of every source that compiled code can come from.
"""

import functools
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        stale = sorted(root.iterdir(), key=lambda sibling: sibling.stat().st_mtime, reverse=True)[KEPT_CACHES:]
    except OSError:
        return None
    for sibling in stale:
        remove_cache(sibling)
    return str(folder)


def remove_cache(folder: Path) -> None:
    """Delete one of Numba's cache folders (its files and theirs only); whatever is in the way stays."""
    for path in sorted(folder.rglob("*"), reverse=True):
        try:
            path.rmdir() if path.is_dir() else path.unlink()
        except OSError:
            continue
    try:
        folder.rmdir()
    except OSError:
        return


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
        self.inner = numba.njit(**INNER_OPTIONS, **options)(function)
        self.outer = function
        if not interpreted:
            with _numba_cache_folder():
                self.outer = numba.njit(cache=CACHE_FOLDER is not None, **OPTIONS, **options)(function)

    def __call__(self, *args: Any) -> Any:
        """Call the outer face."""
        return self.outer(*args)


@numba.extending.typeof_impl.register(Compiled)  # type: ignore[untyped-decorator]
def _type_of_compiled(value: Compiled, context: Any) -> Any:
    return numba.types.Dispatcher(value.inner)


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

    This is `numba.extending.overload`, which compares signatures and takes annotations for differences: they are
    removed here.
    """

    def register(choose: F) -> F:
        def choose_unannotated(*types: Any) -> Any:
            return unannotated(choose(*types))

        bare = [p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(choose).parameters.values()]
        choose_unannotated.__signature__ = inspect.Signature(bare)  # type: ignore[attr-defined]
        numba.extending.overload(target, jit_options={**INNER_OPTIONS, "forceinline": True})(choose_unannotated)
        return choose

    return register


def unannotated(function: Any) -> Any:
    """The same function without annotations."""
    return FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )

"""How pgrad compiles: two sets of floating-point rules and one cache that is never stale.

`strict` keeps IEEE arithmetic in the order written: environments, returns, optimisers, anything that looks for NaN.
`dense` lets LLVM reorder sums and fuse multiply-adds, which is what vectorises a dot product. A NaN passes through it,
but cannot be looked for in it: `isfinite` is a difference of a number and itself there, and may be dropped.

Numba notices an edit in the file of a cached function but not in the files of the functions it calls. The cache folder
is therefore named by a hash of every source that compiled code can come from. What is compiled for a user's own types
has a folder for itself, named by a hash of the user's code as well (see kernels.fingerprint): an index in the cache
names the types that it was compiled for, and a process that cannot import one of them could not read it.
"""

import functools
import hashlib
import inspect
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numba.extending
from numba import config

from pgrad.kernels.fingerprint import fingerprint, foreign_types
from pgrad.kernels.inline_compiler import InnerCompiler

F = TypeVar("F", bound=Callable[..., Any])

REORDERING = {"reassoc", "contract", "nsz", "arcp"}
OPTIONS = {"nogil": True, "error_model": "numpy"}
INNER_OPTIONS = {
    **OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": InnerCompiler,
}
COMPILED_ROOMS = ("kernels", "envs", "env_check", "estimators", "policies", "rollouts", "algorithms")
KEPT_CACHES = 4
FOREIGN_CACHES = "environments"  # a folder beside the caches, of caches for users' types
KEPT_FOREIGN_CACHES = 16
CACHE_NAME = re.compile(r"[0-9a-f]{16}")
NUMBA_SUFFIXES = (".nbi", ".nbc")


class Included(NamedTuple):
    """Switch that compiles an optional part of an iteration into it.

    Numba compiles a function once for each type of its arguments, and drops the branch that `needed` rules out; so a
    part that this configuration omits costs no compilation. That saves a quarter of the first compilation.
    """

    needed: bool = True


class Omitted(NamedTuple):
    """Switch that leaves an optional part of an iteration out (see `Included`)."""

    needed: bool = False


def source_hash() -> str:
    """A hash of Numba's version and of all of pgrad's sources that compiled code can come from."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for file in [
        package / "spaces.py",
        *(file for room in COMPILED_ROOMS for file in sorted((package / room).rglob("*.py"))),
    ]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """`PGRAD_CACHE_DIR`, else `pgrad` in the user's cache folder."""
    if chosen := os.environ.get("PGRAD_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgrad"


def prepare_cache(root: Path, name: str, kept: int = KEPT_CACHES) -> str | None:
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
        for stale in sorted(caches, key=lambda cache: cache.stat().st_mtime, reverse=True)[kept:]:
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


@functools.cache
def foreign_cache(kinds: tuple[type, ...]) -> str | None:
    """The folder of what is compiled for these types of a user's; None where nothing can be kept."""
    code = fingerprint(kinds)
    if code is None or CACHE_FOLDER is None:
        return None
    name = hashlib.sha256(f"{source_hash()} {code}".encode()).hexdigest()[:16]
    return prepare_cache(cache_root() / FOREIGN_CACHES, name, KEPT_FOREIGN_CACHES)


def cache_for(value: Any) -> str | None:
    """The folder of what is compiled for an argument like `value`; None where nothing can be kept."""
    kinds = foreign_types(value)
    return foreign_cache(kinds) if kinds else CACHE_FOLDER


@contextmanager
def _numba_cache_folder(folder: str | None) -> Iterator[None]:
    """Numba reads its cache folder while decorating: set ours for that moment, and leave other packages theirs."""
    theirs = config.CACHE_DIR
    config.CACHE_DIR = folder or theirs
    try:
        yield
    finally:
        config.CACHE_DIR = theirs


_DECORATING = threading.Lock()


class Compiled:
    """A function with two faces: called from Python it is compiled on its own, and cached; called from compiled code it
    becomes part of its caller (see kernels.inner). Each face is compiled when it is first needed."""

    def __init__(self, function: Callable[..., Any], interpreted: bool = False, **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.options = options
        self.inner = numba.njit(**INNER_OPTIONS, **options)(function)
        self.outer = function if interpreted else self._face(CACHE_FOLDER)
        self._foreign_faces: dict[tuple[type, ...], Callable[..., Any]] = {}

    def _face(self, folder: str | None) -> Callable[..., Any]:
        with _numba_cache_folder(folder):
            return numba.njit(cache=folder is not None, **OPTIONS, **self.options)(self.__wrapped__)  # type: ignore[no-any-return, attr-defined]

    def __call__(self, *args: Any) -> Any:
        """Call the outer face."""
        return self.outer(*args)

    def face_for(self, value: Any) -> Callable[..., Any]:
        """The outer face for an argument like `value`; users' types have one each.

        Numba's dispatcher takes named tuples of one name and like fields for one type, be they of an edited file.
        """
        kinds = foreign_types(value)
        if not kinds:
            return self.outer
        with _DECORATING:
            if kinds not in self._foreign_faces:
                self._foreign_faces[kinds] = self._face(foreign_cache(kinds))
            return self._foreign_faces[kinds]

    @property
    def in_cache(self) -> bool:
        """Whether an earlier process has compiled the outer face (for some argument types, on some processor)."""
        return self.in_cache_for(())

    def in_cache_for(self, value: Any) -> bool:
        """The same of the outer face for an argument like `value`."""
        folder = cache_for(value)
        name = f"{self.__module__.rpartition('.')[2]}.{self.__qualname__}-*.nbi"  # type: ignore[attr-defined]
        return folder is not None and any(Path(folder).glob(f"*/{name}"))


@numba.extending.typeof_impl.register(Compiled)  # type: ignore[untyped-decorator]
def _type_of_compiled(value: Compiled, context: Any) -> Any:
    return numba.types.Dispatcher(value.inner)


def face_for(function: F, value: Any) -> F:
    """The outer face of a compiled function for an argument like `value`, whose type may be a user's."""
    return cast(F, cast(Compiled, function).face_for(value))


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

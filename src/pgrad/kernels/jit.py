"""Compilation: two sets of floating-point rules, and one cache that is never stale.

`strict` keeps IEEE arithmetic in the order written: environments, returns, optimisers, anything that looks for NaN.
`dense` lets LLVM reorder sums and fuse multiply-adds, which is what vectorises a dot product. A NaN passes through it,
but cannot be looked for in it: `isfinite` is x - x == 0 there, which LLVM may simplify to true.

Numba notices an edit in the file of a cached function but not in the files of the functions it calls. The cache folder
is therefore named by a hash of every source that compiled code can come from. What is compiled for a user's own types
has a folder of its own, named by a hash of the user's code as well (see kernels.fingerprint): an index in the cache
names the types that its code was compiled for, and only a process that can import them all can read it.

Without Numba, as in a browser's Python, every function is the Python it is written in: slow, and right.
"""

import functools
import hashlib
import importlib.util
import inspect
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, cast

from pgrad.kernels.fingerprint import fingerprint, foreign_types

NUMBA = importlib.util.find_spec("numba") is not None
if NUMBA:
    import numba
    import numba.extending
    from numba.core.errors import NumbaError

    from pgrad.kernels.inline_compiler import InnerCompiler, OuterCompiler
    from pgrad.kernels.numba_cache import Unkept, cache_in

F = TypeVar("F", bound=Callable[..., Any])

REORDERING = {"reassoc", "contract", "nsz", "arcp"}
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
if NUMBA:
    OUTER_OPTIONS = {**OPTIONS, "pipeline_class": OuterCompiler}
    INNER_OPTIONS = {**OPTIONS, "pipeline_class": InnerCompiler, "no_cpython_wrapper": True}
    COMPILE_ERRORS: tuple[type[Exception], ...] = (NumbaError, NotImplementedError)  # what Numba raises
else:
    COMPILE_ERRORS = ()
COMPILED_ROOMS = ("kernels", "envs", "estimators", "rollouts", "algorithms")
NOT_COMPILED = {  # files in these rooms that no compiled code comes from: an edit there keeps the cache
    "algorithms/actor_critic.py",
    "algorithms/natural.py",
    "algorithms/notebook.py",
    "algorithms/ppo.py",
    "algorithms/reinforce.py",
    "algorithms/reward_to_go.py",
    "algorithms/total_return.py",
    "algorithms/trpo.py",
    "algorithms/value_baseline.py",
    "envs/contract.py",
    "envs/gymnasium_adapter.py",
    "envs/make.py",
    "envs/reference.py",
    "envs/robot_arm_image.py",
    "estimators/catalogue.py",
    "estimators/episodes.py",
    "kernels/compile_clock.py",
    "rollouts/compiled_stepwise.py",
    "rollouts/user_env_guard.py",
    "rollouts/vectorized.py",
}
KEPT_CACHES = 4
FOREIGN_CACHES = "environments"  # a folder beside the caches, of caches for users' types
KEPT_FOREIGN_CACHES = 16
CACHE_NAME = re.compile(r"[0-9a-f]{16}")
NUMBA_SUFFIXES = {".nbi", ".nbc"}


class Included(NamedTuple):
    """Switch that compiles an optional part of an iteration into it.

    Numba compiles a function once for each type of its arguments, and of the part only what the switch's type wants: a
    part that this configuration omits costs no compilation. That saves a quarter of the first compilation.
    """

    needed: bool = True


class Omitted(NamedTuple):
    """Switch that leaves an optional part of an iteration out (see `Included`)."""

    needed: bool = False


def compiled_sources() -> list[Path]:
    """Return the files that compiled code can come from: the compiled rooms without NOT_COMPILED, and four others."""
    package = Path(__file__).parent.parent
    files = [file for room in COMPILED_ROOMS for file in sorted((package / room).rglob("*.py"))]
    others = [package / name for name in ("spaces.py", "exact/table.py", "lesson/engine.py", "lesson/theory.py")]
    return [*others, *(f for f in files if f.relative_to(package).as_posix() not in NOT_COMPILED)]


def source_hash() -> str:
    """Return a hash of Numba's version and of all of pgrad's sources that compiled code can come from."""
    digest = hashlib.sha256(numba.__version__.encode())
    for file in compiled_sources():
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Return `PGRAD_CACHE_DIR`, else `pgrad` in the user's cache folder."""
    if chosen := os.environ.get("PGRAD_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgrad"


def prepare_cache(root: Path, name: str, kept: int = KEPT_CACHES) -> str | None:
    """Make `root/name`, delete all but its newest few siblings, return its path; None where nothing can be written."""
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
    """Delete Numba's files in one of its cache folders and the folders that are then empty; keep any other file."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        with suppress(OSError):
            if path.is_dir():
                path.rmdir()
            elif not NUMBA_SUFFIXES.isdisjoint(path.suffixes):  # what a killed process left unfinished included
                path.unlink()


CACHE_FOLDER = prepare_cache(cache_root(), source_hash()) if NUMBA else None


@functools.cache
def foreign_cache(kinds: tuple[type, ...]) -> str | None:
    """Return the folder of what is compiled for these types of a user's; None where nothing can be kept."""
    code = fingerprint(kinds) if CACHE_FOLDER is not None else None
    if code is None:
        return None
    name = hashlib.sha256(f"{source_hash()} {code}".encode()).hexdigest()[:16]
    return prepare_cache(cache_root() / FOREIGN_CACHES, name, KEPT_FOREIGN_CACHES)


def cache_for(value: Any) -> str | None:
    """Return the folder of what is compiled for an argument like `value`; None where nothing can be kept."""
    kinds = foreign_types(value)
    return foreign_cache(kinds) if kinds else CACHE_FOLDER


_DECORATING = threading.Lock()


class Compiled:
    """A function with two faces: called from Python it is compiled on its own, and cached; called from compiled code it
    becomes part of its caller (see kernels.inline_compiler). Each face is compiled when it is first needed."""

    def __init__(self, function: Callable[..., Any], interpreted: bool = False, **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.options = options
        if NUMBA:
            self.inner = numba.njit(**INNER_OPTIONS, **{"forceinline": False, **options})(function)
        self.outer = function if interpreted else self._face(CACHE_FOLDER)
        self._foreign_faces: dict[tuple[type, ...], Callable[..., Any]] = {}

    def _face(self, folder: str | None) -> Callable[..., Any]:
        function = self.__wrapped__  # type: ignore[attr-defined]
        if not NUMBA:
            return function  # type: ignore[no-any-return]
        face = numba.njit(**OUTER_OPTIONS, **self.options)(function)
        if CACHE_FOLDER is None:
            face._cache = Unkept(cache_root())
        elif folder is not None:
            face._cache = cache_in(folder, function)
        return face  # type: ignore[no-any-return]

    def __call__(self, *args: Any) -> Any:
        """Call the outer face."""
        return self.outer(*args)

    def face_for(self, value: Any) -> Callable[..., Any]:
        """Return the outer face for an argument like `value`; each of a user's types has its own.

        Numba's dispatcher does not tell apart named tuples of equal names and fields, even after an edit of their file.
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
        """True if an earlier process has compiled the outer face (for some argument types, on some processor)."""
        return self.in_cache_for(())

    def in_cache_for(self, value: Any) -> bool:
        """Return True if an earlier process has compiled the outer face for an argument like `value`."""
        folder = cache_for(value)
        name = f"{self.__module__.rpartition('.')[2]}.{self.__qualname__}-*.nbi"  # type: ignore[attr-defined]
        return folder is not None and any(Path(folder).glob(f"*/{name}"))


if NUMBA:

    @numba.extending.typeof_impl.register(Compiled)  # type: ignore[untyped-decorator]
    def _type_of_compiled(value: Compiled, context: Any) -> Any:
        return numba.types.Dispatcher(value.inner)


def compiles() -> bool:
    """Return whether functions are compiled: Numba is installed, and not told by NUMBA_DISABLE_JIT to leave it."""
    return NUMBA and not numba.config.DISABLE_JIT


def face_for(function: F, value: Any) -> F:
    """Return the outer face of a compiled function for an argument like `value`, whose type may be a user's."""
    return cast(F, cast(Compiled, function).face_for(value))


def strict(function: F) -> F:
    """Compile with IEEE arithmetic."""
    return cast(F, Compiled(function))


def inlined(function: F) -> F:
    """Compile like `strict`, and into the caller: for parts of a loop whose records would take long to pass."""
    return cast(F, Compiled(function, forceinline=True))


def dense(function: F) -> F:
    """Compile with sums reordered and multiply-adds fused."""
    return cast(F, Compiled(function, fastmath=REORDERING))


def both(function: F) -> F:
    """Leave the function to Python, and let compiled code call it too (where multiply-adds may be fused)."""
    return cast(F, Compiled(function, interpreted=True, fastmath={"contract"}, forceinline=True))


def compiled_as(target: Callable[..., Any]) -> Callable[[F], F]:
    """Decorate a function that maps argument *types* to the function which compiled calls of `target` inline.

    This is `numba.extending.overload`, but free of its demand for equal signatures: annotations and the arguments' own
    names are removed.
    """
    names = tuple(inspect.signature(target).parameters)

    def register(choose: F) -> F:
        def choose_plain(*types: Any) -> Any:
            return plain(choose(*types), names)

        if not NUMBA:
            return choose
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(choose).parameters.values()]
        choose_plain.__signature__ = inspect.Signature(bare)  # type: ignore[attr-defined]
        numba.extending.overload(target, jit_options={**INNER_OPTIONS, "forceinline": True})(choose_plain)
        return choose

    return register


def plain(function: Any, names: tuple[str, ...]) -> Any:
    """Return the function without annotations and with its arguments called `names`."""
    code = function.__code__
    if code.co_argcount == len(names) and not code.co_cellvars:
        code = code.replace(co_varnames=(*names, *code.co_varnames[len(names) :]))
    return FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)

"""Numba's cache of one function's compiled code, made safe: neither a damaged file nor a full disk stops a program.

An entry that cannot be read counts as missing: the function is compiled again and the entry overwritten. Entries carry
a checksum, since a flipped bit in machine code would otherwise be executed. If nothing can be written, compilation
goes on without a cache, and one line of the log says so.

Numba lets a dispatcher's cache be replaced, but by private names; tests damage real caches, so that a release of Numba
which moves them is noticed.
"""

import functools
import hashlib
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, UserProvidedCacheLocator
from numba.core.serialize import dumps

log = logging.getLogger("pgrad")


@functools.cache
def warn_unusable(folder: str, reason: str) -> None:
    """Log, once, that compiled code cannot be kept."""
    log.warning(
        "the cache at %s cannot be used (%s), so compilation repeats each time; PGRAD_CACHE_DIR chooses another folder",
        folder,
        reason,
    )


class Sealed:
    """An object that is pickled with a checksum."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> Any:
        payload = dumps(self.value)
        return unseal, (payload, hashlib.sha256(payload).digest())


def unseal(payload: bytes, checksum: bytes) -> Any:
    """Return the object that was sealed; raise ValueError where its bytes have changed."""
    if hashlib.sha256(payload).digest() != checksum:
        raise ValueError("the checksum differs")
    return pickle.loads(payload)


class InGivenFolder(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's way to store compiled code, in the given folder or not at all.

    Numba would fall back to `__pycache__` beside the source, where edits of other files go unnoticed.
    """

    _locator_classes = (UserProvidedCacheLocator,)


class SafeCache(FunctionCache):  # type: ignore[misc]
    """The cache of one function, which raises no errors."""

    _impl_class = InGivenFolder
    _damaged = False

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._dump = lambda value: pickle.dumps(Sealed(value))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what is compiled for a signature; None where there is nothing or it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # damaged files raise anything, as do types that this process cannot import
            self._damaged = True
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what is compiled for a signature, if possible."""
        try:
            if self._damaged:
                self.flush()
                self._damaged = False
            super().save_overload(sig, data)
        except Exception as error:
            warn_unusable(str(Path(self.cache_path).parents[1]), getattr(error, "strerror", None) or str(error))


class Unkept(NullCache):  # type: ignore[misc]
    """A cache that keeps nothing, and says so when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_overload(self, sig: Any, data: Any) -> None:
        """Log that nothing is kept."""
        warn_unusable(str(self.folder), "it cannot be written")


@contextmanager
def numba_cache_folder(folder: str) -> Iterator[None]:
    """Set Numba's cache folder, which it reads when a cache is made, and then restore that of other packages."""
    theirs = config.CACHE_DIR
    config.CACHE_DIR = folder
    try:
        yield
    finally:
        config.CACHE_DIR = theirs


def cache_in(folder: str, function: Callable[..., Any]) -> NullCache | SafeCache:
    """Return a cache of a function's compiled code in a folder; one that keeps nothing if that cannot be written."""
    with numba_cache_folder(folder):
        try:
            return SafeCache(function)
        except RuntimeError:  # "no locator available"
            return Unkept(Path(folder).parent)

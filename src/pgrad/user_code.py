"""Import users' files and modules, and show their tracebacks without pgrad's lines."""

import ast
import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pgrad.errors import EnvError, nearest
from pgrad.kernels.fingerprint import is_library

MODULE_PREFIX = "pgrad_user_file"

LOADED: dict[str, dict[str, str]] = {}  # for each of our modules, the modules it brought along and their files' hashes


def import_file(path: Path) -> ModuleType:
    """Import a file as a module whose name every process derives from its path and content.

    The cache of compiled code refers to types by their modules' names, so another process must find them there again.
    """
    if not path.is_file():
        near = [str(path.with_name(other.name)) for other in path.parent.glob("*.py")]
        raise EnvError(f"there is no file '{path}': {nearest(str(path), near, f'looked in {path.parent.resolve()}')}")
    path = path.resolve()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvError(f"cannot read '{path}': {error.strerror or error}") from error
    digest = hashlib.sha256(f"{path}\0".encode() + content).hexdigest()[:12]
    name = f"{MODULE_PREFIX}_{digest}_{path.stem if path.stem.isidentifier() else 'module'}"
    if name in sys.modules and unchanged(LOADED.get(name, {})):
        return sys.modules[name]
    for brought in LOADED.pop(name, {}):
        sys.modules.pop(brought, None)
    before = set(sys.modules)
    module = execute(name, path, content)
    before -= {other for brought in LOADED.values() for other in brought}  # neighbours may be shared
    new = set(sys.modules) - before - {name}
    LOADED[name] = {other: hash_of(other) for other in new if lies_beside(other, path)}
    return module


def readable(module: str) -> str:
    """Return a module's name as its author knows it, of a file the file's."""
    return re.sub(rf"^{MODULE_PREFIX}_[0-9a-f]{{12}}_", "", module)


def imported_files() -> dict[str, Path]:
    """Return the files that this process has imported, by their modules' names."""
    return {name: Path(str(sys.modules[name].__file__)) for name in LOADED if name in sys.modules}


def execute(name: str, path: Path, content: bytes) -> ModuleType:
    """Execute a file's content as a new module in sys.modules."""
    try:
        tree = ast.parse(content, str(path))
        code = compile(tree, str(path), "exec")
    except SyntaxError as error:
        raise EnvError(
            f"'{path}' is not valid Python, line {error.lineno}: {error.msg}\n    {(error.text or '').strip()}"
        ) from error
    except ValueError as error:
        raise EnvError(f"'{path}' is not valid Python: {error}") from error
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        with importing_from(path.parent):
            exec(code, vars(module))
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception | SystemExit):
            raise
        raise EnvError(f"'{path}' raised when it was imported:\n{own_traceback(error)}") from error
    if other := earlier_namesake(tree, path):
        del sys.modules[name]
        raise EnvError(
            f"'{path}' imports '{other}' from the file beside it, but this process has already imported "
            f"{sys.modules[other].__file__} under that name: rename one of the two"
        )
    return module


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Search that folder first, like a script in it. No bytecode is written: it would miss an edit within a second
    that keeps the file's size."""
    theirs = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = theirs
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def earlier_namesake(tree: ast.Module, path: Path) -> str | None:
    """Return the name of an import that resolved to an earlier module instead of the file's neighbour, if any."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    for name in sorted({name.partition(".")[0] for name in names}):
        neighbour, file = path.with_name(f"{name}.py"), getattr(sys.modules.get(name), "__file__", None)
        if neighbour.is_file() and file and Path(file).resolve() != neighbour and not is_library(name):
            return name
    return None


def import_module(name: str) -> ModuleType:
    """Import a module by name, searching the current folder first; errors become EnvErrors."""
    try:
        with importing_from(Path.cwd()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise EnvError(
                f"there is no module '{name}': install its package, or name a file like `my_env.py:MyEnv`"
            ) from error
        raise EnvError(f"'{name}' raised when it was imported:\n{own_traceback(error)}") from error
    except SyntaxError as error:
        raise EnvError(f"'{error.filename}' is not valid Python, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise EnvError(f"'{name}' raised when it was imported:\n{own_traceback(error)}") from error


def own_traceback(error: BaseException) -> str:
    """Return an exception's traceback without the lines of pgrad and of the import system."""
    package = Path(__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if package not in Path(f.filename).parents and "importlib" not in f.filename]
    return "".join([*traceback.format_list(own), *traceback.format_exception_only(error)]).rstrip()


def lies_beside(module: str, path: Path) -> bool:
    """Return True if a module's file is in the folder of `path` or below it."""
    file = getattr(sys.modules[module], "__file__", None)
    return file is not None and path.parent in Path(file).parents and "site-packages" not in Path(file).parts


def hash_of(module: str) -> str:
    """Return a hash of a module's file; empty if it is gone."""
    file: str = getattr(sys.modules.get(module), "__file__", None) or ""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def unchanged(brought: dict[str, str]) -> bool:
    """Return True if the files of these modules have not changed."""
    return all(hash_of(name) == digest for name, digest in brought.items())

"""Check a learner's file in a process of its own, which may hang, crash, fill the memory or print without end.

It has two seconds, limits on memory and on what it writes, no input, a folder of its own, and is killed with all that
it has started. The clock starts when the libraries that the file imports are loaded. Its verdict comes back as JSON, so
that nothing of what the file made is unpickled. This protects from mistakes, not from malice.
"""

import ast
import faulthandler
import importlib
import importlib.util
import io
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import types
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pgrad.errors import ConfigError, nearest
from pgrad.exercises.calls import Once, Trouble, trouble_of
from pgrad.exercises.check import check, exercise
from pgrad.exercises.verdict import NOT_BEGUN, Verdict
from pgrad.user_code import importing_from

SECONDS = 2.0
LOADING = 60.0  # seconds for the libraries that the file imports
MEMORY = 2 * 2**30  # bytes of data, beside what the process begins with
WRITTEN = 2**20  # bytes in one file
ENDLESS, DIED, NO_PYTHON, NO_FUNCTION = "it does not end", "the process died", "not valid Python", "no such function"

CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def check_file(name: str, path: Path, seed: int, seconds: float = SECONDS, context: Any = CONTEXT) -> Verdict:
    """Return the verdict on the function `name` in a file, from a process that the multiprocessing context starts.

    Raises ConfigError if there is no such file.
    """
    exercise(name)
    try:
        source = path.read_bytes()
    except OSError as error:
        near = [str(path.with_name(other.name)) for other in path.parent.glob("*.py")]
        hint = nearest(str(path), near, f"`pgrad exercise {name}` writes a file to begin with")
        raise ConfigError([f"cannot read '{path}', {error.strerror}: {hint}"]) from None
    theirs, ours = context.Pipe(duplex=False)
    child = context.Process(target=answer, args=(ours, name, path.resolve(), source, seed), daemon=True)
    child.start()
    ours.close()
    try:
        return verdict_from(theirs, name, seed, seconds) or died(child, name, seed)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.kill()
        child.join()
        theirs.close()


def verdict_from(pipe: Connection, name: str, seed: int, seconds: float) -> Verdict | None:
    """Return what the process sends; None if it ends without."""
    try:
        for limit in (LOADING, seconds):
            if not pipe.poll(limit):
                sentence = f"it has not returned after {limit:g} s: look for a loop whose condition never becomes false"
                return Verdict(name, False, ENDLESS, sentence, seed=seed)
            text = pipe.recv_bytes().decode()
    except EOFError:
        return None
    return Verdict.from_json(text)


def died(child: Any, name: str, seed: int) -> Verdict:
    """Return the verdict on a process that ended without one."""
    child.join(1.0)
    code = child.exitcode
    how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
    return Verdict(name, False, DIED, f"the answer ended its own process ({how}): return the answer instead", seed=seed)


# In the process of its own


def answer(pipe: Connection, name: str, path: Path, source: bytes, seed: int) -> None:
    """Send b"ready", then the verdict as JSON, and leave without running anything further of the file."""
    os.setsid()
    confine()
    kept = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(Once(kept)):
        os.chdir(folder)
        try:
            try:
                tree = parsed(source)
                import_libraries(tree, path.parent)
            finally:
                pipe.send_bytes(b"ready")
            found = check(name, function_of(executed(tree, path), name), seed)
        except Trouble as trouble:
            found = Verdict(name, False, trouble.name, trouble.sentence, seed=seed)
        pipe.send_bytes(replace(found, printed=kept.getvalue() + found.printed).to_json().encode())
    os._exit(0)


def confine() -> None:
    """Limit memory and files, and close input and output."""
    memory = data_so_far() + MEMORY
    for what, limit in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, WRITTEN), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a limit that is lower already
            resource.setrlimit(what, (limit, limit))
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123, for the process's lifetime


def data_so_far() -> int:
    """Return the bytes of data that this process has by now, those of its parent included; 0 without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def parsed(source: bytes) -> ast.Module:
    """Return the file's syntax tree; raise Trouble if it is not Python or empty."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        line = (error.text or "").strip()
        if "???" in line:
            raise Trouble(NOT_BEGUN, f"put your code where the `???` is, line {error.lineno}") from None
        where = f"line {error.lineno}: {error.msg}: {line}" if line else error.msg
        raise Trouble(NO_PYTHON, where) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Trouble(NO_PYTHON, f"Python cannot read it: {error}") from None
    if not tree.body:
        raise Trouble(NOT_BEGUN, "the file is empty")
    return tree


def import_libraries(tree: ast.Module, folder: Path) -> None:
    """Import the installed packages that the file imports; what fails will fail again where the file does it."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    for name in sorted({name.partition(".")[0] for name in names}):
        if not (folder / f"{name}.py").exists() and not (folder / name).exists():
            with suppress(Exception):
                importlib.import_module(name)


def executed(tree: ast.Module, path: Path) -> types.ModuleType:
    """Execute the file; raise Trouble if it raises."""
    module = types.ModuleType("answer")
    module.__file__ = str(path)
    sys.modules["answer"] = module
    try:
        with importing_from(path.parent):
            exec(compile(tree, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        raise trouble_of(error) from None
    return module


def function_of(module: types.ModuleType, name: str) -> Any:
    """Return the function; raise Trouble if the file has none of this name."""
    if hasattr(module, name):
        return getattr(module, name)
    own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    raise Trouble(
        NO_FUNCTION, f"the file defines no function `{name}`: {nearest(name, own) if own else 'it defines none'}"
    )

"""A pytest session that collects the tests once, plants one error after another, and sees which test notices.

All code runs interpreted. The session's process has imported everything; for each error it forks, and the copy
exchanges the code of one function, then runs the tests that call it, the quickest first, up to the first that fails.
Two kinds of errors take longer: for what runs on import, the copy imports pgrad anew; and what is compiled in the place
of a function (`compiled_as`) runs nowhere else, so a copy of the package compiles it in a new process.
"""

import ast
import functools
import gc
import hashlib
import importlib.abc
import importlib.machinery
import json
import math
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol
from edits import ROOT, SOURCES, Edit

COMPILING = {  # tests of what is compiled in the place of a function, in the files that have such
    "algorithms/epochs.py": ["tests/algorithms/test_epochs.py"],
    "algorithms/iteration.py": ["tests/algorithms/test_iteration.py", "tests/algorithms/test_epochs.py"],
    "algorithms/normalization.py": ["tests/algorithms/test_normalization.py"],
    "estimators/ratio.py": ["tests/estimators/test_ratio.py"],
    "kernels/atomics.py": ["tests/kernels/test_crew.py"],
    "kernels/crew.py": ["tests/kernels/test_crew.py"],
    "kernels/heads.py": [
        "tests/kernels/test_heads.py::test_actions_are_taken_in_order_or_in_an_order",
        "tests/kernels/test_heads.py::test_each_number_has_bounds_of_its_own",
        "tests/kernels/test_heads.py::test_the_greedy_action_is_the_mode",
        "tests/kernels/test_gsde.py",
        "tests/algorithms/test_signal_to_noise.py::test_training_records_how_many_actions_are_clipped",
        "tests/algorithms/test_signal_to_noise.py::test_training_records_what_its_first_steps_see",
    ],
    "kernels/lanes.py": ["tests/kernels/test_lanes.py"],
    "kernels/random.py": ["tests/kernels/test_random.py"],
    "rollouts/rollout.py": ["tests/algorithms/test_signal_to_noise.py::test_training_records_what_its_first_steps_see"],
}
ONLY_COMPILED = {"kernels/atomics.py", "kernels/crew.py"}  # files with no part that means the same interpreted
PATIENCE = 6.0  # seconds of computing for a test, interpreted; those that take longer are left out
BUDGET = 20.0  # the same for all tests of an error
IDLE = 10.0  # how many times longer a process may take than it computes: others compute as well
MEMORY = 12 << 30  # bytes, for an error that fills it
OPTIONS = ["-q", "-o", "addopts=", "-o", "filterwarnings=ignore", "--import-mode=importlib", "-m", "not slow"]
OPTIONS += ["-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=0"]


class Known(NamedTuple):
    """What a test did without errors."""

    seconds: float
    calls: frozenset[str]  # the functions that it called, as `file function`


class Verdict(NamedTuple):
    """What became of an error."""

    noticed: bool
    by: str  # the test; or why there is none
    seconds: float


class Child(NamedTuple):
    """A forked process, and where it writes what it has found."""

    pid: int
    reading: int
    deadline: float


class Harness:
    """The plugin: in place of running the tests it plants `edits`, and tells `told` of each."""

    def __init__(self, edits: Iterable[Edit], told: Callable[[Edit, Verdict], None], jobs: int, folder: Path) -> None:
        self.edits, self.told, self.jobs, self.folder = edits, told, jobs, folder

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what each test calls, then plant the errors."""
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking
        known = learn(session.items, self.folder)
        functions, items = functions_in_memory(), {item.nodeid: item for item in session.items}
        gc.freeze()
        waiting: dict[int, tuple[Edit, Child, float]] = {}
        for edit in self.edits:
            if chosen := tests_for(edit, known):
                while len(waiting) >= self.jobs:
                    self.collect(waiting)
                if is_compiled(edit):
                    child = forked(functools.partial(try_compiled, edit, chosen), 300.0)
                else:
                    act = functools.partial(try_out, edit, functions, [items[name] for name in chosen])
                    child = forked(act, 4.0 + 2.0 * sum(known[name].seconds for name in chosen))
                waiting[child.reading] = edit, child, time.monotonic()
            else:
                self.told(edit, Verdict(False, "no test calls it interpreted", 0.0))
        while waiting:
            self.collect(waiting)
        return True

    def collect(self, waiting: dict[int, tuple[Edit, Child, float]]) -> None:
        """Wait for some process to end, or for one that takes too long, which counts as noticed."""
        first = min(child.deadline for _, child, _ in waiting.values())
        ready = select.select(list(waiting), [], [], max(0.0, first - time.monotonic()))[0]
        late = [reading for reading, (_, child, _) in waiting.items() if child.deadline <= time.monotonic()]
        for reading in ready or late:
            edit, child, began = waiting.pop(reading)
            by = os.read(reading, 1 << 16).decode() if ready else "the time it takes"
            end(child)
            if by.startswith("harness: "):
                raise RuntimeError(f"{edit.name}\n{by}")
            self.told(edit, Verdict(by != "nothing", by or "the time it takes", time.monotonic() - began))


def forked(act: Callable[[int], None], seconds: float) -> Child:
    """A silent copy of this process that calls `act` with where to write, and may compute for so long."""
    reading, writing = os.pipe()
    limit = math.ceil(seconds)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            act(writing)
        except BaseException:
            os.write(writing, f"harness: {traceback.format_exc()}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    return Child(pid, reading, time.monotonic() + IDLE * seconds)


def end(child: Child) -> None:
    """End a process with all that it has started."""
    os.close(child.reading)
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)


def try_out(edit: Edit, functions: dict[str, list[FunctionType]], items: list[pytest.Item], writing: int) -> None:
    """Plant an error here and write which test notices, or `nothing`."""
    exchanged = exchange(edit, functions)
    noticed = first_failure(items) if exchanged else imported_anew(edit, [item.nodeid for item in items])
    os.write(writing, (noticed or "nothing").encode())


def try_compiled(edit: Edit, tests: list[str], writing: int) -> None:
    """Run tests, compiled, of a copy of the package with the error; write whether they fail, or `nothing`."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pgrad"
        shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / edit.file).write_text(edit.planted(), encoding="utf-8")
        switches = {"PYTHONPATH": folder, "PGRAD_CACHE_DIR": f"{folder}/cache", "NUMBA_DISABLE_JIT": "0"}
        command = [sys.executable, "-m", "pytest", *OPTIONS, "-x", "--timeout", "120", "--rootdir", str(ROOT), *tests]
        failed = subprocess.run(command, cwd=ROOT, env={**os.environ, **switches}, check=False).returncode
    os.write(writing, tests[0].encode() if failed else b"nothing")


def first_failure(items: list[pytest.Item]) -> str | None:
    """Run tests up to the first that fails, and name it."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return item.nodeid
    return None


def exchange(edit: Edit, functions: dict[str, list[FunctionType]]) -> bool:
    """Give a function in memory the code with the error; False where the error is in no function's code."""
    path = str(SOURCES / edit.file)
    code = compile(edit.planted(), path, "exec")
    found = [inner for inner in codes_in(code) if inner.co_qualname == edit.function]
    targets = [f for f in functions.get(key(path, edit.function), []) if f.__code__.co_qualname == edit.function]
    if len(found) != 1 or not targets:
        return False
    if any(len(found[0].co_freevars) != len(target.__code__.co_freevars) for target in targets):
        return False
    for target in targets:
        target.__code__ = found[0]
    return True


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """All code within a module's that is in no function."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            if not constant.co_flags & 0x2:  # a class body, not a function
                yield from codes_in(constant)


def key(path: str, qualified_name: str) -> str:
    """What a function is called here: its file and the outermost function it belongs to."""
    return f"{path[len(str(SOURCES)) + 1 :]} {qualified_name.partition('.<locals>')[0]}"


def functions_in_memory() -> dict[str, list[FunctionType]]:
    """pgrad's functions, by name."""
    result = defaultdict(list)
    for found in gc.get_objects():
        if type(found) is FunctionType and found.__code__.co_filename.startswith(str(SOURCES)):
            result[key(found.__code__.co_filename, found.__code__.co_qualname)].append(found)
    return dict(result)


class PlantedModule(importlib.abc.MetaPathFinder):
    """Imports one module with an error in it."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Find the module, and no other."""
        if name != module_of(self.edit.file):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            file, text = str(SOURCES / self.edit.file), self.edit.planted()
            spec.loader.get_code = lambda _: compile(text, file, "exec")  # type: ignore[method-assign]
        return spec


class Only:
    """Chooses tests, in their order."""

    def __init__(self, names: list[str]) -> None:
        self.place, self.failed = {name: place for place, name in enumerate(names)}, "the import"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen tests."""
        items[:] = sorted((item for item in items if item.nodeid in self.place), key=lambda i: self.place[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the one that failed."""
        if report.failed:
            self.failed = report.nodeid


def imported_anew(edit: Edit, names: list[str]) -> str | None:
    """Import pgrad again with the error, run tests up to the first that fails, and name it."""
    for name in [name for name in sys.modules if name == "pgrad" or name.startswith(("pgrad.", "tests."))]:
        del sys.modules[name]
    sys.meta_path.insert(0, PlantedModule(edit))
    only = Only(names)
    paths = sorted({str(ROOT / name.partition("::")[0]) for name in names})
    status = pytest.main([*OPTIONS, "-x", "--rootdir", str(ROOT), *paths], plugins=[only])
    return None if status == pytest.ExitCode.OK else only.failed


def module_of(file: str) -> str:
    """The module that a file is."""
    return ".".join(("pgrad", *Path(file).with_suffix("").parts)).removesuffix(".__init__")


@functools.cache
def importers(file: str) -> frozenset[str]:
    """The file and those that import names from it."""
    module, result = module_of(file), {file}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            from_it = isinstance(node, ast.ImportFrom) and node.module == module
            package = isinstance(node, ast.ImportFrom) and f"{node.module}.{module.rpartition('.')[2]}" == module
            if from_it or package:
                result.add(path.relative_to(SOURCES).as_posix())
    return frozenset(result)


def is_compiled(edit: Edit) -> bool:
    """Whether only tests that compile can notice the error."""
    return edit.function.endswith("_compiled") or edit.file in ONLY_COMPILED


@functools.cache
def imported_by(test_file: str) -> frozenset[str]:
    """The modules that a file of tests imports names from."""
    tree = ast.parse((ROOT / test_file).read_bytes())
    return frozenset(node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))


def tests_for(edit: Edit, known: dict[str, Known]) -> list[str]:
    """Tests that might notice, in a good order: callers of the function or, for what runs on import, of its file."""
    if is_compiled(edit):
        return COMPILING[edit.file]
    if edit.function:
        wanted = f"{edit.file} {edit.function}"
        chosen = [name for name, test in known.items() if wanted in test.calls]
    else:
        near, module = importers(edit.file), module_of(edit.file)
        chosen = [
            name
            for name, test in known.items()
            if any(call.partition(" ")[0] in near for call in test.calls)
            or module in imported_by(name.partition("::")[0])
        ]
    cases = defaultdict(list)  # of one test
    for name in sorted(chosen, key=lambda name: known[name].seconds):
        cases[name.partition("[")[0]].append(name)
    place = {}
    for names in cases.values():  # the smallest case, the largest, the second smallest …
        place.update({name: min(2 * at, 2 * (len(names) - at) - 1) for at, name in enumerate(names)})
    chosen.sort(key=lambda name: known[name].seconds * (1 + place[name]))  # quick, and unlike those before
    spent = 0.0
    for count, name in enumerate(chosen):
        spent += known[name].seconds
        if spent > BUDGET:
            return chosen[:count]
    return chosen


def learn(items: list[pytest.Item], folder: Path) -> dict[str, Known]:
    """What each test that passes calls. Kept, by file, for as long as neither pgrad nor the file changes."""
    by_file = defaultdict(list)
    for item in items:
        by_file[item.path].append(item)
    result, sources = {}, digest(*sorted(SOURCES.rglob("*.py")))
    files = {path: folder / f"calls-{path.stem}-{digest(path)}-{sources}.json" for path in by_file}
    for path, tests in by_file.items():
        file = files[path]
        if not file.exists():
            file.write_text(json.dumps(watch(tests)), encoding="utf-8")
        for name, (seconds, calls) in json.loads(file.read_text(encoding="utf-8")).items():
            result[name] = Known(seconds, frozenset(calls))
    chosen = {item.nodeid for item in items}
    return {name: test for name, test in result.items() if name in chosen}


def digest(*paths: Path) -> str:
    """A hash of files."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def watch(tests: list[pytest.Item]) -> dict[str, tuple[float, list[str]]]:
    """Run tests in copies of this process: seconds and calls of those that pass in time."""
    result: dict[str, tuple[float, list[str]]] = {}
    at = 0
    while at < len(tests):
        child = forked(functools.partial(record, tests[at:]), PATIENCE * len(tests))
        text = ""
        while select.select([child.reading], [], [], IDLE * PATIENCE)[0]:
            if not (more := os.read(child.reading, 1 << 20).decode()):
                break
            text += more
        end(child)
        lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
        for line in lines:
            name, passed, seconds, calls = json.loads(line)
            if passed:
                result[name] = seconds, calls
        at += len(lines) + 1  # the next one took too long, or ended the process
    return result


def record(tests: list[pytest.Item], writing: int) -> None:
    """Run tests; write a line of what is known of each."""
    for item, following in zip(tests, [*tests[1:], None], strict=True):
        codes = set[CodeType]()

        def called(frame: FrameType, event: str, argument: Any, add: Callable[[CodeType], None] = codes.add) -> None:
            add(frame.f_code)

        signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # a signal that ends this process
        sys.settrace(called)
        threading.settrace(called)
        began = time.process_time()
        passed = all(report.passed for report in runtestprotocol(item, log=False, nextitem=following))
        seconds = time.process_time() - began
        sys.settrace(None)
        threading.settrace(None)
        own = (code for code in codes if code.co_filename.startswith(str(SOURCES)))
        calls = sorted({key(code.co_filename, code.co_qualname) for code in own})
        line = json.dumps([item.nodeid, passed, seconds, calls], ensure_ascii=True).encode() + b"\n"
        while line:
            line = line[os.write(writing, line) :]

"""The house rules: imports go downwards, public names are few and explained, and `import pgrad` stays light."""

import ast
import graphlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgrad

SOURCES = Path(pgrad.__file__).parent

# From the roof to the cellar. A module belongs to the longest name that it starts with ("" is pgrad/__init__.py itself)
# and may import from lower layers and from its own room.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("",),
    ("results",),
    ("lesson", "experiments.bundled"),
    ("diagnostics", "exercises", "experiments.sweeps", "experiments.tuning"),
    ("experiments.running",),
    ("runs.report", "runs.resume"),
    ("runs.folder",),
    ("training",),
    ("reports",),
    ("episode",),
    ("evaluation",),
    ("presets",),
    ("runs",),
    ("config",),
    ("verify", "torch"),
    ("algorithms",),
    ("exact", "estimators"),
    ("rollouts",),
    ("env_check",),
    ("experiments", "policies"),
    ("envs",),
    ("vector",),
    ("spaces", "user_code", "watchdog", "arrays"),
    ("kernels",),
    ("system",),
    ("errors",),
)

PUBLIC = [
    "Config",
    "ConfigError",
    "Env",
    "EnvError",
    "Episode",
    "EstimatorError",
    "Evaluation",
    "MLPPolicy",
    "MLPValue",
    "MDPError",
    "InputError",
    "PgradError",
    "PolicyError",
    "Result",
    "Results",
    "RunError",
    "Sweep",
    "TensorBoard",
    "TrainingDiverged",
    "Tuning",
    "__version__",
    "collect_episode",
    "compare",
    "diagnose",
    "discounted_return",
    "estimate_policy_gradient",
    "evaluate",
    "load",
    "load_results",
    "load_value",
    "make",
    "play",
    "resume",
    "rewards_to_go",
    "save",
    "softmax",
    "sweep",
    "train",
    "tune",
]


PUBLIC_ROOMS = ["exact", "verify"]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): path for path in sorted(SOURCES.rglob("*.py"))}


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below that are ever run: what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from executed(child)


def imports(module: str) -> set[str]:
    """The modules of pgrad that a module imports, wherever in it."""
    found = set()
    for node in executed(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, inner = name.partition(".")
            if top == "pgrad":
                found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found


def room(module: str) -> str:
    rooms = [name for layer in LAYERS for name in layer if module == name or (name and module.startswith(f"{name}."))]
    assert rooms, f"{module} is in no layer: give it one"
    return max(rooms, key=len)


def depth(name: str) -> int:
    return next(k for k, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards(module: str) -> None:
    here = room(module)
    upwards = {other for other in imports(module) if room(other) != here and depth(room(other)) <= depth(here)}
    assert not upwards


def test_the_imports_are_read() -> None:
    assert {"training.train", "runs.folder", "config.settings"} <= imports("")
    assert "reports.microscope" in imports("cli.diagnose"), "imports inside functions count"
    assert "policies.softmax" in imports("policies.distributions"), "a module imported by name from its package counts"
    assert "" in imports("cli.main"), "so does the package itself"


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = list(graphlib.TopologicalSorter({module: imports(module) for module in MODULES}).static_order())
    assert order.index("errors") < order.index("cli.main")


def test_public_names_are_these_and_nothing_else() -> None:
    assert list(pgrad.__all__) == sorted([*PUBLIC, *PUBLIC_ROOMS])
    bound = {name for name, value in vars(pgrad).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert bound == set(PUBLIC) - {"__version__"}


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_every_public_name_is_explained_where_it_is_defined(name: str) -> None:
    value = getattr(pgrad, name)
    members = [value, *vars(value).values()] if inspect.isclass(value) else [value]
    for member in members:
        if inspect.isclass(member) or inspect.isfunction(member) or isinstance(member, property):
            title = getattr(member, "__name__", name)
            if member is not value and title.startswith("_"):
                continue
            text = member.__doc__ or ""
            assert text.strip(), f"{name}: {title} has no docstring"
            assert not text.startswith(f"{title}("), f"{name}: its docstring is the one that dataclasses make up"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_and_the_progress_print(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    prints = any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))
    assert not prints or module.startswith("cli.") or module == "training.console"


def test_importing_pgrad_is_light() -> None:
    """numba looks for SciPy by itself, so the question is what pgrad adds to it."""
    code = """if True:
        import sys, numba
        before = set(sys.modules)
        import pgrad
        print(*{name.split(".")[0] for name in set(sys.modules) - before})
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split())
    assert "pgrad" in added
    assert not added & {"torch", "matplotlib", "gymnasium", "scipy", "rich", "safetensors"}


@pytest.mark.parametrize("engine", ["algorithms", "torch"])
def test_an_iteration_reads_like_the_diagram(engine: str) -> None:
    """Under twenty lines in which the four arrows come in their order."""
    module = ast.parse(MODULES[f"{engine}.iteration"].read_text(encoding="utf-8"))
    function = next(node for node in module.body if getattr(node, "name", "") == "train_iteration")
    assert isinstance(function, ast.FunctionDef) and function.end_lineno is not None
    assert function.end_lineno - function.lineno + 1 < 20
    calls = [
        node.func.id for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    gradient = {"algorithms": "policy_gradient", "torch": "surrogate"}[engine]
    assert [name for name in calls if name in ("rollout", "advantages", gradient, "ascend")] == [
        "rollout",
        "advantages",
        gradient,
        "ascend",
    ]

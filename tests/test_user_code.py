"""Finding an environment by where it is written, and saying at once all that is wrong with it."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pgrad.envs.make import make
from pgrad.envs.reference import is_reference, load
from pgrad.errors import EnvError

ENV = """
from typing import NamedTuple
from pgrad.envs import Box, Discrete, MultiDiscrete, uniform


class Walk(NamedTuple):
    size: float = 3.0
    observation_space = Box(-9.0, 9.0)
    action_space = Discrete(2)
    max_episode_steps = 10

    def reset(self, key):
        return (uniform(key, 0),)

    def step(self, state, action, key):
        return (state[0] + action,), 1.0, state[0] > self.size
"""


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("my_env.py:MyEnv", True),
        ("my_env.py", True),
        ("../some where/my-env.py:MyEnv", True),
        (r"C:\work\my_env.py:MyEnv", True),
        ("package.module:Name", True),
        ("module:Name", True),
        ("CartPole-v1", False),
        ("CartPole", False),
        ("minigrid:MiniGrid-Empty-5x5-v0", False),
        ("my_env:MyEnv-v0", False),
        ("ALE/Pong-v5", False),
        ("shimmy:dm_control/acrobot-swingup-v0", False),
        ("", False),
        (":Name", False),
        ("module:", False),
    ],
)
def test_what_is_a_reference_and_what_an_id(text: str, ours: bool) -> None:
    assert is_reference(text) == ours


def file(folder: Path, text: str, name: str = "walk.py") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


KINDS = """
import gymnasium

WIDE = Walk(size=8.0)


class Original(gymnasium.Env):
    def __init__(self, n=1): self.n = n


def make(size=5.0):
    return Walk(size)


def original():
    return Original(7)
"""


def test_what_a_name_can_be(tmp_path: Path) -> None:
    path = file(tmp_path, ENV + KINDS)
    made: dict[str, Any] = {name: load(f"{path}:{name}") for name in ("Walk", "WIDE", "make", "Original", "original")}
    assert [made[name].size for name in ("Walk", "WIDE", "make")] == [3.0, 8.0, 5.0]
    assert [made[name]().n for name in ("Original", "original")] == [1, 7]


def test_a_file_with_one_environment_needs_no_name(tmp_path: Path) -> None:
    assert type(load(file(tmp_path, ENV))).__name__ == "Walk"
    with pytest.raises(EnvError, match=r"defines 2 environments \(Walk, Original\): choose one, as in .*walk.py:Walk"):
        load(file(tmp_path, ENV + KINDS))
    with pytest.raises(
        EnvError, match="defines no environment: an environment is a NamedTuple with spaces, reset and step"
    ):
        load(file(tmp_path, "from pgrad.envs.cartpole import CartPole\n"))


def test_a_module_by_name_is_found_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kennels").mkdir()
    file(tmp_path / "kennels", ENV, "dogs.py")
    monkeypatch.chdir(tmp_path)
    assert load("kennels.dogs:Walk") == (3.0,)
    for name in ("kennels", "kennels.dogs"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(EnvError, match=r"there is no module 'kennels.cats': install its package, or name a file like"):
        load("kennels.cats:Walk")


def test_the_same_text_in_two_folders_is_two_modules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    kinds = [type(load(file(tmp_path / name, ENV))) for name in ("one", "two", "one")]
    assert kinds[0] is kinds[2] is not kinds[1]
    assert sys.modules[kinds[1].__module__].__file__ == str(tmp_path / "two" / "walk.py")


def test_the_module_is_found_again_under_its_name_and_imports_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file(tmp_path, "SIZE = 4.0\n", "walk_sizes.py")
    path = list(sys.path)
    made: Any = load(
        file(
            tmp_path,
            ENV.replace("3.0", "walk_sizes.SIZE").replace("\nfrom typing", "\nimport walk_sizes\nfrom typing", 1),
        )
    )
    assert made.size == 4.0
    assert sys.modules[type(made).__module__].Walk is type(made)
    assert sys.path == path and not sys.dont_write_bytecode and not list(tmp_path.rglob("__pycache__"))


def test_two_neighbours_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    text = "import walk_neighbour\n" + ENV
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file(tmp_path / name, "", "walk_neighbour.py")
    load(file(tmp_path / "one", text))
    with pytest.raises(
        EnvError,
        match=r"imports 'walk_neighbour' .* already imported .*one.walk_neighbour.py under that name: rename one",
    ):
        load(file(tmp_path / "two", text))


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (ENV, "Walc", r"walk.py:Walc' is not defined: did you mean 'Walk'\?"),
        ("x = (1,\n", "Walk", "is not valid Python, line 1: '\\(' was never closed"),
        ("\0", "Walk", "is not valid Python"),
        (
            "def f():\n    return 1 / 0\n\n\nf()\n",
            "Walk",
            r"(?s)raised when it was imported:.*line 5.*f\(\).*line 2.*ZeroDivisionError",
        ),
        ("import sys\nsys.exit('usage')\n", "Walk", "(?s)raised when it was imported:.*SystemExit: usage"),
        ("from pgrad.envs import Box\nBox(1.0, 0.0)\n", "Walk", r"(?s)line 2.*low ≤ high"),
        ("import no_such_thing\n", "Walk", "(?s)raised when it was imported:.*No module named 'no_such_thing'"),
        ("Walk = 3\n", "Walk", "'.*walk.py:Walk' is 3 \\(int\\): an environment is a NamedTuple"),
        ("class Walk: pass\n", "Walk", "is the class Walk: an environment is a NamedTuple"),
        ("def Walk(size): pass\n", "Walk", "requires arguments \\(size\\): give them defaults"),
        (
            "import gymnasium\nclass Walk(gymnasium.Env):\n    def __init__(self, n): pass\n",
            "Walk",
            "requires arguments \\(n\\): give them defaults",
        ),
        (
            ENV.replace("action_space = Discrete(2)", "@property\n    def action_space(self): return 1 / 0"),
            "Walk",
            "(?s)raised while its members were read:.*ZeroDivisionError",
        ),
        ("def Walk(): raise ValueError('no')\n", "Walk", "(?s)raised when it was called:.*ValueError: no"),
        ("def Walk(): return 3\n", "Walk", r"walk.py:Walk\(\)' is 3 \(int\)"),
        ("def Walk(): return Walk\n", "Walk", "returns a function"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EnvError, match=message) as caught:
        load(f"{file(tmp_path, text)}:{name}")
    assert "/pgrad/envs/" not in str(caught.value), "only the user's own lines"
    assert not [module for module in sys.modules if module.startswith("pgrad_user_file") and "None" in module]


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(EnvError):
        load(f"{file(tmp_path, '1 / 0')}:Walk")
    assert {name for name in set(sys.modules) - before if name.startswith("pgrad_user_file")} == set()


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, ENV)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EnvError, match=r"there is no file 'wlak.py': did you mean 'walk.py'\?"):
        load("wlak.py:Walk")
    with pytest.raises(EnvError, match=r"there is no file 'folder.py'"):
        (tmp_path / "folder.py").mkdir()
        load("folder.py")
    with pytest.raises(EnvError, match=r"neither `file.py:Name` nor"):
        load("CartPole-v1")


def edited(*changes: tuple[str, str]) -> str:
    text = ENV
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


SPACE, ACTIONS, LIMIT = "observation_space = Box(-9.0, 9.0)", "action_space = Discrete(2)", "max_episode_steps = 10"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            edited(
                (SPACE, "speed: float"),
                (ACTIONS, "pass"),
                (LIMIT, "pass"),
                ("def reset", "def rest"),
                ("size: float = 3.0", "size: float"),
            ),
            [
                r"parameter 'size' has no default: write `size: float = ...`",
                r"parameter 'speed' has no default",
                r"observation_space is missing: write `observation_space = Box",
                r"action_space is missing: write `action_space = Discrete\(2\)`",
                r"max_episode_steps is missing",
                r"reset is missing: write `def reset\(self, key\):`",
            ],
        ),
        (edited((LIMIT, "max_episode_steps = 0")), ["max_episode_steps is 0: it must be a positive integer"]),
        (edited((LIMIT, "max_episode_steps = 1e3")), ["max_episode_steps is 1000.0: it must be a positive"]),
        (edited((SPACE, "observation_space = (3,)")), [r"observation_space is \(3,\): it must be a Box"]),
        (edited((SPACE, "observation_space: Box = Box(-9.0, 9.0)")), ["its annotation makes it a parameter"]),
        (
            edited(("size: float = 3.0", "size: str = 'x'")),
            ["parameter 'size' is 'x' \\(str\\): parameters are numbers"],
        ),
        (
            edited(("def reset(self, key)", "def reset(self)")),
            [r"reset takes \(self\): it must be `def reset\(self, key\):`"],
        ),
        (edited(("(self, state, action, key)", "(self, action)")), [r"step takes \(self, action\): it must be"]),
        (
            edited(("class Walk(NamedTuple)", "class Walk")),
            [r"it is not a NamedTuple: write `class Walk\(NamedTuple\):`"],
        ),
        (ENV + "    mask = 3\n", ["mask is 3 \\(int\\): it must be a method"]),
        (
            edited((ACTIONS, "action_space = Box(0.0, 1.0)")) + "    def mask(self, state): return (True,)\n",
            ["mask needs an action_space that is Discrete"],
        ),
    ],
)
def test_all_that_is_missing_is_said_at_once(text: str, messages: list[str], tmp_path: Path) -> None:
    for message in messages:
        with pytest.raises(EnvError, match=message) as caught:
            load(f"{file(tmp_path, text)}:Walk")
    assert len(str(caught.value).splitlines()) == 1 + len(messages)


def test_members_may_depend_on_parameters(tmp_path: Path) -> None:
    text = edited(
        (SPACE, "@property\n    def observation_space(self): return Box(-self.size, self.size)"),
        (LIMIT, "max_episode_steps: int = 20"),
    )
    made: Any = load(file(tmp_path, text))
    assert (made.observation_space.high, made.max_episode_steps) == ((3.0,), 20)
    with pytest.raises(EnvError, match="max_episode_steps is -1"):
        load(f"{file(tmp_path, text + chr(10) + 'SHORT = Walk(max_episode_steps=-1)')}:SHORT")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "(state[0] + action,)",
            "(state[0] + action, 0.0)",
            "a state's length changes: reset returned 1 numbers, step 2",
        ),
        ("Box(-9.0, 9.0)", "Box(-9.0, 9.0, 3)", "the state has 1 numbers, but observation_space is a Box of 3"),
        (
            "Box(-9.0, 9.0)",
            "MultiDiscrete((3, 2))",
            r"is MultiDiscrete\(counts=\(3, 2\)\), of 2",
        ),
        (
            "    def step",
            "    def observe(self, state):\n        return 1.0, 2.0\n\n    def step",
            "observe returned 2",
        ),
        (
            "    def step",
            "    def mask(self, state):\n        return (True,)\n\n    def step",
            "mask returned 1 boolean",
        ),
        (", state[0] > self.size", "", "not \\(state, reward, terminated\\)"),
    ],
)
def test_sizes_that_compiled_code_would_trust_are_looked_at_first(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    """Not looked at, a state too long is written over other memory: the process aborts, or trains on rubbish."""
    assert old in ENV
    path = file(tmp_path, ENV.replace(old, new))
    with pytest.raises(EnvError, match=message):
        make(path)


def test_a_class_without_defaults_is_refused_in_words() -> None:
    class Bare(NamedTuple):
        gravity: float

        def reset(self, key: int) -> tuple[float]:
            return (0.0,)

    with pytest.raises(EnvError, match=r"(?s)'Bare' is not a valid environment:.*'gravity' has no default"):
        make(Bare)  # type: ignore[arg-type]


def test_what_is_no_dynamics_cannot_be_asked_for_compiled(tmp_path: Path) -> None:
    path = file(tmp_path, "import gymnasium\ndef env():\n    return gymnasium.make('CartPole-v1')\n")
    with pytest.raises(EnvError, match=r":env' has no compiled form: use backend 'gymnasium'"):
        make(f"{path}:env", "compiled")


def test_what_cannot_run_in_plain_python_is_left_to_the_compiler(tmp_path: Path) -> None:
    assert make(file(tmp_path, ENV.replace("return (uniform", "1 / 0\n        return (uniform"))).compiled

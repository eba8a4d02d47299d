"""Compiled code of users' types: kept where nothing has changed, and never run where something has."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from pgrad.envs.cartpole import CartPole
from pgrad.envs.compiled_methods import compiled_step
from pgrad.envs.reference import load
from pgrad.kernels import jit
from pgrad.kernels.fingerprint import Walk, fingerprint, foreign_types, importable

ENV = """
from typing import NamedTuple
import helpers
from helpers import gust
from pgrad.envs import Box, Discrete, uniform

LIFT = 3.0
UNUSED = 0.0


class Kite(NamedTuple):
    weight: float = 1.0
    observation_space = Box(-100.0, 100.0, 1)
    action_space = Discrete(2)
    max_episode_steps = 10

    def reset(self, key):
        return (uniform(key, 0),)

    def step(self, state, action, key):
        return (state[0] + gust(LIFT) + helpers.WIND - self.weight,), 1.0, False
"""

HELPERS = """
import os
import numpy as np
from pgrad.envs import helper

WIND = float(os.environ.get("WIND", "0"))
TABLE = np.array([1.0, 2.0])
SCALES = (1.0, (2, "m"))


@helper
def half(x):
    return 0.5 * x


@helper
def gust(x):
    return half(x) + TABLE[0] + SCALES[0] - 1.0
"""

PROGRAM = """
import sys
import numpy as np
from pgrad.envs.compiled_methods import compiled_step
from pgrad.envs.reference import load
from pgrad.kernels.jit import face_for
for reference in sys.argv[1:]:
    env = load(reference)
    face = face_for(compiled_step, env)
    (height,), _, _ = face(env, (0.0,), np.int32(1), np.uint64(0))
    print(round(height, 6), sum(face.stats.cache_hits.values()))
"""


def kite(folder: Path, env: str = ENV, helpers: str = HELPERS) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "kite.py").write_text(env)
    (folder / "helpers.py").write_text(helpers)
    return f"{folder / 'kite.py'}:Kite"


def run(cache: Path, *references: str, **variables: str) -> list[tuple[float, int]]:
    """What a new process computes, and how much of it comes from the cache."""
    environment = {**os.environ, "PGRAD_CACHE_DIR": str(cache), **variables}
    command = [sys.executable, "-c", PROGRAM, *references]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return [(float(line.split()[0]), int(line.split()[1])) for line in done.stdout.splitlines()]


# --- between processes


def test_a_second_process_compiles_nothing_and_an_edit_of_anything_is_honoured(tmp_path: Path) -> None:
    cache, reference = tmp_path / "cache", kite(tmp_path / "mine")
    assert run(cache, reference) == [(1.5, 0)]
    assert run(cache, reference) == [(1.5, 1)]
    assert run(cache, reference, WIND="2") == [(3.5, 0)], "a constant from an environment variable"
    kite(tmp_path / "mine", helpers=HELPERS.replace("0.5 * x", "1.5 * x"))
    assert run(cache, reference) == [(4.5, 0)], "a function that a function in another file calls"
    kite(tmp_path / "mine", ENV.replace("LIFT = 3.0", "LIFT = 4.0"))
    assert run(cache, reference) == [(2.0, 0)], "the file itself"
    kite(tmp_path / "mine")
    assert run(cache, reference) == [(1.5, 1)], "and what there was before is there still"


def with_helpers_called(name: str) -> str:
    return ENV.replace("import helpers", f"import {name} as helpers").replace("from helpers", f"from {name}")


def test_files_of_one_name_never_share_nor_break_each_other(tmp_path: Path) -> None:
    """Their types have the same name and like fields, and their code the same number within a process."""
    cache, one = tmp_path / "cache", kite(tmp_path / "one")
    other = kite(tmp_path / "other", with_helpers_called("helpers2").replace("LIFT = 3.0", "LIFT = 7.0"))
    (tmp_path / "other" / "helpers.py").rename(tmp_path / "other" / "helpers2.py")
    assert run(cache, one) == [(1.5, 0)]
    assert run(cache, other, one) == [(3.5, 0), (1.5, 1)]
    assert run(cache, one, other) == [(1.5, 1), (3.5, 1)]
    (tmp_path / "one" / "kite.py").unlink()
    assert run(cache, other) == [(3.5, 1)], "though a type in the other's index cannot be imported any more"


def test_an_edited_file_is_new_in_the_same_process_too(tmp_path: Path) -> None:
    env, folder = with_helpers_called("kite_helpers"), tmp_path / "mine"
    reference = kite(folder, env)
    (folder / "helpers.py").rename(folder / "kite_helpers.py")
    (folder / "second.py").write_text(env.replace("LIFT = 3.0", "LIFT = 1.0"))  # has the neighbour in common
    first = load(reference)
    assert type(load(reference)) is type(first)
    assert not compiled_step.in_cache_for(first)  # type: ignore[attr-defined]
    assert (compiled(first), compiled(load(str(folder / "second.py")))) == (1.5, 0.5)
    assert compiled_step.in_cache_for(first)  # type: ignore[attr-defined]
    (folder / "kite_helpers.py").write_text(HELPERS.replace("0.5 * x", "1.5 * x"))
    assert (compiled(load(reference)), compiled(load(str(folder / "second.py")))) == (4.5, 1.5)
    (folder / "kite.py").write_text(env.replace("LIFT = 3.0", "LIFT = 5.0"))
    assert compiled(load(reference)) == 7.5
    assert compiled(first) == 1.5


def compiled(env: Any) -> float:
    return float(jit.face_for(compiled_step, env)(env, (0.0,), np.int32(1), np.uint64(0))[0][0])


# --- the hash


def hash_of(folder: Path, env: str = ENV, helpers: str = HELPERS) -> str | None:
    made: Any = load(kite(folder, env, helpers))
    fingerprint.cache_clear()
    try:
        return fingerprint((type(made),))
    finally:
        sys.modules.pop("helpers", None)


EDITS = [
    ("[1.0, 2.0]", "[1.0, 3.0]"),
    ("[1.0, 2.0]", "[1, 2]"),
    ('(2, "m")', '(2.0, "m")'),
    ("0.5 * x", "0.25 * x"),
    ("half(x) +", "half(x) -"),
    ('"WIND", "0"', '"WIND", "-0"'),
    ("return half(x)", "x = max(x, 0.0)\n    return half(x)"),
]


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_the_hash_is_of_what_is_in_memory(old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may have been edited since it was imported, and a constant may come from elsewhere."""
    monkeypatch.setattr(Walk, "source", lambda self, module: None)
    assert old in HELPERS
    before = hash_of(tmp_path)
    assert before is not None and hash_of(tmp_path, helpers=f"# with a comment\n{HELPERS}") == before
    assert hash_of(tmp_path, helpers=HELPERS.replace(old, new)) not in (None, before)


def test_the_hash_is_of_the_files_too(tmp_path: Path) -> None:
    """The options of a decorator are not in the function's bytecode."""
    edited = HELPERS.replace("@helper\ndef half", "from numba import njit\n@njit(fastmath=True)\ndef half")
    assert len({hash_of(tmp_path), hash_of(tmp_path, helpers=edited), None}) == 3
    plainly = edited.replace("(fastmath=True)", "")
    assert hash_of(tmp_path, helpers=edited) != hash_of(tmp_path, helpers=plainly)


@pytest.mark.parametrize("extra", ["ODD = object()", "import numpy as np\nODD = np.array([None])", "ODD = open"])
def test_what_no_function_reads_does_not_matter(extra: str, tmp_path: Path) -> None:
    assert hash_of(tmp_path, f"{ENV}\n{extra}\n") is not None


def test_what_could_be_compiled_in_but_not_be_hashed_is_not_kept(tmp_path: Path) -> None:
    env = ENV.replace("UNUSED = 0.0", "from numba.typed import List\nUNUSED = List([1.0])")
    assert hash_of(tmp_path, env.replace("+ helpers.WIND", "+ UNUSED[0]")) is None
    assert hash_of(tmp_path, env) is not None


class InATest(NamedTuple):
    x: float = 0.0


def test_types_that_another_process_could_not_import_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Local(NamedTuple):
        x: float = 0.0

    assert not importable(Local) and fingerprint((Local,)) is None
    assert jit.cache_for(Local()) is None
    typed: Any = NamedTuple("typed", [("x", float)])
    typed.__module__ = "__main__"
    monkeypatch.setattr(sys.modules["__main__"], "typed", typed, raising=False)
    assert importable(typed) and fingerprint((typed,)) is None


def test_foreign_types_are_found_in_parameters_too() -> None:
    class Outer(NamedTuple):
        ground: Any = InATest()
        pole: Any = (CartPole(), (InATest(),))

    assert foreign_types(Outer()) == (Outer, InATest)
    assert foreign_types(CartPole()) == foreign_types((1.0, 2)) == foreign_types(3) == ()


def test_pgrads_own_environments_stay_in_pgrads_own_cache() -> None:
    assert jit.cache_for(CartPole()) == jit.CACHE_FOLDER


def test_users_caches_are_forgotten_apart_from_pgrads_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(jit, "CACHE_FOLDER", str(tmp_path / ("0" * 16)))
    (tmp_path / ("0" * 16)).mkdir()
    jit.foreign_cache.cache_clear()
    for number in range(jit.KEPT_FOREIGN_CACHES + 5):
        old = tmp_path / jit.FOREIGN_CACHES / f"{number:016x}"
        old.mkdir(parents=True)
        (old / "step.nbi").write_bytes(b"index")
        os.utime(old, (1e9 - number, 1e9 - number))
    thesis = tmp_path / jit.FOREIGN_CACHES / ("f" * 16)
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("years of work")
    os.utime(thesis, (1, 1))
    monkeypatch.setattr(jit, "fingerprint", lambda kinds: "abc")
    made = jit.foreign_cache((InATest,))
    jit.foreign_cache.cache_clear()
    left = {folder.name for folder in (tmp_path / jit.FOREIGN_CACHES).iterdir()}
    assert made is not None and Path(made).name in left
    assert left == {Path(made).name, "f" * 16, *(f"{n:016x}" for n in range(jit.KEPT_FOREIGN_CACHES - 1))}
    assert (thesis / "chapter.tex").exists() and (tmp_path / ("0" * 16)).is_dir()

"""The compiler's two faces, its floating-point rules, and a cache that is neither stale nor in the way."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import config

import pgrad
from pgrad.estimators.returns import generalized_advantages, rewards_to_go
from pgrad.kernels import jit
from pgrad.kernels.inline_compiler import LinkedOnly
from pgrad.kernels.jit import KEPT_CACHES, compiled_as, dense, plain, prepare_cache, source_hash, strict
from pgrad.kernels.optimizers import ascend

PACKAGE = Path(pgrad.__file__).parent


# --- two faces


@strict
def add_to(x: Any, y: Any) -> None:
    for n in range(x.size):
        x[n] += y[n]


@dense
def total(x: Any) -> Any:
    result = np.float32(0)
    for item in x:
        result += item
    return result


@strict
def compensated_sum(x: Any) -> Any:
    """Kahan's sum, whose correction is zero in exact arithmetic: a compiler that may reorder removes it."""
    result, correction = 0.0, 0.0
    for item in x:
        y = item - correction
        t = result + y
        correction = (t - result) - y
        result = t
    return result


@dense
def is_nan(x: Any) -> Any:
    return x != x


@numba.njit  # type: ignore[untyped-decorator]
def calls_add_to_and_total(x: Any, y: Any) -> Any:
    add_to(x, y)
    return total(x)


def test_an_inner_function_has_no_machine_code_of_its_own() -> None:
    x, y = np.ones(9, np.float32), np.full(9, 2, np.float32)
    assert calls_add_to_and_total(x, y) == 27.0
    for function in (add_to, total):
        (overload,) = function.inner.overloads.values()  # type: ignore[attr-defined]
        assert isinstance(overload.library, LinkedOnly)
        assert overload.library.get_pointer_to_function(overload.fndesc.llvm_func_name) == 0
        assert "noalias" in overload.library.get_llvm_str()


def test_the_outer_face_is_a_usual_compiled_function() -> None:
    assert total(np.arange(5, dtype=np.float32)) == 10.0
    (overload,) = total.outer.overloads.values()  # type: ignore[attr-defined]
    assert not isinstance(overload.library, LinkedOnly)
    assert total.__name__ == "total"


def test_dense_may_reorder_but_not_assume_that_numbers_are_finite() -> None:
    calls_add_to_and_total(np.ones(2, np.float32), np.ones(2, np.float32))
    llvm = {f: next(iter(f.inner.overloads.values())).library.get_llvm_str() for f in (total, add_to)}  # type: ignore[attr-defined]
    assert "fadd reassoc" in llvm[total] and "nnan" not in llvm[total] and "ninf" not in llvm[total]
    assert "reassoc" not in llvm[add_to]
    assert is_nan(np.float32(np.nan)) and not is_nan(np.float32(1.0))


def test_strict_keeps_arithmetic_as_written() -> None:
    x = np.array([1.0, *[1e-16] * 1000])
    assert compensated_sum(x) == compensated_sum.__wrapped__(x) == 1.0 + 1e-13  # type: ignore[attr-defined]
    assert sum(x) == 1.0


def test_compiled_functions_give_the_bits_of_the_plain_ones() -> None:
    rng = np.random.default_rng(0)
    reward, value, bootstrap_value = rng.normal(size=(3, 20))
    segment_end, trajectory = rng.random(20) < 0.2, rng.integers(0, 3, 20).astype(np.int32)
    for function, arguments in (
        (rewards_to_go, (reward, segment_end, trajectory, bootstrap_value, 0.97, 3)),
        (generalized_advantages, (reward, value, segment_end, trajectory, bootstrap_value, 0.97, 0.9, 3)),
    ):
        assert function(*arguments).tobytes() == function.__wrapped__(*arguments).tobytes()  # type: ignore[attr-defined]


def test_the_compiled_optimiser_does_as_the_plain_one() -> None:
    """But for the last bit: 0.9^count is LLVM's in the one and the C library's in the other."""
    gradient, start = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    results = []
    for function in (ascend, ascend.__wrapped__):  # type: ignore[attr-defined]
        parameters, moments = start.copy(), np.full((2, 20), 0.5, np.float32)
        function(1, parameters, gradient, moments, 7, 0.01, 0.3)
        results.append(np.vstack([parameters, moments]))
    np.testing.assert_allclose(*results, rtol=3e-7)


# --- functions chosen by type


def describe(x: float) -> str:
    return "interpreted"


@compiled_as(describe)
def _describe_compiled(x: Any) -> Any:
    if isinstance(x, numba.types.Integer):

        def whole(x: int) -> str:
            return "integer"

        return whole

    def real(x: float) -> str:
        return "float"

    return real


@numba.njit  # type: ignore[untyped-decorator]
def calls_describe(x: Any) -> Any:
    return describe(x)


def test_compiled_as_chooses_by_type_and_leaves_python_alone() -> None:
    assert (calls_describe(1), calls_describe(1.0), describe(1)) == ("integer", "float", "interpreted")


def test_plain_is_the_same_function_without_annotations_and_with_other_names() -> None:
    offset = 10

    def function(x: int, y: float = 2.0) -> float:
        difference = x - y
        return difference + offset

    bare = plain(function, ("left", "right"))
    assert bare.__annotations__ == {} and function.__annotations__ != {}
    assert list(inspect.signature(bare).parameters) == ["left", "right"]
    assert (bare(1), bare(1, 5.0), bare.__name__) == (9.0, 6.0, "function")


# --- the cache


def copy_of_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = folder / "pgrad"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(jit, "__file__", str(package / "kernels" / "jit.py"))
    return package


@pytest.mark.parametrize("room", jit.COMPILED_ROOMS)
def test_the_hash_changes_with_every_source_of_a_compiled_room(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy_of_package(tmp_path, monkeypatch)
    seen = {source_hash()}
    for file in sorted((package / room).glob("*.py")):
        if file.relative_to(package).as_posix() not in jit.NOT_COMPILED:
            file.write_text(file.read_text() + "\n# edited\n")
            assert source_hash() not in seen, file.name
            seen.add(source_hash())
    (package / room / "of_a_new_idea.py").write_text("GRAVITY = 9.8\n")
    assert source_hash() not in seen


def test_the_hash_stays_when_files_without_compiled_code_are_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, package = source_hash(), copy_of_package(tmp_path, monkeypatch)
    for name in jit.NOT_COMPILED:
        file = package / name
        file.write_text((file.read_text() if file.exists() else "") + '\n"""Better words."""\n')
    assert source_hash() == before


IMPORTERS = {  # files with compiled code whose uncompiled functions need what is outside the hash
    "envs/robot_arm.py",  # draws itself
}


@pytest.mark.parametrize("name", sorted(jit.NOT_COMPILED))
def test_no_compiled_code_comes_from_a_file_outside_the_hash(name: str) -> None:
    """It compiles nothing, and no file that compiles imports a type, a function or a constant from it."""
    file, module = PACKAGE / name, name.removesuffix(".py").replace("/", ".")
    if file.exists():
        assert not COMPILES.search(file.read_text())
    imports = re.compile(rf"^(from|import) pgrad\.{module}\b", re.M)
    importers = {f.relative_to(PACKAGE).as_posix() for f in jit.compiled_sources() if imports.search(f.read_text())}
    assert importers <= IMPORTERS


def test_the_hash_stays_when_nothing_compiled_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_hash()
    package = copy_of_package(tmp_path, monkeypatch)
    (package / "reports" / "figures.py").write_text("")
    (package / "kernels" / "notes.txt").write_text("not a source")
    assert source_hash() == before


def test_the_hash_changes_with_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_hash()
    monkeypatch.setattr(numba, "__version__", "0.0.1")
    assert source_hash() != before


COMPILES = re.compile(r"^from pgrad\.kernels\.jit import .*\b(strict|inlined|dense|both|compiled_as)\b", re.M)


def test_everything_compiled_lives_in_a_compiled_room() -> None:
    for file in PACKAGE.rglob("*.py"):
        if COMPILES.search(file.read_text()):
            assert file in jit.compiled_sources(), file


def old_cache(root: Path, name: str, age: int) -> Path:
    """A cache folder as Numba leaves it, last used `age` seconds ago."""
    (root / name / "mlp_0a1b").mkdir(parents=True)
    (root / name / "mlp_0a1b" / "mlp.forward-106.py311.nbi").write_bytes(b"index")
    (root / name / "mlp_0a1b" / "mlp.forward-106.py311.1.nbc").write_bytes(b"code")
    os.utime(root / name, (1e9 - age, 1e9 - age))
    return root / name


def test_only_the_newest_caches_are_kept(tmp_path: Path) -> None:
    caches = [old_cache(tmp_path, f"{age:016x}", age) for age in range(KEPT_CACHES + 3)]
    assert prepare_cache(tmp_path, "f" * 16) == str(tmp_path / ("f" * 16))
    newest = {cache.name for cache in caches[: KEPT_CACHES - 1]}
    assert {folder.name for folder in tmp_path.iterdir()} == newest | {"f" * 16}


def test_a_cache_in_use_counts_as_new(tmp_path: Path) -> None:
    caches = [old_cache(tmp_path, f"{age:016x}", age) for age in range(KEPT_CACHES + 1)]
    oldest = caches[-1]
    assert prepare_cache(tmp_path, oldest.name) == str(oldest)
    assert {folder.name for folder in tmp_path.iterdir()} == {c.name for c in [*caches[: KEPT_CACHES - 1], oldest]}
    assert len(list(oldest.rglob("*.nb?"))) == 2, "and nothing in it is lost"


def test_folders_that_are_not_caches_stay(tmp_path: Path) -> None:
    """The root can be any folder that the user names in PGRAD_CACHE_DIR."""
    for age in range(KEPT_CACHES + 3):
        thesis = tmp_path / f"thesis {age}"
        thesis.mkdir()
        (thesis / "chapter.tex").write_text("years of work")
        os.utime(thesis, (1e9 - age, 1e9 - age))
    prepare_cache(tmp_path, "f" * 16)
    assert len(list(tmp_path.glob("thesis */chapter.tex"))) == KEPT_CACHES + 3


def test_files_beside_the_caches_stay(tmp_path: Path) -> None:
    for age in range(KEPT_CACHES + 3):
        (tmp_path / f"note {age}").write_text("mine")
    assert prepare_cache(tmp_path, "f" * 16) is not None
    assert len(list(tmp_path.glob("note *"))) == KEPT_CACHES + 3


def test_what_a_killed_process_left_of_a_stale_cache_goes_too(tmp_path: Path) -> None:
    stale = old_cache(tmp_path, "0" * 16, 1)
    (stale / "mlp_0a1b" / "mlp.forward-106.py311.nbi.tmp.0123456789abcdef").write_bytes(b"half an ind")
    (stale / "notes.txt").write_text("mine")
    jit.remove_cache(stale)
    assert [path.name for path in stale.rglob("*")] == ["notes.txt"]


@pytest.mark.parametrize("in_the_way", ["home", "home/root", "home/root/name"])
def test_where_nothing_can_be_written_there_is_no_cache(tmp_path: Path, in_the_way: str) -> None:
    file = tmp_path / in_the_way
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("in the way")
    assert prepare_cache(tmp_path / "home" / "root", "name") is None
    assert file.read_text() == "in the way"


def test_a_folder_without_permission_to_write_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert prepare_cache(tmp_path, "name") is None


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGRAD_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    assert jit.cache_root() == Path("/home/ada/.cache/pgrad")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert jit.cache_root() == Path("/var/cache/pgrad")
    monkeypatch.setenv("PGRAD_CACHE_DIR", "/scratch")
    assert jit.cache_root() == Path("/scratch")


def test_other_packages_keep_their_own_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", "theirs")
    strict(lambda x: x)
    assert config.CACHE_DIR == "theirs"


PROGRAM = """
import numpy as np
from pgrad.kernels import jit
from pgrad.kernels.optimizers import global_norm
assert global_norm(np.array([3, 4], np.float32)) == 5
print(jit.CACHE_FOLDER is not None, sum(global_norm.outer.stats.cache_hits.values()))
"""


def run_with_cache(root: Path) -> tuple[list[str], str]:
    environment = {**os.environ, "PGRAD_CACHE_DIR": str(root)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split(), done.stderr


def test_a_second_process_compiles_nothing_and_a_third_mends_a_damaged_cache(
    tmp_path: Path,
) -> None:
    assert run_with_cache(tmp_path) == (["True", "0"], "")
    assert run_with_cache(tmp_path) == (["True", "1"], "")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == jit.NUMBA_SUFFIXES
    for file in files:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert run_with_cache(tmp_path) == (["True", "0"], "")
    assert run_with_cache(tmp_path) == (["True", "1"], "")


def test_without_a_cache_everything_still_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result, message = run_with_cache(tmp_path / "file")
    assert result == ["False", "0"]
    assert message.splitlines() == [
        f"the cache at {tmp_path / 'file'} cannot be used (it cannot be written), so compilation repeats each time; "
        "PGRAD_CACHE_DIR chooses another folder"
    ]

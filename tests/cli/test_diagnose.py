"""`pgrad diagnose` as a user meets it: what it prints and writes, and that bad input costs nothing but a message."""

import contextlib
import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pgrad.cli import main as cli
from pgrad.estimators.catalogue import CATALOGUE

REFUSED = 2
PNG = b"\x89PNG\r\n"


def run(*argv: object) -> int:
    return cli.run([str(word) for word in argv])


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "run"
    flags = ("--preset", "none", "--no-figures", "--total-steps", "none", "--num-iterations", 45)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run("train", "CartPole-v1", "--seeds", "4,11", "--evaluation-episodes", 0, "--out", path, *flags) == 0
    return path


def new_files(folder: Path, before: set[str]) -> set[str]:
    return set(tree(folder)) - before


def test_one_policy(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(trained)
    assert run("diagnose", trained, "--trajectories", 400, "--quiet") == 0
    out, err = capsys.readouterr()
    assert not err
    assert new_files(trained, set(before)) == {"seed-4/gradients-last.csv", "seed-4/gradients-last.png"}
    assert before.items() <= tree(trained).items(), "the run stays as it was"
    assert all(any(line.startswith(f"  {named.name} ") for line in out.splitlines()) for named in CATALOGUE)
    assert "V(s)        the run's value network" in out
    assert "CartPole-v1 after iteration 45: 400 trajectories" in out
    folder = trained / "seed-4"
    assert out.splitlines()[-1] == f"written to {folder / 'gradients-last.csv'} and {folder / 'gradients-last.png'}"
    assert (folder / "gradients-last.png").read_bytes().startswith(PNG)
    with (folder / "gradients-last.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CATALOGUE) * 3
    assert {row["iteration"] for row in rows} == {"45"}


@pytest.mark.parametrize(
    ("flags", "name", "iterations"),
    [
        (("--at", "20"), "gradients-20", ["20"]),
        (("--at", "0,40"), "gradients-0-40", ["0", "40"]),
        (("--at", "every:20"), "gradients-every-20", ["0", "20", "40", "45"]),
    ],
)
def test_other_moments_and_seeds(
    trained: Path, flags: tuple[str, ...], name: str, iterations: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tree(trained))
    assert run("diagnose", trained, "--seed", 11, "--trajectories", 200, *flags) == 0
    out, _ = capsys.readouterr()
    assert new_files(trained, before) == {f"seed-11/{name}.csv", f"seed-11/{name}.png"}
    with (trained / "seed-11" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(row["iteration"] for row in rows)) == iterations
    assert len(rows) == len(iterations) * len(CATALOGUE) * 2
    along = len(iterations) > 1
    assert ("trajectories for a relative error of 10 %\n" in out) == along
    assert all(f"\n{iteration:>9} " in out for iteration in iterations) == along


def test_the_diagnosis_seed_decides(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for seed in (1, 1, 2):
        flags = ("--trajectories", 200, "--no-figures", "--diagnosis-seed", seed, "--at", "40")
        assert run("diagnose", trained, *flags) == 0
        assert ".png" not in capsys.readouterr().out
        found.append((trained / "seed-4" / "gradients-40.csv").read_text())
    assert found[0] == found[1] != found[2]
    assert not (trained / "seed-4" / "gradients-40.png").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--at", "33"), "the parameters after iteration 33 were not kept: the nearest are 30 and 40"),
        (("--at", "every:7"), "--at every:7: the run kept its parameters every 10 iterations"),
        (("--at", "every:0"), "--at every:0: the run kept its parameters every 10 iterations"),
        (("--at", "first"), "--at must be 'last', an iteration, several like 0,40,120, or 'every:10', not 'first'"),
        (("--at",), "--at needs a value"),
        (("--trajectories", 199), "--trajectories must be at least 200, not 199"),
        (("--trajectories", "many"), "--trajectories"),
        (("--trajectories", 10**9), "trajectories must be at most"),
        (("--seed", 5), "has no seed 5; it has 4, 11"),
        (("--seed", "x"), "--seed"),
        (("--diagnosis-seed", -1), "--diagnosis-seed must be in 0 … 2⁶³ - 1, not -1"),
        (("--diagnosis-sed", 1), "did you mean"),
        (("another",), "unexpected argument 'another'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_message_and_nothing_written(
    trained: Path, flags: tuple[object, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(trained)
    assert run("diagnose", trained, *flags) == REFUSED
    out, err = capsys.readouterr()
    assert not out
    assert tree(trained) == before
    (line,) = err.splitlines()
    assert line.startswith("pgrad: ")
    assert words in line


def test_several_things_wrong_are_said_at_once(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diagnose", trained, "--seed", "x", "--trajectories", 3, "--diagnosis-seed", "y") == REFUSED
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_what_is_no_run_folder(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "nowhere", trained / "seed-4", trained / "seed-4" / "policy.safetensors"):
        assert run("diagnose", path) == REFUSED
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"pgrad: {path} is no run folder")
    assert run("diagnose") == REFUSED
    assert "RUN" in capsys.readouterr().err
    assert not tree(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "flags", "words"),
    [
        ("seed-4/checkpoints.safetensors", lambda data: data[:100], (), "checkpoints.safetensors"),
        (
            "seed-4/checkpoints.safetensors",
            None,
            ("--at", "every:10"),
            "kept no parameters along the way: train it with",
        ),
        ("seed-4/checkpoints.safetensors", None, ("--at", 10), "after iteration 10 were not kept, nor any others"),
        ("config.toml", lambda data: data.replace(b"CartPole-v1", b"Acrobot-v1"), (), "made for 4 and 2"),
        ("config.toml", lambda data: data.replace(b"CartPole-v1", b"CartPole-v7"), (), "--trust"),
        ("config.toml", lambda data: b"[", (), "is not a configuration"),
    ],
    ids=["broken", "nothing kept", "not kept", "another environment", "no environment", "no configuration"],
)
def test_a_run_that_cannot_be_diagnosed(
    trained: Path,
    file: str,
    change: Callable[[bytes], bytes] | None,
    flags: tuple[object, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = shutil.copytree(trained, tmp_path / "run")
    if change is None:
        (broken / file).unlink()
    else:
        (broken / file).write_bytes(change((broken / file).read_bytes()))
    before = tree(broken)
    assert run("diagnose", broken, *flags) == REFUSED
    out, err = capsys.readouterr()
    assert not out
    assert words in err
    assert all(line.startswith("pgrad: ") for line in err.splitlines())
    assert "Traceback" not in err
    assert tree(broken) == before


def test_help_explains_and_the_overview_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run("diagnose", "--help")
    assert raised.value.code == 0
    text = capsys.readouterr().out
    for word in ("--at", "--seed", "--trajectories", "--diagnosis-seed", "--no-figures", "every:10", "gradients-*.csv"):
        assert word in text
    assert run() == 0
    assert "pgrad diagnose RUN" in capsys.readouterr().out

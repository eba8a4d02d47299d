"""`pgrad eval`, and what becomes of results that cannot be kept."""

import json
from pathlib import Path
from typing import Any

import pytest

import pgrad
from pgrad.cli import main as cli
from pgrad.errors import RunError
from pgrad.runs.folder import RunFolder

SHORT = ("--preset", "none", "--total-steps", "200", "--no-figures")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: str) -> Path:
    """A run on a user's file, looked at from another folder."""
    (tmp_path / "shop.py").write_text(shop)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["train", "shop.py:Shop", "--seeds", "2", "--out", "run", *SHORT]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "run"


def test_a_users_file_is_run_once_it_is_trusted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for command in ("eval", "diagnose"):
        assert cli.run([command, str(run)]) == 2
        assert "--trust" in capsys.readouterr().err
    assert cli.run(["eval", str(run), "--episodes", "4", "--trust"]) == 0
    assert capsys.readouterr().out.startswith("seed 0: mean return 3.00 [3.00, 3.00]")
    assert cli.run(["eval", str(run), "--episodes", "4", "--env", f"{run.parent}/shop.py:Shop"]) == 0
    first, second = ((run / "evaluations.jsonl").read_text("utf-8")).splitlines()
    for line in (first, second):
        seeds: list[dict[str, Any]] = json.loads(line)["seeds"]
        assert [(seed["seed"], seed["returns"]) for seed in seeds] == [(0, [3.0] * 4), (1, [3.0] * 4)]


def test_an_evaluation_that_cannot_be_kept_is_told_all_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "evaluations.jsonl").mkdir()
    capsys.readouterr()
    assert cli.run(["eval", str(run), "--episodes", "4", "--trust"]) == 0
    printed = capsys.readouterr()
    assert "all 2 seeds" in printed.out
    assert "not kept: cannot write" in printed.err


@pytest.mark.parametrize("method", ["save_result", "save"])
def test_a_result_that_cannot_be_kept_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    def fail(*_: Any) -> None:
        raise RunError("cannot write it: No space left on device")

    monkeypatch.setattr(RunFolder, method, fail)
    assert cli.run(["train", "CartPole-v1", "--out", str(tmp_path / "run"), *SHORT]) == 2
    printed = capsys.readouterr()
    assert "CartPole-v1 · actor-critic · 1 seed" in printed.out
    assert "written to" not in printed.out
    assert "pgrad: cannot write it: No space left on device" in printed.err


def test_a_policy_along_the_way_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ("--preset", "none", "--num-iterations", "40", "--seeds", "2", "--no-figures", "--evaluation-episodes", "0")
    assert cli.run(["train", "CartPole-v1", "--out", str(run), *words]) == 0
    for at in ("0", "20", "40"):
        assert cli.run(["eval", str(run), "--episodes", "5", "--at", at]) == 0
    first, between, last = map(json.loads, (run / "evaluations.jsonl").read_text("utf-8").splitlines())
    assert [line["seeds"][1]["iteration"] for line in (first, between, last)] == [0, 20, 40]
    expected = pgrad.evaluate(pgrad.load(run, 1, at=20), episodes=5).returns.tolist()
    assert between["seeds"][1]["returns"] == expected != last["seeds"][1]["returns"]
    assert last["seeds"][1]["returns"] == pgrad.evaluate(pgrad.load(run, 1), episodes=5).returns.tolist()
    for words, message in {
        ("--at", "21"): "after iteration 21 were not kept: the nearest are 20 and 30",
        ("--at", "soon"): "iteration must be an integer, not 'soon'",
        ("--at", "20", "--best"): "give either best or at, not both",
    }.items():
        capsys.readouterr()
        assert cli.run(["eval", str(run), *words]) == 2
        assert message in capsys.readouterr().err

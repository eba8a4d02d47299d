"""What docs/extending.md shows works as it is written there, and stays one screen."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import pgrad
from pgrad.cli import main as cli
from pgrad.env_check.check import check

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
FILE, GYMNASIUM = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's file in it, where we are."""
    (tmp_path / "capsule.py").write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(gymnasium.registry)
    yield tmp_path
    sys.modules.pop("capsule", None)
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


def test_the_environment_is_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = (line.split("#")[0].split()[1:] for line in PAGE.splitlines() if line.startswith("pgrad check-env"))
    assert cli.run(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "fine: nothing found"


def test_its_gymnasium_face(folder: Path) -> None:
    names: dict[str, Any] = {}
    exec(GYMNASIUM, names)
    assert names["env"].unwrapped.dynamics.gravity == 3.7
    assert names["env"].observation_space.contains(names["obs"])
    check_env(gymnasium.make("Capsule-v0").unwrapped)


def test_gymnasium_finds_it_where_the_file_registers_it(folder: Path) -> None:
    (register,) = (line for line in GYMNASIUM.splitlines() if line.startswith("register("))
    (folder / "capsule.py").write_text(f"{FILE}\nfrom pgrad.envs.gymnasium_adapter import register\n\n{register}\n")
    env = gymnasium.make("capsule:Capsule-v0")
    assert env.spec is not None and env.spec.max_episode_steps == 200
    assert check("capsule.py:Capsule").holds


def test_the_page_is_one_screen() -> None:
    assert len(FILE.splitlines()) <= 45
    assert all(len(line) <= 120 for line in PAGE.splitlines())


def test_it_trains(folder: Path) -> None:
    result = pgrad.train("capsule.py:Capsule", preset="none", seeds=2, total_steps=200_000, evaluation_episodes=5)
    assert (result.mean_returns > 8).all()
    assert result.policies[0].env == "capsule.py:Capsule"

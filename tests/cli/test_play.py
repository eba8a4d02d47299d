"""`pgrad play`: which episode it shows, and what it says of it."""

from pathlib import Path

import pytest
from PIL import Image

import pgrad
from pgrad.cli import main as cli


@pytest.fixture
def run(tmp_path: Path) -> Path:
    options = ("--preset", "none", "--total-steps", "200", "--seeds", "2", "--no-figures")
    assert cli.run(["train", "CartPole-v1", "--out", str(tmp_path / "run"), *options]) == 0
    return tmp_path / "run"


def test_it_writes_the_episode_that_was_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, file = pgrad.load(run, 1), run.parent / "episode.gif"
    episode = pgrad.collect_episode(policy, seed=4, greedy=True, max_episode_steps=12)
    asked = ["--seed", "1", "--evaluation-seed", "4", "--greedy", "--max-episode-steps", "12"]
    capsys.readouterr()
    assert cli.run(["play", str(run), "--video", str(file), *asked]) == 0
    end = "ended by the environment" if episode.terminated else "cut by the time limit"
    wanted = f"{len(episode)} steps, {end}: return {len(episode)}\nwritten to {file}\n"
    assert capsys.readouterr().out == wanted
    with Image.open(file) as video:
        assert video.size == (600, 400)


def test_it_says_what_is_wrong(run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    capsys.readouterr()
    assert cli.run(["play", str(run)]) == 2
    assert "there is no display" in capsys.readouterr().err
    assert cli.run(["play", str(run), "--seed", "7"]) == 2
    assert "7" in capsys.readouterr().err

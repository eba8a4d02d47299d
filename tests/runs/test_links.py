"""Links and pipes that a stranger put in the place of a run's files."""

import os
import shutil
from pathlib import Path

import pytest

import pgrad
from pgrad.errors import RunError
from pgrad.runs.folder import record_evaluations

TEN = {"total_steps": None, "num_iterations": 10}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("links") / "run"
    settings = {"preset": "none", "num_iterations": 2, "total_steps": None}
    pgrad.save(pgrad.train("CartPole-v1", evaluation_episodes=0, **settings), run)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.mark.parametrize("name", ["metrics.csv", "episodes.csv"])
def test_going_on_writes_through_no_link(run: Path, tmp_path: Path, name: str) -> None:
    (outside := tmp_path / "outside").write_bytes((run / "seed-0" / name).read_bytes() + b"mine")
    (run / "seed-0" / name).unlink()
    (run / "seed-0" / name).symlink_to(outside)
    before = outside.read_bytes()
    with pytest.raises(RunError, match=rf"cannot write .*{name}"):
        pgrad.resume(run, evaluation_episodes=0, **TEN)
    assert outside.read_bytes() == before


@pytest.mark.parametrize("name", ["metrics.csv", "episodes.csv"])
def test_going_on_waits_for_no_pipe(run: Path, name: str) -> None:
    (run / "seed-0" / name).unlink()
    os.mkfifo(run / "seed-0" / name)
    with pytest.raises(RunError, match=rf"cannot read .*{name}: it is not a regular file"):
        pgrad.resume(run, evaluation_episodes=0, **TEN)


def test_a_seeds_folder_is_no_link(run: Path, tmp_path: Path) -> None:
    (run / "seed-0").rename(tmp_path / "elsewhere")
    (run / "seed-0").symlink_to(tmp_path / "elsewhere")
    for read in (lambda: pgrad.load(run), lambda: pgrad.resume(run, evaluation_episodes=0, **TEN)):
        with pytest.raises(RunError, match="seed-0 is a symbolic link: put the folder itself in its place"):
            read()


@pytest.mark.parametrize("pipe", [False, True])
def test_evaluations_are_appended_to_nothing_but_the_runs_own_file(run: Path, tmp_path: Path, pipe: bool) -> None:
    path, outside = run / "evaluations.jsonl", tmp_path / "outside"
    outside.write_text("mine")
    os.mkfifo(path) if pipe else path.symlink_to(outside)
    with pytest.raises(RunError, match=r"cannot write .*evaluations\.jsonl"):
        record_evaluations(run, {})
    assert outside.read_text() == "mine"


def test_where_a_file_should_be_a_folder_says_so(run: Path) -> None:
    shutil.rmtree(run / "seed-0")
    (run / "seed-0").touch()
    with pytest.raises(RunError, match=r"cannot (make|remove) .*seed-0"):
        pgrad.resume(run, evaluation_episodes=0, **TEN)

"""What the README promises of its own lines."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgrad
from pgrad.algorithms.iteration import train_iteration

README = Path(__file__).parent.parent / "README.md"


def test_the_lines_on_the_gradient_run_and_say_what_is_said_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## Is it the gradient?") :]
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, names)
    diagnosis, *_, frozen_lake = capsys.readouterr().out.splitlines()
    assert diagnosis == "mean of log-probabilities times total return"
    assert float(frozen_lake) == pytest.approx(0.542, abs=5e-4)


def test_the_iteration_that_is_shown_is_the_one_that_runs() -> None:
    section = README.read_text(encoding="utf-8").partition("## The one equation")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert shown == inspect.getsource(train_iteration.__wrapped__)  # type: ignore[attr-defined]


def test_the_notebooks_seed_climbs_and_collapses() -> None:
    seed = re.search(r"--algorithm notebook --seed (\d+)", README.read_text(encoding="utf-8"))
    assert seed is not None
    result = pgrad.train("CartPole-v1", algorithm="notebook", seed=int(seed[1]), evaluation_episodes=0)
    mean_of_50 = np.convolve(result.seeds[0].history.episodes.episode_return, np.full(50, 1 / 50), "valid")
    assert mean_of_50.max() > 300
    assert mean_of_50[-1] < mean_of_50.max() / 2


@pytest.mark.parametrize("title", ["## Your environment", "## Your policy"])
def test_the_lines_on_environments_and_policies_run(title: str) -> None:
    text = README.read_text(encoding="utf-8")
    section = text[text.index(title) + len(title) :].partition("\n## ")[0]
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert blocks
    for code in blocks:
        exec(code, names)
    assert names["result"].total_steps >= 2_000

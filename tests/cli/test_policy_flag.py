"""`--policy`: a PyTorch module in a file of the user's is trained, evaluated and gone on with, by the user's word."""

from pathlib import Path

import numpy as np
import pytest

import pgrad
from pgrad.cli import main as cli

FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, inputs, outputs, hidden=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))

    def forward(self, obs):
        return self.layers(obs)

def make():
    return Net(4, 2)

made = Net(4, 2, hidden=3)

class Odd(nn.Module):
    def __init__(self, a, b, c):
        super().__init__()

def broken():
    return 1 / 0

def text():
    return "no module"

three = 3
"""
SHORT = ("--total-steps", "1000", "--evaluation-episodes", "2", "--no-figures", "--quiet")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def run(*argv: str) -> int:
    return cli.run(list(argv))


def test_a_module_in_a_file_is_trained_evaluated_and_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "CartPole-v1", "--policy", "mine.py:Net", "--out", "run", *SHORT) == 0
    assert 'policy = "mine.Net"' in Path("run/config.toml").read_text()
    assert run("eval", "run", "--episodes", "2", "--quiet") == 2
    assert "--policy" in capsys.readouterr().err, "a run's files name no code that runs"
    assert run("eval", "run", "--episodes", "2", "--quiet", "--policy", "mine.py:Net") == 0
    assert run("train", "--resume", "run", "--total-steps", "1500", "--no-figures", "--quiet") == 2
    again = (
        "--policy",
        "mine.py:Net",
        "--total-steps",
        "1500",
        "--evaluation-episodes",
        "2",
        "--no-figures",
        "--quiet",
    )
    assert run("train", "--resume", "run", *again) == 0
    assert run("train", "--config", "run/config.toml", "--out", "same", *again) == 0
    for name in ("metrics.csv", "policy.safetensors"):
        assert Path("same/seed-0", name).exists() and Path("run/seed-0", name).exists()


def test_a_seed_has_the_initialisation_that_python_gives_it() -> None:
    assert run("train", "CartPole-v1", "--policy", "mine.py:make", "--seeds", "2", "--out", "run", *SHORT) == 0
    net = pgrad.user_code.import_file(Path("mine.py")).Net
    settings = {"preset": "none", "total_steps": 1000, "evaluation_episodes": 0}
    result = pgrad.train("CartPole-v1", policy=lambda: net(4, 2), seeds=2, **settings)
    for seed, policy in enumerate(result.policies):
        loaded = pgrad.load("run", seed, module=net(4, 2))
        for mine, theirs in zip(policy.module.parameters(), loaded.module.parameters(), strict=True):
            np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.py:Nett", "is not defined: did you mean 'Net'?"),
        ("mine.py:Odd", "requires a, b, c"),
        ("mine.py:broken", "ZeroDivisionError"),
        ("mine.py:text", "makes a str, not a torch.nn.Module"),
        ("mine.py:three", "is 3, not a torch.nn.Module"),
        ("mine.py", "must say where a module is written"),
        ("yours.py:Net", "there is no file 'yours.py'"),
    ],
)
def test_what_makes_no_module_is_named_before_anything_runs(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "CartPole-v1", "--policy", name, "--out", "run", *SHORT) == 2
    assert message in capsys.readouterr().err
    assert not Path("run").exists()


def test_a_module_that_is_made_already_is_the_start_of_every_seed() -> None:
    assert run("train", "CartPole-v1", "--policy", "mine.py:made", "--out", "run", *SHORT) == 0

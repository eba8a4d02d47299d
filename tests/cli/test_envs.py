"""`pgrad envs`: what can be trained on here, and what would have to be installed."""

import pytest

from pgrad.cli import envs
from pgrad.cli import main as cli
from pgrad.envs.make import COMPILED
from pgrad.presets.preset import read, shipped


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    missing = {"nowhere": [f"Far-v{k}" for k in range(9)], "elsewhere": ["Near-v0"]}
    monkeypatch.setattr(envs, "installed_ids", lambda: (["CartPole-v1", "Blackjack-v1", "MyOwn-v0"], missing))
    assert cli.run(["envs"]) == 0
    return capsys.readouterr().out


def test_compiled_ones_come_first_and_once(printed: str) -> None:
    compiled, others = printed.split("installed, ")
    assert all(f"  {name} " in compiled for name in COMPILED)
    assert "CartPole-v1" not in others


def test_presets_are_listed_with_where_they_come_from(printed: str) -> None:
    assert all(f"  {read(name)}\n" in printed.split("installed, ")[0] for name in shipped())


def test_installed_ones_are_listed_and_others_told_with_their_package(printed: str) -> None:
    assert printed.splitlines()[-3:] == [
        "  Blackjack-v1, MyOwn-v0",
        "with `pip install 'elsewhere'`: 1 more, such as Near-v0",
        "with `pip install 'nowhere'`: 9 more, such as Far-v6, Far-v7, Far-v8",
    ]

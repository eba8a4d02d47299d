"""A sweep is read back from its folder, without running anything, and its report says what it found."""

import json
from pathlib import Path
from typing import Any

import pytest

import pgrad
from pgrad.cli import main as cli
from pgrad.errors import RunError
from pgrad.experiments.sweeps.result import Sweep, read

SETTINGS: dict[str, Any] = {"algorithm": "reinforce", "num_iterations": 2, "hidden": [8, [8, 8]], "episodes": 3}


@pytest.fixture
def found(tmp_path: Path) -> Sweep:
    return pgrad.sweep("CartPole-v1", seeds=3, processes=1, out=tmp_path / "swept", select="best", **SETTINGS)


def test_a_sweep_is_read_back_from_its_folder(found: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgrad.experiments.sweeps.sweep.make_run", None)
    again = read(found.folder)
    assert again == found
    assert again.table() == found.table() and again.to_csv() == found.to_csv() and again.to_dict() == found.to_dict()


def test_the_report_says_what_was_found(found: Sweep, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["report", str(found.folder)]) == 0
    assert capsys.readouterr().out == f"written to {found.folder / 'report.html'}\n"
    text = (found.folder / "report.html").read_text(encoding="utf-8")
    for words in (
        "on fresh seeds, 3 to 5",
        "8-8",
        "Final performance",
        "Performance profiles",
        "Training curves",
        "mean return while it trains",
        "What the settings change",
        "How to make it again",
    ):
        assert words in text
    assert text.count("<svg") == 4 and text.count("<details>") == 4
    assert all(f"<td>{line.split(',')[0]}</td>" in text for line in found.to_csv().splitlines()[1:])
    both = tmp_path / "both.html"
    assert cli.run(["report", str(found.folder), str(found.folder), "--out", str(both)]) == 0
    assert both.read_text(encoding="utf-8").count("<svg") == 8


def test_what_is_no_sweep_is_refused(found: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(tmp_path)]) == 2
    assert f"{tmp_path} is no finished sweep: cannot read {tmp_path / 'sweep.json'}" in capsys.readouterr().err
    document = json.loads((found.folder / "sweep.json").read_text())
    for broken in ("[", "{}", json.dumps({**document, "settings": [{**document["settings"][0], "runs": ["other"]}]})):
        (found.folder / "sweep.json").write_text(broken)
        with pytest.raises(RunError, match=r"holds a damaged sweep .*: the sweep's command mends it"):
            read(found.folder)

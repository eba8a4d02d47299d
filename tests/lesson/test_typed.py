"""Numbers that the page does not measure are those of docs/results.md, or of pgrad itself."""

import json
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.exact.trajectories import count_trajectories

from .conftest import bundled

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    script = bundled("typed", tmp_path_factory.mktemp("typed"))
    return json.loads(subprocess.run(["node", script], check=True, capture_output=True, text=True).stdout)


def written(number: float) -> str:
    """Return a pattern of the number as a page writes it, with any zeros at its end."""
    return rf"(?<![\d.]){re.escape(f'{number:g}')}(\.?0*)(?![\d])"


def test_recorded_numbers_are_in_the_results(typed: Any) -> None:
    text = RESULTS.read_text("utf-8").replace("−", "-").replace("**", "")
    assert typed["recorded"]
    assert f"| {typed['recorded'].pop('NOTEBOOK_SPEED'):,} | 1 |" in text
    for name, recording in typed["recorded"].items():
        section = re.search(rf"^##+ {re.escape(recording['heading'])}$(.*?)(?=^## |\Z)", text, re.M | re.S)
        assert section is not None, f"{name}: docs/results.md has no heading '{recording['heading']}'"
        words = " ".join(section[1].split())
        for row, numbers in recording["rows"].items():
            mean, low, high = map(written, (numbers["mean"], *numbers["interval"]))
            assert re.search(rf"{mean} \[{low}, {high}\]", words), f"{name}, {row}: {numbers} are not there"


@pytest.mark.parametrize("name", ["LAKE", "CHAIN"])
def test_trajectories_are_counted_by_pgrad(typed: Any, name: str) -> None:
    mdp = exact.from_gymnasium("FrozenLake-v1") if name == "LAKE" else exact.chain(2, slip=0.1)
    uniform = np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)
    counts = typed["counts"][name]
    assert len(counts) == 100
    for limit in (1, 2, 3, 10, 50, 100):
        count = count_trajectories(replace(mdp, time_limit=limit), uniform)
        assert counts[limit - 1] == pytest.approx(math.log10(count), abs=0.0051)

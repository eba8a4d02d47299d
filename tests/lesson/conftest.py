import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgrad import exact
from pgrad.lesson.sources import SITE

LESSON = Path(__file__).parents[2] / "lesson"
ESBUILD = LESSON / "node_modules/.bin/esbuild"

Ask = Callable[[list[dict[str, Any]]], list[Any]]


def bundled(name: str, folder: Path, *flags: str) -> Path:
    """Return lesson/test/NAME.ts as a file that Node runs."""
    if not ESBUILD.exists() or not (SITE / "index.html").exists():
        pytest.fail("the lesson is not built: run `make lesson` first, or `make test`")
    script = folder / f"{name}.mjs"
    form = ["--bundle", "--platform=node", "--format=esm", "--log-level=error", f"--outfile={script}"]
    subprocess.run([ESBUILD, LESSON / f"test/{name}.ts", *form, *flags], check=True)
    return script


def chain(slip: float, constant: float, discount: float, theta: list[float]) -> tuple[exact.MDP, exact.SoftmaxPolicy]:
    """The lesson's problem, and a policy with a preference for right in each of its two states."""
    mdp = replace(exact.chain(2, slip=slip, discount=discount), time_limit=3)
    mdp = replace(mdp, reward=mdp.reward + constant)
    features = np.zeros((3, 2, 2))
    features[0, 1, 0] = features[1, 1, 1] = 1.0
    return mdp, exact.Linear(features)(theta)


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask the built engine several questions, in Node; see lesson/test/engine.ts."""
    script = bundled("engine", tmp_path_factory.mktemp("engine"))
    node = shutil.which("node")
    assert node is not None, "npm has built the lesson"

    def answers(questions: list[dict[str, Any]]) -> list[Any]:
        done = subprocess.run([node, script, SITE], input=json.dumps(questions), text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return answers

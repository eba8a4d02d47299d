"""The page in a real browser; lesson/test/page.ts and exercises.ts say what is done there."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from pgrad import exact
from pgrad.lesson.serve import new_server
from pgrad.policies.softmax import softmax

from .conftest import LESSON, bundled, chain

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["short", "whole"])
@pytest.mark.parametrize("name", ["page", "exercises"])
def test_the_page_in_a_browser(name: str, whole: bool, tmp_path: Path) -> None:
    script = bundled(name, tmp_path, "--external:playwright-core")
    (tmp_path / "node_modules").symlink_to(LESSON / "node_modules")
    assert CHROMIUM is not None
    with new_server("127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ,
            "CHROMIUM": CHROMIUM,
            "PAGE": f"http://127.0.0.1:{server.server_port}/",
            "AXE": str(LESSON / "node_modules/axe-core/axe.min.js"),
            "EXPECTED": json.dumps(expected()),
        }
        command = ["node", script, *(["--whole"] if whole else [])]
        done = subprocess.run(command, env=environment, text=True, capture_output=True)
        server.shutdown()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def expected() -> dict[str, object]:
    """Return what figures must say, by pgrad itself."""
    preferences, temperature, theta = [2.5, -1.0, 0.25], 1.5, [1.0, -1.0]
    solution = exact.solve(*chain(0.1, 0.0, 0.9, theta))
    return {
        "softmax": {
            "preferences": preferences,
            "temperature": temperature,
            "probabilities": softmax(preferences, temperature).tolist(),
        },
        "theorem": {"theta": theta, "performance": solution.performance, "gradient": solution.gradient.tolist()},
    }

"""The lesson's page in Chromium: how soon it stands, how large it is, and how fast its workers train beside pgrad.

Needs `make lesson`, Node.js and Chromium. Both engines train in the same minute, a seed at a time.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pgrad
from pgrad.lesson.serve import new_server
from pgrad.lesson.sources import SITE

LESSON = Path(__file__).parent.parent / "lesson"
COMMON = {"discount": 0.99, "standardize": False}
NOTEBOOK = {"network": "notebook", "algorithm": "reinforce", "estimator": "reward-to-go", "baseline": "none", **COMMON}
# Name, the page's recipe, pgrad's settings.
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "the notebook's recipe, 300 episodes",
        {**NOTEBOOK, "learningRate": 0.01, "episodes": 1, "totalEpisodes": 300},
        {"algorithm": "notebook"},
    ),
    (
        "the default, 500 episodes",
        {**NOTEBOOK, "algorithm": "actor-critic", "learningRate": 0.001, "episodes": 1, "totalEpisodes": 500},
        {"algorithm": "actor-critic", "total_steps": 100_000},
    ),
    (
        "PPO, 200 episodes",
        {**NOTEBOOK, "algorithm": "ppo", "learningRate": 0.001, "episodes": 1, "totalEpisodes": 200},
        {"algorithm": "ppo", "total_steps": 40_000},
    ),
]
SEEDS = 30


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None or not (SITE / "index.html").exists():
        sys.exit("run `make lesson`, and install Chromium")
    questions = [{"recipe": recipe, "seeds": SEEDS, "workers": w} for _, recipe, _ in KINDS for w in (1, 2)]
    with tempfile.TemporaryDirectory() as folder, new_server("127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = Path(folder) / "speed.mjs"
        (Path(folder) / "node_modules").symlink_to(LESSON / "node_modules")
        form = ["--bundle", "--platform=node", "--format=esm", "--log-level=error", "--external:playwright-core"]
        bundle = [LESSON / "node_modules/.bin/esbuild", LESSON / "test/speed.ts", *form, f"--outfile={script}"]
        subprocess.run(bundle, check=True)
        address = {"CHROMIUM": chromium, "PAGE": f"http://127.0.0.1:{server.server_port}/"}
        asked, environment = json.dumps(questions), {**os.environ, **address}
        answer = subprocess.run(["node", script], input=asked, env=environment, capture_output=True, text=True)
        server.shutdown()
    if answer.returncode:
        sys.exit(answer.stderr)
    measured = json.loads(answer.stdout)
    size = sum(len(gzip.compress(file.read_bytes())) for file in SITE.rglob("*") if file.is_file())
    print(f"First paint after {measured['paint']:.2f} s, usable after {measured['usable']:.2f} s, on loopback;")
    print(f"all files together {size / 1e6:.2f} MB, gzipped.\n")
    print(f"| {SEEDS} seeds | one worker | two workers | native, one core | one worker / native, by steps |")
    print("|---|---|---|---|---|")
    for k, (name, _, settings) in enumerate(KINDS):
        one, two = measured["trained"][2 * k : 2 * k + 2]
        steps, seconds = native(settings)
        pace, peer = one["steps"] / one["seconds"] / 1e6, steps / seconds / 1e6
        row = f"{one['seconds']:.2f} s, {pace:.2f} M steps/s | {two['seconds']:.2f} s | {peer:.2f} M steps/s"
        print(f"| {name} | {row} | {pace / peer:.2f} |")


def native(settings: dict[str, Any]) -> tuple[int, float]:
    """Return the steps and seconds of the seeds on one core, compiled before."""
    plain: dict[str, Any] = {"preset": "none", "evaluation_episodes": 0, "checkpoint_every": None, "threads": 1}
    pgrad.train("CartPole-v1", seeds="0-0", **plain, **settings)
    result = pgrad.train("CartPole-v1", seeds=f"0-{SEEDS - 1}", **plain, **settings)
    return result.total_steps, sum(seed.history.seconds for seed in result.seeds)

"""`pgrad train CartPole-v1` as a whole process, on one seed and its preset: the very first time, and with warm caches.

The peer is Python importing PyTorch and Gymnasium, which is where a PyTorch library's process begins.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_RUNS = 7


def train(cache: Path, out: Path) -> tuple[float, float]:
    """Seconds until the policy is saved, and until the process has ended, figures included."""
    environment = {**os.environ, "PGRAD_CACHE_DIR": str(cache)}
    wall, began = time.time(), time.perf_counter()
    command = [sys.executable, "-m", "pgrad", "train", "CartPole-v1", "--out", str(out)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    total = time.perf_counter() - began
    return (out / "seed-0" / "policy.safetensors").stat().st_mtime - wall, total


def imports() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, gymnasium"], check=True)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        first_saved, first_total = train(root / "cache", root / "first")
        warm = [train(root / "cache", root / f"run-{n}") for n in range(WARM_RUNS)]
        peer = statistics.median(imports() for _ in range(3))
    saved, total = (statistics.median(column) for column in zip(*warm, strict=True))
    worst = max(column for _, column in warm)
    print("| whole process | policy saved | figures written |\n|---|---|---|")
    print(f"| the first time, compiling | {first_saved:.1f} s | {first_total:.1f} s |")
    print(f"| warm, median of {WARM_RUNS} | {saved:.2f} s | {total:.2f} s (worst {worst:.2f} s) |")
    print(f"\n`import torch, gymnasium` alone takes {peer:.2f} s here, so the whole run is {total / peer:.2f} of it.")

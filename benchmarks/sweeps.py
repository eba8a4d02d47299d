"""How long sweeps take, and how often the interval of the probability of improvement covers it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from pgrad.experiments.over_seeds import FAILED, probability_of_improvement

SWEEPS = (
    "CartPole-v1 --algorithm notebook --learning-rate 0.001,0.01,0.1 --seeds 100",
    f"CartPole-v1 --preset none --learning-rate {','.join(f'{k / 1000:g}' for k in range(1, 11))} --seeds 30",
)
ROUNDS, SAMPLES, RESAMPLES = 3, 1_000, 500

Draw = Callable[[np.random.Generator, int], Any]


def normal(shift: float) -> Draw:
    """Return what draws normal returns."""
    return lambda rng, n: rng.normal(shift, 1, n)


def failing(share: float) -> Draw:
    """Return what draws returns of 500, and failures."""
    return lambda rng, n: np.where(rng.random(n) < share, FAILED, 500.0)


PAIRS: dict[str, tuple[Draw, Draw, float]] = {
    "normal, alike": (normal(0), normal(0), 0.5),
    "normal, one σ apart": (normal(1), normal(0), NormalDist().cdf(1 / 2**0.5)),
    "normal, three σ apart": (normal(3), normal(0), NormalDist().cdf(3 / 2**0.5)),
    "500, or failed: one in ten against one in three": (failing(1 / 10), failing(1 / 3), 0.9 / 3 + (0.6 + 1 / 30) / 2),
}


def resampled(x: Any, y: Any, rng: np.random.Generator) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the same, the two samples drawn each by itself."""
    one = x[rng.integers(0, x.size, (RESAMPLES, x.size))][:, :, None]
    other = y[rng.integers(0, y.size, (RESAMPLES, y.size))][:, None, :]
    low, high = np.quantile(((one > other) + 0.5 * (one == other)).mean(axis=(1, 2)), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print seconds, and coverage."""
    for words in SWEEPS:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                command = [sys.executable, "-m", "pgrad", "sweep", *words.split(), "--quiet", "--out", folder]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                print(f"{time.perf_counter() - began:.1f} s  pgrad sweep {words}", flush=True)
    print("\n| returns are | n | Newcombe's, here | percentile bootstrap |\n|---|---|---|---|")
    for name, (x, y, truth) in PAIRS.items():
        for n in (5, 10, 30):
            rng, covered = np.random.default_rng(n), []
            for _ in range(SAMPLES):
                one, other = x(rng, n), y(rng, n)
                ends = (probability_of_improvement(one, other)[1:], resampled(one, other, rng))
                covered.append([low <= truth <= high for low, high in ends])
            here, bootstrap = (f"{100 * share:.1f}" for share in np.mean(covered, axis=0))
            print(f"| {name} | {n} | {here} | {bootstrap} |", flush=True)


if __name__ == "__main__":
    main()

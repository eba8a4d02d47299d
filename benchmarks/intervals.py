"""How often the intervals that results carry cover the truth, for few and many values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pgrad.diagnostics.statistics import BLOCKS, TARGET_ERROR, error_curve, jackknife
from pgrad.experiments.statistics import Estimate, bootstrap, interquartile_mean, mean_interval

SAMPLES = 4_000
RESAMPLES = 1000
SIZES = (2, 3, 5, 10, 30)
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, Any], Any]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
    "one seed in ten fails: 500, and 100, ± 5": lambda rng, shape: (
        np.where(rng.random(shape) < 0.1, 100.0, 500.0) + rng.normal(0, 5, shape)
    ),
    "every second seed fails: 500, and 100, ± 5": lambda rng, shape: (
        np.where(rng.random(shape) < 0.5, 100.0, 500.0) + rng.normal(0, 5, shape)
    ),
    "at most 500, as two thirds reach": lambda rng, shape: 500 - np.maximum(0, rng.normal(-20, 40, shape)),
}
SIZES_OF_BATCHES, PARAMETERS, MICROSCOPES = (2, 5, 10, 20, 50, 100, 200), 30, 400
RETURNS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "all alike": lambda rng, n: np.ones(n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "500 in one trajectory of ten, else 20": lambda rng, n: np.where(rng.random(n) < 0.1, 500.0, 20.0) / 160,
    "500 in one of a hundred, else 20": lambda rng, n: np.where(rng.random(n) < 0.01, 500.0, 20.0) / 54,
}


def percentile(x: Any) -> Estimate:
    """Return the mean with the plain percentile interval, as pgrad had it and many have."""
    picks = np.random.default_rng(0).integers(0, x.size, (RESAMPLES, x.size))
    return Estimate(x.mean(), *np.quantile(x[picks].mean(axis=-1), [0.025, 0.975]))


def coverage(samples: Any, truth: float, interval: Callable[[Any], Estimate]) -> float:
    """Return how many intervals of samples [m, n] cover the truth."""
    estimates = np.array([interval(x)[1:] for x in samples])
    return float(np.mean((estimates[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= estimates[:, 1])))


def microscope_coverage(size: int, draw: Callable[[np.random.Generator, int], Any]) -> float:
    """Return how many jackknife intervals of `needed` cover it, over the samples in which it is not hidden.

    Estimates of 20 blocks of `size` trajectories are a mean of length 0.3, and 30 numbers of noise times draw(rng, n).
    """
    rng, covered = np.random.default_rng(0), []
    sizes = np.array([n for n in SIZES_OF_BATCHES if n <= size // 2])
    noise = float((draw(rng, 4_000_000) ** 2).mean())
    truth = noise / 0.3**2 / TARGET_ERROR**2
    for _ in range(MICROSCOPES):
        scale = draw(rng, BLOCKS * size)[:, None] / np.sqrt(PARAMETERS)
        estimates = 0.3 / np.sqrt(PARAMETERS) + scale * rng.normal(size=(BLOCKS * size, PARAMETERS))
        grams, squares = [], []
        for n in sizes:
            batches = estimates.reshape(BLOCKS, size, -1)[:, : size // n * n].reshape(BLOCKS, -1, n, PARAMETERS)
            means = batches.mean(axis=2)
            grams.append(means.mean(axis=1) @ means.mean(axis=1).T)
            squares.append((means**2).sum(axis=-1).mean(axis=1))
        needed = jackknife(
            lambda gram, square: error_curve(gram, square, sizes.astype(float))[1],
            np.stack(grams, axis=-1),
            np.stack(squares, axis=-1),
            gram=True,
            positive=True,
        )[0]
        if needed.high <= 100 * needed.low:
            covered.append(needed.low <= truth <= needed.high)
    return float(np.mean(covered))


def main() -> None:
    """Print the coverage of 95 % intervals over n values, and of the microscope's."""
    print(f"coverage of 95 % intervals, {SAMPLES:,} samples each (standard error 0.3 %)\n")
    print("| values are | n | mean, plain percentile | mean, pgrad | interquartile mean, pgrad |")
    print("|---|---|---|---|---|")
    for name, draw in DISTRIBUTIONS.items():
        rng = np.random.default_rng(0)
        many = np.sort(draw(rng, 4_000_000))
        truth, middle = many.mean(), many[many.size // 4 : -many.size // 4].mean()
        for n in SIZES:
            samples = draw(rng, (SAMPLES, n))
            cells = [coverage(samples, truth, percentile), coverage(samples, truth, mean_interval)]
            row = [f"{cell:.1%}".replace("%", " %") for cell in cells]
            if n >= 10:
                covered = coverage(samples, middle, lambda x: bootstrap(x, interquartile_mean, resamples=RESAMPLES))
                row.append(f"{covered:.1%}".replace("%", " %"))
            print("| " + " | ".join([name, str(n), *row, *([""] * (3 - len(row)))]) + " |", flush=True)
    print(f"\nthe microscope's trajectories for 10 %, {MICROSCOPES} samples each (standard error 1.1 %)\n")
    print("| returns are | trajectories | covered |\n|---|---|---|")
    for name, draw_returns in RETURNS.items():
        for size in (10, 50, 500):
            print(f"| {name} | {BLOCKS * size:,} | {microscope_coverage(size, draw_returns):.1%} |", flush=True)


if __name__ == "__main__":
    main()

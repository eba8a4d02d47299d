"""How often the intervals that results carry cover the truth, for few and many values."""

from collections.abc import Callable
from typing import Any

import numpy as np

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
    "at most 500, as two thirds reach": lambda rng, shape: 500 - np.maximum(0, rng.normal(-20, 40, shape)),
}


def percentile(x: Any) -> Estimate:
    """Return the mean with the plain percentile interval, as pgrad had it and many have."""
    picks = np.random.default_rng(0).integers(0, x.size, (RESAMPLES, x.size))
    return Estimate(x.mean(), *np.quantile(x[picks].mean(axis=-1), [0.025, 0.975]))


def coverage(samples: Any, truth: float, interval: Callable[[Any], Estimate]) -> float:
    """Return how many intervals of samples [m, n] cover the truth."""
    estimates = np.array([interval(x)[1:] for x in samples])
    return float(np.mean((estimates[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= estimates[:, 1])))


def main() -> None:
    """Print the coverage of 95 % intervals over n values."""
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


if __name__ == "__main__":
    main()

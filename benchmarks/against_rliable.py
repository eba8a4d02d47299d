"""The interquartile mean and its interval beside rliable's and SciPy's, on the same returns.

Needs both: pip install rliable "pandas<3".
"""

from typing import Any

import numpy as np
from rliable import library, metrics
from scipy import stats

from pgrad.experiments.over_seeds import probability_of_improvement
from pgrad.experiments.profile import performance_profile
from pgrad.experiments.statistics import bootstrap, interquartile_mean

RESAMPLES = 2_000


def returns() -> dict[str, Any]:
    """Return samples of kinds that seeds give."""
    rng = np.random.default_rng(1)
    return {
        "30 normal returns": rng.normal(100, 20, 30),
        "30 returns of at most 500": np.minimum(500, rng.normal(480, 60, 30)),
        "30 returns, some failed": np.where(rng.random(30) < 0.3, 100, 490) + rng.normal(0, 5, 30),
        "10 exponential returns": rng.exponential(50, 10),
        "100 exponential returns": rng.exponential(50, 100),
    }


def main() -> None:
    """Print the table, and how far the point estimates are apart."""
    print("| | here | rliable | SciPy |\n|---|---|---|---|")
    furthest = 0.0
    for name, x in returns().items():
        here = bootstrap(x, interquartile_mean, resamples=RESAMPLES)
        aggregate = lambda scores: np.array([metrics.aggregate_iqm(scores)])  # noqa: E731
        value, interval = library.get_interval_estimates({"x": x[:, None]}, aggregate, reps=RESAMPLES)
        trimmed = stats.trim_mean(x, 0.25)
        draws = stats.bootstrap(
            (x,),
            lambda v, axis: stats.trim_mean(v, 0.25, axis=axis),
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        theirs = f"{value['x'][0]:.1f} [{interval['x'][0, 0]:.1f}, {interval['x'][1, 0]:.1f}]"
        print(f"| {name} | {here} | {theirs} | {trimmed:.1f} [{draws.low:.1f}, {draws.high:.1f}] |")
        furthest = max(furthest, abs(here.value - trimmed), abs(here.value - value["x"][0]))
    one, other, *_ = returns().values()
    mine, theirs = (
        probability_of_improvement(one, other).value,
        metrics.probability_of_improvement(one[:, None], other[:, None]),
    )
    shares, _ = library.create_performance_profile({"x": one[:, None]}, np.linspace(50, 150, 11), reps=10)
    profile = performance_profile(one, np.linspace(50, 150, 11))[0]
    furthest = max(furthest, abs(mine - float(np.squeeze(theirs))), float(np.abs(shares["x"] - profile).max()))
    print(f"\npoint estimates, probability of improvement and profile among them, differ by at most {furthest:.1g}")


if __name__ == "__main__":
    main()
